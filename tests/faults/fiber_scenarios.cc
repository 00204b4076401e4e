// SPDX-License-Identifier: ISC
// Fibers, switches, cancellation, and what fibers and domains share.

#include "eio/cancel.h"
#include "eio/clock.h"
#include "eio/condition.h"
#include "eio/domain.h"
#include "eio/fiber.h"
#include "eio/mutex.h"
#include "eio/promise.h"
#include "eio/semaphore.h"
#include "eio/stream.h"
#include "tests/faults/scenario.h"

namespace eio_faults {
namespace {

template <class F> eio_err *RunDomain(const eio_env *env, F &&f) {
    return eio_domain_run(env->domain_mgr, Fn<F>::Call, Fn<F>::Arg(f));
}

eio_err *SwitchWithThreeChildren(eio_switch *, const eio_env *) {
    int done = 0;
    EIO_TRY(SwitchRun([&](eio_switch *sw) -> eio_err * {
        for (int i = 0; i < 3; i++)
            EIO_TRY(Fork(sw, [&done]() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                done++;
                return nullptr;
            }));
        return nullptr;
    }));
    CHECK_THAT(done == 3);
    return nullptr;
}

eio_err *FailureCancelsTheRest(eio_switch *, const eio_env *) {
    eio_err *err = SwitchRun([&](eio_switch *sw) -> eio_err * {
        for (int i = 0; i < 3; i++)
            EIO_TRY(Fork(sw, [] { return eio_fiber_await_cancel(); }));
        return eio_err_failure("stop");
    });
    if (eio_err_is(err, &eio_err_failure_kind) && std::string(eio_err_text(err)) == "stop") {
        eio_err_drop(err);
        return nullptr;
    }
    return err;
}

eio_err *Combinators(eio_switch *, const eio_env *) {
    int n = 0;
    const auto add = [&n]() -> eio_err * {
        EIO_TRY(eio_fiber_yield());
        n++;
        return nullptr;
    };
    size_t winner = 9;
    EIO_TRY(Both(add, add));
    EIO_TRY(Pair(add, add));
    EIO_TRY(All({add, add, add}));
    CHECK_THAT(n == 7);
    EIO_TRY(First(
        add, [] { return eio_fiber_await_cancel(); }, &winner));
    CHECK_THAT(winner == 0 && n == 8);
    EIO_TRY(Any({add, [] { return eio_fiber_await_cancel(); }}, &winner));
    CHECK_THAT(winner == 0 && n == 9);
    EIO_TRY(ForEach(5, 2, [&](size_t) { return add(); }));
    CHECK_THAT(n == 14);
    return nullptr;
}

eio_err *ForkPromises(eio_switch *sw, const eio_env *) {
    eio_promise *first, *second;
    EIO_TRY(ForkPromise(
        sw, [] { return eio_fiber_yield(); }, &first));
    EIO_TRY(ForkPromise(
        sw, [first] { return eio_promise_await(first, nullptr); }, &second));
    EIO_TRY(eio_promise_await(second, nullptr));
    CHECK_THAT(eio_promise_is_resolved(first));
    return nullptr;
}

eio_err *Daemons(eio_switch *, const eio_env *) {
    static const eio_local_key key = {"key"};
    static int value;
    const auto body = [&]() -> eio_err * {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkDaemon(sw, [] { return eio_fiber_await_cancel(); }));
            CHECK_THAT(eio_fiber_local(&key) == &value);
            void *memory;
            EIO_TRY(eio_switch_alloc(sw, 100, &memory));
            return eio_fiber_yield();
        });
    };
    return eio_fiber_with_local(&key, &value, nullptr, Fn<decltype(body)>::Call,
                                Fn<decltype(body)>::Arg(body));
}

eio_err *MutexSemaphoreCondition(eio_switch *sw, const eio_env *) {
    eio_mutex *mutex;
    eio_semaphore *semaphore;
    eio_condition *condition;
    int turn = 0;
    EIO_TRY(eio_mutex_create(sw, &mutex));
    EIO_TRY(eio_semaphore_create(sw, 1, &semaphore));
    EIO_TRY(eio_condition_create(sw, &condition));
    const auto wait = [&]() -> eio_err * {
        EIO_TRY(eio_mutex_lock(mutex));
        eio_err *err = nullptr;
        while (turn == 0 && err == nullptr)
            err = eio_condition_await(condition, mutex);
        eio_mutex_unlock(mutex);
        return err;
    };
    const auto signal = [&]() -> eio_err * {
        EIO_TRY(eio_semaphore_acquire(semaphore));
        eio_err *err = eio_fiber_yield();
        eio_semaphore_release(semaphore);
        EIO_TRY(err);
        EIO_TRY(eio_mutex_lock(mutex));
        turn = 1;
        eio_condition_broadcast(condition);
        eio_mutex_unlock(mutex);
        return nullptr;
    };
    EIO_TRY(All({wait, signal, wait}));
    CHECK_THAT(turn == 1 && eio_semaphore_value(semaphore) == 1);
    return nullptr;
}

