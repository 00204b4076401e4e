// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_LITERAL_H
#define EIO_RESOLVER_LITERAL_H

// Addresses written where a name could stand, as the C library takes them.

#include <stdbool.h>
#include <stddef.h>

#include "eio/addr.h"

enum eioi_literal {
    EIOI_LITERAL_NO,  // a name
    EIOI_LITERAL_YES, // an address
    EIOI_LITERAL_BAD, // neither: no name has a ':' or a '%'
};

/**
 * Reads `text` as an address: IPv4 with one to four parts, each decimal, octal or hexadecimal
 * (`127.1`, `0x7f000001`), or IPv6, with a zone behind `%` if need be.
 */
enum eioi_literal eioi_literal_parse(const char *text, eio_ip *out);
/** The form that files have: four decimal parts, or IPv6 (zones too). `len` bytes, no NUL. */
bool eioi_literal_parse_strict(const char *text, size_t len, eio_ip *out);

#endif
