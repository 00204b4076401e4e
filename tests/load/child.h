// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_LOAD_CHILD_H
#define EIO_TESTS_LOAD_CHILD_H

// The other side of a load test: a loop in a process of its own, with its own limits, its own count
// of descriptors and its own processor time.
//
//     Child server("uring", [](eio_switch *sw, const eio_env *env, Parent &parent) {
//         ...
//         parent.Tell(port);
//         return parent.AwaitStop(); // until Stop()
//     });
//     connect to server.Port() ...
//     EXPECT_TRUE(server.Stop()); // ended well, and left nothing behind
//
// To be made while no loop runs in the calling process.

#include <sys/types.h>

#include <cstdint>
#include <functional>

#include "eio/env.h"
#include "eio/err.h"
#include "eio/switch.h"
#include "tests/support/support.h"

namespace eio_test {

/// What a child sees of its parent.
class Parent {
  public:
    explicit Parent(int fd) : fd_(fd) {}
    /// Says a number, once: the port that it listens on.
    void Tell(uint64_t number);
    /// Suspends until the parent wants the child to end.
    eio_err *AwaitStop();

  private:
    int fd_;
};

using ChildMain = std::function<eio_err *(eio_switch *, const eio_env *, Parent &)>;

class Child {
  public:
    /// `max_fds`: the most descriptors that it may have; 0: as many as the parent.
    Child(const char *backend, ChildMain main, unsigned max_fds = 0);
    ~Child();
    Child(const Child &) = delete;
    Child &operator=(const Child &) = delete;

    /// What it told; waits for that. 0 when it ended without.
    uint64_t Told();
    pid_t pid() const { return pid_; }
    /// Processor time that it has used so far, ns.
    int64_t CpuNs() const;
    /// Has it end, and waits for that: success, or what went wrong (stderr says more).
    ::testing::AssertionResult Stop();

  private:
    pid_t pid_ = -1;
    int fd_ = -1;
    uint64_t told_ = 0;
};

} // namespace eio_test

#endif
