// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_H
#define EIO_FIBER_H

/*
 * Fibers: functions that run side by side in one thread, each on its own stack, and switch only
 * where they wait.
 *
 *     struct echo { eio_flow *peer; unsigned id; };
 *     static eio_fiber_fn echo_one;                       // the compiler checks the signature
 *     ...
 *     EIO_TRY(EIO_FORK(sw, echo_one, (struct echo){.peer = flow, .id = 7}));   // copied
 *
 * A fork runs the child at once, until it waits for the first time; then the parent goes on. Every
 * fiber belongs to a switch, which can't end before it. An error that a fiber returns fails its
 * switch, so its siblings are cancelled.
 */

#include <stdbool.h>
#include <stddef.h>

#include "eio/cancel.h"
#include "eio/err.h"
#include "eio/macros.h"
#include "eio/promise.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/** A fiber's function. What it returns fails its switch, unless it is NULL. */
typedef eio_err *eio_fiber_fn(void *arg);
/** Called in the forking fiber when the switch is off and the function will not run. */
typedef void eio_fiber_refused_fn(void *arg);

/** How to fork. NULL, or all zero: defaults. */
struct eio_fork_opts {
    /** For dumps and messages; copied, cut at 23 bytes; NULL: none. */
    const char *name;
    /**
     * The stack's size, rounded up to a power of two from 16 KiB on; 0: the loop's default, 64 KiB.
     * Up to 6 KiB of it are not the function's: the guard page, and the fiber's record.
     */
    size_t stack_bytes;
    /** Set to whether the switch was off, so that nothing was started; may be NULL. */
    bool *refused;
    /** Called with `arg` in the caller's fiber when refused; may be NULL. */
    eio_fiber_refused_fn *on_refused;
};

/**
 * Starts `fn(arg)` in a new fiber of `sw`, at once; the caller goes on when the child first waits
 * or ends. When the switch is off nothing happens, and NULL is returned (`opts->refused` and
 * `on_refused` tell).
 *
 * Suspends:  gives the new fiber its first turn; is not a cancellation point.
 * Errors:    Out_of_memory, Stack_limit: nothing was started.
 * Owner:     `arg` is borrowed by the child until it ends.
 * Domain:    the switch's own (asserted); the switch must not have ended.
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_fork(eio_switch *sw, eio_fiber_fn *fn, void *arg,
                                             const struct eio_fork_opts *opts);
/**
 * As `eio_fiber_fork`; `fn` gets a copy, on its own stack, of the `len` bytes at `arg` (at most 1
 * KiB, alignment at most 64; both asserted).
 *
 * Suspends:  gives the new fiber its first turn.
 * Errors:    Out_of_memory, Stack_limit: nothing was started, and the caller still owns what the
 *            argument names.
 * Owner:     the copy dies with the fiber.
 * Domain:    the switch's own (asserted).
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_fork_copy(eio_switch *sw, eio_fiber_fn *fn, const void *arg,
                                                  size_t len, size_t align,
                                                  const struct eio_fork_opts *opts);
/**
 * As `eio_fiber_fork`, for a helper that doesn't keep the switch open: when only daemons are left
 * they are cancelled (with Exit as the reason) and waited for. A daemon that returns NULL, or
 * Cancelled then, ends silently.
 *
 * Suspends:  gives the new fiber its first turn.
 * Errors:    Out_of_memory, Stack_limit.
 * Owner:     `arg` is borrowed by the child until it ends.
 * Domain:    the switch's own (asserted).
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_fork_daemon(eio_switch *sw, eio_fiber_fn *fn, void *arg,
                                                    const struct eio_fork_opts *opts);
/**
 * Starts `fn(arg)` in a new fiber whose result resolves a promise; its error doesn't fail the
 * switch. When the switch is off the promise is resolved with Cancelled.
 *
 * Suspends:  gives the new fiber its first turn.
 * Errors:    Out_of_memory, Stack_limit.
 * Owner:     `sw` holds the promise.
 * Domain:    the switch's own (asserted).
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_fork_promise(eio_switch *sw, eio_fiber_fn *fn, void *arg,
                                                     const struct eio_fork_opts *opts,
                                                     eio_promise **out);

#ifndef __cplusplus
/**
 * Forks `fn` with a copy of the value that follows (a compound literal, or any expression), default
 * options.
 */
#define EIO_FORK(sw, fn, ...)                                                 \
    __extension__({                                                           \
        __auto_type eio_fork_arg_ = __VA_ARGS__;                              \
        eio_fiber_fork_copy((sw), (fn), &eio_fork_arg_, sizeof eio_fork_arg_, \
                            _Alignof(__typeof__(eio_fork_arg_)), NULL);       \
    })
#endif

/** One branch of `eio_fiber_all`, `_any` and `_n_any`. */
struct eio_call {
    eio_fiber_fn *fn; /**< what to run */
    void *arg;        /**< its argument; borrowed until the call returns */
    /** Races only: this branch succeeded but didn't win; gives back what it got. May be NULL. */
    void (*discard)(void *arg);
};

