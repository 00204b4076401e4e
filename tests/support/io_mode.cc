// SPDX-License-Identifier: ISC
#include "tests/support/io_mode.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fiber/base/fault.h"

namespace eio_test {
namespace {

enum { LATE_US = 100 };

int Nothing(void *, const char *) {
    return 0;
}

size_t OneByte(void *, const char *, size_t) {
    return 1;
}

/// Two waits of three end for nothing, as by a signal; each begins late, so that what was to come
/// meanwhile has come.
int Late(void *, const char *name) {
    static std::atomic<unsigned> waits;
    if (strcmp(name, "io_uring_enter") != 0 && strcmp(name, "epoll_wait") != 0 &&
        strcmp(name, "epoll_pwait2") != 0)
        return 0;
    usleep(LATE_US);
    return ++waits % 3 == 0 ? 0 : EINTR;
}

} // namespace

void StartIoMode() {
    static const struct eioi_fault_hook is_short = {Nothing, nullptr, OneByte};
    static const struct eioi_fault_hook is_late = {Late, nullptr, nullptr};
    const char *mode = getenv("EIO_TEST_IO");
    if (mode == nullptr || mode[0] == '\0')
        return;
    if (strcmp(mode, "short") == 0) {
        eioi_fault_hook = &is_short;
    } else if (strcmp(mode, "late") == 0) {
        eioi_fault_hook = &is_late;
    } else {
        fprintf(stderr, "EIO_TEST_IO is \"short\" or \"late\", not \"%s\"\n", mode);
        abort();
    }
}

} // namespace eio_test
