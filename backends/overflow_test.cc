// SPDX-License-Identifier: ISC
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "eio/domain.h"
#include "tests/support/real_run.h"

using namespace eio_test;
using ::testing::ContainsRegex;
using ::testing::Eq;
using ::testing::ExitedWithCode;
using ::testing::KilledBySignal;

namespace {

class OverflowTest : public RealTest {
  protected:
    void SetUp() override {
        struct sigaction now;
        ASSERT_EQ(sigaction(SIGSEGV, nullptr, &now), 0);
        if ((now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != SIG_DFL)
            GTEST_SKIP() << "somebody (a sanitizer) handles the signal already";
        RealTest::SetUp();
    }
};
EIO_ON_REAL_BACKENDS(OverflowTest);

/// Uses up the stack, a little at a time.
__attribute__((noinline)) int Recurse(volatile char *above, int depth) {
    volatile char frame[256];
    frame[0] = above[0];
    int sum = depth > (1 << 28) ? 0 : Recurse(frame, depth + 1);
    return sum + frame[0];
}

eio_err *Overflow() {
    volatile char top[1] = {1};
    return Recurse(top, 0) == 7 ? eio_err_failure("never") : nullptr;
}

/// In a child: `fn(sw, env)` in a program of eio_main.
template <class F> [[noreturn]] void ChildMain(const char *backend, F f) {
    setenv("EIO_BACKEND", backend, 1);
    auto call = [](void *arg, const eio_env *env) -> eio_err * {
        return SwitchRun(
            [&](eio_switch *sw) -> eio_err * { return (*static_cast<F *>(arg))(sw, env); });
    };
    exit(eio_main(call, &f));
}

TEST_P(OverflowTest, AStackOverflowNamesTheFiber) {
    auto main = [](eio_switch *, const eio_env *) { return Overflow(); };
    EXPECT_EXIT(ChildMain(GetParam(), main), KilledBySignal(SIGSEGV),
                ContainsRegex("eio: fiber [0-9]+ 'main' overflowed its stack of [0-9]+ KiB"));
    auto fork = [](eio_switch *sw, const eio_env *) {
        return Fork(
            sw, [] { return Overflow(); }, "deep thought");
    };
    EXPECT_EXIT(ChildMain(GetParam(), fork), KilledBySignal(SIGSEGV),
                ContainsRegex("eio: fiber [0-9]+ 'deep thought' overflowed its stack"));
}

TEST_P(OverflowTest, InAnotherDomainToo) {
    auto main = [](eio_switch *, const eio_env *env) {
        auto overflow = [] { return Overflow(); };
        return eio_domain_run(env->domain_mgr, Fn<decltype(overflow)>::Call, &overflow);
    };
    EXPECT_EXIT(ChildMain(GetParam(), main), KilledBySignal(SIGSEGV),
                ContainsRegex("eio: fiber [0-9]+ 'main' overflowed its stack"));
}

TEST_P(OverflowTest, EveryOtherFaultIsPassedOnWithoutAWord) {
    auto null = [](eio_switch *, const eio_env *) -> eio_err * {
        volatile int *volatile nowhere = nullptr;
        *nowhere = 1;
        return nullptr;
    };
    EXPECT_EXIT(ChildMain(GetParam(), null), KilledBySignal(SIGSEGV), Eq(std::string()));
    auto sent = [](eio_switch *, const eio_env *) -> eio_err * {
        raise(SIGSEGV);
        return nullptr;
    };
    EXPECT_EXIT(ChildMain(GetParam(), sent), KilledBySignal(SIGSEGV), Eq(std::string()));
}

void OwnHandler(int) {
    static const char text[] = "own handler\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    _exit(n > 0 ? 5 : 6);
}

TEST_P(OverflowTest, AProgramsOwnHandlerStays) {
    auto main = [](eio_switch *, const eio_env *) -> eio_err * {
        raise(SIGSEGV);
        return nullptr;
    };
    EXPECT_EXIT((signal(SIGSEGV, OwnHandler), ChildMain(GetParam(), main)), ExitedWithCode(5),
                Eq(std::string("own handler\n")));
}

TEST_P(OverflowTest, AProgramThatEmbedsTheLibraryAsksForIt) {
    auto child = [&](bool install) {
        if (install)
            eio_install_overflow_handler();
        eio_err_drop(EvalReal([](eio_switch *, const eio_env *) { return Overflow(); }));
    };
    EXPECT_EXIT(child(true), KilledBySignal(SIGSEGV), ContainsRegex("overflowed its stack"));
    EXPECT_EXIT(child(false), KilledBySignal(SIGSEGV), Eq(std::string()));
}

TEST_P(OverflowTest, AThreadsOwnAlternateStackIsLeftAlone) {
    static char space[65536];
    auto child = [&] {
        stack_t mine = {};
        mine.ss_sp = space;
        mine.ss_size = sizeof space;
        if (sigaltstack(&mine, nullptr) != 0)
            exit(99);
        eio_install_overflow_handler();
        eio_err_drop(EvalReal([](eio_switch *, const eio_env *) -> eio_err * { return nullptr; }));
        stack_t now;
        sigaltstack(nullptr, &now);
        exit(now.ss_sp == mine.ss_sp ? 3 : 4);
    };
    EXPECT_EXIT(child(), ExitedWithCode(3), Eq(std::string()));
}

} // namespace
