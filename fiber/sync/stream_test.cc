// SPDX-License-Identifier: ISC
#include "eio/stream.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/support/mock_run.h"

using namespace eio_test;

namespace {

/// Items are small numbers.
void *Item(intptr_t n) {
    return reinterpret_cast<void *>(n);
}
int Number(void *item) {
    return static_cast<int>(reinterpret_cast<intptr_t>(item));
}

class StreamTest : public EioTest {
  protected:
    template <class F> void Run(size_t capacity, F f) {
        RunMock([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(eio_stream_create(sw, capacity, &stream_));
            return f(sw);
        });
    }
    eio_err *Add(int n) {
        eio_traceln("add %d", n);
        EIO_TRY(eio_stream_add(stream_, Item(n)));
        eio_traceln("added %d", n);
        return nullptr;
    }
    eio_err *Take() {
        eio_traceln("take");
        void *item;
        EIO_TRY(eio_stream_take(stream_, &item));
        eio_traceln("took %d", Number(item));
        return nullptr;
    }
    /// Takes without waiting; -1: there was none.
    int Poll() {
        void *item = nullptr;
        return eio_stream_take_nonblocking(stream_, &item) ? Number(item) : -1;
    }

    eio_stream *stream_ = nullptr;
};

TEST_F(StreamTest, ItemsComeOutInTheOrderInWhichTheyWentIn) {
    Run(3, [&](eio_switch *) -> eio_err * {
        for (int round = 0; round < 4; round++) { // so that the ring goes round
            for (int i = 1; i <= 2; i++)
                EIO_TRY(eio_stream_add(stream_, Item(10 * round + i)));
            EXPECT_EQ(eio_stream_length(stream_), 2u);
            for (int i = 1; i <= 2; i++)
                EXPECT_EQ(Poll(), 10 * round + i);
        }
        EXPECT_EQ(Poll(), -1);
        EXPECT_TRUE(eio_stream_is_empty(stream_));
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(StreamTest, AddingToAFullOneWaitsForATake) {
    Run(1, [&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [&]() -> eio_err * {
            for (int i = 1; i <= 3; i++)
                EIO_TRY(Add(i));
            return nullptr;
        }));
        for (int i = 0; i < 3; i++)
            EIO_TRY(Take());
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +add 1
      +added 1
      +add 2
      +take
      +took 1
      +take
      +took 2
      +take
      +added 2
      +add 3
      +added 3
      +took 3
      - : unit = ()
    )");
}

TEST_F(StreamTest, TakingFromAnEmptyOneWaitsForAnAdd) {
    Run(2, [&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [&]() -> eio_err * {
            for (int i = 1; i <= 3; i++)
                EIO_TRY(Take());
            return nullptr;
        }));
        for (int i = 1; i <= 3; i++)
            EIO_TRY(Add(i));
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +take
      +add 1
      +added 1
      +add 2
      +added 2
      +add 3
      +added 3
      +took 1
      +take
      +took 2
      +take
      +took 3
      - : unit = ()
    )");
}

TEST_F(StreamTest, TakersAreServedInTheOrderInWhichTheyCame) {
    Run(5, [&](eio_switch *sw) -> eio_err * {
        for (const char *name : {"a", "b"})
            EIO_TRY(Fork(sw, [this, name]() -> eio_err * {
                void *item;
                EIO_TRY(eio_stream_take(stream_, &item));
                eio_traceln("%s took %d", name, Number(item));
                return nullptr;
            }));
        EIO_TRY(Add(1));
        EXPECT_EQ(eio_stream_length(stream_), 0u) << "given to a, not stored";
        EXPECT_EQ(Poll(), -1);
        EIO_TRY(Add(2));
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +add 1
      +added 1
      +add 2
      +added 2
      +a took 1
      +b took 2
      - : unit = ()
    )");
}

TEST_F(StreamTest, WaitingAddersGetInInTheOrderInWhichTheyCame) {
    Run(1, [&](eio_switch *sw) -> eio_err * {
        for (int i = 1; i <= 3; i++)
            EIO_TRY(Fork(sw, [&, i] { return Add(i); }));
        EXPECT_EQ(eio_stream_length(stream_), 1u);
        EXPECT_EQ(Poll(), 1);
        EXPECT_EQ(eio_stream_length(stream_), 1u) << "2 has taken the room";
        EXPECT_EQ(Poll(), 2);
        EXPECT_EQ(Poll(), 3);
        EXPECT_EQ(Poll(), -1);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +add 1
      +added 1
      +add 2
      +add 3
      +added 2
      +added 3
      - : unit = ()
    )");
}

TEST_F(StreamTest, ACancelledAddHasAddedNothing) {
    Run(1, [&](eio_switch *) -> eio_err * {
        EIO_TRY(Add(1));
        EIO_TRY(First([&] { return Add(2); }, [] { return static_cast<eio_err *>(nullptr); }));
        EXPECT_EQ(Poll(), 1);
        EXPECT_EQ(Poll(), -1);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +add 1
      +added 1
      +add 2
      - : unit = ()
    )");
}

TEST_F(StreamTest, ACancelledTakeHasTakenNothing) {
    Run(1, [&](eio_switch *) -> eio_err * {
        EIO_TRY(First([&] { return Take(); }, [] { return static_cast<eio_err *>(nullptr); }));
        EIO_TRY(Add(1));
        EXPECT_EQ(Poll(), 1);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +take
      +add 1
      +added 1
      - : unit = ()
    )");
}

/// Runs `f` in a fiber of `sw`, which `*out_cc` cancels.
template <class F> eio_err *ForkCancellable(eio_switch *sw, eio_cancel **out_cc, F f) {
    return Fork(sw, [=] {
        return CancelSub([=](eio_cancel *cc) -> eio_err * {
            *out_cc = cc;
            return f();
        });
    });
}

TEST_F(StreamTest, ATakerThatWasGivenAnItemHasItEvenIfCancelledBeforeItRuns) {
    for (size_t capacity : {size_t{0}, size_t{1}})
        Run(capacity, [&](eio_switch *sw) -> eio_err * {
            eio_cancel *cc = nullptr;
            EIO_TRY(ForkCancellable(sw, &cc, [&] { return Take(); }));
            EIO_TRY(Add(1));
            eio_cancel_cancel(cc, eio_err_failure("too late"));
            return nullptr;
        });
    EXPECT_TRACE(R"(
      +take
      +add 1
      +added 1
      +took 1
      - : unit = ()
      +take
      +add 1
      +added 1
      +took 1
      - : unit = ()
    )");
}

TEST_F(StreamTest, AnAdderWhoseItemWasTakenHasSucceededEvenIfCancelledBeforeItRuns) {
    for (size_t capacity : {size_t{0}, size_t{1}})
        Run(capacity, [&](eio_switch *sw) -> eio_err * {
            eio_cancel *cc = nullptr;
            for (size_t i = 0; i < capacity; i++)
                EIO_TRY(eio_stream_add(stream_, Item(9)));
            EIO_TRY(ForkCancellable(sw, &cc, [&] { return Add(1); }));
            EIO_TRY(Take());
            eio_cancel_cancel(cc, eio_err_failure("too late"));
            return nullptr;
        });
    EXPECT_TRACE(R"(
      +add 1
      +take
      +took 1
      +added 1
      - : unit = ()
      +add 1
      +take
      +took 9
      +added 1
      - : unit = ()
    )");
}

TEST_F(StreamTest, WhatNeedsNoWaitNeitherTakesATurnNorLooksAtCancellation) {
    Run(1, [&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, []() -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            eio_traceln("another fiber");
            return nullptr;
        }));
        return CancelSub([&](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, eio_err_failure("x"));
            EIO_TRY(Add(1));
            EIO_TRY(Take());
            return Take();
        });
    });
    EXPECT_TRACE(R"(
      +add 1
      +added 1
      +take
      +took 1
      +take
      +another fiber
      Exception: Cancelled: Failure("x")
    )");
}

// --- Rendezvous ----------------------------------------------------------------------------------

TEST_F(StreamTest, WithCapacityZeroAnAddWaitsUntilItsItemIsTaken) {
    Run(0, [&](eio_switch *sw) -> eio_err * {
        for (int i = 1; i <= 2; i++)
            EIO_TRY(Fork(sw, [&, i] { return Add(i); }));
        EXPECT_EQ(eio_stream_length(stream_), 0u);
        EXPECT_TRUE(eio_stream_is_empty(stream_));
        EIO_TRY(Take());
        EXPECT_EQ(Poll(), 2);
        EXPECT_EQ(Poll(), -1);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +add 1
      +add 2
      +take
      +took 1
      +added 1
      +added 2
      - : unit = ()
    )");
}

TEST_F(StreamTest, WithCapacityZeroAnAddGoesToAWaitingTakerAtOnce) {
    Run(0, [&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [&] { return Take(); }));
        EIO_TRY(Add(1));
        eio_traceln("goes on");
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +take
      +add 1
      +added 1
      +goes on
      +took 1
      - : unit = ()
    )");
}

TEST_F(StreamTest, WithCapacityZeroACancelledWaitIsOutOfTheQueue) {
    Run(0, [&](eio_switch *sw) -> eio_err * {
        EIO_TRY(First([&] { return Add(1); }, [] { return static_cast<eio_err *>(nullptr); }));
        EXPECT_EQ(Poll(), -1);
        EIO_TRY(First([&] { return Take(); }, [] { return static_cast<eio_err *>(nullptr); }));
        EIO_TRY(Fork(sw, [&] { return Add(2); }));
        EXPECT_EQ(Poll(), 2);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +add 1
      +take
      +add 2
      +added 2
      - : unit = ()
    )");
}

TEST_F(StreamTest, ATooLargeCapacityIsOutOfMemory) {
    EXPECT_ERR(
        EvalMock([&](eio_switch *sw) { return eio_stream_create(sw, SIZE_MAX / 4, &stream_); }),
        &eio_err_out_of_memory);
    EXPECT_ERR(
        EvalMock([&](eio_switch *sw) { return eio_stream_create(sw, SIZE_MAX / 8, &stream_); }),
        &eio_err_out_of_memory);
}

} // namespace
