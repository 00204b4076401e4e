// SPDX-License-Identifier: ISC
// Stacks: their sizes, their guards, the pool, and what happens when there are no more.
#include <csignal>
#include <sys/mman.h>
#include <sys/uio.h>
#include <thread>
#include <unistd.h>

#include <set>

#include "fiber/testing.h"

extern "C" {
#include "fiber/sanitizer.h"
#include "fiber/stack.h"
}

using namespace eio_test;

namespace {

class StackTest : public EioTest {};

constexpr size_t kPage = 4096;

struct Bounds {
    char *low, *high;
    size_t slot() const { return static_cast<size_t>(high - low) + kPage; } // with its guard
    bool operator<(const Bounds &other) const { return low < other.low; }
    bool operator==(const Bounds &other) const { return low == other.low && high == other.high; }
};

Bounds MyStack() {
    eioi_waiter w;
    eioi_waiter_init(&w, "MyStack");
    Bounds b;
    eioi_stack_bounds(w.fiber, &b.low, &b.high);
    return b;
}

/// Whether the system can read `at`; asking does no harm where a look would.
bool Readable(const char *at) {
    char byte;
    iovec to = {&byte, 1};
    iovec from = {const_cast<char *>(at), 1};
    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

bool GuardHolds(const Bounds &b) {
    return !Readable(b.low - 1) && !Readable(b.low - kPage) && Readable(b.low) &&
           Readable(b.high - 1);
}

/// How many pages of it the process holds.
size_t ResidentPages(const Bounds &b) {
    std::vector<unsigned char> in_core(static_cast<size_t>(b.high - b.low) / kPage);
    EXPECT_EQ(mincore(b.low, static_cast<size_t>(b.high - b.low), in_core.data()), 0);
    size_t count = 0;
    for (unsigned char c : in_core)
        count += c & 1;
    return count;
}

/// Uses `kib` KiB of the stack and checks that they keep what is written to them.
__attribute__((noinline)) bool UseStack(size_t kib) {
    volatile unsigned char frame[1024];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = static_cast<unsigned char>(i * kib);
    const bool below = kib <= 1 || UseStack(kib - 1);
    bool same = true;
    for (size_t i = 0; i < sizeof frame; i++)
        same = same && frame[i] == static_cast<unsigned char>(i * kib);
    return below && same;
}

eio_err *ForkWithStack(eio_switch *sw, size_t stack_bytes, std::function<eio_err *()> f) {
    using F = std::function<eio_err *()>;
    auto *copy = new F(std::move(f));
    eio_fork_opts opts = {};
    opts.stack_bytes = stack_bytes;
    eio_err *err = eio_fiber_fork(sw, Fn<F>::CallAndDelete, copy, &opts);
    if (err != nullptr)
        delete copy;
    return err;
}

TEST_F(StackTest, AFiberRunsOnItsStack) {
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        const Bounds b = MyStack();
        volatile char here = 0;
        const auto at = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
        EXPECT_EQ(here, 0);
        EXPECT_GT(at, reinterpret_cast<uintptr_t>(b.low));
        EXPECT_LT(at, reinterpret_cast<uintptr_t>(b.high));
        EXPECT_EQ(b.slot(), static_cast<size_t>(EIOI_STACK_DEFAULT));
        return nullptr;
    }));
}

TEST_F(StackTest, AStackHasAtLeastTheSizeThatIsAskedForAndCanBeUsed) {
    const std::pair<size_t, size_t> sizes[] = {
        {1, 16 << 10},          {16 << 10, 16 << 10}, {(16 << 10) + 1, 32 << 10},
        {100 << 10, 128 << 10}, {1 << 20, 1 << 20},   {10 << 20, 16 << 20}};
    EXPECT_OK(EvalMock([&](eio_switch *sw) -> eio_err * {
        for (auto [asked, given] : sizes) {
            EIO_TRY(ForkWithStack(sw, asked, [given = given]() -> eio_err * {
                EXPECT_EQ(MyStack().slot(), given);
                // Half of it: the guard and the fiber's record take their part. A sanitizer's frames are larger.
                EXPECT_TRUE(UseStack(given / 1024 * (kSanitized ? 2 : 5) / 10));
                return nullptr;
            }));
        }
        return nullptr;
    }));
}

