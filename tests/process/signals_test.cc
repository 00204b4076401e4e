// SPDX-License-Identifier: ISC
// What a signal interrupts goes on, and errno is a fiber's own.

#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <cerrno>
#include <string>

#include "eio/clock.h"
#include "eio/fd.h"
#include "eio/flow.h"
#include "eio/net.h"
#include "eio/promise.h"
#include "tests/support/any_run.h"

using namespace eio_test;

namespace {

class SignalStormTest : public RealTest {};
EIO_ON_REAL_BACKENDS(SignalStormTest);

std::atomic<unsigned> signals;

void Count(int) {
    signals++;
}

/// A thousand signals a second, which interrupt system calls.
class Storm {
  public:
    Storm() {
        struct sigaction action = {};
        action.sa_handler = Count; // without SA_RESTART
        sigaction(SIGALRM, &action, &before_);
        Every(1000);
    }
    ~Storm() {
        Every(0);
        sigaction(SIGALRM, &before_, nullptr);
    }

  private:
    static void Every(int us) {
        struct itimerval timer = {};
        timer.it_interval.tv_usec = timer.it_value.tv_usec = us;
        setitimer(ITIMER_REAL, &timer, nullptr);
    }
    struct sigaction before_;
};

TEST_P(SignalStormTest, NothingIsLost) {
    enum { SIGNALS = 200, ROUNDS_MAX = 100000 };
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        std::string sent(50000, ' ');
        for (size_t i = 0; i < sent.size(); i++)
            sent[i] = static_cast<char>(i * 11 + i / 253);
        std::string got(sent.size(), ' ');
        signals = 0;
        Storm storm;
        for (int round = 0; signals < SIGNALS && round < ROUNDS_MAX; round++) {
            EIO_TRY(Both(
                [&] {
                    return eio_source_read_exact(&b->flow.source, eio_buf_of(&got[0], got.size()));
                },
                [&] {
                    return eio_sink_write(&a->flow.sink, eio_slice_of(sent.data(), sent.size()));
                }));
            EXPECT_EQ(got, sent);
            got.assign(sent.size(), ' ');
            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
        }
        EXPECT_GE(signals, static_cast<unsigned>(SIGNALS));
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

class ErrnoTest : public AnyTest {};
EIO_ON_ALL_BACKENDS(ErrnoTest);

TEST_P(ErrnoTest, EachFiberHasItsOwn) {
    EXPECT_OK(EvalAny([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_promise *promise;
        eio_promise_resolver *resolver;
        EIO_TRY(eio_promise_create(sw, &promise, &resolver));
        const auto keeps = [&](int mine, std::function<eio_err *()> wait) {
            return [mine, wait]() -> eio_err * {
                errno = mine;
                EIO_TRY(wait());
                EXPECT_EQ(errno, mine);
                return nullptr;
            };
        };
        const auto yield = [] { return eio_fiber_yield(); };
        const auto sleep = [env] { return eio_mono_clock_sleep(env->mono_clock, 1000); };
        errno = ERANGE;
        EIO_TRY(Fork(sw, [] {
            errno = EDOM;
            return eio_fiber_yield();
        }));
        EXPECT_EQ(errno, ERANGE);
        EIO_TRY(All({keeps(EPERM, yield), keeps(EIO, sleep),
                     keeps(ENOENT, [&] { return eio_promise_await(promise, nullptr); }),
                     [&]() -> eio_err * {
                         EIO_TRY(eio_fiber_yield());
                         errno = EXDEV;
                         eio_promise_resolve(resolver, nullptr);
                         return nullptr;
                     }}));
        return nullptr;
    }));
    TakeTrace(); // the mock says what the time is
}

} // namespace
