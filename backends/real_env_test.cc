// SPDX-License-Identifier: ISC
// The standard streams, each case in a child process whose descriptors 0 and 1 are what the case is
// about. They are shared with whoever started the program, so whatever happens their flags must
// stay as they were.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "tests/support/exit_now.h"
#include "tests/support/real_run.h"

using namespace eio_test;

namespace {

class StandardStreamsTest : public RealTest {
  protected:
    using Body = std::function<eio_err *(eio_switch *, const eio_env *)>;

    void SetUp() override {
        RealTest::SetUp();
        file_ = ::testing::TempDir() + "standard_streams_test_" + std::to_string(getpid());
    }
    void TearDown() override {
        unlink(file_.c_str());
        RealTest::TearDown();
    }
    const char *file() const { return file_.c_str(); }

    /// Starts a child with `in` and `out` (-1: closed) as its standard streams. Its status is 0
    /// when `body` succeeded.
    pid_t Start(int in, int out, const Body &body) {
        flags_in_ = in < 0 ? 0 : fcntl(in, F_GETFL);
        flags_out_ = out < 0 ? 0 : fcntl(out, F_GETFL);
        in_ = in;
        out_ = out;
        const pid_t pid = fork();
        if (pid != 0)
            return pid;
        Take(in, STDIN_FILENO);
        Take(out, STDOUT_FILENO);
        eio_err *err = EvalReal([&](eio_switch *sw, const eio_env *env) { return body(sw, env); });
        if (err != nullptr)
            fprintf(stderr, "child: %s\n", Text(err).c_str());
        ExitNow(err == nullptr && !HasFailure() ? 0 : 1);
    }
    void ExpectSuccess(pid_t pid) {
        int status;
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
        if (in_ >= 0) {
            EXPECT_EQ(fcntl(in_, F_GETFL), flags_in_);
        }
        if (out_ >= 0) {
            EXPECT_EQ(fcntl(out_, F_GETFL), flags_out_);
        }
    }

    static eio_err *CopyAll(eio_switch *, const eio_env *env) {
        return eio_flow_copy(env->stdin_, env->stdout_);
    }

    static eio_err *ReadSome(const eio_env *env, std::string *out) {
        char space[256];
        size_t got;
        EIO_TRY(eio_source_single_read(env->stdin_, eio_buf_of(space, sizeof space), &got));
        out->assign(space, got);
        return nullptr;
    }

  private:
    static void Take(int fd, int as) {
        if (fd < 0)
            close(as);
        else if (dup2(fd, as) < 0)
            _exit(98);
    }

    std::string file_;
    int in_ = -1, out_ = -1;
    int flags_in_ = 0, flags_out_ = 0;
};
EIO_ON_REAL_BACKENDS(StandardStreamsTest);

struct Pipe {
    Pipe() { EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0); }
    ~Pipe() {
        CloseReader();
        CloseWriter();
    }
    void CloseReader() { Close(&fds[0]); }
    void CloseWriter() { Close(&fds[1]); }
    static void Close(int *fd) {
        if (*fd >= 0)
            close(*fd);
        *fd = -1;
    }
    int fds[2];
};

void Put(int fd, const std::string &text) {
    for (size_t at = 0; at < text.size();) {
        const ssize_t n = write(fd, text.data() + at, text.size() - at);
        ASSERT_GT(n, 0);
        at += static_cast<size_t>(n);
    }
}

std::string GetAll(int fd) {
    std::string text;
    char space[4096];
    for (ssize_t n; (n = read(fd, space, sizeof space)) > 0;)
        text.append(space, static_cast<size_t>(n));
    return text;
}

