// SPDX-License-Identifier: ISC
// Each case runs in a child process of its own: what it takes away from itself (system calls,
// limits, rights) is gone.

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include "tests/support/faults.h"
#include "tests/support/real_run.h"

using namespace eio_test;
using ::testing::Eq;
using ::testing::ExitedWithCode;
using ::testing::MatchesRegex;

namespace {

/// The exact text of what a child may print.
::testing::Matcher<const std::string &> Is(const std::string &text) {
    return Eq(text);
}

eio_err *SayBackend(void *, const eio_env *env) {
    fprintf(stderr, "%s\n", env->backend_name);
    return nullptr;
}

/// In a child: sleeps and moves bytes on the loop, so that it does more than start.
eio_err *UseBackend(void *, const eio_env *env) {
    auto body = [&](eio_switch *sw) -> eio_err * {
        eio_stream_socket *a, *b;
        char space[8];
        EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        EIO_TRY(Both([&] { return eio_source_read_exact(&a->flow.source, eio_buf_of(space, 5)); },
                     [&] { return eio_flow_copy_string("hello", &b->flow.sink); }));
        fprintf(stderr, "%s: %.5s\n", env->backend_name, space);
        return nullptr;
    };
    return SwitchRun(body);
}

[[noreturn]] void ChildMain(const char *backend, eio_main_fn *fn) {
    if (backend == nullptr)
        unsetenv("EIO_BACKEND");
    else
        setenv("EIO_BACKEND", backend, 1);
    exit(eio_main(fn, nullptr));
}

/// From now on io_uring_setup(2) fails with `errnum` in this process, as under a container's
/// seccomp filter.
void DenyIoUring(int errnum) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(errnum)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        fprintf(stderr, "no seccomp filter: errno %d\n", errno);
        exit(99);
    }
}

constexpr char kFellBack[] =
    "eio: uses epoll, since io_uring can't be started: [^\n]+\nepoll: hello\n";
/// Either that, or io_uring works all the same.
constexpr char kRuns[] =
    "(eio: uses epoll, since io_uring can't be started: [^\n]+\nepoll: hello\n|io_uring: hello\n)";

bool HasUring() {
    return WhyNot("uring") == "ok";
}

TEST(BackendChoice, TheEnvironmentForcesOne) {
    for (const char *name : {"epoll", "posix"})
        EXPECT_EXIT(ChildMain(name, SayBackend), ExitedWithCode(0), Is("epoll\n"));
    if (!HasUring())
        GTEST_SKIP() << "no io_uring here: " << WhyNot("uring");
    for (const char *name : {"uring", "io_uring", "linux"})
        EXPECT_EXIT(ChildMain(name, SayBackend), ExitedWithCode(0), Is("io_uring\n"));
}

TEST(BackendChoice, AnUnknownNameIsAnErrorThatQuotesIt) {
    EXPECT_EXIT(
        ChildMain("kqueue", SayBackend), ExitedWithCode(2),
        Is("Exception: Failure \"Unknown Eio backend \\\"kqueue\\\" (from $EIO_BACKEND)\".\n"));
    EXPECT_EXIT(
        ChildMain("EPOLL", SayBackend), ExitedWithCode(2),
        Is("Exception: Failure \"Unknown Eio backend \\\"EPOLL\\\" (from $EIO_BACKEND)\".\n"));
}

TEST(BackendChoice, WithoutARequestIoUringIsTaken) {
    if (!HasUring())
        GTEST_SKIP() << "no io_uring here: " << WhyNot("uring");
    for (const char *none : {static_cast<const char *>(nullptr), ""})
        EXPECT_EXIT(ChildMain(none, UseBackend), ExitedWithCode(0), Is("io_uring: hello\n"));
}

TEST(BackendChoice, ASeccompFilterMakesItFallBackWithOneLine) {
    for (int errnum : {EPERM, ENOSYS, EACCES})
        EXPECT_EXIT((DenyIoUring(errnum), ChildMain(nullptr, UseBackend)), ExitedWithCode(0),
                    MatchesRegex(kFellBack));
}

