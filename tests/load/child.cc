// SPDX-License-Identifier: ISC

// A child talks over one end of a socket pair: it writes one number, and reads the end of the
// stream as the request to stop. Its exit status says how it ended.

#include "tests/load/child.h"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "eio/await_fd.h"
#include "fiber/base/alloc.h"
#include "tests/support/exit_now.h"
#include "tests/support/real_run.h"

namespace eio_test {

namespace {

enum Ending { kWell = 0, kFailed = 10, kLeaked = 11 };

int RunChild(const char *backend, const ChildMain &main, int fd, unsigned max_fds) {
    if (max_fds != 0) {
        struct rlimit limit = {max_fds, max_fds};
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            perror("setrlimit");
            return kFailed;
        }
    }
    const int64_t live = eioi_live_objects();
    const auto fds = OpenFds();
    Parent parent(fd);
    eio_err *err =
        EvalOn(backend, [&](eio_switch *sw, const eio_env *env) { return main(sw, env, parent); });
    if (err != nullptr) {
        fprintf(stderr, "child: %s\n", TakeText(err).c_str());
        return kFailed;
    }
    if (eioi_live_objects() != live || OpenFds() != fds) {
        fprintf(stderr, "child: %lld objects more, %zu descriptors instead of %zu\n",
                static_cast<long long>(eioi_live_objects() - live), OpenFds().size(), fds.size());
        return kLeaked;
    }
    return kWell;
}

} // namespace

void Parent::Tell(uint64_t number) {
    if (write(fd_, &number, sizeof number) != static_cast<ssize_t>(sizeof number))
        perror("child: write");
}

eio_err *Parent::AwaitStop() {
    return eio_await_readable(fd_);
}

Child::Child(const char *backend, ChildMain main, unsigned max_fds) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return;
    pid_ = fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        const int status = RunChild(backend, main, fds[1], max_fds);
        fflush(nullptr);
        ExitNow(status);
    }
    close(fds[1]);
    fd_ = fds[0];
}

Child::~Child() {
    if (pid_ > 0) {
        EXPECT_TRUE(Stop());
    }
}

uint64_t Child::Told() {
    if (told_ == 0 && read(fd_, &told_, sizeof told_) != static_cast<ssize_t>(sizeof told_))
        told_ = 0;
    return told_;
}

int64_t Child::CpuNs() const {
    // The first number of each thread's schedstat (proc(5)).
    int64_t sum = 0;
    const std::string tasks = "/proc/" + std::to_string(pid_) + "/task/";
    DIR *dir = opendir(tasks.c_str());
    if (dir == nullptr)
        return 0;
    for (struct dirent *entry = readdir(dir); entry != nullptr; entry = readdir(dir)) {
        int64_t ns = 0;
        std::ifstream stat(tasks + entry->d_name + "/schedstat");
        if (stat >> ns)
            sum += ns;
    }
    closedir(dir);
    return sum;
}

::testing::AssertionResult Child::Stop() {
    if (pid_ <= 0)
        return ::testing::AssertionFailure() << "no child";
    // Not by closing: children made later have inherited this end.
    shutdown(fd_, SHUT_WR);
    int status = 0;
    const pid_t ended = waitpid(pid_, &status, 0);
    close(fd_);
    pid_ = -1;
    if (ended < 0)
        return ::testing::AssertionFailure() << "waitpid failed";
    if (WIFEXITED(status) && WEXITSTATUS(status) == kWell)
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << (WIFSIGNALED(status)              ? "the child was ended by a signal"
               : WEXITSTATUS(status) == kLeaked ? "the child left something behind"
                                                : "the child failed")
           << " (status " << status << ")";
}

} // namespace eio_test