TEST_P(StandardStreamsTest, PipesAreCopiedWithoutBecomingNonBlocking) {
    Pipe in, out;
    pid_t pid = Start(in.fds[0], out.fds[1], [&](eio_switch *sw, const eio_env *env) {
        in.CloseWriter();
        return CopyAll(sw, env);
    });
    const std::string big(3 << 20, 'b');
    std::thread writer([&] {
        Put(in.fds[1], "hello\n" + big);
        in.CloseWriter();
    });
    int out_kept = dup(out.fds[1]); // for its flags
    out.CloseWriter();
    std::string got(6 + big.size(), '\0');
    for (size_t at = 0; at < got.size();) {
        const ssize_t n = read(out.fds[0], got.data() + at, got.size() - at);
        ASSERT_GT(n, 0);
        at += static_cast<size_t>(n);
    }
    EXPECT_EQ(got, "hello\n" + big);
    writer.join();
    EXPECT_EQ(fcntl(out_kept, F_GETFL) & O_NONBLOCK, 0);
    close(out_kept);
    int status;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(fcntl(in.fds[0], F_GETFL) & O_NONBLOCK, 0);
}

TEST_P(StandardStreamsTest, AFileIsReadFromWhereItStandsAndWrittenAtItsEnd) {
    const int in = open(file(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    Put(in, "skipped, read");
    lseek(in, 9, SEEK_SET);
    const int out = open(file(), O_WRONLY | O_APPEND | O_CLOEXEC);
    ExpectSuccess(Start(in, out, [](eio_switch *, const eio_env *env) -> eio_err * {
        char space[4];
        EIO_TRY(eio_source_read_exact(env->stdin_, eio_buf_of(space, 4)));
        EXPECT_EQ(std::string(space, 4), "read");
        EIO_TRY(eio_flow_copy_string("; one", env->stdout_));
        return eio_flow_copy_string("; two", env->stdout_);
    }));
    EXPECT_EQ(lseek(in, 0, SEEK_CUR), 13) << "the offset is shared with whoever opened the file";
    lseek(in, 0, SEEK_SET);
    EXPECT_EQ(GetAll(in), "skipped, read; one; two");
    close(in);
    close(out);
}

TEST_P(StandardStreamsTest, TheNullDeviceIsEmptyAndTakesAll) {
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    ExpectSuccess(Start(null, null, [](eio_switch *sw, const eio_env *env) -> eio_err * {
        EIO_TRY(CopyAll(sw, env));
        return eio_flow_copy_string(std::string(100000, 'x').c_str(), env->stdout_);
    }));
    close(null);
}

TEST_P(StandardStreamsTest, AClosedOneIsAnErrorAndStaysClosed) {
    ExpectSuccess(Start(-1, -1, [](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_stream_socket *a, *b;
        std::string text;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b)); // these get the numbers 0 and 1
        eio_err *err = ReadSome(env, &text);
        EXPECT_EQ(eio_err_errno(err), EBADF) << Text(err);
        eio_err_drop(err);
        err = eio_flow_copy_string("x", env->stdout_);
        EXPECT_EQ(eio_err_errno(err), EBADF) << Text(err);
        eio_err_drop(err);
        return nullptr;
    }));
}

TEST_P(StandardStreamsTest, ATerminalGivesALineAtATime) {
    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_GE(master, 0);
    ASSERT_EQ(grantpt(master), 0);
    ASSERT_EQ(unlockpt(master), 0);
    const int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_GE(slave, 0);
    struct termios raw;
    tcgetattr(slave, &raw);
    raw.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    raw.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    tcsetattr(slave, TCSANOW, &raw);
    Pipe done;
    pid_t pid = Start(slave, slave, [&](eio_switch *, const eio_env *env) -> eio_err * {
        std::string text;
        // Nobody types: a wait for input can be given up, and takes nothing.
        EXPECT_ERR(TimeoutRun(eio_timeout_ns(env->mono_clock, 20 * EIO_MILLISECOND),
                              [&] { return ReadSome(env, &text); }),
                   &eio_err_timeout);
        EIO_TRY(eio_flow_copy_string("ready\n", env->stdout_));
        for (const char *line : {"one\n", "two\n"}) {
            EIO_TRY(ReadSome(env, &text));
            if (text != line)
                return eio_err_failure("%s", text.c_str());
        }
        eio_err *err = ReadSome(env, &text);
        if (!eio_err_catch(&err, &eio_err_end_of_file))
            return err != nullptr ? err : eio_err_failure("no end: %s", text.c_str());
        return eio_flow_copy_string("bye\n", env->stdout_);
    });
    char space[16];
    ASSERT_EQ(read(master, space, 6), 6);
    Put(master, "one\ntwo\n");
    usleep(20000);
    Put(master, "\004");
    ASSERT_EQ(read(master, space, 4), 4);
    EXPECT_EQ(std::string(space, 4), "bye\n");
    ExpectSuccess(pid);
    close(slave);
    close(master);
}

