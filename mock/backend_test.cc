// SPDX-License-Identifier: ISC
#include "eio/mock/backend.h"

#include <unistd.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "eio/mock/clock.h"
#include "eio/mock/flow.h"
#include "eio/mock/net.h"
#include "eio/mock/random.h"
#include "mock/test_support.h"

extern "C" {
#include "fiber/sched.h"
}
#include "fiber/base/fault.h"

namespace {

class MockBackendTest : public MockTest {};

TEST_F(MockBackendTest, TheResultOfTheFunctionIsThatOfTheRun) {
    EXPECT_TRANSCRIPT(Run([]() -> eio_err * { return nullptr; }), R"(
- : unit = ()
)");
    EXPECT_TRANSCRIPT(Run([] { return eio_err_failure("Simulated error"); }), R"(
Exception: Failure "Simulated error".
)");
}

TEST_F(MockBackendTest, WaitingForNothingIsADeadlock) {
    testing::internal::CaptureStderr();
    EXPECT_TRANSCRIPT(Run([] { return eio_fiber_await_cancel(); }), R"(
Exception: Eio_mock__Backend.Deadlock_detected.
)");
    EXPECT_NE(testing::internal::GetCapturedStderr().find("deadlock"), std::string::npos);
}

TEST_F(MockBackendTest, ADeadlockUnwindsEveryFiber) {
    testing::internal::CaptureStderr();
    EXPECT_TRANSCRIPT(Run([] {
                          return SwitchRun([](eio_switch *sw) -> eio_err * {
                              eio_promise *never;
                              eio_promise_resolver *resolver;
                              EIO_TRY(eio_promise_create(sw, &never, &resolver));
                              auto child = [=]() -> eio_err * {
                                  eio_err *err = eio_promise_await(never, nullptr);
                                  eio_traceln("child ends");
                                  return err;
                              };
                              EIO_TRY(Fork(sw, child));
                              eio_err *err = eio_promise_await(never, nullptr);
                              eio_traceln("main ends");
                              return err;
                          });
                      }),
                      R"(
+main ends
+child ends
Exception: Eio_mock__Backend.Deadlock_detected.
)");
    (void)testing::internal::GetCapturedStderr();
}

TEST_F(MockBackendTest, TheEnvironmentIsWhole) {
    EXPECT_TRANSCRIPT(RunFull([](const eio_env *env) -> eio_err * {
                          eio_traceln("%s", env->backend_name);
                          EIO_TRY(eio_mock_on(&eio_mock_flow_of_source(env->stdin_)->on_read,
                                              {eio_mock_return_str("Hi\n")}));
                          EIO_TRY(eio_flow_copy(env->stdin_, env->stdout_));
                          EIO_TRY(eio_flow_copy_string("oops", env->stderr_));
                          eio_traceln("now %g", (double)eio_mono_clock_now(env->mono_clock));
                          eio_traceln("wall %g", (double)eio_clock_now(env->clock));
                          return SwitchRun([=](eio_switch *sw) {
                              eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 80);
                              eio_stream_socket *socket;
                              return eio_net_connect(&env->net->net, sw, &addr, nullptr, &socket);
                          });
                      }),
                      R"(
+mock
+stdin: read "Hi\n"
+stdout: wrote "Hi\n"
+stderr: wrote "oops"
+now 0
+wall 0
+mock-net: connect to tcp:127.0.0.1:80
Exception: Failure "Mock connect handler not configured".
)");
}

std::string ReadRandom(const eio_env *env, size_t len, size_t step) {
    std::string bytes(len, '\0');
    for (size_t at = 0; at < len; at += step) {
        size_t n = len - at < step ? len - at : step;
        EXPECT_EQ(eio_source_read_exact(env->random, eio_buf_of(&bytes[at], n)), nullptr);
    }
    return bytes;
}

