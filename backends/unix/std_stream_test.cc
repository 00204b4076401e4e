// SPDX-License-Identifier: ISC
#include "backends/unix/std_stream.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "tests/support/real_run.h"

using namespace eio_test;

class StdStreamTest : public RealTest {
  protected:
    /// Runs `f(env)` with number 0 being `fd` (-1: closed), and looks whether the file's flags are
    /// as before.
    void WithStdin(int fd, const std::function<eio_err *(const eio_env *)> &f) {
        int saved = dup(0);
        int flags = fd < 0 ? 0 : fcntl(fd, F_GETFL);
        if (fd < 0)
            close(0);
        else
            dup2(fd, 0);
        EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *env) -> eio_err * {
            EXPECT_TRUE(fd < 0 || fcntl(fd, F_GETFL) == flags);
            return f(env);
        }));
        EXPECT_TRUE(fd < 0 || fcntl(fd, F_GETFL) == flags);
        if (saved >= 0)
            dup2(saved, 0);
        else
            close(0);
        close(saved);
    }
    static std::string ReadAll(eio_source *source) {
        std::string all;
        for (;;) {
            uint8_t space[256];
            size_t got;
            eio_err *err = eio_source_single_read(source, eio_buf_of(space, sizeof space), &got);
            if (eio_err_catch(&err, &eio_err_end_of_file))
                return all;
            if (err != nullptr)
                return TakeText(err);
            all.append(reinterpret_cast<char *>(space), got);
        }
    }
};
EIO_ON_REAL_BACKENDS(StdStreamTest);

TEST_P(StdStreamTest, AFile) {
    char path[] = "/tmp/std_stream_test_XXXXXX";
    int fd = mkstemp(path);
    ASSERT_GE(fd, 0);
    unlink(path);
    std::string text(100000, 'f');
    ASSERT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    lseek(fd, 0, SEEK_SET);
    WithStdin(fd, [&](const eio_env *env) -> eio_err * {
        EXPECT_TRUE(ReadAll(env->stdin_) == text);
        return nullptr;
    });
    close(fd);
}

TEST_P(StdStreamTest, APipe) {
    int fds[2];
    ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
    WithStdin(fds[0], [&](const eio_env *env) -> eio_err * {
        std::string all;
        int out = fds[1];
        EXPECT_OK(Both(
            [&]() -> eio_err * {
                all = ReadAll(env->stdin_);
                return nullptr;
            },
            [&]() -> eio_err * {
                for (int i = 0; i < 3; i++) {
                    EIO_TRY(eio_fiber_yield());
                    EXPECT_EQ(write(out, "pipe", 4), 4);
                }
                close(out);
                return nullptr;
            }));
        EXPECT_EQ(all, "pipepipepipe");
        return nullptr;
    });
    close(fds[0]);
}

TEST_P(StdStreamTest, ATerminal) {
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_GE(master, 0);
    ASSERT_EQ(grantpt(master), 0);
    ASSERT_EQ(unlockpt(master), 0);
    char name[64];
    ASSERT_EQ(ptsname_r(master, name, sizeof name), 0);
    int terminal = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_GE(terminal, 0);
    WithStdin(terminal, [&](const eio_env *env) -> eio_err * {
        uint8_t space[16];
        size_t got = 0;
        auto read = [&]() -> eio_err * {
            return eio_source_single_read(env->stdin_, eio_buf_of(space, sizeof space), &got);
        };
        EXPECT_OK(First(read, []() -> eio_err * { return eio_fiber_yield(); }));
        EXPECT_OK(Both(read, [&]() -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            EXPECT_EQ(write(master, "line\n", 5), 5);
            return nullptr;
        }));
        EXPECT_EQ(std::string(reinterpret_cast<char *>(space), got), "line\n");
        return nullptr;
    });
    close(terminal);
    close(master);
}

TEST_P(StdStreamTest, DevNull) {
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    WithStdin(fd, [&](const eio_env *env) -> eio_err * {
        EXPECT_EQ(ReadAll(env->stdin_), "");
        return nullptr;
    });
    close(fd);
}

TEST_P(StdStreamTest, AClosedOneStaysClosedWhoeverGetsItsNumber) {
    WithStdin(-1, [&](const eio_env *env) -> eio_err * {
        int fds[2];
        EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
        uint8_t byte;
        size_t got;
        eio_err *err = eio_source_single_read(env->stdin_, eio_buf_of(&byte, 1), &got);
        EXPECT_EQ(eio_err_errno(err), EBADF);
        eio_err_drop(err);
        close(fds[0]);
        close(fds[1]);
        return nullptr;
    });
}
