// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_TEST_SUPPORT_H
#define EIO_MOCK_TEST_SUPPORT_H

// For the tests of this folder: lambdas as fn and arg, and a fixture that compares what a run
// prints, and its result, with a transcript.

#include <gtest/gtest.h>

#include <string>

#include "eio/clock.h"
#include "eio/domain.h"
#include "eio/err.h"
#include "eio/fiber.h"
#include "eio/flow.h"
#include "eio/mock/action.h"
#include "eio/mock/backend.h"
#include "eio/net.h"
#include "eio/promise.h"
#include "eio/switch.h"
#include "eio/trace.h"
#include "fiber/base/alloc.h"

/** `fn` and `arg` for a lambda that lives in the caller's frame. */
template <typename F> eio_err *CallLambda(void *arg) {
    return (*static_cast<F *>(arg))();
}
template <typename F, typename T> eio_err *CallLambdaWith(void *arg, T value) {
    return (*static_cast<F *>(arg))(value);
}

template <typename F> eio_err *SwitchRun(F fn) {
    return eio_switch_run(CallLambdaWith<F, eio_switch *>, &fn);
}
template <typename F, typename G> eio_err *Both(F f, G g) {
    return eio_fiber_both(CallLambda<F>, &f, CallLambda<G>, &g);
}
/** Forks a copy of the lambda's captures. */
template <typename F> eio_err *Fork(eio_switch *sw, F fn) {
    return eio_fiber_fork_copy(sw, CallLambda<F>, &fn, sizeof fn, alignof(F), nullptr);
}

class MockTest : public testing::Test {
  protected:
    MockTest() : live_before_(eioi_live_objects()) {
        eio_traceln_set_sink(Collect, this);
        eio_err_show_backend(false);
    }
    ~MockTest() override {
        eio_traceln_set_sink(nullptr, nullptr);
        eio_err_show_backend(true);
        EXPECT_EQ(eioi_live_objects(), live_before_) << "something was not freed";
    }

    /** Runs `fn()` in a mock loop; the trace and the result as a transcript. */
    template <typename F> std::string Run(F fn) { return Finish(eio_mock_run(CallLambda<F>, &fn)); }
    /** Runs `fn(env)` in a mock loop; the trace and the result as a transcript. */
    template <typename F> std::string RunFull(F fn, const eio_mock_opts *opts = nullptr) {
        return Finish(eio_mock_run_opts(opts, CallLambdaWith<F, const eio_env *>, &fn));
    }
    /** What was printed so far, and how `err` would be reported; takes both. */
    std::string Finish(eio_err *err) {
        std::string text = std::move(trace_);
        trace_.clear();
        if (err == nullptr)
            return text + "- : unit = ()\n";
        eio_strbuf out = EIO_STRBUF_INIT;
        eio_err_print_toplevel(err, &out);
        text += eio_strbuf_str(&out);
        if (text.back() != '\n')
            text += '\n';
        eio_strbuf_free(&out);
        eio_err_drop(err);
        return text;
    }

  private:
    static void Collect(void *self, const char *text, size_t len) {
        static_cast<MockTest *>(self)->trace_.append(text, len);
    }

    std::string trace_;
    int64_t live_before_;
};

/** The transcript starts in the line after the quote. */
#define EXPECT_TRANSCRIPT(actual, expected) EXPECT_EQ(actual, std::string((expected) + 1))

#endif
