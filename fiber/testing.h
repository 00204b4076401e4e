// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_TESTING_H
#define EIO_FIBER_TESTING_H

// What the tests of this folder share, beside tests/support: waits that a test can look into, and a
// loop whose time is a number and which other threads can wake.

#include <gtest/gtest.h>

#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "eio/fiber.h"
#include "eio/trace.h"
#include "tests/support/counts.h"
#include "tests/support/faults.h"
#include "tests/support/mock_run.h"
#include "tests/support/support.h"

extern "C" {
#include "fiber/base/alloc.h"
#include "fiber/sched.h"
}

namespace eio_test {

/// A prefix that is the text `arg`.
inline void TextPrefix(void *arg, char *buf, size_t len) {
    (void)snprintf(buf, len, "%s", static_cast<const char *>(arg));
}

/// A scheduler's waiter that records how it is cancelled.
struct TestWait {
    eioi_waiter waiter;
    std::function<void(TestWait *, eio_err *reason)> on_cancel;

    static void Cancel(eioi_waiter *w, eio_err *reason) {
        auto *self = reinterpret_cast<TestWait *>(w);
        self->on_cancel(self, reason);
    }
    eio_err *Wait() { return eioi_wait(&waiter, Cancel); }
};

/// A loop of a few lines. A poll that may block waits for a poke; with a deadline it jumps there instead of waiting.
class TestLoop {
  public:
    TestLoop() : ops_{"test", Poll, Poke, Now, nullptr, nullptr} {}
    TestLoop(const TestLoop &) = delete;
    TestLoop &operator=(const TestLoop &) = delete;

    template <class F> eio_err *Run(F &&f, size_t stack_bytes = 0) {
        const eioi_sched_opts opts = {&ops_, this, {stack_bytes, spin_ns}};
        return eioi_sched_run(&opts, Fn<F>::Call, Fn<F>::Arg(f));
    }
    /// Time is taken for real, so that idle stacks are looked after.
    void PretendToBeReal() { ops_.io_ops = this; }
    /// Other threads will wake this loop: a wait without a deadline isn't a deadlock.
    void ExpectPokes() { expect_pokes_ = true; }

    int64_t now = 0;         // the time
    int64_t step = 0;        // what each poll that doesn't block adds to it
    int64_t spin_ns = 0;     // of the loop, when it runs
    unsigned busy_polls = 0; // so many of the first polls find something that readies no fiber
    unsigned polls = 0;      // polls so far
    unsigned sleeps = 0;     // those of them that might block
    std::function<void()> on_poll; // runs in each poll, as an event's handler would
    std::function<void()> on_poke; // runs at the end of each poke, in the poking thread

  private:
    static TestLoop *Of(void *backend) { return static_cast<TestLoop *>(backend); }
    static eioi_poll_result Poll(void *backend, int64_t deadline_ns) {
        TestLoop *self = Of(backend);
        self->polls++;
        if (self->on_poll)
            self->on_poll();
        if (deadline_ns == EIOI_POLL_NOW) {
            self->now += self->step;
            return self->polls <= self->busy_polls ? EIOI_POLL_BUSY : EIOI_POLL_OK;
        }
        self->sleeps++;
        std::unique_lock<std::mutex> lock(self->mutex_);
        if (deadline_ns == EIOI_POLL_FOREVER) {
            if (!self->expect_pokes_)
                return EIOI_POLL_DEADLOCK;
            self->cond_.wait(lock, [self] { return self->poked_; });
        } else if (!self->poked_ && deadline_ns > self->now) {
            self->now = deadline_ns;
        }
        self->poked_ = false;
        return EIOI_POLL_OK;
    }
    static void Poke(void *backend) {
        TestLoop *self = Of(backend);
        {
            std::lock_guard<std::mutex> lock(self->mutex_);
            self->poked_ = true;
            self->cond_.notify_one();
        }
        if (self->on_poke)
            self->on_poke();
    }
    static int64_t Now(void *backend) { return Of(backend)->now; }

    eioi_backend_ops ops_;
    bool expect_pokes_ = false;
    bool poked_ = false; // under the mutex
    std::mutex mutex_;
    std::condition_variable cond_;
};

} // namespace eio_test

#endif
