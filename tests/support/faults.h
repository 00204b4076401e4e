// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_SUPPORT_FAULTS_H
#define EIO_TESTS_SUPPORT_FAULTS_H

// What passes the seam of fiber/base/fault.h: counted, and made to fail where a test says so.
//
//     Faults faults([](const std::string &call) { return call == "epoll_ctl" ? ENOSPC : 0; });
//     ...
//     EXPECT_EQ(faults.Count("epoll_ctl"), 1);

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "eio/err.h"
#include "fiber/base/fault.h"

namespace eio_test {

/// While it lives, each allocation and system call of the library is counted and asked about. One
/// at a time; to be made and destroyed while no other thread runs the library.
class Faults {
  public:
    /// `decide(call)`: 0 lets it happen, an errno value makes it fail with that.
    explicit Faults(std::function<int(const std::string &)> decide = nullptr)
        : decide_(std::move(decide)), before_(eioi_fault_hook), hook_{Ask, this, nullptr} {
        eioi_fault_hook = &hook_;
    }
    ~Faults() { eioi_fault_hook = before_; }
    Faults(const Faults &) = delete;
    Faults &operator=(const Faults &) = delete;

    /// How often `call` was made so far.
    int Count(const std::string &call) {
        std::lock_guard<std::mutex> hold(mutex_);
        return counts_[call];
    }

  private:
    static int Ask(void *arg, const char *name) {
        Faults *self = static_cast<Faults *>(arg);
        std::lock_guard<std::mutex> hold(self->mutex_);
        self->counts_[name]++;
        return self->decide_ == nullptr ? 0 : self->decide_(name);
    }

    std::mutex mutex_;
    std::map<std::string, int> counts_;
    std::function<int(const std::string &)> decide_;
    const struct eioi_fault_hook *before_;
    struct eioi_fault_hook hook_;
};

/// Calls `eval()`, which returns an error, again and again, each time with the next allocation or
/// system call failing with `errnum`, until none is left to fail; `check(n)` after each. How many
/// there were.
template <class Eval, class Check> int FailEach(int errnum, Eval eval, Check check) {
    for (int n = 1;; n++) {
        std::atomic<int> left{n};
        {
            Faults faults([&](const std::string &) { return --left == 0 ? errnum : 0; });
            eio_err_drop(eval());
        }
        check(n);
        if (left > 0)
            return n - 1;
    }
}

} // namespace eio_test

#endif
