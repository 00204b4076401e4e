// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_SINGLE_H
#define EIO_BASE_SINGLE_H

// Whether this is the only thread of the process. Then nobody else can look, and what would be an
// atomic read-modify-write (some twenty cycles) is a load and a store. The C library knows: it takes
// the answer back before it starts a second thread. Where it can't be asked, the answer is no.

#include <stdbool.h>

#if defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define EIOI_SINGLE_THREADED __libc_single_threaded
#endif
#endif
#ifndef EIOI_SINGLE_THREADED
#define EIOI_SINGLE_THREADED 0
#endif

static inline bool eioi_single_threaded(void) {
    return EIOI_SINGLE_THREADED != 0;
}

#endif