TEST_F(MockBackendTest, RandomBytesDependOnTheSeedOnly) {
    std::string first, again, other;
    struct eio_mock_opts seed_2 = {};
    seed_2.seed = 2;
    (void)RunFull([&](const eio_env *env) -> eio_err * {
        first = ReadRandom(env, 100, 100);
        return nullptr;
    });
    (void)RunFull([&](const eio_env *env) -> eio_err * {
        again = ReadRandom(env, 100, 7);
        return nullptr;
    });
    (void)RunFull(
        [&](const eio_env *env) -> eio_err * {
            other = ReadRandom(env, 100, 100);
            return nullptr;
        },
        &seed_2);
    EXPECT_EQ(first, again);
    EXPECT_NE(first, other);
    EXPECT_NE(first.substr(0, 50), first.substr(50));
}

TEST_F(MockBackendTest, AStrictRunNamesEveryScriptThatIsLeft) {
    struct eio_mock_opts strict = {};
    strict.strict = true;
    EXPECT_TRANSCRIPT(RunFull(
                          [](const eio_env *env) -> eio_err * {
                              eio_mock_flow *flow;
                              EIO_TRY(eio_mock_flow_create("flow0", &flow));
                              EIO_TRY(eio_mock_on(&flow->on_read, {eio_mock_return_str("a"),
                                                                   eio_mock_return_str("b"),
                                                                   eio_mock_return_str("c")}));
                              EIO_TRY(eio_mock_on(&eio_mock_net_of(&env->net->net)->on_connect,
                                                  {eio_mock_return_flow(&flow->socket)}));
                              uint8_t byte;
                              return eio_source_read_exact(&flow->flow.source,
                                                           eio_buf_of(&byte, 1));
                          },
                          &strict),
                      R"(
+flow0: read "a"
Exception:
Failure
 "not all scripted actions were used: mock-net: on_connect: 1 left; flow0: on_read: 2 left".
)");
}

TEST_F(MockBackendTest, AStrictRunIsSilentWhenAllWasUsed) {
    struct eio_mock_opts strict = {};
    strict.strict = true;
    EXPECT_TRANSCRIPT(RunFull(
                          [](const eio_env *) -> eio_err * {
                              eio_mock_flow *flow;
                              EIO_TRY(eio_mock_flow_create("flow0", &flow));
                              EIO_TRY(eio_mock_on(&flow->on_read, {eio_mock_return_str("a")}));
                              uint8_t byte;
                              return eio_source_read_exact(&flow->flow.source,
                                                           eio_buf_of(&byte, 1));
                          },
                          &strict),
                      R"(
+flow0: read "a"
- : unit = ()
)");
}

TEST_F(MockBackendTest, ScriptsCanBeCheckedMidway) {
    EXPECT_TRANSCRIPT(Run([]() -> eio_err * {
                          eio_mock_flow *flow;
                          EIO_TRY(eio_mock_flow_create("flow0", &flow));
                          EIO_TRY(eio_mock_check_used());
                          EIO_TRY(eio_mock_on(&flow->on_copy_bytes, {eio_mock_return_size(1)}));
                          return eio_mock_check_used();
                      }),
                      R"(
Exception:
Failure "not all scripted actions were used: flow0: on_copy_bytes: 1 left".
)");
}

TEST_F(MockBackendTest, AnErrorIsNotHiddenByWhatIsLeft) {
    struct eio_mock_opts strict = {};
    strict.strict = true;
    EXPECT_TRANSCRIPT(RunFull(
                          [](const eio_env *) -> eio_err * {
                              eio_mock_flow *flow;
                              EIO_TRY(eio_mock_flow_create("flow0", &flow));
                              EIO_TRY(eio_mock_on(&flow->on_read, {eio_mock_return_str("a")}));
                              return eio_err_failure("Simulated error");
                          },
                          &strict),
                      R"(
Exception: Failure "Simulated error".
)");
}

