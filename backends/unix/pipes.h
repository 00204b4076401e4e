// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_PIPES_H
#define EIO_UNIX_PIPES_H

// Pipes to splice(2) through. Each is used for one burst of a copy, then kept for the next burst of
// any copy of the loop: who waits for data holds no descriptors.

#include <stddef.h>

enum {
    EIOI_PIPES_KEPT = 4,
    EIOI_PIPE_BYTES = 256 * 1024, // what is asked for; the system may give less
};

/** An empty pipe, when nobody uses it. Both ends are O_NONBLOCK. */
struct eioi_pipe {
    int in, out;  // what is written to `in` is read from `out`
    size_t bytes; // what it holds at most
};

/** A loop's. All zero: none. */
struct eioi_pipes {
    struct eioi_pipe kept[EIOI_PIPES_KEPT];
    unsigned count; // of `kept`
};

/** A pipe of those kept, or a new one: 0 or errno. */
int eioi_pipes_take(struct eioi_pipes *self, struct eioi_pipe *out);
/** Gives an empty one back. */
void eioi_pipes_give(struct eioi_pipes *self, const struct eioi_pipe *pipe);
/** Closes one that isn't empty. */
void eioi_pipe_close(const struct eioi_pipe *pipe);
/** Closes those that are kept. */
void eioi_pipes_fini(struct eioi_pipes *self);

#endif
