// SPDX-License-Identifier: ISC
// What the load generator's modes share.

#ifndef EIO_BENCH_LOAD_H
#define EIO_BENCH_LOAD_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/bench/common/address.h"
#include "tools/bench/load/meter.h"

/** What to send, and where to. */
struct load {
    struct address address; /**< the server's */
    struct address sink;    /**< where a proxy is to connect to; bulk only */
    unsigned conns;         /**< connections, or how many are opened at once */
    unsigned size;          /**< bytes of a message */
    bool check;             /**< compares every byte that comes back, in measured windows too */
    uint8_t *message;       /**< `size` bytes */
    struct meter meter;     /**< the window being measured */
};

/** A mode is prepared once, then runs one window after another, and is closed. */
struct load_mode {
    const char *name;
    void (*open)(struct load *load);
    void (*run)(struct load *load);
    void (*close)(struct load *load); /**< NULL: nothing is left open */
};

extern const struct load_mode echo_mode;  /**< connections that stay, a message at a time on each */
extern const struct load_mode churn_mode; /**< connect, one message there and back, close */
extern const struct load_mode accept_mode; /**< connect, close */
extern const struct load_mode bulk_mode;   /**< streams through a proxy, in one direction */

/** A ring with room for `conns` operations, in the way that costs least. */
void open_ring(struct io_uring *ring, unsigned conns);
/** A free submission entry; submits what is queued when there is none. */
struct io_uring_sqe *next_sqe(struct io_uring *ring);
/** Submits, and waits for one completion; false when none has come for 100 ms. */
bool wait_for_one(struct io_uring *ring);

#endif