TEST_F(StackTest, TheLoopsDefaultCanBeSet) {
    TestLoop loop;
    EXPECT_OK(loop.Run(
        []() -> eio_err * {
            EXPECT_EQ(MyStack().slot(), size_t{1} << 20);
            return nullptr;
        },
        size_t{1} << 20));
}

TEST_F(StackTest, AStackThatIsTooLargeIsAnError) {
    EXPECT_OK(EvalMock([](eio_switch *sw) -> eio_err * {
        for (size_t bytes : {(size_t{1} << 30) + 1, SIZE_MAX}) {
            eio_err *err = ForkWithStack(sw, bytes, [] { return eio_err_failure("was run"); });
            if (!eio_err_catch(&err, &eio_err_invalid_argument))
                return err != nullptr ? err : eio_err_failure("%zu bytes were given", bytes);
        }
        return nullptr;
    }));
}

/// The stacks of `count` fibers that all live at once, each having used a little.
std::set<Bounds> StacksOf(size_t count, size_t stack_bytes = 0, size_t kib = 8) {
    std::set<Bounds> stacks;
    EXPECT_OK(SwitchRun([&](eio_switch *sw) -> eio_err * {
        for (size_t i = 0; i < count; i++) {
            EIO_TRY(ForkWithStack(sw, stack_bytes, [&, kib]() -> eio_err * {
                stacks.insert(MyStack());
                EXPECT_TRUE(UseStack(kib));
                return eio_fiber_yield();
            }));
        }
        return nullptr;
    }));
    return stacks;
}

TEST_F(StackTest, EveryStackHasItsGuard) {
    const size_t count = HowMany(kFibers);
    EXPECT_OK(EvalMock([&](eio_switch *) -> eio_err * {
        for (size_t bytes : {size_t{16} << 10, size_t{0}, size_t{1} << 20}) {
            const std::set<Bounds> stacks = StacksOf(bytes > 0 ? 100 : count, bytes, 4);
            EXPECT_EQ(stacks.size(), bytes > 0 ? 100 : count);
            for (const Bounds &b : stacks)
                if (!GuardHolds(b))
                    return eio_err_failure("no guard");
        }
        return nullptr;
    }));
}

TEST_F(StackTest, AFreedStackIsUsedAgainFirst) {
    EXPECT_OK(EvalMock([](eio_switch *sw) -> eio_err * {
        std::set<Bounds> stacks;
        for (int i = 0; i < 1000; i++) {
            EIO_TRY(Fork(sw, [&]() -> eio_err * {
                stacks.insert(MyStack());
                return nullptr;
            }));
        }
        EXPECT_EQ(stacks.size(), 1u) << "each was free before the next fork";
        return nullptr;
    }));
}

TEST_F(StackTest, SizesDontShareStacks) {
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        for (size_t bytes : {size_t{16} << 10, size_t{32} << 10, size_t{16} << 10}) {
            const std::set<Bounds> stacks = StacksOf(100, bytes, 4);
            EXPECT_EQ(stacks.size(), 100u);
            for (const Bounds &b : stacks)
                EXPECT_EQ(b.slot(), bytes);
        }
        return nullptr;
    }));
}

TEST_F(StackTest, ALoopsStacksAreUnmappedAtItsEnd) {
    Bounds b = {};
    EXPECT_OK(EvalMock([&](eio_switch *) -> eio_err * {
        b = MyStack();
        (void)StacksOf(300);
        return nullptr;
    }));
    EXPECT_FALSE(Readable(b.high - 1));
}

// --- Trimming ------------------------------------------------------------------------------------

size_t ResidentPages(const std::set<Bounds> &stacks) {
    size_t count = 0;
    for (const Bounds &b : stacks)
        count += ResidentPages(b);
    return count;
}

