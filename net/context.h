// SPDX-License-Identifier: ISC
#ifndef EIO_NET_CONTEXT_H
#define EIO_NET_CONTEXT_H

// The context lines that more than one file of this folder adds. An error that isn't Io stays as it
// is, and so does one whose line there is no memory for.

#include "eio/err.h"

/** Adds `looking up "HOST"`; takes `err` over. */
EIO_MUST_USE eio_err *eioi_net_looking_up(eio_err *err, const char *host);
/** Adds `connecting to "HOST":SERVICE`; takes `err` over. `service` may be NULL. */
EIO_MUST_USE eio_err *eioi_net_connecting_to(eio_err *err, const char *host, const char *service);

#endif
