// SPDX-License-Identifier: ISC
#ifndef EIO_FD_H
#define EIO_FD_H

/*
 * Descriptors behind sockets, and sockets made of descriptors. These act on the loop that runs the
 * calling fiber.
 *
 *     int fds[2];
 *     pipe2(fds, O_CLOEXEC);
 *     EIO_TRY(eio_import_stream(sw, fds[0], NULL, &source));     // closed when sw ends
 */

#include <stdbool.h>

#include "eio/err.h"
#include "eio/flow.h"
#include "eio/macros.h"
#include "eio/net.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/** A descriptor that counts its users: it is closed when the last operation on it has ended. */
typedef struct eio_fd eio_fd;

/**
 * The descriptor of a flow; NULL when it has none, as a mock. Borrowed from the flow. Suspends:
 * never.
 */
EIO_API eio_fd *eio_fd_of_flow(eio_flow *flow);
/** The descriptor of a listener; NULL when it has none. Borrowed. Suspends: never. */
EIO_API eio_fd *eio_fd_of_listener(eio_listener *listener);
/** The descriptor of a datagram socket; NULL when it has none. Borrowed. Suspends: never. */
EIO_API eio_fd *eio_fd_of_datagram(eio_datagram_socket *socket);

/** Uses a raw descriptor. */
typedef eio_err *eio_fd_use_fn(void *arg, int fd);
/**
 * Runs `fn(arg, fd)` with the descriptor held open meanwhile. The loop receives nothing ahead on it
 * until `fn` has returned; what it has received before is read from the flow, not from `fd`.
 *
 * Suspends:  until a receive ahead has ended; then as `fn` does.
 * Errors:    those of `fn`; `eio_err_closed` `OP: file descriptor used after calling close!`.
 */
EIO_API EIO_MUST_USE eio_err *eio_fd_use(eio_fd *self, const char *op, eio_fd_use_fn *fn,
                                         void *arg);
/**
 * Takes the descriptor out: waits until nobody uses it, and hands it over. The flow is closed then,
 * but for bytes that had been received ahead: those are still read from it, before `eio_err_closed`,
 * until it is closed in so many words.
 *
 * Suspends:  until operations under way have ended; that wait can't be cancelled.
 * Errors:    `eio_err_closed`.
 * Owner:     the caller owns `*out_fd`.
 */
EIO_API EIO_MUST_USE eio_err *eio_fd_remove(eio_fd *self, int *out_fd);
/** Whether it is open. Suspends: never. */
EIO_API bool eio_fd_is_open(const eio_fd *self);

/** How to import a descriptor. NULL, or all zero: defaults. */
struct eio_import_opts {
    bool keep_open; /**< the caller keeps the descriptor: closing only forgets it */
};
/**
 * A stream socket, pipe or terminal as a flow. On the epoll backend the descriptor becomes
 * O_NONBLOCK.
 *
 * Suspends:  never.
 * Errors:    Io (EBADF); Out_of_memory: the descriptor is then still the caller's.
 * Owner:     `sw` closes it when it ends, unless `keep_open`.
 */
EIO_API EIO_MUST_USE eio_err *eio_import_stream(eio_switch *sw, int fd,
                                                const struct eio_import_opts *opts,
                                                eio_stream_socket **out);
/**
 * A listening socket as a listener.
 *
 * Suspends:  never.
 * Errors:    as `eio_import_stream`.
 * Owner:     as `eio_import_stream`.
 */
EIO_API EIO_MUST_USE eio_err *eio_import_listening(eio_switch *sw, int fd,
                                                   const struct eio_import_opts *opts,
                                                   eio_listener **out);
/**
 * A datagram socket.
 *
 * Suspends:  never.
 * Errors:    as `eio_import_stream`.
 * Owner:     as `eio_import_stream`.
 */
EIO_API EIO_MUST_USE eio_err *eio_import_datagram(eio_switch *sw, int fd,
                                                  const struct eio_import_opts *opts,
                                                  eio_datagram_socket **out);
/**
 * Two connected Unix stream sockets (socketpair(2)).
 *
 * Suspends:  never.
 * Errors:    Io; Out_of_memory.
 * Owner:     `sw` closes both.
 */
EIO_API EIO_MUST_USE eio_err *eio_socketpair_stream(eio_switch *sw, eio_stream_socket **out_a,
                                                    eio_stream_socket **out_b);
/**
 * Two connected Unix datagram sockets.
 *
 * Suspends:  never.
 * Errors:    Io; Out_of_memory.
 * Owner:     `sw` closes both.
 */
EIO_API EIO_MUST_USE eio_err *eio_socketpair_datagram(eio_switch *sw, eio_datagram_socket **out_a,
                                                      eio_datagram_socket **out_b);

EIO_END_DECLS

#endif
