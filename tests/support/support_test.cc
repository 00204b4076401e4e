// SPDX-License-Identifier: ISC
#include "tests/support/support.h"

#include <gtest/gtest-spi.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

using namespace eio_test;

namespace {

class SupportTest : public EioTest {
  protected:
    /// A source file to accept in; gone at the end of the test.
    std::string Write(const std::string &text) {
        path_ = ::testing::TempDir() + "support_test_" + std::to_string(getpid()) + ".txt";
        FILE *f = fopen(path_.c_str(), "w");
        fputs(text.c_str(), f);
        fclose(f);
        return path_;
    }
    std::string Read() const {
        std::string text;
        FILE *f = fopen(path_.c_str(), "r");
        for (int c = fgetc(f); c != EOF; c = fgetc(f))
            text += static_cast<char>(c);
        fclose(f);
        return text;
    }
    void TearDown() override {
        unsetenv("EIO_ACCEPT");
        if (!path_.empty())
            unlink(path_.c_str());
        EioTest::TearDown();
    }

  private:
    std::string path_;
};

TEST_F(SupportTest, TraceIsComparedWithoutTheCommonIndentation) {
    eio_traceln("one\n  two");
    Print("three");
    EXPECT_TRACE(R"(
        +one
        +  two
        three
    )");
    EXPECT_TRACE("");
}

TEST_F(SupportTest, IndentationBeyondTheCommonOneCounts) {
    Print("Exception:\nEio.Io X,\n  connecting");
    EXPECT_TRACE(R"(
      Exception:
      Eio.Io X,
        connecting
    )");
}

TEST_F(SupportTest, ADifferenceIsAFailureThatShowsBoth) {
    eio_traceln("got");
    EXPECT_NONFATAL_FAILURE(EXPECT_TRACE(R"(
        +want
    )"),
                            "first in line 1. Expected:\n+want\nGot:\n+got\n");
}

TEST_F(SupportTest, ResultsAreInTheFormOfAToplevel) {
    PrintResult(nullptr);
    PrintResult(eio_err_failure("a"));
    PrintResult(eio_err_const(&eio_err_end_of_file));
    EXPECT_TRACE(R"(
        - : unit = ()
        Exception: Failure "a".
        Exception: End_of_file.
    )");
}

TEST_F(SupportTest, AcceptRewritesTheBlockInPlace) {
    const std::string path = Write("int a;\n"
                                   "    EXPECT_TRACE(R\"(\n"
                                   "      old\n"
                                   "      lines\n"
                                   "    )\");\n"
                                   "int b;\n"
                                   "  EXPECT_TRACE(R\"(\n"
                                   "  )\");\n");
    setenv("EIO_ACCEPT", "1", 1);
    Print("new\n  deeper\n\nlast");
    EXPECT_TRUE(TraceIs(path.c_str(), 2, "old\nlines\n"));
    // The second block has moved; its line is still that of the file as it was compiled.
    Print("with )\" inside");
    EXPECT_TRUE(TraceIs(path.c_str(), 8, ""));
    EXPECT_EQ(Read(), "int a;\n"
                      "    EXPECT_TRACE(R\"(\n"
                      "      new\n"
                      "        deeper\n"
                      "\n"
                      "      last\n"
                      "    )\");\n"
                      "int b;\n"
                      "  EXPECT_TRACE(R\"x(\n"
                      "    with )\" inside\n"
                      "  )x\");\n");
    Print("another");
    EXPECT_FALSE(TraceIs(path.c_str(), 2, "old\nlines\n")) << "two runs, two traces";
}

TEST_F(SupportTest, ErrorsAreConsumedByTheirChecks) {
    EXPECT_OK(nullptr);
    EXPECT_ERR(eio_err_failure("x"), &eio_err_failure_kind);
    EXPECT_ERR_TEXT(eio_err_failure("x"), "Failure(\"x\")");
    EXPECT_NONFATAL_FAILURE(EXPECT_OK(eio_err_failure("x")), "Failure(\"x\")");
    EXPECT_NONFATAL_FAILURE(EXPECT_ERR(eio_err_failure("x"), &eio_err_timeout),
                            "but Failure(\"x\")");
}

TEST_F(SupportTest, OpenDescriptorsAreListedWithWhatTheyAre) {
    const std::vector<std::string> before = OpenFds();
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    EXPECT_EQ(OpenFds().size(), before.size() + 2);
    close(fds[0]);
    close(fds[1]);
    EXPECT_EQ(OpenFds(), before);
}

class Leaving : public EioTest {
  public:
    void TestBody() override {
        eio_traceln("unseen");
        fd_ = dup(0);
    }
    void Go() {
        SetUp();
        TestBody();
        TearDown();
        close(fd_);
    }

  private:
    int fd_ = -1;
};

TEST(SupportFixture, FailsATestThatLeavesTraceOrDescriptors) {
    ::testing::TestPartResultArray failures;
    {
        ::testing::ScopedFakeTestPartResultReporter reporter(
            ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
        Leaving().Go();
    }
    ASSERT_EQ(failures.size(), 2);
    EXPECT_NE(std::string(failures.GetTestPartResult(0).message()).find("+unseen"),
              std::string::npos);
    EXPECT_NE(std::string(failures.GetTestPartResult(1).message()).find("open descriptors"),
              std::string::npos);
}

} // namespace
