// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_SERVICES_H
#define EIO_RESOLVER_SERVICES_H

// The services file: names to ports and back, for TCP and UDP.

#include <stdbool.h>
#include <stdint.h>

#include "resolver/snapshot.h"

/** Parses a services file into a snapshot for the functions below. */
eioi_snapshot_parse_fn eioi_services_parse;

/**
 * The port of the first line with `name`, as its name or an alias, for UDP or TCP; false when there
 * is none.
 */
bool eioi_services_port(const struct eioi_snapshot *services, const char *name, bool udp,
                        uint16_t *out);
/**
 * The name of the first line with `port`, NUL-terminated; NULL when there is none. Valid as long as
 * the snapshot.
 */
const char *eioi_services_name(const struct eioi_snapshot *services, uint16_t port, bool udp);

#endif
