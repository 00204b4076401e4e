// SPDX-License-Identifier: ISC
// Very many stacks: what they cost the process in mappings, and where they end.

#include <gtest/gtest.h>

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "eio/fiber.h"
#include "tests/support/counts.h"
#include "tests/support/faults.h"
#include "tests/support/mock_run.h"
#include "tests/support/support.h"

using namespace eio_test;

namespace {

/// How many fibers: an argument of the target, as more need more memory than every machine has.
size_t HowManyStacks() {
    const char *text = std::getenv("EIO_STACKS");
    return text != nullptr ? std::strtoul(text, nullptr, 10) : 100000;
}

size_t Mappings() {
    std::ifstream maps("/proc/self/maps");
    size_t lines = 0;
    for (std::string line; std::getline(maps, line);)
        lines++;
    return lines;
}

size_t AvailableBytes() {
    std::ifstream info("/proc/meminfo");
    for (std::string word; info >> word;) {
        size_t kib = 0;
        if (word == "MemAvailable:" && info >> kib)
            return kib * 1024;
    }
    return 0;
}

/// Whether guards need no mappings of their own here: asks the system for one.
bool GuardsAreFree() {
    bool free = false;
    EXPECT_OK(EvalMock([&](eio_switch *sw) -> eio_err * {
        const size_t before = Mappings();
        for (int i = 0; i < 1000; i++)
            EIO_TRY(Fork(sw, [] { return eio_fiber_yield(); }));
        free = Mappings() - before < 100;
        return nullptr;
    }));
    return free;
}

TEST(StacksTest, VeryManyGuardedFibersTakeFewMappings) {
    const size_t count = HowManyStacks();
    if (kSanitized)
        GTEST_SKIP() << "a sanitizer keeps too much for each";
    if (AvailableBytes() < count * 6000)
        GTEST_SKIP() << count << " fibers need more memory than there is";
    if (!GuardsAreFree())
        GTEST_SKIP() << "this kernel has no guard pages without a mapping";
    size_t alive = 0;
    EXPECT_OK(EvalMock([&](eio_switch *) -> eio_err * {
        const size_t before = Mappings();
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            for (size_t i = 0; i < count; i++) {
                EIO_TRY(Fork(sw, [&]() -> eio_err * {
                    alive++;
                    eio_err *err = eio_fiber_yield();
                    alive--;
                    return err;
                }));
            }
            EXPECT_EQ(alive, count);
            const size_t made = Mappings() - before;
            printf("%zu fibers, %zu mappings more\n", count, made);
            EXPECT_LT(made, 100u * (1 + count / 1000000));
            return nullptr;
        });
    }));
    EXPECT_EQ(alive, 0u);
}

// Guards that take mappings: in a process of its own, since what the kernel lacks it lacks for good.
[[noreturn]] void ForkUntilRefused() {
    size_t count = 0;
    bool room = false, works = false;
    eio_err *refused = nullptr;
    Faults faults([](const std::string &point) { return point == "madvise" ? EINVAL : 0; });
    eio_err *err = EvalMock([&](eio_switch *) -> eio_err * {
        EIO_TRY(SwitchRun([&](eio_switch *sw) -> eio_err * {
            for (; refused == nullptr && count < 200000; count++)
                refused = Fork(sw, [] { return eio_fiber_yield(); });
            void *large = malloc(64 << 20); // takes a mapping
            room = large != nullptr;
            free(large);
            return nullptr;
        }));
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            return Fork(sw, [&]() -> eio_err * {
                works = true;
                return nullptr;
            });
        });
    });
    fprintf(stderr, "%zu fibers, then %s; %s; %s; %s\n", count - 1, TakeText(refused).c_str(),
            room ? "room for others" : "no mapping left", works ? "works again" : "is broken",
            TakeText(err).c_str());
    _exit(count > 1000 ? 0 : 1);
}

TEST(StacksDeathTest, WhereGuardsAreMappingsStacksEndBeforeMappingsDo) {
    std::ifstream file("/proc/sys/vm/max_map_count");
    size_t most = 0;
    file >> most;
    if (kSanitized || most > 200000)
        GTEST_SKIP() << "a sanitizer has mappings of its own, or there are too many to be had";
    EXPECT_EXIT(ForkUntilRefused(), testing::ExitedWithCode(0),
                "then .*Stack_limit.*; room for others; works again; ok");
}

} // namespace
