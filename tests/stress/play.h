// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_STRESS_PLAY_H
#define EIO_TESTS_STRESS_PLAY_H

// Runs a program on the mock loop, under the model's eyes.

#include "tests/stress/model.h"

/**
 * Runs the program of `plan`, in the order that the seed gives. Stops the process when something
 * isn't as it must be. `trace` (NULL: none) gets what happened, `room` bytes at most; returns its
 * length.
 */
size_t play(const struct stress_plan *plan, char *trace, size_t room);

/** The steps from `at` on, until one fails. */
eio_err *play_body(struct strand *self, int at);
/** A body that nothing reaches from outside: it gets a time-out of its own. */
eio_err *play_bounded(struct strand *self, int at);
/** The innermost switch; NULL: it is ending, and takes nothing more. */
struct scope *switch_of(struct strand *self);

/** A step on what fibers share. */
eio_err *play_shared(struct strand *self, const struct stress_step *step);
/** A new object, which is seen by others from the return of `show_object` on. */
struct object *new_object(enum object_kind kind);
void show_object(struct object *self, struct scope *scope);

/** An error like no other. */
eio_err *fresh_error(void);
int64_t play_now(void);

#endif