TEST_F(StackTest, StacksThatNobodyNeedsGiveTheirPagesBackAndStayUsable) {
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        eioi_sched *s = eioi_sched_current();
        EXPECT_FALSE(eioi_stack_has_idle(s));
        const std::set<Bounds> stacks = StacksOf(300);
        EXPECT_TRUE(eioi_stack_has_idle(s));
        const size_t before = ResidentPages(stacks);
        EXPECT_GE(before, 300u * 2);
        eioi_stack_trim(s); // they were in use since the last time
        EXPECT_EQ(ResidentPages(stacks), before);
        eioi_stack_trim(s);
        EXPECT_FALSE(eioi_stack_has_idle(s));
        const size_t after = ResidentPages(stacks);
        EXPECT_LE(after, before / 300 * 64 + 64) << "64 are kept";
        for (const Bounds &b : stacks)
            EXPECT_TRUE(GuardHolds(b));
        EXPECT_EQ(StacksOf(300), stacks) << "all of them are used again before there are new ones";
        return nullptr;
    }));
}

TEST_F(StackTest, StacksInConstantUseAreNotTrimmed) {
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        eioi_sched *s = eioi_sched_current();
        const std::set<Bounds> stacks = StacksOf(300);
        const size_t before = ResidentPages(stacks);
        eioi_stack_trim(s);
        for (int i = 0; i < 5; i++) {
            (void)StacksOf(200);
            eioi_stack_trim(s);
            EXPECT_TRUE(eioi_stack_has_idle(s));
        }
        // 200 were needed each time; the other 100 have gone.
        EXPECT_NEAR(static_cast<double>(ResidentPages(stacks)), static_cast<double>(before) * 2 / 3,
                    50);
        return nullptr;
    }));
}

TEST_F(StackTest, TrimmingManyTimesAndReusingKeepsEveryStackWhole) {
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        eioi_sched *s = eioi_sched_current();
        const std::set<Bounds> all = StacksOf(500);
        for (size_t i = 0; i < 20; i++) {
            for (const Bounds &b : StacksOf(17 * i))
                EXPECT_EQ(all.count(b), 1u);
            eioi_stack_trim(s);
            eioi_stack_trim(s);
        }
        EXPECT_EQ(StacksOf(500), all);
        return nullptr;
    }));
}

// The last fiber to end runs the loop on the stack that it has given back.
TEST_F(StackTest, AnIdleLoopTrimsByItselfAlsoFromAStackThatIsFreeAlready) {
    TestLoop loop;
    loop.PretendToBeReal();
    std::set<Bounds> stacks;
    size_t most = 0;
    loop.on_poll = [&] { most = std::max(most, ResidentPages(stacks)); };
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            for (size_t i = 0; i < 300; i++) {
                EIO_TRY(Fork(sw, [&]() -> eio_err * {
                    stacks.insert(MyStack());
                    EXPECT_TRUE(UseStack(8));
                    return eioi_sleep_until(EIO_SECOND);
                }));
            }
            EIO_TRY(eioi_sleep_until(60 * EIO_SECOND));
            EXPECT_GE(most, 300u * 2);
            EXPECT_LE(ResidentPages(stacks), 64u * 5 + 64);
            loop.on_poll = nullptr;
            const unsigned polls = loop.polls;
            EIO_TRY(eioi_sleep_until(6000 * EIO_SECOND));
            EXPECT_LE(loop.polls - polls, 2u)
                << "with nothing left to give back there is nothing to wake for";
            return nullptr;
        });
    }));
    EXPECT_OK(EvalMock([](eio_switch *) { return eio_fiber_yield(); }));
}

TEST_F(StackTest, ALoopThatSpinsAndAlwaysFindsSomethingTrims) {
    TestLoop loop;
    loop.PretendToBeReal();
    loop.step = EIO_SECOND;
    loop.spin_ns = 2 * EIO_SECOND;
    loop.busy_polls = 1000000;
    std::set<Bounds> stacks;
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            for (size_t i = 0; i < 300; i++) {
                EIO_TRY(Fork(sw, [&]() -> eio_err * {
                    stacks.insert(MyStack());
                    EXPECT_TRUE(UseStack(8));
                    return eioi_sleep_until(EIO_SECOND);
                }));
            }
            EIO_TRY(eioi_sleep_until(60 * EIO_SECOND));
            EXPECT_EQ(loop.sleeps, 0u);
            EXPECT_LE(ResidentPages(stacks), 64u * 5 + 64);
            return nullptr;
        });
    }));
}

