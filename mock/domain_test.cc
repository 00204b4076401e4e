// SPDX-License-Identifier: ISC
#include "eio/mock/domain.h"

#include "mock/test_support.h"

namespace {

class MockDomainTest : public MockTest {
  protected:
    /** Runs `fn(mgr)` as fake domain 0 in a mock loop. */
    template <typename F> std::string RunDomains(F fn) {
        return Run(
            [&] { return eio_mock_domain_mgr_run(CallLambdaWith<F, eio_domain_mgr *>, &fn); });
    }
};

template <typename F> eio_err *RunIn(eio_domain_mgr *mgr, F fn) {
    return eio_domain_run(mgr, CallLambda<F>, &fn);
}

eio_err *Say(const char *text) {
    eio_traceln("%s", text);
    return nullptr;
}

TEST_F(MockDomainTest, NumbersCountTheCallsNestedOnesIncluded) {
    EXPECT_TRANSCRIPT(RunDomains([](eio_domain_mgr *mgr) -> eio_err * {
                          eio_traceln("main");
                          auto nested = [=]() -> eio_err * {
                              eio_traceln("outer");
                              EIO_TRY(RunIn(mgr, [] { return Say("inner"); }));
                              return Say("outer again");
                          };
                          EIO_TRY(RunIn(mgr, nested));
                          EIO_TRY(RunIn(mgr, [] { return Say("third"); }));
                          return Say("main again");
                      }),
                      R"(
+[0] main
+[1] outer
+[2] inner
+[1] outer again
+[3] third
+[0] main again
- : unit = ()
)");
}

TEST_F(MockDomainTest, AForkedFiberHasTheNumberOfWhoForkedIt) {
    EXPECT_TRANSCRIPT(RunDomains([](eio_domain_mgr *mgr) {
                          return SwitchRun([=](eio_switch *outer) -> eio_err * {
                              auto child = []() -> eio_err * {
                                  EIO_TRY(eio_fiber_yield());
                                  return Say("child");
                              };
                              // The child outlives the fake domain that forked it.
                              EIO_TRY(RunIn(mgr, [=] { return Fork(outer, child); }));
                              return Say("domain 1 has ended");
                          });
                      }),
                      R"(
+[1] child
+[0] domain 1 has ended
- : unit = ()
)");
}

TEST_F(MockDomainTest, TheCallerWaitsForTheResult) {
    EXPECT_TRANSCRIPT(RunDomains([](eio_domain_mgr *mgr) {
                          return RunIn(mgr, [] { return eio_err_failure("Simulated error"); });
                      }),
                      R"(
Exception: Failure "Simulated error".
)");
}

TEST_F(MockDomainTest, CancellingTheCallerCancelsTheDomain) {
    EXPECT_TRANSCRIPT(RunDomains([](eio_domain_mgr *mgr) {
                          return Both(
                              [=] {
                                  return RunIn(mgr, []() -> eio_err * {
                                      eio_err *err = eio_fiber_await_cancel();
                                      char text[100];
                                      eio_traceln("%s", eio_err_str(err, text, sizeof text));
                                      return err;
                                  });
                              },
                              [] { return eio_err_failure("Simulated error"); });
                      }),
                      R"(
+[1] Cancelled: Failure("Simulated error")
Exception: Failure "Simulated error".
)");
}

// A helper fiber per fake domain, as a real one has: so the caller gives others a turn before it
// goes on.
TEST_F(MockDomainTest, LeavingADomainTakesATurn) {
    EXPECT_TRANSCRIPT(RunDomains([](eio_domain_mgr *mgr) {
                          return Both(
                              [=]() -> eio_err * {
                                  EIO_TRY(RunIn(mgr, [] { return Say("in"); }));
                                  return Say("out");
                              },
                              [] { return Say("other"); });
                      }),
                      R"(
+[1] in
+[0] other
+[0] out
- : unit = ()
)");
}

TEST_F(MockDomainTest, WithoutTracingThereIsNoPrefix) {
    EXPECT_TRANSCRIPT(
        RunFull([](const eio_env *env) -> eio_err * {
            EIO_TRY(RunIn(env->domain_mgr, [] { return Say("quiet"); }));
            auto traced = [=] { return RunIn(env->domain_mgr, [] { return Say("traced"); }); };
            return eio_mock_with_domain_tracing(CallLambda<decltype(traced)>, &traced);
        }),
        R"(
+quiet
+[2] traced
- : unit = ()
)");
}

TEST_F(MockDomainTest, AManagerOutsideOfARunIsTheCallers) {
    eio_domain_mgr *mgr;
    ASSERT_EQ(eio_mock_domain_mgr_create(&mgr), nullptr);
    EXPECT_TRANSCRIPT(Run([=] { return RunIn(mgr, [] { return Say("in"); }); }), R"(
+in
- : unit = ()
)");
    eio_mock_domain_mgr_destroy(mgr);
    eio_mock_domain_mgr_destroy(nullptr);
}

} // namespace
