// SPDX-License-Identifier: ISC
#ifndef EIO_SIGNAL_H
#define EIO_SIGNAL_H

/*
 * Signals as events. While somebody is subscribed to a signal its usual effect is off; every
 * subscriber gets it.
 *
 *     static const int signums[] = {SIGINT, SIGTERM};
 *     eio_signal *sig;
 *     int signum;
 *     EIO_TRY(eio_signal_open(sw, signums, 2, &sig));
 *     EIO_TRY(eio_signal_wait(sig, &signum));          // the first: stop gracefully
 *     eio_promise_resolve(set_stop, NULL);
 *     EIO_TRY(eio_signal_wait(sig, &signum));          // the second: now
 */

#include <stddef.h>

#include "eio/err.h"
#include "eio/macros.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/** A subscription to some signals. */
typedef struct eio_signal eio_signal;

/**
 * Subscribes to `n` signals. What the process did on them before is put back when the last
 * subscription has ended.
 *
 * Suspends:  never.
 * Errors:    Io: a number that is no signal, or one that can't be caught (EINVAL), no descriptor
 *            left; Out_of_memory.
 * Owner:     `sw` ends the subscription when it ends.
 * Domain:    any, on a real loop; `sw`'s own.
 */
EIO_API EIO_MUST_USE eio_err *eio_signal_open(eio_switch *sw, const int *signums, size_t n,
                                              eio_signal **out);
/**
 * Waits for one of the signals; `*out_signum` is its number. Signals that came since the
 * subscription began and weren't waited for yet come first, each as often as it came (the kernel
 * itself counts several that are pending as one); of different ones, that which stands first in
 * `signums`. Several fibers may wait: each signal goes to one of them.
 *
 * Suspends:  until a signal comes; not at all when one has come already.
 * Errors:    Cancelled; those of `eio_await_readable`.
 * Domain:    any.
 */
EIO_API EIO_MUST_USE eio_err *eio_signal_wait(eio_signal *self, int *out_signum);

EIO_END_DECLS

#endif
