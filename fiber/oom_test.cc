// SPDX-License-Identifier: ISC
// Every allocation and every system call of this folder fails once, and then all from some point on: nothing leaks,
// nothing hangs, and the error reaches the caller.
#include "fiber/testing.h"

using namespace eio_test;

namespace {

class OomTest : public EioTest {};

const eio_local_key key = {"key"};

/// Everything that allocates, without a failure or a cancellation of its own.
const auto Everything = [](eio_switch *outer) -> eio_err * {
    return SwitchRun([outer](eio_switch *sw) -> eio_err * {
        void *memory;
        EIO_TRY(eio_switch_alloc(outer, 100, &memory));
        eio_promise *promise, *promised;
        eio_promise_resolver *resolver;
        EIO_TRY(eio_promise_create(sw, &promise, &resolver));
        EIO_TRY(Fork(sw, [=] { return eio_promise_await(promise, nullptr); }));
        long copied = 5;
        auto check_copy = [](void *arg) {
            return *static_cast<long *>(arg) == 5 ? eio_fiber_yield()
                                                  : eio_err_failure("not copied");
        };
        EIO_TRY(
            eio_fiber_fork_copy(sw, check_copy, &copied, sizeof copied, alignof(long), nullptr));
        EIO_TRY(ForkPromise(
            sw, []() -> eio_err * { return eio_fiber_yield(); }, &promised));
        auto nothing = []() -> eio_err * { return eio_fiber_yield(); };
        EIO_TRY(eio_fiber_with_local(
            &key, memory, [](void *) {}, Fn<decltype(nothing)>::Call, &nothing));
        char prefix[] = "[prefix] ";
        EIO_TRY(eio_with_trace_prefix(TextPrefix, prefix, Fn<decltype(nothing)>::Call, &nothing));
        EIO_TRY(Both(nothing, nothing));
        EIO_TRY(Pair(nothing, nothing));
        EIO_TRY(ForEach(5, 2, [](size_t) { return eio_fiber_yield(); }));
        eio_promise_resolve(resolver, nullptr);
        return eio_promise_await(promised, nullptr);
    });
};

/// What is cancelled, raced, failed and stopped on the way; its own result is a Failure.
const auto Trouble = [](eio_switch *, const eio_env *env) -> eio_err * {
    EIO_TRY(SwitchRun([](eio_switch *sw) -> eio_err * {
        return ForkDaemon(sw, [] { return eio_fiber_await_cancel(); });
    }));
    Branches branches(12, [] { return eio_fiber_await_cancel(); });
    branches[5] = []() -> eio_err * { return eio_fiber_yield(); };
    EIO_TRY(Any(branches));
    const eio_timeout timeout = eio_timeout_ns(env->mono_clock, EIO_SECOND);
    EIO_TRY(TimeoutRun(timeout, []() -> eio_err * { return eio_fiber_yield(); }));
    eio_err *err = TimeoutRun(timeout, [] { return eio_fiber_await_cancel(); });
    if (!eio_err_catch(&err, &eio_err_timeout))
        return err;
    Hook hook([] { return eio_err_failure("hook"); });
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        hook.Attach(sw);
        for (const char *text : {"a", "b"}) {
            EIO_TRY(Fork(sw, [text]() -> eio_err * {
                eio_err_drop(eio_fiber_await_cancel());
                return eio_err_failure("%s", text);
            }));
        }
        eio_promise *promise;
        EIO_TRY(ForkPromise(
            sw, [] { return eio_fiber_await_cancel(); }, &promise));
        eio_switch_fail(sw, eio_err_failure("stop"));
        eio_err *cleaned = eio_fiber_check();
        eio_cleanup(
            &cleaned, [](void *) { return eio_fiber_yield(); }, nullptr);
        return cleaned;
    });
};

/// Runs `run` with fault point 1, 2, 3... failing (`onwards`: and all that follow) until one run meets no fault.
/// `check` gets each result, with the name of the point that failed first.
void FailEach(bool onwards, const std::function<eio_err *()> &run,
              const std::function<void(const std::string &, const eio_err *)> &check) {
    testing::internal::CaptureStderr(); // trace lines that found no memory, and dumps
    int n = 0;
    for (bool failed = true; failed;) {
        n++;
        int seen = 0;
        std::string first;
        const int64_t live = eioi_live_objects();
        eio_err *err;
        {
            Faults faults([&](const std::string &name) {
                seen++;
                if (seen < n || (!onwards && seen > n))
                    return 0;
                if (seen == n)
                    first = name;
                return ENOMEM;
            });
            err = run();
        }
        failed = seen >= n;
        (void)TakeTrace();
        check(failed ? first : "", err);
        eio_err_drop(err);
        ASSERT_EQ(eioi_live_objects(), live) << "point " << n << ", " << first;
        ASSERT_LT(n, 10000);
    }
    EXPECT_GT(n, 10) << "there were points that failed";
    (void)testing::internal::GetCapturedStderr();
    printf("%d points\n", n - 1);
}

