// SPDX-License-Identifier: ISC
#ifndef EIO_FLOW_CHUNKED_H
#define EIO_FLOW_CHUNKED_H

// Flows for tests that need no loop: a source that gives its bytes in chosen pieces, a sink that
// takes them in chosen pieces, both with failures by script; and a fixture that looks for what is
// left alive.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "eio/err.h"
#include "eio/flow.h"
#include "eio/flow_pi.h"
#include "fiber/base/alloc.h"
#include "fiber/base/fault.h"

namespace chunked {

inline std::string Str(eio_slice s) {
    return s.len == 0 ? std::string() : std::string(reinterpret_cast<const char *>(s.base), s.len);
}

inline eio_slice Slice(const std::string &s) {
    return eio_slice_of(s.data(), s.size());
}

/** The text of an error, which is dropped; "ok" for NULL. */
inline std::string Text(eio_err *err) {
    char text[512];
    eio_err_str(err, text, sizeof text);
    eio_err_drop(err);
    return text;
}

/** What one read of a source, or one write to a sink, does. */
struct Step {
    std::string bytes;                  // source: gives these
    const eio_err_kind *fail = nullptr; // fails with this kind instead
    Step(const char *text) : bytes(text) {}
    Step(std::string text) : bytes(std::move(text)) {}
    Step(const eio_err_kind &kind) : fail(&kind) {}
};

/** Gives its steps one by one, a long one in several reads; then End_of_file, again and again. */
class Source : public eio_source {
  public:
    enum Lending { kBorrows, kLends }; // from the library's buffer; own bytes

    explicit Source(std::vector<Step> script = {}, Lending lending = kBorrows)
        : eio_source{lending == kLends ? &LendingOps() : &ReadingOps(), nullptr},
          steps(script.begin(), script.end()) {}

    std::deque<Step> steps;
    std::vector<size_t> reads;         // room in each read; 0 for a loan
    size_t at_eof = 0;                 // times that End_of_file was given
    std::function<void()> during_read; // called in the middle of a read, as if another fiber ran

  private:
    static Source *Self(eio_source *src) { return static_cast<Source *>(src); }

    // NULL when there are bytes to give.
    eio_err *Next(size_t room) {
        reads.push_back(room);
        if (during_read)
            during_read();
        if (steps.empty()) {
            at_eof++;
            return eio_err_const(&eio_err_end_of_file);
        }
        const eio_err_kind *fail = steps.front().fail;
        if (fail == nullptr)
            return nullptr;
        steps.pop_front();
        return eio_err_const(fail);
    }

    void Use(size_t n) {
        steps.front().bytes.erase(0, n);
        if (steps.front().bytes.empty())
            steps.pop_front();
    }

    static eio_err *SingleRead(eio_source *src, eio_buf buf, size_t *out_got) {
        Source *self = Self(src);
        EIO_TRY(self->Next(buf.len));
        size_t len = std::min(buf.len, self->steps.front().bytes.size());
        memcpy(buf.base, self->steps.front().bytes.data(), len);
        self->Use(len);
        *out_got = len;
        return nullptr;
    }

    static eio_err *Lend(eio_source *src, eio_slice *out) {
        EIO_TRY(Self(src)->Next(0));
        *out = Slice(Self(src)->steps.front().bytes);
        return nullptr;
    }

    static void Release(eio_source *src, size_t used) { Self(src)->Use(used); }

    static const eio_source_ops &ReadingOps() {
        static const eio_source_ops ops = {"chunked", SingleRead, nullptr, nullptr, nullptr};
        return ops;
    }

    static const eio_source_ops &LendingOps() {
        static const eio_source_ops ops = {"lending", SingleRead, Lend, Release, nullptr};
        return ops;
    }
};

/** Takes at most `max_per_write` bytes at a time, and remembers how they came. */
class Sink : public eio_sink {
  public:
    Sink() : eio_sink{&Ops()} {}

    std::string got;                                           // all of it
    std::vector<std::vector<std::string>> writes;              // the slices of each write
    size_t max_per_write = std::numeric_limits<size_t>::max(); // else the write is short
    std::function<size_t(size_t offered)> take;                // instead of max_per_write
    const eio_err_kind *fail = nullptr;                        // fails with this kind ...
    size_t fail_after = 0;                                     // ... after so many writes

  private:
    static eio_err *SingleWrite(eio_sink *sink, const eio_slice *slices, size_t n, size_t *out) {
        Sink *self = static_cast<Sink *>(sink);
        if (self->fail != nullptr && self->writes.size() >= self->fail_after)
            return eio_err_const(self->fail);
        EXPECT_GT(n, 0U);
        EXPECT_LE(n, 1024U);
        std::string all;
        self->writes.emplace_back();
        for (size_t i = 0; i < n; i++) {
            EXPECT_GT(slices[i].len, 0U) << "an empty slice";
            self->writes.back().push_back(Str(slices[i]));
            all += self->writes.back().back();
        }
        size_t len =
            std::min(all.size(), self->take ? self->take(all.size()) : self->max_per_write);
        self->got += all.substr(0, len);
        *out = len;
        return nullptr;
    }

    static const eio_sink_ops &Ops() {
        static const eio_sink_ops ops = {"chunked", SingleWrite, nullptr, nullptr};
        return ops;
    }
};

/** Fails allocation number `nth` (from 1 on) while it lives; counts them all. */
class FailAlloc {
  public:
    explicit FailAlloc(int nth) : nth_(nth), hook_{Decide, this} { eioi_fault_hook = &hook_; }
    ~FailAlloc() { eioi_fault_hook = nullptr; }
    FailAlloc(const FailAlloc &) = delete;
    FailAlloc &operator=(const FailAlloc &) = delete;
    int count() const { return count_; }
    bool failed() const { return nth_ != 0 && count_ >= nth_; }

  private:
    static int Decide(void *arg, const char *name) {
        FailAlloc *self = static_cast<FailAlloc *>(arg);
        if (strcmp(name, "alloc") != 0)
            return 0;
        return ++self->count_ == self->nth_ ? ENOMEM : 0;
    }

    int nth_;
    int count_ = 0;
    struct eioi_fault_hook hook_;
};

/** Each test leaves as many live objects as it found. */
class Test : public ::testing::Test {
  protected:
    void SetUp() override { live_ = eioi_live_objects(); }
    void TearDown() override { EXPECT_EQ(eioi_live_objects(), live_); }
    int64_t Live() const { return eioi_live_objects() - live_; }

  private:
    int64_t live_ = 0;
};

} // namespace chunked

#define EXPECT_OK(expr) EXPECT_EQ(chunked::Text(expr), "ok")
#define ASSERT_OK(expr) ASSERT_EQ(chunked::Text(expr), "ok")

#endif
