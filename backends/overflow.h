// SPDX-License-Identifier: ISC
#ifndef EIO_BACKENDS_OVERFLOW_H
#define EIO_BACKENDS_OVERFLOW_H

// The handler that names the fiber whose stack overflowed. A fault on a full stack can only be
// handled on another one: each thread that runs a loop gets an alternate signal stack, if the
// handler is installed by then.

#include <stddef.h>

/** What a thread has to give back. */
struct eioi_alternate_stack {
    void *base; // NULL: nothing
    size_t len;
};

/** In a thread, before its loop runs. */
void eioi_alternate_stack_begin(struct eioi_alternate_stack *self);
/** In the same thread, after it. */
void eioi_alternate_stack_end(struct eioi_alternate_stack *self);

#endif
