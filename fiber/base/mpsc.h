// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_MPSC_H
#define EIO_BASE_MPSC_H

// A lock-free many-to-one queue that also says whether its consumer sleeps. The whole state is one
// word: NULL (empty, consumer awake), ASLEEP (empty, consumer about to block or blocked), or the
// newest node of a chain. A producer that finds ASLEEP has to wake the consumer; exactly one
// producer does. After its compare-and-swap a producer doesn't touch its node again, so the
// consumer may free it at once. Nodes come out first in, first out.

#include <stdbool.h>
#include <stddef.h>

#include "eio/macros.h"

EIO_BEGIN_DECLS

struct eioi_mpsc_node {
    struct eioi_mpsc_node *next;
};

struct eioi_mpsc {
    struct eioi_mpsc_node *head; // touched by mpsc.c only, atomically; NULL to start with
};

/** Any thread. True: the consumer sleeps, and the caller has to wake it. */
bool eioi_mpsc_push(struct eioi_mpsc *self, struct eioi_mpsc_node *node);
/** Consumer only: takes all nodes, oldest first, linked by `next`; NULL when empty. Ends sleep. */
struct eioi_mpsc_node *eioi_mpsc_take_all(struct eioi_mpsc *self);
/**
 * Consumer only: true when the queue was empty and is now marked ASLEEP; false when there is
 * something to take.
 */
bool eioi_mpsc_sleep(struct eioi_mpsc *self);
/** Consumer only: cheap look whether there is anything to take. */
bool eioi_mpsc_has_any(const struct eioi_mpsc *self);

EIO_END_DECLS

#endif
