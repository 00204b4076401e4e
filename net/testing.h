// SPDX-License-Identifier: ISC
#ifndef EIO_NET_TESTING_H
#define EIO_NET_TESTING_H

// For the tests of this folder: injected faults.

#include <gtest/gtest.h>

#include <cerrno>

#include "eio/err.h"
#include "tests/support/support.h"

extern "C" {
#include "fiber/base/alloc.h"
#include "fiber/base/fault.h"
}

/// Fails the `n`th allocation or system call from now on, once.
class FailNth {
  public:
    explicit FailNth(int n) : left_(n), hook_{Decide, this} { eioi_fault_hook = &hook_; }
    ~FailNth() { eioi_fault_hook = nullptr; }
    bool Happened() const { return left_ <= 0; }

  private:
    static int Decide(void *arg, const char *) {
        return --static_cast<FailNth *>(arg)->left_ == 0 ? ENOMEM : 0;
    }
    int left_;
    struct eioi_fault_hook hook_;
};

/// Evaluates `eval()` again and again, each time with the next allocation or system call failing,
/// until none is left to fail: it succeeds, or fails with an error, and nothing is left behind.
template <class F> void TryEachFailure(F eval) {
    bool failed = true;
    int n = 0;
    while (failed) {
        n++;
        ASSERT_LT(n, 1000);
        int64_t before = eioi_live_objects();
        eio_err *err;
        {
            FailNth fault(n);
            err = eval();
            failed = fault.Happened();
        }
        if (!failed) {
            EXPECT_OK(eio_err_ref(err));
        }
        eio_err_drop(err);
        ASSERT_EQ(eioi_live_objects(), before) << "after failure " << n;
        eio_test::TakeTrace();
    }
    EXPECT_GT(n, 10) << "nothing was made to fail";
}

#endif
