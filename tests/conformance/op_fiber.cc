// SPDX-License-Identifier: ISC
// Rows: clocks, fibers and scopes, synchronisation, domains.

#include <atomic>

#include "eio/cancel.h"
#include "eio/clock.h"
#include "eio/condition.h"
#include "eio/domain.h"
#include "eio/fiber.h"
#include "eio/mutex.h"
#include "eio/promise.h"
#include "eio/semaphore.h"
#include "eio/stream.h"
#include "tests/conformance/op_rows.h"

namespace eio_test {

namespace {

// --- Clocks --------------------------------------------------------------------------------------

class SleepOp : public Op {
  public:
    enum Call { kMono, kMonoUntil, kWall, kWallUntil, kTimeout };
    explicit SleepOp(Call call) : call_(call) {}
    eio_err *SetUp(eio_switch *, const eio_env *env) override {
        env_ = env;
        return nullptr;
    }
    eio_err *Run() override {
        constexpr int64_t kLong = 3600 * EIO_SECOND;
        switch (call_) {
        case kMono: return eio_mono_clock_sleep(env_->mono_clock, kLong);
        case kMonoUntil:
            return eio_mono_clock_sleep_until(env_->mono_clock,
                                              eio_mono_clock_now(env_->mono_clock) + kLong);
        case kWall: return eio_clock_sleep(env_->clock, kLong);
        case kWallUntil:
            return eio_clock_sleep_until(env_->clock, eio_clock_now(env_->clock) + kLong);
        case kTimeout: return eio_timeout_sleep(eio_timeout_ns(env_->mono_clock, kLong));
        }
        return nullptr;
    }
    void Complete() override {}
    bool CanComplete() const override { return false; }
    bool InMemory() const override { return true; }

  private:
    Call call_;
    const eio_env *env_ = nullptr;
};

// --- Fibers --------------------------------------------------------------------------------------

class AwaitCancelOp : public Op {
  public:
    eio_err *SetUp(eio_switch *, const eio_env *) override { return nullptr; }
    eio_err *Run() override { return eio_fiber_await_cancel(); }
    void Complete() override {}
    bool CanComplete() const override { return false; }
    bool InMemory() const override { return true; }
};

class PromiseOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        return eio_promise_create(sw, &promise_, &resolver_);
    }
    eio_err *Run() override { return eio_promise_await(promise_, nullptr); }
    void Complete() override { eio_promise_try_resolve(resolver_, nullptr); }
    const eio_err_kind *FailsWith() const override { return &eio_err_failure_kind; }
    void Fail() override { eio_promise_try_resolve_error(resolver_, eio_err_failure("x")); }
    bool Counts() const override { return false; }
    bool InMemory() const override { return true; }

  private:
    eio_promise *promise_ = nullptr;
    eio_promise_resolver *resolver_ = nullptr;
};

/// Waits by a call that waits for others: for a fiber, or several, of which one waits for a
/// semaphore. A race may be won while it is cancelled, so nothing is counted.
class JoinOp : public Op {
  public:
    enum Call {
        kSwitch,
        kCancelSub,
        kTimeout,
        kPromise,
        kBoth,
        kPair,
        kAll,
        kFirst,
        kAny,
        kNAny,
        kForEach
    };
    explicit JoinOp(Call call) : call_(call) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        env_ = env;
        return eio_semaphore_create(sw, 0, &semaphore_);
    }
    eio_err *Run() override {
        auto wait = [&] { return Wait(); };
        auto nothing = []() -> eio_err * { return nullptr; };
        auto for_ever = [] { return eio_fiber_await_cancel(); };
        const eio_call all[] = {{Fn<decltype(wait)>::Call, &wait, nullptr},
                                {Fn<decltype(nothing)>::Call, &nothing, nullptr}};
        const eio_call race[] = {{Fn<decltype(wait)>::Call, &wait, nullptr},
                                 {Fn<decltype(for_ever)>::Call, &for_ever, nullptr}};
        switch (call_) {
        case kSwitch: return SwitchRun([&](eio_switch *sw) { return Fork(sw, wait); });
        case kCancelSub: return CancelSub([&](eio_cancel *) { return wait(); });
        case kTimeout: return TimeoutRun(eio_timeout_ns(env_->mono_clock, 3600 * EIO_SECOND), wait);
        case kPromise:
            return SwitchRun([&](eio_switch *sw) -> eio_err * {
                eio_promise *promise;
                EIO_TRY(
                    eio_fiber_fork_promise(sw, Fn<decltype(wait)>::Call, &wait, nullptr, &promise));
                return eio_promise_await(promise, nullptr);
            });
        case kBoth: return Both(wait, nothing);
        case kPair: return Pair(wait, nothing);
        case kAll: return eio_fiber_all(all, 2);
        case kFirst: return First(wait, for_ever);
        case kAny: return eio_fiber_any(race, 2, nullptr);
        case kNAny: {
            size_t order[2], count;
            return eio_fiber_n_any(race, 2, order, &count);
        }
        case kForEach: {
            auto each = [](void *arg, size_t i) -> eio_err * {
                return i == 1 ? static_cast<JoinOp *>(arg)->Wait() : nullptr;
            };
            return eio_fiber_for_each(3, 2, each, this);
        }
        }
        return nullptr;
    }
    void Complete() override { eio_semaphore_release(semaphore_); }
    bool Counts() const override { return false; }
    bool InMemory() const override { return true; }
    const eio_err_kind *FailsWith() const override { return &eio_err_failure_kind; }
    void Fail() override {
        fails_ = true;
        Complete();
    }

  private:
    /// What the fiber does that is waited for.
    eio_err *Wait() {
        EIO_TRY(eio_semaphore_acquire(semaphore_));
        return fails_ ? eio_err_failure("x") : nullptr;
    }
    Call call_;
    const eio_env *env_ = nullptr;
    eio_semaphore *semaphore_ = nullptr;
    bool fails_ = false;
};

class SemaphoreOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        return eio_semaphore_create(sw, 0, &semaphore_);
    }
    eio_err *Run() override { return eio_semaphore_acquire(semaphore_); }
    void Complete() override { eio_semaphore_release(semaphore_); }
    bool InMemory() const override { return true; }

  private:
    eio_semaphore *semaphore_ = nullptr;
};

class StreamTakeOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        return eio_stream_create(sw, 1000, &stream_);
    }
    eio_err *Run() override {
        void *item;
        return eio_stream_take(stream_, &item);
    }
    void Complete() override {
        EXPECT_OK(Protect([&] { return eio_stream_add(stream_, this); }));
    }
    bool InMemory() const override { return true; }

  private:
    eio_stream *stream_ = nullptr;
};

class StreamAddOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        EIO_TRY(eio_stream_create(sw, 1, &stream_));
        return eio_stream_add(stream_, this);
    }
    eio_err *Run() override { return eio_stream_add(stream_, this); }
    void Complete() override {
        void *item;
        EXPECT_TRUE(eio_stream_take_nonblocking(stream_, &item));
    }
    bool Counts() const override { return false; } // takes what is there, whoever added it
    bool InMemory() const override { return true; }

  private:
    eio_stream *stream_ = nullptr;
};

/// Takes a mutex that somebody holds, by one of the calls that do. Afterwards somebody holds it.
class MutexOp : public Op {
  public:
    enum Call { kLock, kUseRw, kUseRo };
    explicit MutexOp(Call call) : call_(call) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        EIO_TRY(eio_mutex_create(sw, &mutex_));
        return eio_mutex_lock(mutex_);
    }
    eio_err *Run() override {
        auto nothing = [](void *) -> eio_err * { return nullptr; };
        bool locked;
        switch (call_) {
        case kLock: return eio_mutex_lock(mutex_);
        case kUseRw: EIO_TRY(eio_mutex_use_rw(mutex_, nothing, nullptr, nullptr)); break;
        case kUseRo: EIO_TRY(eio_mutex_use_ro(mutex_, nothing, nullptr)); break;
        }
        return eio_mutex_try_lock(mutex_, &locked);
    }
    void Complete() override {
        bool locked; // it may be free by now; then it stays so
        EXPECT_OK(eio_mutex_try_lock(mutex_, &locked));
        eio_mutex_unlock(mutex_);
    }
    bool Counts() const override { return false; } // being free twice is being free
    bool InMemory() const override { return true; }

  private:
    Call call_;
    eio_mutex *mutex_ = nullptr;
};

