// SPDX-License-Identifier: ISC
#ifndef EIO_ADDR_H
#define EIO_ADDR_H

/*
 * Addresses, as values: IP addresses, and socket addresses (TCP, UDP, Unix).
 *
 *     eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 8080);
 *     char text[EIO_SOCKADDR_STR_MAX];
 *     puts(eio_sockaddr_str(&addr, text));                              // tcp:127.0.0.1:8080
 *     EIO_TRY(eio_sockaddr_parse("[fe80::1%eth0]:80", &addr));
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eio/err.h"
#include "eio/macros.h"
#include "eio/slice.h"

EIO_BEGIN_DECLS

/** An IPv4 or IPv6 address. Compare with `eio_ip_equal`. */
typedef struct eio_ip {
    uint8_t len;       /**< 4 or 16 */
    uint8_t bytes[16]; /**< `len` bytes in network order */
    uint32_t scope_id; /**< IPv6: the interface index of a link-local address; else 0 */
} eio_ip;

enum {
    EIO_IP_STR_MAX = 64,       /**< room for any address with its zone, and the NUL */
    EIO_UNIX_PATH_MAX = 107,   /**< bytes of a Unix address: sun_path less its NUL */
    EIO_SOCKADDR_STR_MAX = 128 /**< room for any socket address, and the NUL */
};

/** The IPv4 address `a.b.c.d`. Suspends: never. */
EIO_API eio_ip eio_ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
/** 127.0.0.1. Suspends: never. */
EIO_API eio_ip eio_ip_v4_loopback(void);
/** 0.0.0.0. Suspends: never. */
EIO_API eio_ip eio_ip_v4_any(void);
/** ::1. Suspends: never. */
EIO_API eio_ip eio_ip_v6_loopback(void);
/** ::. Suspends: never. */
EIO_API eio_ip eio_ip_v6_any(void);
/**
 * The address of 4 or 16 bytes in network order.
 *
 * Suspends:  never.
 * Errors:    Invalid_argument `An IP address must be either 4 or 16 bytes long ("..." is N bytes)`.
 */
EIO_API EIO_MUST_USE eio_err *eio_ip_of_raw(eio_slice raw, eio_ip *out);
/**
 * Parses `1.2.3.4`, `::1`, `fe80::1%eth0`, `fe80::1%2` (RFC 4291, RFC 4007); nothing else, so no
 * `127.1` and no `01`. A zone of digits only is an interface's number, any other one its name.
 *
 * Suspends:  never.
 * Errors:    Invalid_argument; when the zone names no interface, too.
 */
EIO_API EIO_MUST_USE eio_err *eio_ip_parse(const char *text, eio_ip *out);
/**
 * The text of `ip` in `buf`; returns `buf`. IPv6 as RFC 5952 has it: the first longest run of two
 * or more zero groups is `::`, and ::ffff:a.b.c.d its dotted form. A zone prints as the interface's
 * name, or as its number when it has none (or one that looks like a number). `eio_ip_parse` gives
 * the same address back. Keeps errno. Suspends: never.
 */
EIO_API const char *eio_ip_str(const eio_ip *ip, char buf[EIO_IP_STR_MAX]);
/** Whether both are the same address, in the same zone. Suspends: never. */
EIO_API bool eio_ip_equal(const eio_ip *a, const eio_ip *b);

/** What a socket address is of. */
typedef enum eio_sockaddr_kind {
    EIO_TCP = 1, /**< a stream socket over IP */
    EIO_UDP,     /**< a datagram socket over IP */
    EIO_UNIX     /**< a Unix socket, of either type */
} eio_sockaddr_kind;

/**
 * A Unix address. Its bytes start with a NUL when it is abstract; `len` is 0 when it is unnamed.
 */
typedef struct eio_unix_addr {
    uint8_t len;                  /**< bytes of `path`, 0 to EIO_UNIX_PATH_MAX */
    char path[EIO_UNIX_PATH_MAX]; /**< not NUL-terminated */
} eio_unix_addr;

/** A socket address. Compare with `eio_sockaddr_equal`. */
typedef struct eio_sockaddr {
    eio_sockaddr_kind kind; /**< which of the below is valid */
    uint16_t port;          /**< TCP, UDP: host order */
    union {
        eio_ip ip;           /**< TCP, UDP */
        eio_unix_addr unix_; /**< Unix */
    };
} eio_sockaddr;

/** A TCP address. Suspends: never. */
EIO_API eio_sockaddr eio_sockaddr_tcp(eio_ip ip, uint16_t port);
/** A UDP address. Suspends: never. */
EIO_API eio_sockaddr eio_sockaddr_udp(eio_ip ip, uint16_t port);
/**
 * The address of a Unix socket; a path of which the first byte is NUL is abstract, an empty one
 * unnamed (unix(7)).
 *
 * Suspends:  never.
 * Errors:    Invalid_argument when `path` is longer than EIO_UNIX_PATH_MAX, or has a NUL in it and
 *            isn't abstract.
 */
EIO_API EIO_MUST_USE eio_err *eio_sockaddr_unix(eio_slice path, eio_sockaddr *out);
/**
 * Parses `1.2.3.4:80` and `[::1]:80`, each also behind `tcp:` or `udp:` (default tcp), `unix:PATH`,
 * and `unix:@ABSTRACT`.
 *
 * Suspends:  never.
 * Errors:    Invalid_argument.
 */
EIO_API EIO_MUST_USE eio_err *eio_sockaddr_parse(const char *text, eio_sockaddr *out);
/**
 * `tcp:1.2.3.4:80`, `udp:[::1]:53`, `unix:PATH` (bytes as they are, a NUL as `@`) in `buf`; returns
 * `buf`. `eio_sockaddr_parse` gives the same address back, unless a path starts with `@` or an
 * abstract name has a NUL in it. Keeps errno. Suspends: never.
 */
EIO_API const char *eio_sockaddr_str(const eio_sockaddr *addr, char buf[EIO_SOCKADDR_STR_MAX]);
/**
 * Whether both are the same address; TCP and UDP with the same numbers are not. Suspends: never.
 */
EIO_API bool eio_sockaddr_equal(const eio_sockaddr *a, const eio_sockaddr *b);

EIO_END_DECLS

#endif