TEST_F(MockBackendTest, TheSchedulersOwnTimersMoveTheClockToo) {
    EXPECT_TRANSCRIPT(Run([]() -> eio_err * {
                          EIO_TRY(eioi_sleep_until(3 * EIO_SECOND));
                          eio_traceln("slept");
                          return nullptr;
                      }),
                      R"(
+mock time is now 3
+slept
- : unit = ()
)");
}

TEST_F(MockBackendTest, OtherThreadsMayWakeItsFibers) {
    struct eio_mock_opts opts = {};
    opts.other_threads = true;
    EXPECT_TRANSCRIPT(RunFull(
                          [](const eio_env *) {
                              return SwitchRun([](eio_switch *sw) -> eio_err * {
                                  eio_promise *promise;
                                  eio_promise_resolver *resolver;
                                  EIO_TRY(eio_promise_create(sw, &promise, &resolver));
                                  std::thread thread(
                                      [=] { eio_promise_resolve(resolver, nullptr); });
                                  eio_err *err = eio_promise_await(promise, nullptr);
                                  thread.join();
                                  return err;
                              });
                          },
                          &opts),
                      R"(
- : unit = ()
)");
}

TEST_F(MockBackendTest, TwoMockLoopsTalkToEachOther) {
    struct eio_mock_opts opts = {};
    opts.other_threads = true;
    const int kRounds = 200;
    EXPECT_TRANSCRIPT(
        RunFull(
            [&](const eio_env *) {
                return SwitchRun([&](eio_switch *sw) -> eio_err * {
                    std::vector<eio_promise *> ping(kRounds), pong(kRounds);
                    std::vector<eio_promise_resolver *> set_ping(kRounds), set_pong(kRounds);
                    for (size_t i = 0; i < kRounds; i++) {
                        EIO_TRY(eio_promise_create(sw, &ping[i], &set_ping[i]));
                        EIO_TRY(eio_promise_create(sw, &pong[i], &set_pong[i]));
                    }
                    auto other = [&](const eio_env *) -> eio_err * {
                        for (size_t i = 0; i < kRounds; i++) {
                            EIO_TRY(eio_promise_await(ping[i], nullptr));
                            eio_promise_resolve(set_pong[i], nullptr);
                        }
                        return nullptr;
                    };
                    eio_err *other_err = nullptr;
                    std::thread thread([&] {
                        other_err = eio_mock_run_opts(
                            &opts, CallLambdaWith<decltype(other), const eio_env *>, &other);
                    });
                    eio_err *err = nullptr;
                    for (size_t i = 0; i < kRounds && err == nullptr; i++) {
                        eio_promise_resolve(set_ping[i], nullptr);
                        err = eio_promise_await(pong[i], nullptr);
                    }
                    thread.join();
                    return eio_err_combine(err, other_err);
                });
            },
            &opts),
        R"(
- : unit = ()
)");
}

// Makes the `left`th fault point fail.
struct FailNth {
    int left;
    bool hit;
};

int FailOnce(void *arg, const char *) {
    auto *self = static_cast<FailNth *>(arg);
    if (--self->left != 0)
        return 0;
    self->hit = true;
    return ENOMEM;
}

eio_err *EverythingOnce(const eio_env *env) {
    eio_mock_flow *flow;
    EIO_TRY(eio_mock_flow_create("flow", &flow));
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 80);
    eio_mock_net *net = eio_mock_net_of(&env->net->net);
    EIO_TRY(eio_mock_on(&flow->on_read, {eio_mock_return_str("Hi\n"),
                                         eio_mock_raise(eio_err_failure("Simulated error"))}));
    EIO_TRY(eio_mock_on_default(&flow->on_copy_bytes, eio_mock_return_size(2)));
    EIO_TRY(eio_mock_on(&net->on_connect, {eio_mock_return_flow(&flow->socket)}));
    EIO_TRY(eio_mock_on(&net->on_getaddrinfo, {eio_mock_return_addrs(&addr, 1)}));
    return SwitchRun([=](eio_switch *sw) -> eio_err * {
        eio_sockaddr_list list;
        EIO_TRY(eio_net_getaddrinfo(&env->net->net, sw, "localhost", "http", &list));
        eio_stream_socket *socket;
        EIO_TRY(eio_net_connect(&env->net->net, sw, &list.items[0], nullptr, &socket));
        EIO_TRY(eio_flow_copy_string("Bye\n", &socket->flow.sink));
        EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_SECOND));
        uint8_t space[8];
        size_t got;
        return eio_source_single_read(&socket->flow.source, eio_buf_of(space, sizeof space), &got);
    });
}