/// Waits for a condition: that there is a permit, which it takes.
class ConditionOp : public Op {
  public:
    enum Call { kAwait, kAwaitNoMutex, kLoop };
    explicit ConditionOp(Call call) : call_(call) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        EIO_TRY(eio_mutex_create(sw, &mutex_));
        return eio_condition_create(sw, &changed_);
    }
    eio_err *Run() override {
        auto take = [](void *arg, bool *out_done) -> eio_err * {
            auto *self = static_cast<ConditionOp *>(arg);
            if (self->fails_)
                return eio_err_failure("x");
            *out_done = self->permits_ > 0;
            self->permits_ -= *out_done;
            return nullptr;
        };
        eio_err *err = nullptr;
        switch (call_) {
        case kAwait:
            EIO_TRY(eio_mutex_lock(mutex_));
            while (err == nullptr && permits_ == 0)
                err = eio_condition_await(changed_, mutex_);
            permits_ -= err == nullptr;
            eio_mutex_unlock(mutex_); // held also when it was cancelled
            return err;
        case kAwaitNoMutex:
            while (permits_ == 0)
                EIO_TRY(eio_condition_await_no_mutex(changed_));
            permits_--;
            return nullptr;
        case kLoop: return eio_condition_loop_no_mutex(changed_, take, this);
        }
        return nullptr;
    }
    void Complete() override {
        permits_++;
        eio_condition_broadcast(changed_);
    }
    bool InMemory() const override { return true; }
    const eio_err_kind *FailsWith() const override {
        return call_ == kLoop ? &eio_err_failure_kind : nullptr;
    }
    void Fail() override {
        fails_ = true;
        eio_condition_broadcast(changed_);
    }

  private:
    Call call_;
    int permits_ = 0;
    bool fails_ = false;
    eio_mutex *mutex_ = nullptr;
    eio_condition *changed_ = nullptr;
};

// --- Domains -------------------------------------------------------------------------------------

/// Runs a function in a domain that waits for a promise of the first one.
class DomainOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        mgr_ = env->domain_mgr;
        return eio_semaphore_create(sw, 0, &semaphore_);
    }
    eio_err *Run() override {
        auto there = [&]() -> eio_err * {
            EIO_TRY(eio_semaphore_acquire(semaphore_));
            return fails_ ? eio_err_failure("x") : nullptr;
        };
        return eio_domain_run(mgr_, Fn<decltype(there)>::Call, &there);
    }
    void Complete() override { eio_semaphore_release(semaphore_); }
    const eio_err_kind *FailsWith() const override { return &eio_err_failure_kind; }
    void Fail() override {
        fails_ = true;
        Complete();
    }

  private:
    eio_domain_mgr *mgr_ = nullptr;
    eio_semaphore *semaphore_ = nullptr;
    std::atomic<bool> fails_{false};
};

} // namespace

std::vector<OpKind> FiberRows() {
    return {
        {"mono_sleep", kAny, Make<SleepOp>(SleepOp::kMono)},
        {"mono_sleep_until", kAny, Make<SleepOp>(SleepOp::kMonoUntil)},
        {"wall_sleep", kAny, Make<SleepOp>(SleepOp::kWall)},
        {"wall_sleep_until", kAny, Make<SleepOp>(SleepOp::kWallUntil)},
        {"timeout_sleep", kAny, Make<SleepOp>(SleepOp::kTimeout)},
        {"await_cancel", kAny, Make<AwaitCancelOp>()},
        {"promise_await", kAny, Make<PromiseOp>()},
        {"switch_run", kAny, Make<JoinOp>(JoinOp::kSwitch)},
        {"cancel_sub", kAny, Make<JoinOp>(JoinOp::kCancelSub)},
        {"timeout_run", kAny, Make<JoinOp>(JoinOp::kTimeout)},
        {"fork_promise", kAny, Make<JoinOp>(JoinOp::kPromise)},
        {"both", kAny, Make<JoinOp>(JoinOp::kBoth)},
        {"pair", kAny, Make<JoinOp>(JoinOp::kPair)},
        {"all", kAny, Make<JoinOp>(JoinOp::kAll)},
        {"first", kAny, Make<JoinOp>(JoinOp::kFirst)},
        {"any", kAny, Make<JoinOp>(JoinOp::kAny)},
        {"n_any", kAny, Make<JoinOp>(JoinOp::kNAny)},
        {"for_each", kAny, Make<JoinOp>(JoinOp::kForEach)},
        {"semaphore_acquire", kAny, Make<SemaphoreOp>()},
        {"mutex_lock", kAny, Make<MutexOp>(MutexOp::kLock)},
        {"mutex_use_rw", kAny, Make<MutexOp>(MutexOp::kUseRw)},
        {"mutex_use_ro", kAny, Make<MutexOp>(MutexOp::kUseRo)},
        {"condition_await", kAny, Make<ConditionOp>(ConditionOp::kAwait)},
        {"condition_await_no_mutex", kAny, Make<ConditionOp>(ConditionOp::kAwaitNoMutex)},
        {"condition_loop_no_mutex", kAny, Make<ConditionOp>(ConditionOp::kLoop)},
        {"stream_take", kAny, Make<StreamTakeOp>()},
        {"stream_add", kAny, Make<StreamAddOp>()},
        {"domain_run", kAny, Make<DomainOp>()},
    };
}

} // namespace eio_test
