// SPDX-License-Identifier: ISC
#ifndef EIO_SWITCH_H
#define EIO_SWITCH_H

/*
 * Scopes. A switch is opened around a function; no fiber and no resource that is attached to it can
 * outlive that call.
 *
 *     static eio_err *serve(void *arg, eio_switch *sw) {
 *         eio_listener *listener;
 *         EIO_TRY(eio_net_listen(net, sw, &addr, NULL, &listener)); // closed at the end of sw
 *         return eio_net_run_server(listener, handle, arg, NULL);
 *     }
 *     EIO_TRY(eio_switch_run(serve, arg));
 */

#include <stddef.h>

#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

/** A scope. It lives in the frame of `eio_switch_run`, and belongs to the domain that opened it. */
typedef struct eio_switch eio_switch;

/** What runs in a scope. */
typedef eio_err *eio_switch_fn(void *arg, eio_switch *sw);

/**
 * Opens a switch, calls `fn(arg, sw)`, waits for every fiber of the switch, runs its release hooks
 * last-in first-out (each protected from cancellation), frees its memory, and returns the combined
 * error of all of these.
 *
 * Suspends:  until every fiber of the switch has ended; that wait can't be cancelled, but the
 *            fibers in it can.
 * Errors:    those of `fn`, of the fibers and hooks, of `eio_switch_fail`; Cancelled at once (`fn`
 *            not called) when the calling fiber is cancelled already.
 * Domain:    any fiber.
 */
EIO_API EIO_MUST_USE eio_err *eio_switch_run(eio_switch_fn *fn, void *arg);
/**
 * As `eio_switch_run`, in a scope that the cancellation of the surrounding ones doesn't reach.
 *
 * Suspends:  as `eio_switch_run`.
 * Errors:    those of `fn`, of the fibers and hooks, of `eio_switch_fail`.
 */
EIO_API EIO_MUST_USE eio_err *eio_switch_run_protected(eio_switch_fn *fn, void *arg);

/**
 * Cancels everything in the switch because of `err`, which `eio_switch_run` will return (combined
 * with other errors). Returns at once; the caller goes on, and may clean up.
 *
 * Suspends:  never.
 * Owner:     takes `err` over.
 * Domain:    the switch's own (asserted).
 */
EIO_API void eio_switch_fail(eio_switch *sw, eio_err *err);
/**
 * NULL while the switch is on; else the Cancelled error that its fibers see.
 *
 * Suspends:  never.
 * Errors:    Cancelled.
 * Domain:    the switch's own (asserted).
 */
EIO_API EIO_MUST_USE eio_err *eio_switch_check(eio_switch *sw);
/**
 * The error that the switch failed with so far, borrowed; NULL when it is on, or was cancelled only
 * from outside. Suspends: never.
 */
EIO_API eio_err *eio_switch_error(eio_switch *sw);

typedef struct eio_hook eio_hook;
/**
 * A release hook. It may suspend, is protected from cancellation, and its error is combined into
 * the switch's.
 */
typedef eio_err *eio_hook_fn(eio_hook *hook);
/** A release hook, embedded in what it releases. All zero: attached to nothing. */
struct eio_hook {
    eio_hook *next, *prev; /**< the switch's; valid while `sw` is set */
    eio_hook_fn *fn;       /**< called once, with this hook, already taken off the switch */
    eio_switch *sw;        /**< what it is attached to; NULL when to nothing */
};

/**
 * Has `fn(hook)` called when the switch ends. Can't fail, allocates nothing.
 *
 * Suspends:  never.
 * Owner:     `hook` stays where it is until it has run or was removed.
 * Domain:    the switch's own (asserted). The switch must not have run its hooks yet (asserted:
 *            "Switch finished!").
 */
EIO_API void eio_switch_attach(eio_switch *sw, eio_hook *hook, eio_hook_fn *fn);
/**
 * Takes a hook off its switch: it will not run. Nothing happens when it is attached to none.
 * Suspends: never.
 */
EIO_API void eio_hook_remove(eio_hook *hook);

/**
 * `size` bytes of zeros, aligned for any type, freed when the switch ends (after its hooks have
 * run), not before.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     the switch.
 */
EIO_API EIO_MUST_USE eio_err *eio_switch_alloc(eio_switch *sw, size_t size, void **out);

#ifndef __cplusplus
/** Sets `*pp` to a new zeroed object of its type in the switch's memory. */
#define EIO_SWITCH_NEW(sw, pp)                                                    \
    __extension__({                                                               \
        void *eio_new_ = NULL;                                                    \
        eio_err *eio_new_err_ = eio_switch_alloc((sw), sizeof **(pp), &eio_new_); \
        if (eio_new_err_ == NULL)                                                 \
            *(pp) = (__typeof__(*(pp)))eio_new_;                                  \
        eio_new_err_;                                                             \
    })
#endif

EIO_END_DECLS

#endif
