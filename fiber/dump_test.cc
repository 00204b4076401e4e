// SPDX-License-Identifier: ISC
// The tree of scopes and fibers as text.
#include <cctype>

#include "fiber/testing.h"

using namespace eio_test;

namespace {

class DumpTest : public EioTest {};

/// The dump, its numbers of fibers and of the domain (which depend on what ran before) replaced by N.
std::string Dump() {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_fiber_dump(&sb);
    const std::string text = eio_strbuf_str(&sb);
    eio_strbuf_free(&sb);
    std::string out;
    for (size_t i = 0; i < text.size(); i++) {
        const bool number = isdigit(static_cast<unsigned char>(text[i])) != 0;
        const bool named = out.size() >= 6 &&
                           (out.compare(out.size() - 6, 6, "fiber ") == 0 ||
                            (out.size() >= 7 && out.compare(out.size() - 7, 7, "domain ") == 0));
        if (number && named) {
            out += 'N';
            while (i + 1 < text.size() && isdigit(static_cast<unsigned char>(text[i + 1])) != 0)
                i++;
        } else {
            out += text[i];
        }
    }
    return out;
}

TEST_F(DumpTest, EveryScopeAndFiberStandsInTheTree) {
    RunMock([](eio_switch *sw) -> eio_err * {
        eio_promise *promise;
        eio_promise_resolver *resolver;
        EIO_TRY(eio_promise_create(sw, &promise, &resolver));
        EIO_TRY(Fork(
            sw, [=] { return eio_promise_await(promise, nullptr); }, "waiter"));
        EIO_TRY(Fork(
            sw,
            [=] {
                return SwitchRunProtected([=](eio_switch *inner) -> eio_err * {
                    EIO_TRY(Fork(
                        inner, [=] { return eio_promise_await(promise, nullptr); }, "inner"));
                    EIO_TRY(Fork(inner, [] { return eio_fiber_yield(); }));
                    return nullptr;
                });
            },
            "opener"));
        EIO_TRY(Fork(
            sw, [] { return eioi_sleep_until(1500); }, "sleeper"));
        Print("%s", Dump().c_str());
        eio_promise_resolve(resolver, nullptr);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        domain N, mock, 6 fibers
          scope
            fiber N 'main' runs
            fiber N 'waiter' waits for promise
            fiber N 'sleeper' waits for sleep 1500
            protected scope
              fiber N 'opener' waits for the fibers of its switch
              fiber N 'inner' waits for promise
              fiber N is ready

        +mock time is now 1.5e-06
        - : unit = ()
    )");
}

TEST_F(DumpTest, ACancelledScopeShowsItsReason) {
    RunMock([](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(
            sw, [] { return eio_fiber_await_cancel(); }, "cancelled"));
        eio_switch_fail(sw, eio_err_failure("stop"));
        Print("%s", Dump().c_str());
        return nullptr;
    });
    EXPECT_TRACE(R"(
        domain N, mock, 2 fibers
          scope, Cancelled: Failure("stop")
            fiber N 'main' runs
            fiber N 'cancelled' is ready

        Exception: Failure "stop".
    )");
}

std::string Lines(const std::string &text) {
    return std::to_string(std::count(text.begin(), text.end(), '\n'));
}

eio_err *Nest(int depth) {
    if (depth == 0) {
        eio_traceln("%s lines", Lines(Dump()).c_str());
        return nullptr;
    }
    return CancelSub([depth](eio_cancel *) { return Nest(depth - 1); });
}

TEST_F(DumpTest, DeepTreesAndSiblingsAreWalkedWithoutAStack) {
    RunMock([](eio_switch *sw) -> eio_err * {
        for (int i = 0; i < 3; i++) {
            EIO_TRY(Fork(sw, [] {
                return CancelSub([](eio_cancel *) {
                    return CancelSub([](eio_cancel *) { return eio_fiber_await_cancel(); });
                });
            }));
        }
        // 1 for the domain, 1 for the outer scope, 9 for the three siblings, 100 scopes, and this fiber
        EIO_TRY(Nest(100));
        return eio_err_failure("done");
    });
    EXPECT_TRACE(R"(
        +112 lines
        Exception: Failure "done".
    )");
}

TEST_F(DumpTest, ADumpThatRunsOutOfMemoryIsCut) {
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        Faults faults([](const std::string &) { return ENOMEM; });
        eio_strbuf sb = EIO_STRBUF_INIT;
        eio_fiber_dump(&sb);
        EXPECT_TRUE(sb.failed);
        eio_strbuf_free(&sb);
        return nullptr;
    }));
}

using DumpDeathTest = DumpTest;

TEST_F(DumpDeathTest, OutsideALoopThereIsNothingToDump) {
    EXPECT_DEATH(Dump(), "eio_fiber_dump was called outside a loop");
}

} // namespace
