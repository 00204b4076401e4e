// SPDX-License-Identifier: ISC
#include "eio/mock/action.h"

#include <cstring>
#include <string>

#include "mock/test_support.h"

namespace {

// What a user's own mock looks like: a thermometer with a script.
struct Thermometer {
    explicit Thermometer(eio_mock_action fallback) {
        eio_mock_handler_init(&on_measure, "thermometer", "on_measure", fallback);
    }
    ~Thermometer() { eio_mock_handler_fini(&on_measure); }
    Thermometer(const Thermometer &) = delete;
    Thermometer &operator=(const Thermometer &) = delete;

    eio_err *Measure() {
        eio_mock_value value;
        EIO_TRY(eio_mock_handler_run(&on_measure, &value));
        eio_traceln("%zu degrees", value.size);
        return nullptr;
    }

    eio_mock_handler on_measure;
};

class MockActionTest : public MockTest {};

TEST_F(MockActionTest, ActionsAreUsedUpInOrderThenTheDefaultCounts) {
    EXPECT_TRANSCRIPT(
        Run([]() -> eio_err * {
            Thermometer t(eio_mock_return_size(20));
            EIO_TRY(eio_mock_on(&t.on_measure, {eio_mock_return_size(1), eio_mock_return_size(2)}));
            for (int i = 0; i < 4; i++)
                EIO_TRY(t.Measure());
            return nullptr;
        }),
        R"(
+1 degrees
+2 degrees
+20 degrees
+20 degrees
- : unit = ()
)");
}

TEST_F(MockActionTest, ANewScriptReplacesWhatIsLeftOfTheOld) {
    EXPECT_TRANSCRIPT(
        Run([]() -> eio_err * {
            Thermometer t(eio_mock_return_size(20));
            EIO_TRY(eio_mock_on(&t.on_measure, {eio_mock_return_size(1), eio_mock_return_size(2)}));
            EIO_TRY(t.Measure());
            EIO_TRY(eio_mock_on(&t.on_measure, {eio_mock_return_size(3)}));
            EXPECT_EQ(eio_mock_left(&t.on_measure), 1u);
            EIO_TRY(t.Measure());
            return t.Measure();
        }),
        R"(
+1 degrees
+3 degrees
+20 degrees
- : unit = ()
)");
}

TEST_F(MockActionTest, OneErrorCanBeRaisedAnyNumberOfTimes) {
    EXPECT_TRANSCRIPT(Run([]() -> eio_err * {
                          Thermometer t(eio_mock_raise(eio_err_failure("Too hot")));
                          for (int i = 0; i < 3; i++) {
                              eio_err *err = t.Measure();
                              EXPECT_TRUE(eio_err_catch(&err, &eio_err_failure_kind));
                          }
                          eio_err *shared = eio_err_failure("Broken");
                          EIO_TRY(eio_mock_on(&t.on_measure, {eio_mock_raise(eio_err_ref(shared)),
                                                              eio_mock_raise(shared)}));
                          eio_err *err = t.Measure();
                          return eio_err_combine(err, t.Measure());
                      }),
                      R"(
Exception: Failure "Broken".
)");
}

TEST_F(MockActionTest, AnAwaitGivesWhatThePromiseWasResolvedWith) {
    EXPECT_TRANSCRIPT(Run([] {
                          return SwitchRun([](eio_switch *sw) -> eio_err * {
                              Thermometer t(eio_mock_return_size(20));
                              eio_promise *promise[3];
                              eio_promise_resolver *resolver[3];
                              for (int i = 0; i < 3; i++)
                                  EIO_TRY(eio_promise_create(sw, &promise[i], &resolver[i]));
                              EIO_TRY(eio_mock_on(&t.on_measure, {eio_mock_await(promise[0]),
                                                                  eio_mock_await(promise[1]),
                                                                  eio_mock_await(promise[2])}));
                              eio_mock_value value = {};
                              value.size = 5;
                              return Both(
                                  [&]() -> eio_err * {
                                      EIO_TRY(t.Measure());
                                      EIO_TRY(t.Measure());
                                      return t.Measure();
                                  },
                                  [&]() -> eio_err * {
                                      eio_traceln("resolving");
                                      eio_promise_resolve(resolver[0], &value);
                                      eio_promise_resolve(resolver[1], nullptr);
                                      eio_promise_resolve_error(resolver[2],
                                                                eio_err_failure("Too cold"));
                                      return nullptr;
                                  });
                          });
                      }),
                      R"(
+resolving
+5 degrees
+0 degrees
Exception: Failure "Too cold".
)");
}

TEST_F(MockActionTest, AYieldLetsTheOthersRunFirst) {
    EXPECT_TRANSCRIPT(Run([]() -> eio_err * {
                          Thermometer t(eio_mock_return_size(20));
                          EIO_TRY(eio_mock_on(
                              &t.on_measure,
                              {eio_mock_yield_then(eio_mock_yield_then(eio_mock_return_size(3)))}));
                          return Both([&] { return t.Measure(); },
                                      []() -> eio_err * {
                                          for (int i = 0; i < 3; i++) {
                                              eio_traceln("turn %d", i);
                                              EIO_TRY(eio_fiber_yield());
                                          }
                                          return nullptr;
                                      });
                      }),
                      R"(
+turn 0
+turn 1
+3 degrees
+turn 2
- : unit = ()
)");
}

TEST_F(MockActionTest, ACalledFunctionComputesTheValue) {
    EXPECT_TRANSCRIPT(Run([]() -> eio_err * {
                          size_t next = 7;
                          auto count = [](void *arg, eio_mock_value *out) -> eio_err * {
                              out->size = (*static_cast<size_t *>(arg))++;
                              return nullptr;
                          };
                          Thermometer t(eio_mock_call(count, &next));
                          EIO_TRY(t.Measure());
                          return t.Measure();
                      }),
                      R"(
+7 degrees
+8 degrees
- : unit = ()
)");
}

TEST_F(MockActionTest, AStrictScriptSaysWhichCallWasNotExpected) {
    EXPECT_TRANSCRIPT(
        Run([]() -> eio_err * {
            Thermometer t(eio_mock_unexpected());
            EIO_TRY(eio_mock_on(&t.on_measure, {eio_mock_return_size(1), eio_mock_return_size(2)}));
            for (int i = 0; i < 2; i++)
                EIO_TRY(t.Measure());
            return t.Measure();
        }),
        R"(
+1 degrees
+2 degrees
Exception: Failure "thermometer: on_measure: call 3 was not expected".
)");
}

TEST_F(MockActionTest, AnActionThatIsCancelledIsUsedUp) {
    EXPECT_TRANSCRIPT(
        RunFull([](const eio_env *env) -> eio_err * {
            Thermometer t(eio_mock_return_size(20));
            EIO_TRY(eio_mock_on(&t.on_measure, {eio_mock_await_cancel(), eio_mock_return_size(3)}));
            auto measure = [&] { return t.Measure(); };
            eio_err *err = eio_timeout_run(eio_timeout_ns(env->mono_clock, EIO_SECOND),
                                           CallLambda<decltype(measure)>, &measure);
            EXPECT_TRUE(eio_err_catch(&err, &eio_err_timeout));
            EIO_TRY(err);
            return t.Measure();
        }),
        R"(
+mock time is now 1
+3 degrees
- : unit = ()
)");
}

TEST_F(MockActionTest, AScriptMayBeReplacedUnderAnActionThatWaits) {
    EXPECT_TRANSCRIPT(
        Run([]() -> eio_err * {
            Thermometer t(eio_mock_raise(eio_err_failure("Old default")));
            EIO_TRY(eio_mock_on(&t.on_measure,
                                {eio_mock_yield_then(eio_mock_raise(eio_err_failure("Old")))}));
            return Both(
                [&]() -> eio_err * {
                    eio_err *old = t.Measure();
                    char text[40];
                    eio_traceln("%s", eio_err_str(old, text, sizeof text));
                    eio_err_drop(old);
                    return t.Measure();
                },
                [&]() -> eio_err * {
                    eio_err *replaced = eio_mock_on(&t.on_measure, {eio_mock_return_size(1)});
                    EIO_TRY(replaced);
                    return eio_mock_on_default(&t.on_measure, eio_mock_return_size(2));
                });
        }),
        R"(
+Failure("Old")
+1 degrees
- : unit = ()
)");
}

TEST_F(MockActionTest, ADefaultMayBeReplacedWhileItWaits) {
    EXPECT_TRANSCRIPT(
        Run([]() -> eio_err * {
            Thermometer t(eio_mock_yield_then(eio_mock_raise(eio_err_failure("Old default"))));
            return Both(
                [&] { return t.Measure(); },
                [&] { return eio_mock_on_default(&t.on_measure, eio_mock_return_size(2)); });
        }),
        R"(
Exception: Failure "Old default".
)");
}

TEST_F(MockActionTest, WhatAValuePointsToIsCopied) {
    std::string bytes = "abc", host = "host", service = "service";
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 80);
    eio_mock_value value = {};
    value.bytes = eio_slice_of(bytes.data(), bytes.size());
    value.host = host.c_str();
    value.service = service.c_str();
    value.addrs = &addr;
    value.addr_count = 1;
    Thermometer scripted(eio_mock_return_unit());
    Thermometer defaulted(eio_mock_return_unit());
    ASSERT_EQ(eio_mock_on(&scripted.on_measure, {eio_mock_return(value)}), nullptr);
    ASSERT_EQ(eio_mock_on_default(&defaulted.on_measure, eio_mock_return(value)), nullptr);
    bytes[0] = host[0] = service[0] = '!';
    addr.port = 0;
    for (eio_mock_handler *handler : {&scripted.on_measure, &defaulted.on_measure}) {
        eio_mock_value got;
        ASSERT_EQ(eio_mock_handler_run(handler, &got), nullptr);
        EXPECT_EQ(std::string((const char *)got.bytes.base, got.bytes.len), "abc");
        EXPECT_STREQ(got.host, "host");
        EXPECT_STREQ(got.service, "service");
        ASSERT_EQ(got.addr_count, 1u);
        EXPECT_EQ(got.addrs[0].port, 80);
    }
}

} // namespace