TEST_P(StandardStreamsTest, ASocketWillDoToo) {
    int fds[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    pid_t pid = Start(fds[0], fds[0], CopyAll);
    Put(fds[1], "hello");
    shutdown(fds[1], SHUT_WR);
    char space[5];
    EXPECT_EQ(recv(fds[1], space, 5, MSG_WAITALL), 5);
    EXPECT_EQ(std::string(space, 5), "hello");
    ExpectSuccess(pid);
    close(fds[0]);
    close(fds[1]);
}

TEST_P(StandardStreamsTest, AReadOfAnEmptyPipeCanBeCancelledAndTakesNothing) {
    Pipe in;
    pid_t pid = Start(in.fds[0], -1, [&](eio_switch *, const eio_env *env) -> eio_err * {
        std::string text;
        EXPECT_ERR(TimeoutRun(eio_timeout_ns(env->mono_clock, 5 * EIO_MILLISECOND),
                              [&] { return ReadSome(env, &text); }),
                   &eio_err_timeout);
        Put(in.fds[1], "late");
        EIO_TRY(ReadSome(env, &text));
        return text == "late" ? nullptr : eio_err_failure("%s", text.c_str());
    });
    ExpectSuccess(pid);
}

TEST_P(StandardStreamsTest, AFullPipeHoldsUpItsWriterOnly) {
    Pipe out;
    pid_t pid = Start(-1, out.fds[1], [&](eio_switch *, const eio_env *env) -> eio_err * {
        const std::string big(1 << 20, 'x');
        size_t got = 0;
        return Both(
            [&] { return eio_sink_write(env->stdout_, eio_slice_of(big.data(), big.size())); },
            [&]() -> eio_err * {
                EIO_TRY(
                    eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND)); // the loop is alive
                char space[8192];
                while (got < big.size()) {
                    const ssize_t n = read(out.fds[0], space, sizeof space);
                    if (n <= 0)
                        return eio_err_failure("read: %zd", n);
                    got += static_cast<size_t>(n);
                    // There may be nothing for a moment: the writer must get its turn.
                    struct pollfd p = {out.fds[0], POLLIN, 0};
                    while (got < big.size() && poll(&p, 1, 0) == 0)
                        EIO_TRY(eio_fiber_yield());
                }
                return nullptr;
            });
    });
    ExpectSuccess(pid);
}

TEST_P(StandardStreamsTest, WritingToAPipeThatNobodyReadsIsAnErrorNotASignal) {
    Pipe out;
    out.CloseReader();
    ExpectSuccess(Start(-1, out.fds[1], [](eio_switch *, const eio_env *env) -> eio_err * {
        eio_err *err = eio_flow_copy_string("x", env->stdout_);
        if (eio_err_errno(err) != EPIPE)
            return err != nullptr ? err : eio_err_failure("it succeeded");
        eio_err_drop(err);
        return nullptr;
    }));
}

class EnvTest : public RealTest {};
EIO_ON_REAL_BACKENDS(EnvTest);

TEST_P(EnvTest, EverythingIsThere) {
    RunReal([](eio_switch *, const eio_env *env) -> eio_err * {
        EXPECT_NE(env->net, nullptr);
        EXPECT_NE(env->clock, nullptr);
        EXPECT_NE(env->mono_clock, nullptr);
        EXPECT_NE(env->stdin_, nullptr);
        EXPECT_NE(env->stdout_, nullptr);
        EXPECT_NE(env->stderr_, nullptr);
        EXPECT_NE(env->domain_mgr, nullptr);
        EXPECT_NE(env->random, nullptr);
        return eio_flow_copy_string("", env->stderr_);
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

} // namespace
