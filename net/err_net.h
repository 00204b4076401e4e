// SPDX-License-Identifier: ISC
#ifndef EIO_ERR_NET_H
#define EIO_ERR_NET_H

/*
 * The kinds of network errors, all below `eio_err_net`, which is below `eio_err_io`.
 *
 *     if (eio_err_catch(&err, &eio_err_net_refused)) return try_the_next_one();
 */

#include "eio/err_kinds.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

/** Any network error. */
extern EIO_API const eio_err_kind eio_err_net;
/** The peer is gone (ECONNRESET, EPIPE, ECONNABORTED). */
extern EIO_API const eio_err_kind eio_err_net_connection_reset;
/** Any failure to connect. */
extern EIO_API const eio_err_kind eio_err_net_connection_failure;
/** Nobody listens there (ECONNREFUSED). */
extern EIO_API const eio_err_kind eio_err_net_refused;
/** The peer didn't answer in time. */
extern EIO_API const eio_err_kind eio_err_net_timeout;
/** The name has no address that could be used. */
extern EIO_API const eio_err_kind eio_err_net_no_matching_addresses;
/** The name couldn't be looked up; the text says why. */
extern EIO_API const eio_err_kind eio_err_net_address_lookup_failed;
/** The socket has no such option (ENOPROTOOPT). */
extern EIO_API const eio_err_kind eio_err_net_invalid_option;

EIO_END_DECLS

#endif
