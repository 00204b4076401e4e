// SPDX-License-Identifier: ISC
#include "backends/uring/uring_run.h"

using namespace eio_test;

class RingTest : public EioTest {
  protected:
    static std::string CreateError() {
        eioi_uring *uring = nullptr;
        eio_err *err = eioi_uring_create(&uring);
        eioi_uring_destroy(uring);
        return TakeText(err);
    }
    /// An exchange on a fresh loop.
    static void ExpectWorks() {
        EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
            HalfRaw pair;
            EIO_TRY(pair.Open(sw));
            EXPECT_OK(Both([&] { return pair.Read(); },
                           [&]() -> eio_err * {
                               EIO_TRY(eioi_sleep_until(eioi_now() + 100000));
                               pair.Send("x");
                               return nullptr;
                           }));
            return nullptr;
        }));
    }
};

TEST_F(RingTest, ARefusalSaysWhatMayHaveRefused) {
    FaultPlan faults;
    faults.Fail("io_uring_setup", EPERM);
    EXPECT_NE(CreateError().find("not permitted ("), std::string::npos);
    faults.Fail("io_uring_setup", ENOSYS);
    EXPECT_NE(CreateError().find("the kernel doesn't have it"), std::string::npos);
    faults.Fail("io_uring_setup", EINVAL, 1, 100);
    EXPECT_NE(CreateError().find("the kernel is too old"), std::string::npos);
    faults.Fail("io_uring_setup", ENOMEM, 1, 1000);
    faults.Fail("nanosleep", EINTR, 1, 1000);
    EXPECT_NE(CreateError().find("ulimit -l"), std::string::npos);
    faults.Fail("io_uring_setup", EMFILE);
    EXPECT_NE(CreateError().find("Too many open files"), std::string::npos);
}

TEST_F(RingTest, EachStepOfCreationGivesBackThoseBefore) {
    FaultPlan faults;
    faults.Fail("eventfd", EMFILE);
    EXPECT_NE(CreateError().find("eventfd: Too many open files"), std::string::npos);
    faults.Fail("io_uring_register", EINVAL);
    EXPECT_NE(CreateError().find("io_uring_register: Invalid argument"), std::string::npos);
}

TEST_F(RingTest, AKernelWithoutTheNewestFlagsWillDo) {
    for (int unknown_sets : {1, 2}) {
        FaultPlan faults;
        faults.Fail("io_uring_setup", EINVAL, 1, unknown_sets);
        ExpectWorks();
        EXPECT_EQ(faults.Count("io_uring_setup"), unknown_sets + 1);
    }
}

TEST_F(RingTest, WithLittleMemoryTheQueuesAreSmaller) {
    FaultPlan faults;
    faults.Fail("io_uring_setup", ENOMEM, 1, 2); // 256 and 128
    ExpectWorks();
    EXPECT_EQ(faults.Count("io_uring_setup"), 3);
}

TEST_F(RingTest, MemoryThatClosedRingsGiveBackLateIsWaitedFor) {
    FaultPlan faults;
    faults.Fail("io_uring_setup", ENOMEM, 1, 7); // three sizes, twice, and the largest
    ExpectWorks();
    EXPECT_EQ(faults.Count("io_uring_setup"), 8);
    EXPECT_EQ(faults.Count("nanosleep"), 2);
}

TEST_F(RingTest, MemoryThatNeverComesIsWaitedForABoundedTime) {
    FaultPlan faults;
    faults.Fail("io_uring_setup", ENOMEM, 1, 1000);
    faults.Fail("nanosleep", EINTR, 1, 1000);
    EXPECT_NE(CreateError().find("no memory for the queues"), std::string::npos);
    EXPECT_EQ(faults.Count("nanosleep"), 8);
}

TEST_F(RingTest, AThreadMayRunOneLoopAfterAnother) {
    for (int i = 0; i < 20; i++)
        ExpectWorks();
}
