// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_TESTING_H
#define EIO_BASE_TESTING_H

// What the tests of this folder share. (Those of other folders have tests/support, which needs
// fibers.)

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "eio/err.h"
#include "eio/strbuf.h"
#include "fiber/base/alloc.h"
#include "fiber/base/fault.h"

namespace eio_base_test {

/// Every test ends with as many live objects as it began with, and with the process's settings as
/// they were.
class BaseTest : public ::testing::Test {
  protected:
    void SetUp() override { live_ = eioi_live_objects(); }
    void TearDown() override {
        EXPECT_EQ(eioi_live_objects(), live_) << "something leaked, or was freed twice";
        EXPECT_EQ(eioi_fault_hook, nullptr);
        eio_err_show_backend(true);
    }

  private:
    int64_t live_ = 0;
};

/// While it lives, allocation number `nth` (1 is the first) fails, and only that.
class FailNth {
  public:
    explicit FailNth(int nth) : nth_(nth), hook_{Decide, this} { eioi_fault_hook = &hook_; }
    ~FailNth() { eioi_fault_hook = nullptr; }
    FailNth(const FailNth &) = delete;
    FailNth &operator=(const FailNth &) = delete;
    /// How many allocations there were so far.
    int seen() const { return seen_; }
    bool failed() const { return seen_ >= nth_; }

  private:
    static int Decide(void *arg, const char *name) {
        auto *self = static_cast<FailNth *>(arg);
        EXPECT_STREQ(name, "alloc");
        return ++self->seen_ == self->nth_ ? ENOMEM : 0;
    }

    int nth_;
    int seen_ = 0;
    struct eioi_fault_hook hook_;
};

inline std::string Take(eio_strbuf *sb) {
    std::string text(eio_strbuf_str(sb), sb->len);
    eio_strbuf_free(sb);
    return text;
}

inline std::string Text(const eio_err *err) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_err_print(err, &sb);
    return Take(&sb);
}

inline std::string Toplevel(const eio_err *err) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_err_print_toplevel(err, &sb);
    return Take(&sb);
}

inline std::string Trace(const eio_err *err) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_err_print_trace(err, &sb);
    return Take(&sb);
}

} // namespace eio_base_test

#endif
