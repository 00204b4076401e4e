// SPDX-License-Identifier: ISC
#ifndef EIO_URING_LINE_H
#define EIO_URING_LINE_H

// Who waits to read one descriptor, in the order in which they came. See the theory at the head of
// line.c.

#include <stdbool.h>
#include <stdint.h>

#include "fiber/base/list.h"

struct eioi_op;

enum { EIOI_LINE_BUCKETS = 256 };

/** What stands in one line. */
enum eioi_line_kind {
    EIOI_LINE_OWN,     // operations on an eio_fd
    EIOI_LINE_FOREIGN, // those who wait for a foreign descriptor
};

/** A domain's lines: the first of each, by descriptor. */
struct eioi_lines {
    struct eioi_list buckets[EIOI_LINE_BUCKETS]; // eioi_place.node
};

/** A place in a line. In the frame of the fiber that waits. */
struct eioi_place {
    struct eioi_list node;      // the first: in its bucket
    struct eioi_list followers; // the first: eioi_op.node of those behind it, oldest first
    uint64_t key;               // descriptor and kind
    bool first;                 // its operation may go to the kernel
};

void eioi_lines_init(struct eioi_lines *self);
/** Goes to the end of the line for `fd`. */
void eioi_line_enter(struct eioi_lines *self, struct eioi_place *place, int fd,
                     enum eioi_line_kind kind);
/** Whether nobody stands in it. */
bool eioi_line_is_empty(struct eioi_lines *self, int fd, enum eioi_line_kind kind);
/** The operation waits for its place to be the first one. */
void eioi_line_hold(struct eioi_lines *self, struct eioi_place *place, struct eioi_op *op);
/** Leaves the line; the operation behind the first is started. */
void eioi_line_leave(struct eioi_place *place);

#endif
