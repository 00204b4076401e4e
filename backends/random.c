// SPDX-License-Identifier: ISC

// Theory. getrandom(2) doesn't wait, but for the moments after boot before the kernel's generator
// has been seeded. It may give less than was asked for, as any read may; one call gives at most
// MAX_BYTES, so that a large buffer doesn't hold up the loop.

#include "backends/random.h"

#include <errno.h>
#include <sys/random.h>

#include "eio/flow_pi.h"
#include "fiber/base/fault.h"

enum { MAX_BYTES = 16 * 1024 };

static const struct eio_source_ops random_ops;

static eio_err *random_single_read(eio_source *src, eio_buf buf, size_t *out_got) {
    size_t want = EIOI_LIMIT(short_read, buf.len < MAX_BYTES ? buf.len : MAX_BYTES);
    ssize_t got;
    (void)src;
    do
        got = EIOI_SYS(getrandom, getrandom(buf.base, want, 0));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return eio_err_os(&eio_err_x, errno, "getrandom");
    *out_got = (size_t)got;
    return NULL;
}

static const struct eio_source_ops random_ops = {.name = "random",
                                                 .single_read = random_single_read};

void eioi_random_init(eio_source *self) {
    *self = (eio_source){.ops = &random_ops};
}