/**
 * Runs both functions side by side and waits for both; if one fails the other is cancelled. `f`
 * gets a new fiber, `g` runs in the calling one.
 *
 * Suspends:  until both have ended.
 * Errors:    those of `f` and `g`, combined; Cancelled; Out_of_memory, Stack_limit.
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_both(eio_fiber_fn *f, void *f_arg, eio_fiber_fn *g,
                                             void *g_arg);
/**
 * As `eio_fiber_both`, for two results that are both wanted: if `g` fails `f` is cancelled, but not
 * the other way round.
 *
 * Suspends:  until both have ended.
 * Errors:    those of `f` and `g`; Cancelled; Out_of_memory, Stack_limit.
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_pair(eio_fiber_fn *f, void *f_arg, eio_fiber_fn *g,
                                             void *g_arg);
/**
 * As `eio_fiber_both` with `n` branches, the last one in the calling fiber.
 *
 * Suspends:  until all have ended.
 * Errors:    those of the branches, combined; Cancelled; Out_of_memory, Stack_limit.
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_all(const struct eio_call *calls, size_t n);
/**
 * Races two functions: the first to succeed wins and the other is cancelled and waited for. `f`
 * gets a new fiber, `g` runs in the calling one. `*out_winner` (may be NULL) becomes 0 for `f`, 1
 * for `g`.
 *
 * Suspends:  until both have ended.
 * Errors:    those of a branch (other than Cancelled by the race); Cancelled; Out_of_memory,
 *            Stack_limit. A success is returned even if the caller was cancelled meanwhile.
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_first(eio_fiber_fn *f, void *f_arg, eio_fiber_fn *g,
                                              void *g_arg, size_t *out_winner);
/**
 * Races `n` functions, the last one in the calling fiber. `*out_winner` (may be NULL) becomes the
 * index of the first that succeeded. None: waits to be cancelled.
 *
 * Suspends:  until all have ended.
 * Errors:    as `eio_fiber_first`.
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_any(const struct eio_call *calls, size_t n,
                                            size_t *out_winner);
/**
 * As `eio_fiber_any`, and keeps every success: `out_order` gets the indexes of those that
 * succeeded, in the order in which they did; `*out_count` how many.
 *
 * Suspends:  until all have ended.
 * Errors:    as `eio_fiber_first`.
 * Owner:     `out_order` has room for `n`; it may be written to even when an error is returned.
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_n_any(const struct eio_call *calls, size_t n,
                                              size_t *out_order, size_t *out_count);

/** One step of `eio_fiber_for_each`. */
typedef eio_err *eio_fiber_each_fn(void *arg, size_t i);
/**
 * Runs `fn(arg, 0)` to `fn(arg, n - 1)`, at most `max_fibers` at a time (0: no limit), the last one
 * in the calling fiber.
 *
 * Suspends:  until all have ended.
 * Errors:    those of the calls, combined; the first one cancels the rest; Cancelled;
 *            Out_of_memory, Stack_limit.
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_for_each(size_t n, size_t max_fibers, eio_fiber_each_fn *fn,
                                                 void *arg);

/**
 * Lets every other ready fiber run first.
 *
 * Suspends:  for one turn of the run queue.
 * Errors:    Cancelled, looked at after the turn.
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_yield(void);
/** NULL, or the Cancelled error when this fiber is cancelled. Suspends: never. */
EIO_API EIO_MUST_USE eio_err *eio_fiber_check(void);
/** Whether this fiber is cancelled. False outside a loop. Suspends: never. */
EIO_API bool eio_fiber_is_cancelled(void);
/**
 * Waits to be cancelled.
 *
 * Suspends:  until cancelled.
 * Errors:    always Cancelled.
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_await_cancel(void);
/** The running fiber's name; "" when it has none, or outside a loop. Suspends: never. */
EIO_API const char *eio_fiber_name(void);
/** A number for the running fiber, unique in the process; 0 outside a loop. Suspends: never. */
EIO_API unsigned long long eio_fiber_id(void);

/** Names a fiber-local value; compared by address, so make it static. */
typedef struct eio_local_key {
    const char *name; /**< for dumps */
} eio_local_key;

/**
 * Runs `fn(arg)` with `value` bound to `key` in this fiber and, until they bind it again, in those
 * forked meanwhile. `free_fn` (may be NULL) gets `value` when the last fiber that inherited it is
 * gone.
 *
 * Suspends:  as `fn` does.
 * Errors:    those of `fn`; Out_of_memory (then `free_fn` was called, and `fn` not).
 * Owner:     takes `value` over when `free_fn` is given.
 */
EIO_API EIO_MUST_USE eio_err *eio_fiber_with_local(const eio_local_key *key, void *value,
                                                   void (*free_fn)(void *value), eio_call_fn *fn,
                                                   void *arg);
/**
 * The value bound to `key` in the running fiber; NULL when none is, or outside a loop. Suspends:
 * never.
 */
EIO_API void *eio_fiber_local(const eio_local_key *key);

/**
 * Writes a tree of every scope and fiber of this domain, with what each waits for. Suspends: never.
 */
EIO_API void eio_fiber_dump(eio_strbuf *out);

EIO_END_DECLS

#endif
