// SPDX-License-Identifier: ISC

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "resolver/testing.h"

extern "C" {
#include "fiber/base/list.h"
#include "resolver/file_cache.h"
}

namespace eio_resolver_test {
namespace {

const int64_t kSecond = 1000000000;

/// A snapshot that is the text.
struct Copy {
    eioi_snapshot snapshot;
    char text[100];
};

int parse_count;

void FreeCopy(eioi_snapshot *snapshot) {
    eioi_free(EIOI_CONTAINER_OF(snapshot, Copy, snapshot));
}

eio_err *ParseCopy(eio_slice text, eioi_snapshot **out) {
    auto *copy = static_cast<Copy *>(eioi_alloc(sizeof(Copy)));
    if (copy == nullptr)
        return eio_err_const(&eio_err_out_of_memory);
    __atomic_add_fetch(&parse_count, 1, __ATOMIC_RELAXED);
    eioi_snapshot_init(&copy->snapshot, FreeCopy);
    snprintf(copy->text, sizeof copy->text, "%.*s", static_cast<int>(text.len),
             reinterpret_cast<const char *>(text.base));
    *out = &copy->snapshot;
    return nullptr;
}

class FileCacheTest : public PartTest {
  protected:
    void SetUp() override {
        PartTest::SetUp();
        parse_count = 0;
        std::string dir = ::testing::TempDir() + "file_cache_XXXXXX";
        ASSERT_NE(mkdtemp(&dir[0]), nullptr);
        dir_ = dir;
        path_ = dir + "/file";
    }
    void TearDown() override {
        eioi_file_cache_destroy(cache_);
        unlink(path_.c_str());
        rmdir(path_.c_str());
        rmdir(dir_.c_str());
        PartTest::TearDown();
    }
    void Write(const std::string &text) {
        std::ofstream(path_ + "~") << text;
        ASSERT_EQ(rename((path_ + "~").c_str(), path_.c_str()), 0); // another inode: another stamp
    }
    void Open() { ASSERT_EQ(eioi_file_cache_create(path_.c_str(), ParseCopy, &cache_), nullptr); }
    /// The text at `now`, or the error's.
    std::string Get(int64_t now) {
        eioi_snapshot *snapshot = nullptr;
        if (eio_err *err = eioi_file_cache_get(cache_, now, &snapshot)) {
            std::string text = eio_err_text(err);
            if (eio_err_is(err, &eio_err_out_of_memory))
                text = "out of memory";
            eio_err_drop(err);
            return text;
        }
        std::string text = EIOI_CONTAINER_OF(snapshot, Copy, snapshot)->text;
        eioi_snapshot_unref(snapshot);
        return text;
    }

    std::string dir_, path_;
    eioi_file_cache *cache_ = nullptr;
};

TEST_F(FileCacheTest, ReadsWhenFirstAskedAndWhenChanged) {
    Write("one");
    Open();
    EXPECT_EQ(parse_count, 0);
    EXPECT_EQ(Get(5 * kSecond), "one");
    EXPECT_EQ(Get(20 * kSecond), "one");
    EXPECT_EQ(parse_count, 1);
    Write("two");
    EXPECT_EQ(Get(30 * kSecond), "two");
    EXPECT_EQ(parse_count, 2);
}

TEST_F(FileCacheTest, LooksOnceASecondAtMost) {
    Write("one");
    Open();
    EXPECT_EQ(Get(5 * kSecond), "one");
    Write("two");
    EXPECT_EQ(Get(5 * kSecond + 1), "one");
    EXPECT_EQ(Get(6 * kSecond - 1), "one");
    EXPECT_EQ(Get(6 * kSecond), "two");
}

TEST_F(FileCacheTest, AMissingFileIsEmptyUntilItComes) {
    Open();
    EXPECT_EQ(Get(0), "");
    EXPECT_EQ(Get(2 * kSecond), "");
    EXPECT_EQ(parse_count, 1);
    Write("there");
    EXPECT_EQ(Get(4 * kSecond), "there");
    unlink(path_.c_str());
    EXPECT_EQ(Get(6 * kSecond), "");
}

TEST_F(FileCacheTest, WhatIsNoRegularFileIsEmpty) {
    ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
    Open();
    EXPECT_EQ(Get(0), "");
    rmdir(path_.c_str());
    ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0); // would block who opens it without thinking
    EXPECT_EQ(Get(2 * kSecond), "");
}

TEST_F(FileCacheTest, WhatCantBeReadAtFirstIsAnErrorAndIsTriedAgain) {
    Write("text");
    Open();
    for (const char *call : {"open", "fstat", "read"}) {
        FailNth fail(call, 1, EIO);
        EXPECT_EQ(Get(0), "can't read " + path_ + ": Input/output error") << call;
    }
    {
        FailNth fail("open", 1, ENOMEM);
        EXPECT_EQ(Get(0), "out of memory");
    }
    EXPECT_EQ(Get(0), "text");
}

TEST_F(FileCacheTest, WhatCantBeReadAgainStaysAsItWas) {
    Write("old");
    Open();
    EXPECT_EQ(Get(0), "old");
    Write("new");
    for (int i = 1; i <= 2; i++) {
        FailNth fail("open", 1, EMFILE);
        EXPECT_EQ(Get(i * 10 * kSecond), "old");
        EXPECT_TRUE(fail.failed());
    }
    EXPECT_EQ(Get(30 * kSecond), "new");
}

TEST_F(FileCacheTest, AnInterruptedReadGoesOn) {
    Write("text");
    Open();
    FailNth fail("read", 1, EINTR);
    EXPECT_EQ(Get(0), "text");
    EXPECT_TRUE(fail.failed());
}

TEST_F(FileCacheTest, EveryAllocationMayFail) {
    Write("text");
    for (int nth = 1; nth <= 2; nth++) {
        eio_err *err;
        {
            FailNth fail("alloc", nth, ENOMEM);
            err = eioi_file_cache_create(path_.c_str(), ParseCopy, &cache_);
        }
        EXPECT_TRUE(eio_err_is(err, &eio_err_out_of_memory)) << nth;
        eio_err_drop(err);
    }
    Open();
    for (int nth = 1; nth <= 2; nth++) {
        FailNth fail("alloc", nth, ENOMEM);
        EXPECT_EQ(Get(0), "out of memory");
    }
    EXPECT_EQ(Get(0), "text");
}

TEST_F(FileCacheTest, AnyNumberOfThreadsMayAskWhileItChanges) {
    Write("0");
    Open();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([this, t] {
            for (int i = 0; i < 2000; i++)
                EXPECT_NO_THROW((void)std::stoi(Get(int64_t{i} * kSecond + t)));
        });
    }
    for (int i = 1; i <= 50; i++)
        Write(std::to_string(i));
    for (auto &thread : threads)
        thread.join();
    EXPECT_EQ(Get(100000 * kSecond), "50");
}

} // namespace
} // namespace eio_resolver_test