// --- Without memory ------------------------------------------------------------------------------

/// Forks with the system call `name` failing; the error, and whether a fork works afterwards.
std::string ForkWithout(const std::string &name, int errnum, size_t stack_bytes) {
    std::string result;
    EXPECT_OK(EvalMock([&](eio_switch *sw) -> eio_err * {
        eio_err *err;
        {
            Faults faults([&](const std::string &point) { return point == name ? errnum : 0; });
            err = ForkWithStack(sw, stack_bytes, [] { return eio_err_failure("was run"); });
        }
        result = TakeText(err);
        return ForkWithStack(sw, stack_bytes, []() -> eio_err * {
            EXPECT_TRUE(GuardHolds(MyStack()));
            return nullptr;
        });
    }));
    return result;
}

TEST_F(StackTest, NoAddressSpaceIsStackLimit) {
    EXPECT_EQ(ForkWithout("mmap", ENOMEM, size_t{1} << 20),
              Text(eio_err_const(&eio_err_stack_limit)));
}

TEST_F(StackTest, NoMemoryForAGuardIsStackLimit) {
    EXPECT_EQ(ForkWithout("madvise", ENOMEM, size_t{1} << 20),
              Text(eio_err_const(&eio_err_stack_limit)));
}

TEST_F(StackTest, NoMemoryForASlabsRecordIsOutOfMemory) {
    EXPECT_EQ(ForkWithout("alloc", ENOMEM, size_t{1} << 20),
              Text(eio_err_const(&eio_err_out_of_memory)));
}

TEST_F(StackTest, WhenALargeMappingIsRefusedSmallerOnesAreTried) {
    EXPECT_OK(EvalMock([&](eio_switch *sw) -> eio_err * {
        unsigned refused = 0;
        Faults faults([&](const std::string &point) {
            return point == "mmap" && ++refused <= 3 ? ENOMEM : 0;
        });
        EIO_TRY(ForkWithStack(sw, size_t{1} << 20, [] { return eio_fiber_yield(); }));
        EXPECT_EQ(refused, 4u) << "the fourth one worked";
        return ForkWithStack(sw, size_t{1} << 20, [] { return eio_fiber_yield(); });
    }));
}

// What isn't there stays not there, for the whole process: so in a process of its own.
[[noreturn]] void CheckFallback() {
    unsigned asked = 0, protected_ = 0;
    bool ok = true;
    eio_err *err = EvalMock([&](eio_switch *sw) -> eio_err * {
        Faults faults([&](const std::string &point) {
            asked += point == "madvise";
            protected_ += point == "mprotect";
            return point == "madvise" ? EINVAL : 0;
        });
        for (int i = 0; i < 200; i++) {
            EIO_TRY(ForkWithStack(sw, size_t{128} << 10, [&]() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                ok = ok && GuardHolds(MyStack()) && UseStack(8);
                return nullptr;
            }));
        }
        return nullptr;
    });
    ok = ok && err == nullptr && asked <= 1 && protected_ == 200;
    fprintf(stderr, "%s, madvise %u times, mprotect %u times, guards %s\n", TakeText(err).c_str(),
            asked, protected_, ok ? "hold" : "don't");
    _exit(ok ? 0 : 1);
}

[[noreturn]] void CheckFallbackWithoutMemory() {
    eio_err *refused = nullptr;
    eio_err *err = EvalMock([&](eio_switch *sw) -> eio_err * {
        {
            Faults faults([](const std::string &point) {
                return point == "madvise" ? EINVAL : point == "mprotect" ? ENOMEM : 0;
            });
            refused =
                ForkWithStack(sw, size_t{128} << 10, [] { return eio_err_failure("was run"); });
        }
        return ForkWithStack(sw, size_t{128} << 10, []() -> eio_err * {
            return GuardHolds(MyStack()) ? nullptr : eio_err_failure("no guard");
        });
    });
    fprintf(stderr, "%s, then %s\n", TakeText(refused).c_str(), TakeText(err).c_str());
    _exit(0);
}

