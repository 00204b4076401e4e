// SPDX-License-Identifier: ISC
// What belongs to a domain is used in another thread, and exceptions where nobody catches them: the
// program stops with a sentence.

#include <stdexcept>
#include <thread>

#include "eio/cancel.h"
#include "eio/clock.h"
#include "eio/domain.h"
#include "eio/fd.h"
#include "eio/flow.h"
#include "eio/net.h"
#include "tests/support/real_run.h"

using namespace eio_test;

namespace {

/// What a thread may get hold of.
struct Things {
    eio_switch *sw;
    const eio_env *env;
    eio_stream_socket *a, *b;
};
struct Use {
    const char *name;
    void (*use)(const Things &things);
};

const Use kUses[] = {
    {"yield", [](const Things &) { eio_err_drop(eio_fiber_yield()); }},
    {"sleep", [](const Things &t) { eio_err_drop(eio_mono_clock_sleep(t.env->mono_clock, 1)); }},
    {"read",
     [](const Things &t) {
         char space[4];
         size_t got;
         eio_err_drop(eio_source_single_read(&t.a->flow.source, eio_buf_of(space, 4), &got));
     }},
    {"write", [](const Things &t) { eio_err_drop(eio_flow_copy_string("x", &t.a->flow.sink)); }},
    {"close", [](const Things &t) { eio_flow_close(&t.a->flow); }},
    {"shut down",
     [](const Things &t) { eio_err_drop(eio_flow_shutdown(&t.a->flow, EIO_SHUTDOWN_SEND)); }},
    {"remove",
     [](const Things &t) {
         int fd;
         eio_err_drop(eio_fd_remove(eio_fd_of_flow(&t.a->flow), &fd));
     }},
    {"fail the switch",
     [](const Things &t) { eio_switch_fail(t.sw, eio_err_failure("from afar")); }},
    {"fork",
     [](const Things &t) {
         eio_err_drop(eio_fiber_fork(
             t.sw, [](void *) -> eio_err * { return nullptr; }, nullptr, nullptr));
     }},
};

enum class Where { kThread, kDomain };

/// Runs `use` in another thread; dies of it.
void UseElsewhere(const char *backend, Where where, const Use &use) {
    eio_err_drop(EvalOn(backend, [&](eio_switch *sw, const eio_env *env) -> eio_err * {
        Things things = {sw, env, nullptr, nullptr};
        EIO_TRY(eio_socketpair_stream(sw, &things.a, &things.b));
        if (where == Where::kThread) {
            std::thread(use.use, things).join();
            return nullptr;
        }
        const auto body = [&]() -> eio_err * {
            use.use(things);
            return nullptr;
        };
        return eio_domain_run(env->domain_mgr, Fn<decltype(body)>::Call,
                              Fn<decltype(body)>::Arg(body));
    }));
}

class MisuseTest : public RealTest {
  protected:
    void SetUp() override {
        RealTest::SetUp();
        GTEST_FLAG_SET(death_test_style, "threadsafe");
    }
};
EIO_ON_REAL_BACKENDS(MisuseTest);

TEST_P(MisuseTest, AThreadWithoutALoopIsTold) {
    for (const Use &use : kUses) {
        SCOPED_TRACE(use.name);
        EXPECT_DEATH(UseElsewhere(GetParam(), Where::kThread, use),
                     "eio: .*(outside a loop|wrong domain)");
    }
}

TEST_P(MisuseTest, AnotherDomainIsTold) {
    for (const Use &use : kUses) {
        if (std::string(use.name) == "yield" || std::string(use.name) == "sleep")
            continue; // it has a loop of its own
        SCOPED_TRACE(use.name);
        EXPECT_DEATH(UseElsewhere(GetParam(), Where::kDomain, use),
                     "eio: .*(belongs to the domain|wrong domain)");
    }
}

/// Three frames deep, so that there is something to unwind.
__attribute__((noinline)) eio_err *Throw(int depth) {
    if (depth > 0) {
        eio_err *err = Throw(depth - 1);
        EIO_TRY(err);
        return nullptr;
    }
    throw std::runtime_error("thrown in a fiber");
}

void ThrowInFiber(const char *backend, bool nested) {
    eio_err_drop(EvalOn(backend, [nested](eio_switch *sw, const eio_env *) -> eio_err * {
        if (nested)
            return Fork(sw, [] { return Throw(3); });
        return Throw(3);
    }));
}

TEST_P(MisuseTest, AnExceptionThatLeavesAFiberStopsTheProgramAndIsNamed) {
    for (bool nested : {false, true}) {
        EXPECT_DEATH(ThrowInFiber(GetParam(), nested),
                     "terminate called after throwing(.|\n)*thrown in a fiber");
    }
}

TEST_P(MisuseTest, AnExceptionThatIsCaughtInItsFiberIsNobodysBusiness) {
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        int caught = 0;
        const auto thrower = [&]() -> eio_err * {
            try {
                return Throw(3);
            } catch (const std::runtime_error &) {
                caught++;
                eio_err *err = eio_fiber_yield();
                return err;
            }
        };
        EIO_TRY(Both(thrower, thrower));
        EXPECT_EQ(caught, 2);
        return eio_switch_check(sw);
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

} // namespace
