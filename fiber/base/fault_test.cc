// SPDX-License-Identifier: ISC
#include "fiber/base/fault.h"

#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "fiber/base/testing.h"

using namespace eio_base_test;

namespace {

class FaultTest : public BaseTest {
  protected:
    void Install(int errnum) {
        errnum_ = errnum;
        eioi_fault_hook = &hook_;
    }
    void TearDown() override {
        eioi_fault_hook = nullptr;
        BaseTest::TearDown();
    }
    static int Decide(void *arg, const char *name) {
        auto *self = static_cast<FaultTest *>(arg);
        self->names_.emplace_back(name);
        return self->errnum_;
    }

    struct eioi_fault_hook hook_ = {Decide, this};
    int errnum_ = 0;
    std::vector<std::string> names_;
};

TEST_F(FaultTest, WithoutAHookEveryPointLetsItHappen) {
    EXPECT_FALSE(EIOI_FAULT(accept4));
    EXPECT_EQ(EIOI_SYS(getpid, getpid()), getpid());
}

TEST_F(FaultTest, TheHookSeesThePointByName) {
    Install(0);
    EXPECT_FALSE(EIOI_FAULT(uring_sqe_full));
    EXPECT_EQ(EIOI_SYS(getpid, getpid()), getpid());
    EXPECT_EQ(names_, (std::vector<std::string>{"uring_sqe_full", "getpid"}));
}

TEST_F(FaultTest, AFailingCallIsNotMadeAndHasTheErrno) {
    Install(EMFILE);
    bool called = false;
    errno = 0;
    EXPECT_EQ(EIOI_SYS(accept4, (called = true, 7)), -1);
    EXPECT_FALSE(called);
    EXPECT_EQ(errno, EMFILE);
}

TEST_F(FaultTest, AFailingMappingIsMapFailed) {
    Install(ENOMEM);
    errno = 0;
    EXPECT_EQ(EIOI_SYS_PTR(mmap, nullptr), MAP_FAILED);
    EXPECT_EQ(errno, ENOMEM);
}

} // namespace