using StackDeathTest = StackTest;

TEST_F(StackDeathTest, WithoutGuardPagesOfTheKernelsMprotectMakesThem) {
    EXPECT_EXIT(CheckFallback(), testing::ExitedWithCode(0), "mprotect 200 times, guards hold");
}

TEST_F(StackDeathTest, TooManyMappingsIsStackLimit) {
    EXPECT_EXIT(CheckFallbackWithoutMemory(), testing::ExitedWithCode(0), "Stack_limit, then ok");
}

// --- Overflow ------------------------------------------------------------------------------------

TEST_F(StackTest, AFaultInAGuardNamesTheFiber) {
    EXPECT_OK(EvalMock([](eio_switch *sw) -> eio_err * {
        return Fork(
            sw,
            []() -> eio_err * {
                const Bounds b = MyStack();
                char text[200];
                for (const char *at : {b.low - 1, b.low - kPage}) {
                    EXPECT_TRUE(eioi_stack_describe_fault(at, text, sizeof text));
                    EXPECT_EQ(std::string(text), "eio: fiber " + std::to_string(eio_fiber_id()) +
                                                     " 'deep' overflowed its stack of " +
                                                     std::to_string(EIOI_STACK_DEFAULT / 1024) +
                                                     " KiB\n");
                }
                EXPECT_FALSE(eioi_stack_describe_fault(b.low, text, sizeof text))
                    << "the stack itself";
                EXPECT_FALSE(eioi_stack_describe_fault(nullptr, text, sizeof text));
                EXPECT_FALSE(eioi_stack_describe_fault(&b, text, sizeof text));
                bool elsewhere = true;
                std::thread([&] {
                    elsewhere = eioi_stack_describe_fault(b.low - 1, text, sizeof text);
                }).join();
                EXPECT_FALSE(elsewhere) << "not one of that thread's";
                return nullptr;
            },
            "deep");
    }));
    char text[200];
    EXPECT_FALSE(eioi_stack_describe_fault(text, text, sizeof text)) << "outside a loop";
}

void NameAndExit(int, siginfo_t *info, void *) {
    char text[200];
    if (!eioi_stack_describe_fault(info->si_addr, text, sizeof text))
        strcpy(text, "a fault elsewhere\n");
    const ssize_t n = write(STDERR_FILENO, text, strlen(text));
    _exit(n > 0 ? 3 : 4);
}

__attribute__((noinline)) size_t Overflow(size_t depth) {
    volatile char frame[256];
    frame[0] = static_cast<char>(depth);
    return depth == SIZE_MAX ? 0 : Overflow(depth + 1) + static_cast<size_t>(frame[0]);
}

[[noreturn]] void OverflowWithHandler() {
    static char alternate[64 << 10];
    stack_t stack = {};
    stack.ss_sp = alternate;
    stack.ss_size = sizeof alternate;
    struct sigaction action = {};
    action.sa_sigaction = NameAndExit;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    if (sigaltstack(&stack, nullptr) != 0 || sigaction(SIGSEGV, &action, nullptr) != 0)
        _exit(5);
    eio_err_drop(EvalMock([](eio_switch *sw) -> eio_err * {
        return Fork(
            sw, []() -> eio_err * { return Overflow(0) == 0 ? eio_err_failure("0") : nullptr; },
            "runs away");
    }));
    _exit(6);
}

TEST_F(StackDeathTest, AFiberThatRunsAwayIsStoppedByItsGuardAndNamed) {
    if (kSanitized)
        GTEST_SKIP() << "the sanitizer has the fault";
    EXPECT_EXIT(OverflowWithHandler(), testing::ExitedWithCode(3),
                "eio: fiber [0-9]+ 'runs away' overflowed its stack of 64 KiB");
}

TEST_F(StackDeathTest, ATouchOfTheGuardIsAFault) {
    EXPECT_DEATH(eio_err_drop(EvalMock([](eio_switch *) -> eio_err * {
                     *const_cast<volatile char *>(MyStack().low - 1) = 1;
                     return nullptr;
                 })),
                 "");
}

} // namespace
