// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_IP_LIST_H
#define EIO_RESOLVER_IP_LIST_H

// A growing list of addresses, each in it once.

#include <stdbool.h>
#include <stddef.h>

#include "eio/addr.h"

struct eioi_ip_list {
    eio_ip *items; // `count` of them; NULL while empty
    size_t count, cap;
};

/** Appends `ip` unless it is there; false when there is no memory. */
bool eioi_ip_list_add(struct eioi_ip_list *self, const eio_ip *ip);
/** Frees the items; the list is empty again. */
void eioi_ip_list_free(struct eioi_ip_list *self);

#endif
