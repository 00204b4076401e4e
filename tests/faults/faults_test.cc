// SPDX-License-Identifier: ISC

// Every scenario on every backend: whatever fails, nothing is lost. `EIO_FAULTS_STRIDE=1` is each
// call with each errno value that it may have; a larger number is a sample, evenly spread.

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/faults/loop.h"
#include "tests/faults/scenario.h"
#include "tests/support/counts.h"
#include "tests/support/real_run.h"

namespace eio_faults {

std::vector<Scenario> Scenarios() {
    std::vector<Scenario> all;
    for (auto list : {FiberScenarios, FlowScenarios, NetScenarios, NameScenarios, MockScenarios})
        for (const Scenario &scenario : list())
            all.push_back(scenario);
    return all;
}

namespace {

unsigned Stride() {
    const char *text = getenv("EIO_FAULTS_STRIDE");
    const unsigned stride = text == nullptr ? 1 : static_cast<unsigned>(atoi(text));
    return stride < 1 ? 1 : stride * (kSanitized ? 4 : 1);
}

struct Case {
    Scenario scenario;
    const char *backend;
};

void PrintTo(const Case &c, std::ostream *os) {
    *os << c.scenario.name << " on " << c.backend;
}

std::vector<Case> Cases() {
    std::vector<Case> cases;
    for (const Scenario &scenario : Scenarios()) {
        if (scenario.flags & kMock)
            cases.push_back({scenario, "mock"});
        else if (scenario.flags & kAnyBackend)
            cases.push_back({scenario, "any"});
        else
            for (const char *backend : {"uring", "epoll"})
                cases.push_back({scenario, backend});
    }
    return cases;
}

class FaultsTest : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Each, FaultsTest, ::testing::ValuesIn(Cases()), [](const auto &c) {
    return std::string(c.param.scenario.name) + "_" + c.param.backend;
});

TEST_P(FaultsTest, NothingIsLostWhateverFails) {
    const Case &c = GetParam();
    if (std::string(c.backend) == "uring") {
        const std::string why_not = WhyNot("uring");
        if (why_not != "ok")
            GTEST_SKIP() << "no uring here: " << why_not;
    }
    Tally tally = {};
    const std::string wrong = RunLoop(c.scenario, {c.backend, Stride()}, &tally);
    printf("%llu points, %llu errors, %llu coped with\n", tally.points, tally.errors,
           tally.successes);
    EXPECT_EQ(wrong, "");
    EXPECT_GT(tally.points, 0u);
}

} // namespace
} // namespace eio_faults
