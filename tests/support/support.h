// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_SUPPORT_SUPPORT_H
#define EIO_TESTS_SUPPORT_SUPPORT_H

// What the tests of this project share: a fixture that captures the trace and checks that nothing
// is left behind, EXPECT_TRACE, and C++ lambdas where the library takes `fn` and `arg`.
//
//     using namespace eio_test;
//     class BothTest : public EioTest {};
//
//     TEST_F(BothTest, AFailureCancelsTheOtherBranch) {
//         RunMock([](eio_switch *) -> eio_err * {                       // tests/support/mock_run.h
//             return Both([] { return eio_fiber_await_cancel(); },
//                         [] { return eio_err_failure("b"); });
//         });
//         EXPECT_TRACE(R"(
//             Exception: Failure "b".
//         )");
//     }
//
// EXPECT_TRACE takes what was traced since the last one and compares it with the block, stripped of
// its common indentation. With EIO_ACCEPT=1 in the environment the block is rewritten in the source
// file instead (`EIO_ACCEPT=1 bazel run //fiber:both_test`, then review the diff). A test that
// leaves trace unlooked at fails.
//
// `RunMock` (mock_run.h), `RunOn` and `RealTest` (real_run.h), `AnyTest` (any_run.h) trace what
// they got as a toplevel would: `- : unit = ()` or `Exception: ...`. Their `Eval` twins return the
// error instead. Details of the system print as `_`.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "eio/cancel.h"
#include "eio/clock.h"
#include "eio/err.h"
#include "eio/fiber.h"
#include "eio/promise.h"
#include "eio/switch.h"
#include "eio/trace.h"

namespace eio_test {

// --- Trace ---------------------------------------------------------------------------------------

/// Appends a line to the captured trace as it is, without a `+`.
void Print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/// Appends what a toplevel prints for a result of type unit, and consumes it: `- : unit = ()` or
/// `Exception: ...`.
void PrintResult(eio_err *err);
/// What was traced so far; it is forgotten.
std::string TakeTrace();
/// Whether the trace since the last look is `expected`, a block with any indentation; see
/// EXPECT_TRACE.
::testing::AssertionResult TraceIs(const char *file, int line, const std::string &expected);
/// A block as in EXPECT_TRACE without its indentation: what the trace is compared with.
std::string Dedent(const std::string &block);

#define EXPECT_TRACE(...)                                           \
    GTEST_AMBIGUOUS_ELSE_BLOCKER_                                   \
    if (const ::testing::AssertionResult eio_trace_ =               \
            ::eio_test::TraceIs(__FILE__, __LINE__, __VA_ARGS__)) { \
    } else                                                          \
        ADD_FAILURE() << eio_trace_.message()

// --- Errors --------------------------------------------------------------------------------------

/// The text of an error, which stays the caller's: `Failure("a")`, `ok`.
std::string Text(const eio_err *err);
/// The same, and drops it.
std::string TakeText(eio_err *err);
/// Success, or a failure with the error's text; consumes it.
::testing::AssertionResult IsOk(eio_err *err);
/// An error of `kind`; consumes it.
::testing::AssertionResult IsErr(eio_err *err, const eio_err_kind *kind);
#define EXPECT_OK(expr) EXPECT_TRUE(::eio_test::IsOk(expr))
#define EXPECT_ERR(expr, kind) EXPECT_TRUE(::eio_test::IsErr((expr), (kind)))
#define EXPECT_ERR_TEXT(expr, text) EXPECT_EQ(::eio_test::TakeText(expr), (text))

// --- The fixture ---------------------------------------------------------------------------------

/// A name that no other test has, nor a copy of this one: a process id isn't enough, since each
/// sandbox counts its own.
std::string UniqueName();
/// The open descriptors of this process, each with what it is.
std::vector<std::string> OpenFds();

/// Captures the trace; at the end no object is alive and no descriptor open that wasn't at the
/// start, and all of the trace has been looked at.
class EioTest : public ::testing::Test {
  protected:
    void SetUp() override;
    void TearDown() override;
    /// For a test that is about what can't be given back.
    void AllowLeaks() { allow_leaks_ = true; }

