// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_EXPLORER_MISTAKES_H
#define EIO_TESTS_EXPLORER_MISTAKES_H

// Small protocols with a mistake in each, to see that the explorer finds it.

#include <stdbool.h>

#include "eio/macros.h"

EIO_BEGIN_DECLS

struct mistake {
    int data;    // not atomic
    int ready;   // atomic
    int asleep;  // atomic
    int waiting; // atomic
    int count;   // atomic
};

/** Publishes `data` without ordering it: relaxed. */
void mistake_publish_relaxed(struct mistake *self);
/** The same, right. */
void mistake_publish(struct mistake *self);
/** Reads `data` when `ready` says so; false when it doesn't. */
bool mistake_read(struct mistake *self, int *out);

/** Looks whether the other sleeps before it has said that there is something: true: wake it. */
bool mistake_wake_too_early(struct mistake *self);
/** The other one: true: there is nothing, and it is about to sleep. */
bool mistake_sleep(struct mistake *self);

/** Adds 1 in two operations, where one is needed. */
void mistake_count(struct mistake *self);

/** The last one of two frees it; this one doesn't look which it is by the same operation. */
void mistake_unref(int **counted);

EIO_END_DECLS

#endif