bool IsForWantOf(const eio_err *err) {
    return eio_err_is(err, &eio_err_out_of_memory) || eio_err_is(err, &eio_err_stack_limit);
}

TEST_F(OomTest, EachFaultReachesTheCallerAndLeavesNothing) {
    TestLoop loop;
    FailEach(
        false, [&] { return loop.Run([] { return SwitchRun(Everything); }); },
        [](const std::string &point, const eio_err *err) {
            // A mapping that is refused is tried again, smaller.
            if (point.empty() || point == "mmap")
                EXPECT_EQ(Text(err), "ok") << point;
            else
                EXPECT_TRUE(IsForWantOf(err)) << point << ": " << Text(err);
        });
}

TEST_F(OomTest, WhenEverythingFailsFromSomePointOnTheCallerHearsOfIt) {
    TestLoop loop;
    FailEach(
        true, [&] { return loop.Run([] { return SwitchRun(Everything); }); },
        [](const std::string &point, const eio_err *err) {
            if (point.empty())
                EXPECT_EQ(Text(err), "ok");
            else
                EXPECT_TRUE(IsForWantOf(err)) << point << ": " << Text(err);
        });
}

// Errors lose what they can't hold (a reason, a text, the younger of two), but there is one, and it ends.
TEST_F(OomTest, CancellationWorksWithoutMemory) {
    for (bool onwards : {false, true}) {
        FailEach(
            onwards, [] { return EvalMockFull(Trouble); },
            [](const std::string &point, const eio_err *err) {
                EXPECT_NE(err, nullptr) << point;
                EXPECT_FALSE(eio_err_is(err, &eio_err_deadlock_detected)) << point;
                EXPECT_FALSE(eio_err_is(err, &eio_err_cancelled)) << point;
            });
    }
}

// Telling daemons to stop is no failure, also when there is no memory to say why.
TEST_F(OomTest, DaemonsStopWithoutMemory) {
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        std::unique_ptr<Faults> faults;
        eio_err *err = SwitchRun([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkDaemon(sw, [] { return eio_fiber_await_cancel(); }));
            faults = std::make_unique<Faults>([](const std::string &) { return ENOMEM; });
            return nullptr;
        });
        faults.reset();
        return err;
    }));
}

TEST_F(OomTest, ARefusedForkStartsNothingAndTheCallerKeepsItsArgument) {
    EXPECT_OK(EvalMock([](eio_switch *sw) -> eio_err * {
        static bool run;
        run = false;
        auto mark = [](void *) -> eio_err * {
            run = true;
            return nullptr;
        };
        bool refused = true;
        eio_fork_opts opts = {};
        opts.refused = &refused;
        opts.on_refused = [](void *) { run = true; };
        opts.stack_bytes = size_t{1} << 20; // a size of which there is no stack yet
        Faults faults([](const std::string &) { return ENOMEM; });
        eio_promise *promise = nullptr;
        eio_err *errs[] = {
            eio_fiber_fork(sw, mark, nullptr, &opts),
            eio_fiber_fork_copy(sw, mark, &opts, sizeof opts, alignof(eio_fork_opts), &opts),
            eio_fiber_fork_daemon(sw, mark, nullptr, &opts),
            eio_fiber_fork_promise(sw, mark, nullptr, &opts, &promise),
        };
        for (eio_err *err : errs) {
            EXPECT_TRUE(IsForWantOf(err));
            eio_err_drop(err);
        }
        EXPECT_FALSE(run);
        EXPECT_FALSE(refused) << "it isn't that the switch was off";
        EXPECT_EQ(promise, nullptr) << "outs are written on success only";
        return eio_switch_check(sw);
    }));
}

TEST_F(OomTest, ARaceWhoseBranchesCantStartFails) {
    for (size_t n : {2u, 20u}) {
        eio_err *err = EvalMock([&](eio_switch *) -> eio_err * {
            Branches branches(n, [] { return eio_fiber_await_cancel(); });
            Faults faults([](const std::string &) { return ENOMEM; });
            return Any(branches);
        });
        EXPECT_TRUE(IsForWantOf(err)) << Text(err);
        eio_err_drop(err);
    }
}

} // namespace