  private:
    long long live_objects_ = 0;
    std::vector<std::string> fds_;
    bool allow_leaks_ = false;
};

// --- Lambdas as fn and arg -----------------------------------------------------------------------

/// For a callable `f` that outlives the call: `Fn<decltype(f)>::Call, &f`.
template <class F> struct Fn {
    using Bare = std::remove_reference_t<F>;
    static eio_err *Call(void *arg) { return (*static_cast<Bare *>(arg))(); }
    static eio_err *WithSwitch(void *arg, eio_switch *sw) {
        return (*static_cast<Bare *>(arg))(sw);
    }
    static eio_err *WithCancel(void *arg, eio_cancel *cc) {
        return (*static_cast<Bare *>(arg))(cc);
    }
    static eio_err *Index(void *arg, size_t i) { return (*static_cast<Bare *>(arg))(i); }
    /// For a copy on the heap, which it frees.
    static eio_err *CallAndDelete(void *arg) {
        Bare *self = static_cast<Bare *>(arg);
        eio_err *err = (*self)();
        delete self;
        return err;
    }
    static void Delete(void *arg) { delete static_cast<Bare *>(arg); }
    static void *Arg(Bare &f) { return const_cast<void *>(static_cast<const void *>(&f)); }
};

template <class F> eio_err *SwitchRun(F &&f) {
    return eio_switch_run(Fn<F>::WithSwitch, Fn<F>::Arg(f));
}
template <class F> eio_err *SwitchRunProtected(F &&f) {
    return eio_switch_run_protected(Fn<F>::WithSwitch, Fn<F>::Arg(f));
}
template <class F> eio_err *CancelSub(F &&f) {
    return eio_cancel_sub(Fn<F>::WithCancel, Fn<F>::Arg(f));
}
template <class F> eio_err *Protect(F &&f) {
    return eio_cancel_protect(Fn<F>::Call, Fn<F>::Arg(f));
}
template <class F, class G> eio_err *Both(F &&f, G &&g) {
    return eio_fiber_both(Fn<F>::Call, Fn<F>::Arg(f), Fn<G>::Call, Fn<G>::Arg(g));
}
template <class F, class G> eio_err *Pair(F &&f, G &&g) {
    return eio_fiber_pair(Fn<F>::Call, Fn<F>::Arg(f), Fn<G>::Call, Fn<G>::Arg(g));
}
template <class F, class G> eio_err *First(F &&f, G &&g, size_t *out_winner = nullptr) {
    return eio_fiber_first(Fn<F>::Call, Fn<F>::Arg(f), Fn<G>::Call, Fn<G>::Arg(g), out_winner);
}
/// Branches for All, Any and NAny.
using Branches = std::vector<std::function<eio_err *()>>;
inline std::vector<eio_call> CallsOf(Branches &branches) {
    std::vector<eio_call> calls;
    for (auto &branch : branches)
        calls.push_back({Fn<decltype(branch)>::Call, &branch, nullptr});
    return calls;
}
inline eio_err *All(Branches branches) {
    std::vector<eio_call> calls = CallsOf(branches);
    return eio_fiber_all(calls.data(), calls.size());
}
inline eio_err *Any(Branches branches, size_t *out_winner = nullptr) {
    std::vector<eio_call> calls = CallsOf(branches);
    return eio_fiber_any(calls.data(), calls.size(), out_winner);
}
template <class F> eio_err *ForEach(size_t n, size_t max_fibers, F &&f) {
    return eio_fiber_for_each(n, max_fibers, Fn<F>::Index, Fn<F>::Arg(f));
}
template <class F> eio_err *TimeoutRun(eio_timeout timeout, F &&f) {
    return eio_timeout_run(timeout, Fn<F>::Call, Fn<F>::Arg(f));
}

/// Forks a copy of `f`; the copy lives until the fiber has ended.
template <class F> eio_err *Fork(eio_switch *sw, F f, const char *name = nullptr) {
    F *copy = new F(std::move(f));
    eio_fork_opts opts = {};
    opts.name = name;
    opts.on_refused = Fn<F>::Delete;
    eio_err *err = eio_fiber_fork(sw, Fn<F>::CallAndDelete, copy, &opts);
    if (err != nullptr)
        delete copy;
    return err;
}
template <class F> eio_err *ForkDaemon(eio_switch *sw, F f, const char *name = nullptr) {
    F *copy = new F(std::move(f));
    eio_fork_opts opts = {};
    opts.name = name;
    opts.on_refused = Fn<F>::Delete;
    eio_err *err = eio_fiber_fork_daemon(sw, Fn<F>::CallAndDelete, copy, &opts);
    if (err != nullptr)
        delete copy;
    return err;
}
template <class F>
eio_err *ForkPromise(eio_switch *sw, F f, eio_promise **out, const char *name = nullptr) {
    F *copy = new F(std::move(f));
    eio_fork_opts opts = {};
    opts.name = name;
    opts.on_refused = Fn<F>::Delete;
    eio_err *err = eio_fiber_fork_promise(sw, Fn<F>::CallAndDelete, copy, &opts, out);
    if (err != nullptr)
        delete copy;
    return err;
}

/// A release hook with a lambda in it. It stays where it is until it has run.
class Hook {
  public:
    explicit Hook(std::function<eio_err *()> f) : f_(std::move(f)) { self_.owner = this; }
    Hook(const Hook &) = delete;
    Hook &operator=(const Hook &) = delete;
    void Attach(eio_switch *sw) { eio_switch_attach(sw, &self_.hook, Run); }
    void Remove() { eio_hook_remove(&self_.hook); }

  private:
    struct Embedded {
        eio_hook hook; // first, so that a pointer to it is one to this
        Hook *owner;
    };
    static eio_err *Run(eio_hook *hook) { return reinterpret_cast<Embedded *>(hook)->owner->f_(); }
    Embedded self_ = {};
    std::function<eio_err *()> f_;
};

} // namespace eio_test

#endif