TEST(BackendChoice, AForcedBackendThatCannotBeStartedIsAnError) {
    EXPECT_EXIT((DenyIoUring(EPERM), ChildMain("uring", UseBackend)), ExitedWithCode(2),
                MatchesRegex("Exception:\nFailure\n \"The io_uring backend can't be started: "
                             "io_uring_setup: not permitted[^\n]*\"\\.\n"));
}

TEST(BackendChoice, AnyReasonWillDo) {
    for (const char *call : {"io_uring_setup", "io_uring_register"})
        for (int errnum : {EINVAL, EMFILE, ENOMEM, EOPNOTSUPP}) {
            auto child = [&] {
                Faults faults([&](const std::string &made) { return made == call ? errnum : 0; });
                ChildMain(nullptr, UseBackend);
            };
            EXPECT_EXIT(child(), ExitedWithCode(0), MatchesRegex(kRuns));
        }
}

TEST(BackendChoice, TheLineIsSaidOnceInAProcess) {
    auto child = [] {
        DenyIoUring(EPERM);
        unsetenv("EIO_BACKEND");
        for (int i = 0; i < 3; i++)
            eio_err_drop(eio_run(nullptr, SayBackend, nullptr));
        exit(0);
    };
    EXPECT_EXIT(child(), ExitedWithCode(0),
                MatchesRegex("eio: uses epoll, since [^\n]+\nepoll\nepoll\nepoll\n"));
}

TEST(BackendChoice, NeitherBackendIsAnErrorThatNamesBoth) {
    auto child = [] {
        Faults faults([](const std::string &call) {
            return call == "io_uring_setup" ? EPERM : call == "epoll_create1" ? EMFILE : 0;
        });
        ChildMain(nullptr, SayBackend);
    };
    EXPECT_EXIT(child(), ExitedWithCode(2),
                MatchesRegex("Exception:[^$]*io_uring_setup[^$]*Too many open files[^$]*"));
}

/// Whether this process may become another user: root outside of a sandbox that knows one user
/// only.
bool CanBecomeSomebodyElse() {
    const pid_t child = fork();
    if (child == 0)
        _exit(setgid(65534) == 0 && setuid(65534) == 0 ? 0 : 1);
    int status;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(BackendChoice, WithoutLockedMemoryItStillRuns) {
    auto child = [](bool other_user) {
        struct rlimit none = {0, 0};
        if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (other_user && setuid(65534) != 0))
            exit(99);
        ChildMain(nullptr, UseBackend);
    };
    // Where the kernel counts a ring as locked memory it falls back, elsewhere it needn't.
    EXPECT_EXIT(child(false), ExitedWithCode(0), MatchesRegex(kRuns));
    if (CanBecomeSomebodyElse()) {
        EXPECT_EXIT(child(true), ExitedWithCode(0), MatchesRegex(kRuns));
    }
}

TEST(BackendChoice, AUserOtherThanRootWillDo) {
    if (!CanBecomeSomebodyElse())
        GTEST_SKIP()
            << "this process can't become another user (it is none but root's, or in a sandbox)";
    auto child = [](const char *backend) {
        if (setgid(65534) != 0 || setuid(65534) != 0)
            exit(99);
        ChildMain(backend, UseBackend);
    };
    EXPECT_EXIT(child("epoll"), ExitedWithCode(0), Is("epoll: hello\n"));
    EXPECT_EXIT(child(nullptr), ExitedWithCode(0), MatchesRegex(kRuns));
}

class OptionTest : public EioTest {};

TEST_F(OptionTest, AnOptionNamesABackendToo) {
    setenv("EIO_BACKEND", "nonsense", 1); // the option comes first
    RunOn("epoll", [](eio_switch *, const eio_env *env) -> eio_err * {
        Print("%s", env->backend_name);
        return nullptr;
    });
    RunOn("kqueue", [](eio_switch *, const eio_env *) -> eio_err * { return nullptr; });
    unsetenv("EIO_BACKEND");
    EXPECT_TRACE(R"(
        epoll
        - : unit = ()
        Exception: Failure "Unknown Eio backend \"kqueue\"".
    )");
}

} // namespace
