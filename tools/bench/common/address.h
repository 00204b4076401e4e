// SPDX-License-Identifier: ISC
// Where a server listens: tcp:PORT and udp:PORT on 127.0.0.1, unix:PATH.

#ifndef EIO_BENCH_ADDRESS_H
#define EIO_BENCH_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/** An address and the kind of socket that goes with it. */
struct address {
    struct sockaddr_storage storage;
    socklen_t len;
    int type; /**< SOCK_STREAM or SOCK_DGRAM */
};

/** Ends the program when `text` isn't an address. */
void parse_address(const char *text, struct address *out);
/** The address as the system calls take it. */
const struct sockaddr *sockaddr_of(const struct address *self);
/**
 * A socket for it, close-on-exec, TCP_NODELAY on TCP; or -1, with errno. `flags` are for socket(2).
 */
int open_socket(const struct address *self, int flags);
/**
 * A socket bound to it, which listens when it is a stream socket: what it accepts has TCP_NODELAY,
 * too. Ends the program when that fails.
 */
int bind_socket(const struct address *self, int flags);
/** As many descriptors as the machine allows. */
void raise_descriptor_limit(void);

#endif
