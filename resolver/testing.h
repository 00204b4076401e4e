// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_TESTING_H
#define EIO_RESOLVER_TESTING_H

// What the tests of the parts have in common. (Those that need a loop are in //tests/resolver.)

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include "eio/addr.h"
#include "eio/err.h"

extern "C" {
#include "fiber/base/alloc.h"
#include "fiber/base/fault.h"
#include "resolver/ip_list.h"
#include "resolver/snapshot.h"
}

namespace eio_resolver_test {

/// Every test ends with as many live objects as it began with.
class PartTest : public ::testing::Test {
  protected:
    void SetUp() override { live_ = eioi_live_objects(); }
    void TearDown() override {
        EXPECT_EQ(eioi_live_objects(), live_) << "something leaked, or was freed twice";
        EXPECT_EQ(eioi_fault_hook, nullptr);
    }

  private:
    int64_t live_ = 0;
};

/// While it lives, call number `nth` (1 is the first) of the fault point `name` fails with
/// `errnum`.
class FailNth {
  public:
    FailNth(const char *name, int nth, int errnum)
        : name_(name), nth_(nth), errnum_(errnum), hook_{Decide, this} {
        eioi_fault_hook = &hook_;
    }
    ~FailNth() { eioi_fault_hook = nullptr; }
    FailNth(const FailNth &) = delete;
    FailNth &operator=(const FailNth &) = delete;
    bool failed() const { return seen_ >= nth_; }

  private:
    static int Decide(void *arg, const char *name) {
        auto *self = static_cast<FailNth *>(arg);
        return self->name_ == name && ++self->seen_ == self->nth_ ? self->errnum_ : 0;
    }

    std::string name_;
    int nth_, errnum_;
    int seen_ = 0;
    struct eioi_fault_hook hook_;
};

inline eio_ip Ip(const char *text) {
    eio_ip ip = {};
    eio_err *err = eio_ip_parse(text, &ip);
    EXPECT_EQ(err, nullptr) << text;
    eio_err_drop(err);
    return ip;
}

inline std::string Text(const eio_ip &ip) {
    char buf[EIO_IP_STR_MAX];
    return eio_ip_str(&ip, buf);
}

/// The addresses of a list, which is freed.
inline std::vector<std::string> Take(eioi_ip_list *list) {
    std::vector<std::string> texts;
    for (size_t i = 0; i < list->count; i++)
        texts.push_back(Text(list->items[i]));
    eioi_ip_list_free(list);
    return texts;
}

using Strings = std::vector<std::string>;

/// A parsed text. `parser` must not fail.
class Parsed {
  public:
    Parsed(eioi_snapshot_parse_fn *parser, const std::string &text) {
        eio_err *err = parser(eio_slice_of(text.data(), text.size()), &snapshot_);
        EXPECT_EQ(err, nullptr);
        eio_err_drop(err);
    }
    ~Parsed() { eioi_snapshot_unref(snapshot_); }
    Parsed(const Parsed &) = delete;
    Parsed &operator=(const Parsed &) = delete;
    eioi_snapshot *get() const { return snapshot_; }

  private:
    eioi_snapshot *snapshot_ = nullptr;
};

/// Parses with each allocation failing in turn, until it succeeds: an error each time, and nothing
/// leaks (PartTest).
inline void ExpectEveryAllocationMayFail(eioi_snapshot_parse_fn *parser, const std::string &text) {
    for (int nth = 1;; nth++) {
        ASSERT_LT(nth, 1000);
        eioi_snapshot *snapshot = nullptr;
        eio_err *err;
        bool failed;
        {
            FailNth fail("alloc", nth, ENOMEM);
            err = parser(eio_slice_of(text.data(), text.size()), &snapshot);
            failed = fail.failed();
        }
        if (!failed) {
            EXPECT_EQ(err, nullptr);
            EXPECT_GT(nth, 1) << "nothing was allocated";
            eioi_snapshot_unref(snapshot);
            return;
        }
        EXPECT_TRUE(eio_err_is(err, &eio_err_out_of_memory)) << nth;
        eio_err_drop(err);
    }
}

} // namespace eio_resolver_test

#endif