/// The order in which three fibers take two turns each.
std::string OrderWith(uint64_t shuffle_seed) {
    std::string order;
    auto main = [&order](eio_switch *sw) -> eio_err * {
        for (char name = 'a'; name <= 'c'; name++)
            EIO_TRY(Fork(sw, [&order, name]() -> eio_err * {
                order += name;
                EIO_TRY(eio_fiber_yield());
                order += static_cast<char>(name - 'a' + 'A');
                return nullptr;
            }));
        return nullptr;
    };
    auto call = [](void *arg, const eio_env *) {
        return SwitchRun(*static_cast<decltype(main) *>(arg));
    };
    eio_mock_opts opts = {};
    opts.shuffle_seed = shuffle_seed;
    EXPECT_EQ(eio_mock_run_opts(&opts, call, &main), nullptr);
    return order;
}

TEST_F(MockBackendTest, AShuffleSeedGivesOneScheduleAndManySeedsGiveThemAll) {
    EXPECT_EQ(OrderWith(0), "abcABC");
    std::set<std::string> seen;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        seen.insert(OrderWith(seed));
        EXPECT_EQ(OrderWith(seed), OrderWith(seed));
    }
    // Each capital comes after its small letter, and those come in the order of the forks: of the
    // 720 orders of the six, 15 do.
    EXPECT_EQ(seen.size(), 15U);
}

TEST_F(MockBackendTest, EveryAllocationMayFailAndNothingLeaks) {
    testing::internal::CaptureStderr(); // a trace line that could not be made is reported there
    for (int n = 1;; n++) {
        FailNth state = {n, false};
        const struct eioi_fault_hook hook = {FailOnce, &state};
        const int64_t live = eioi_live_objects();
        eioi_fault_hook = &hook;
        eio_err *err = eio_mock_run_full(
            [](void *, const eio_env *env) { return EverythingOnce(env); }, nullptr);
        eioi_fault_hook = nullptr;
        eio_err_drop(err);
        EXPECT_EQ(eioi_live_objects(), live) << "point " << n;
        if (!state.hit) {
            EXPECT_GT(n, 10);
            break;
        }
    }
    (void)testing::internal::GetCapturedStderr();
}

using MockBackendDeathTest = MockBackendTest;

TEST_F(MockBackendDeathTest, CheckUsedIsForFibersOfAMockLoop) {
    EXPECT_DEATH(eio_err_drop(eio_mock_check_used()),
                 "eio_mock_check_used is for fibers of a mock loop");
}

// In a process of its own, since what such a fiber holds is never freed.
TEST_F(MockBackendDeathTest, AFiberThatCantBeCancelledIsGivenUp) {
    auto test = [this] {
        std::string transcript = Run([] {
            eio_mock_flow *flow;
            EIO_TRY(eio_mock_flow_create("flow", &flow));
            return SwitchRun([=](eio_switch *sw) -> eio_err * {
                EIO_TRY(eio_mock_flow_attach_to_switch(flow, sw));
                return eio_cancel_protect([](void *) { return eio_fiber_await_cancel(); }, nullptr);
            });
        });
        _exit(transcript == "Exception: Eio_mock__Backend.Deadlock_detected.\n" ? 0 : 1);
    };
    EXPECT_EXIT(test(), testing::ExitedWithCode(0), "deadlock");
}

} // namespace
