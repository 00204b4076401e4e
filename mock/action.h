// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_ACTION_H
#define EIO_MOCK_ACTION_H

/*
 * What a mock does when it is called: scripted actions, used up one by one, then a default.
 *
 *     eio_mock_action script[] = {
 *         eio_mock_return_str("Hel"),
 *         eio_mock_yield_then(eio_mock_return_str("lo")),
 *         eio_mock_raise(eio_err_const(&eio_err_net_connection_reset)),
 *     };
 *     EIO_TRY(eio_mock_on(&flow->on_read, script, 3));
 *     // Or, in C and in C++:
 *     EIO_TRY(eio_mock_on(&flow->on_read, EIO_MOCK_ACTIONS(eio_mock_return_str("Hello"))));
 *     EIO_TRY(eio_mock_on(&flow->on_read, {eio_mock_return_str("Hello")}));
 *
 * A call takes its action off the list before it performs it: an action during which the caller is
 * cancelled is used up.
 */

#include <stddef.h>

#include "eio/addr.h"
#include "eio/err.h"
#include "eio/macros.h"
#include "eio/net.h"
#include "eio/promise.h"
#include "eio/slice.h"

EIO_BEGIN_DECLS

/**
 * What an action gives to the call that it is for, which looks at the members named below only. All
 * zero: nothing.
 */
typedef struct eio_mock_value {
    eio_slice bytes;               /**< on_read, on_recv: what is read */
    size_t size;                   /**< on_copy_bytes: the most bytes that this write takes */
    eio_stream_socket *flow;       /**< on_connect, on_accept: the connection */
    eio_listener *listener;        /**< on_listen */
    eio_datagram_socket *datagram; /**< on_datagram_socket */
    eio_sockaddr addr;             /**< on_accept: the peer; on_recv: the sender */
    const eio_sockaddr *addrs;     /**< on_getaddrinfo: the answer */
    size_t addr_count;             /**< on_getaddrinfo: how many */
    const char *host;              /**< on_getnameinfo; NULL: "" */
    const char *service;           /**< on_getnameinfo; NULL: "" */
} eio_mock_value;

/**
 * Computes what a call gets: fills `*out`, all zero at first, or returns an error. It may suspend.
 */
typedef eio_err *eio_mock_value_fn(void *arg, eio_mock_value *out);

/** What kind of action it is. */
typedef enum eio_mock_action_kind {
    EIO_MOCK_RETURN = 0, /**< gives `value` */
    EIO_MOCK_RAISE,      /**< fails with `err` */
    EIO_MOCK_AWAIT,      /**< waits for `promise`; gives what it was resolved with */
    EIO_MOCK_CALL,       /**< calls `fn(arg, out)` */
    EIO_MOCK_UNEXPECTED  /**< fails: this call should not have been made */
} eio_mock_action_kind;

/** One action, a value: made by the functions below. */
typedef struct eio_mock_action {
    eio_mock_action_kind kind; /**< which of the below is valid */
    size_t yields;             /**< turns of the run queue to wait before it */
    eio_mock_value value;      /**< EIO_MOCK_RETURN */
    eio_err *err;         /**< EIO_MOCK_RAISE; owned by the action until it is given to a handler */
    eio_promise *promise; /**< EIO_MOCK_AWAIT; borrowed until it is given to a handler */
    eio_mock_value_fn *fn; /**< EIO_MOCK_CALL */
    void *arg;             /**< EIO_MOCK_CALL; borrowed */
} eio_mock_action;

/**
 * Gives `value`. Suspends: never. Owner: what `value` points to is borrowed until the action is
 * given to a handler.
 */
EIO_API eio_mock_action eio_mock_return(eio_mock_value value);
/** Gives nothing: success. Suspends: never. */
EIO_API eio_mock_action eio_mock_return_unit(void);
/** on_read, on_recv: gives the bytes of `str`, without its NUL. Suspends: never. */
EIO_API eio_mock_action eio_mock_return_str(const char *str);
/** on_read, on_recv: gives `bytes`. Suspends: never. */
EIO_API eio_mock_action eio_mock_return_bytes(eio_slice bytes);
/** on_copy_bytes: takes at most `size` bytes. Suspends: never. */
EIO_API eio_mock_action eio_mock_return_size(size_t size);
/** on_connect, on_accept: gives a connection. Suspends: never. */
EIO_API eio_mock_action eio_mock_return_flow(eio_stream_socket *flow);
/** on_accept: gives a connection from `peer`. Suspends: never. */
EIO_API eio_mock_action eio_mock_return_conn(eio_stream_socket *flow, eio_sockaddr peer);
/** on_listen: gives a listener. Suspends: never. */
EIO_API eio_mock_action eio_mock_return_listener(eio_listener *listener);
/** on_datagram_socket: gives a socket. Suspends: never. */
EIO_API eio_mock_action eio_mock_return_datagram(eio_datagram_socket *socket);
/** on_recv: gives a datagram from `from`. Suspends: never. */
EIO_API eio_mock_action eio_mock_return_packet(eio_slice bytes, eio_sockaddr from);
/** on_getaddrinfo: gives `n` addresses. Suspends: never. */
EIO_API eio_mock_action eio_mock_return_addrs(const eio_sockaddr *addrs, size_t n);
/** on_getnameinfo: gives a name. Suspends: never. */
EIO_API eio_mock_action eio_mock_return_name(const char *host, const char *service);
/**
 * Fails with `err`; each use of the action gives a reference of its own.
 *
 * Suspends:  never.
 * Owner:     takes `err` over. For several actions with one error:
 *            `eio_mock_raise(eio_err_ref(err))`.
 */
