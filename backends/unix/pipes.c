// SPDX-License-Identifier: ISC

// A pipe's size is a matter of speed only: where the system gives less than what is asked for (a
// user's share of pipe memory is used up, see pipe(7)), copies take more steps.

#include "backends/unix/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backends/unix/rcfd.h"
#include "backends/unix/std_stream.h"
#include "fiber/base/fault.h"

enum { SMALLEST_BYTES = 4096 };

int eioi_pipes_take(struct eioi_pipes *self, struct eioi_pipe *out) {
    int ends[2];
    if (self->count > 0) {
        *out = self->kept[--self->count];
        return 0;
    }
    if (EIOI_SYS(pipe2, pipe2(ends, O_CLOEXEC | O_NONBLOCK)) != 0)
        return errno;
    out->out = eioi_above_std(ends[0]);
    out->in = eioi_above_std(ends[1]);
    if (out->out < 0 || out->in < 0) {
        int errnum = errno;
        eioi_pipe_close(out);
        return errnum;
    }
    int size = EIOI_SYS(fcntl_pipe_size, fcntl(out->in, F_SETPIPE_SZ, (int)EIOI_PIPE_BYTES));
    if (size < 0)
        size = EIOI_SYS(fcntl_pipe_size, fcntl(out->in, F_GETPIPE_SZ));
    out->bytes = size > 0 ? (size_t)size : SMALLEST_BYTES;
    return 0;
}

void eioi_pipe_close(const struct eioi_pipe *pipe) {
    if (pipe->out >= 0)
        eioi_close_number(pipe->out);
    if (pipe->in >= 0)
        eioi_close_number(pipe->in);
}

void eioi_pipes_give(struct eioi_pipes *self, const struct eioi_pipe *pipe) {
    if (self->count < EIOI_PIPES_KEPT)
        self->kept[self->count++] = *pipe;
    else
        eioi_pipe_close(pipe);
}

void eioi_pipes_fini(struct eioi_pipes *self) {
    while (self->count > 0)
        eioi_pipe_close(&self->kept[--self->count]);
}