eio_err *TimeOuts(eio_switch *, const eio_env *env) {
    EIO_TRY(TimeoutRun(eio_timeout_ns(env->mono_clock, 60 * EIO_SECOND),
                       [] { return eio_fiber_yield(); }));
    eio_err *err = TimeoutRun(eio_timeout_ns(env->mono_clock, EIO_MILLISECOND),
                              [] { return eio_fiber_await_cancel(); });
    CHECK_THAT(err != nullptr);
    if (eio_err_catch(&err, &eio_err_timeout))
        return eio_mono_clock_sleep(env->mono_clock, EIO_MICROSECOND);
    return err;
}

eio_err *DomainRun(eio_switch *, const eio_env *env) {
    int ran = 0;
    EIO_TRY(RunDomain(env, [&]() -> eio_err * {
        ran++;
        return eio_fiber_yield();
    }));
    CHECK_THAT(ran == 1);
    return nullptr;
}

eio_err *CancelledDomain(eio_switch *, const eio_env *env) {
    size_t winner = 9;
    EIO_TRY(First([&] { return RunDomain(env, [] { return eio_fiber_await_cancel(); }); },
                  [] { return eio_fiber_yield(); }, &winner));
    CHECK_THAT(winner == 1);
    return nullptr;
}

eio_err *PromiseBetweenDomains(eio_switch *sw, const eio_env *env) {
    eio_promise *promise;
    eio_promise_resolver *resolver;
    static int value;
    EIO_TRY(eio_promise_create(sw, &promise, &resolver));
    return Both(
        [&]() -> eio_err * {
            void *got = nullptr;
            EIO_TRY(eio_promise_await(promise, &got));
            CHECK_THAT(got == &value);
            return nullptr;
        },
        [&] {
            return RunDomain(env, [&]() -> eio_err * {
                eio_promise_resolve(resolver, &value);
                return nullptr;
            });
        });
}

eio_err *StreamBetweenDomains(eio_switch *sw, const eio_env *env) {
    enum { ITEMS = 5 };
    static int items[ITEMS];
    eio_stream *stream;
    EIO_TRY(eio_stream_create(sw, 1, &stream));
    return Both(
        [&]() -> eio_err * {
            for (int &item : items) {
                void *got = nullptr;
                EIO_TRY(eio_stream_take(stream, &got));
                CHECK_THAT(got == &item);
            }
            return nullptr;
        },
        [&] {
            return RunDomain(env, [&]() -> eio_err * {
                for (int &item : items)
                    EIO_TRY(eio_stream_add(stream, &item));
                return nullptr;
            });
        });
}

eio_err *ProtectedCleanup(eio_switch *, const eio_env *) {
    bool cleaned = false;
    eio_err *err = SwitchRun([&](eio_switch *sw) -> eio_err * {
        Hook hook([&]() -> eio_err * {
            cleaned = true;
            return eio_fiber_yield();
        });
        return SwitchRun([&](eio_switch *inner) -> eio_err * {
            hook.Attach(inner);
            EIO_TRY(Fork(inner, [] { return eio_fiber_await_cancel(); }));
            eio_switch_fail(sw, eio_err_failure("over"));
            return eio_fiber_check();
        });
    });
    CHECK_THAT(err != nullptr && cleaned);
    if (eio_err_is(err, &eio_err_failure_kind) && std::string(eio_err_text(err)) == "over") {
        eio_err_drop(err);
        return nullptr;
    }
    return err;
}

} // namespace

std::vector<Scenario> FiberScenarios() {
    const auto of = [](const Body &body) { return [body] { return body; }; };
    return {
        {"SwitchWithThreeChildren", 0, of(SwitchWithThreeChildren)},
        {"FailureCancelsTheRest", 0, of(FailureCancelsTheRest)},
        {"Combinators", 0, of(Combinators)},
        {"ForkPromises", 0, of(ForkPromises)},
        {"DaemonsAndLocals", 0, of(Daemons)},
        {"MutexSemaphoreCondition", 0, of(MutexSemaphoreCondition)},
        {"TimeOuts", 0, of(TimeOuts)},
        {"DomainRun", kForgiving, of(DomainRun)},
        {"CancelledDomain", kForgiving, of(CancelledDomain)},
        {"PromiseBetweenDomains", kForgiving, of(PromiseBetweenDomains)},
        {"StreamBetweenDomains", kForgiving, of(StreamBetweenDomains)},
        {"ProtectedCleanup", 0, of(ProtectedCleanup)},
        {"WhicheverBackendStarts", kAnyBackend | kForgiving, of(SwitchWithThreeChildren)},
    };
}

} // namespace eio_faults