EIO_API eio_mock_action eio_mock_raise(eio_err *err);
/**
 * Waits for `promise`, and gives the `eio_mock_value` that it was resolved with (NULL: nothing), or
 * fails. Suspends: never.
 */
EIO_API eio_mock_action eio_mock_await(eio_promise *promise);
/** Lets every other ready fiber run first. Suspends: never. */
EIO_API eio_mock_action eio_mock_yield_then(eio_mock_action action);
/** Calls `fn(arg, out)`. Suspends: never. */
EIO_API eio_mock_action eio_mock_call(eio_mock_value_fn *fn, void *arg);
/** Waits to be cancelled. Suspends: never. */
EIO_API eio_mock_action eio_mock_await_cancel(void);
/**
 * Fails with Failure `LABEL: on_read: call 3 was not expected`. As a default it makes a script
 * strict: `eio_mock_on_default(&flow->on_read, eio_mock_unexpected())`. Suspends: never.
 */
EIO_API eio_mock_action eio_mock_unexpected(void);
/** An error of `kind` (below `eio_err_io`) with the detail `Simulated_failure`. Suspends: never. */
EIO_API EIO_MUST_USE eio_err *eio_mock_simulated_failure(const eio_err_kind *kind);

struct eioi_mock_step;

/**
 * Decides what each call of one operation of a mock does. A member of the mock, or of a mock of
 * your own.
 */
typedef struct eio_mock_handler {
    const char *label;           /**< the mock's, for messages; borrowed */
    const char *name;            /**< the operation's, as in "on_read"; borrowed */
    size_t calls;                /**< how many were made so far */
    eio_mock_action fallback;    /**< what a call does when no action is left */
    struct eioi_mock_step *next; /**< the library's: the first action that is left; NULL: none */
    struct eioi_mock_step *used; /**< the library's: those done; their values may be in use */
} eio_mock_handler;

/**
 * Scripts `n` actions, in place of those that are left from before.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory; then nothing has changed.
 * Owner:     takes the errors of the actions over (dropped when it fails), a reference to each
 *            promise, and copies what values point to, but for sockets.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_on(eio_mock_handler *self, const eio_mock_action *actions,
                                          size_t n);
/**
 * What each call does when no scripted action is left.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory; then nothing has changed.
 * Owner:     as `eio_mock_on`.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_on_default(eio_mock_handler *self, eio_mock_action action);
/** How many scripted actions are left. Suspends: never. */
EIO_API size_t eio_mock_left(const eio_mock_handler *self);

/**
 * For mocks of your own: a handler without a script.
 *
 * Suspends:  never.
 * Owner:     borrows `label`, `name`, and what the value of `fallback` points to; takes its error
 *            over.
 */
EIO_API void eio_mock_handler_init(eio_mock_handler *self, const char *label, const char *name,
                                   eio_mock_action fallback);
/** Frees the script and the values that were given. Suspends: never. */
EIO_API void eio_mock_handler_fini(eio_mock_handler *self);
/**
 * For mocks of your own: performs the next action.
 *
 * Suspends:  as the action does.
 * Errors:    those of the action.
 * Owner:     what `*out` points to is valid until `eio_mock_handler_fini`, or (given by a function
 *            or a promise) as long as that says.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_handler_run(eio_mock_handler *self, eio_mock_value *out);

#ifndef __cplusplus
/**
 * The two last arguments of `eio_mock_on`: an array of the actions that follow, and their number.
 */
#define EIO_MOCK_ACTIONS(...)               \
    (const eio_mock_action[]){__VA_ARGS__}, \
        sizeof((const eio_mock_action[]){__VA_ARGS__}) / sizeof(eio_mock_action)
#endif

EIO_END_DECLS

#ifdef __cplusplus
#include <initializer_list>

/** As the function of that name, with the actions in braces. Suspends: never. */
EIO_MUST_USE inline eio_err *eio_mock_on(eio_mock_handler *self,
                                         std::initializer_list<eio_mock_action> actions) {
    return eio_mock_on(self, actions.begin(), actions.size());
}
#endif

#endif
