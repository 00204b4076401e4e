// SPDX-License-Identifier: ISC

// The process that is watched runs the scenario, and notes in shared memory where it is; the one
// that watches waits for its end, and for that note to change.
//
// After each point: nothing is alive, open or mapped that wasn't before; the error, if there is
// one, says what failed; the same scenario then succeeds.
//
// "Again and again" is: all calls of that name from the Nth on, for some time; then what was
// lacking is there again. A call that is simply repeated (EINTR, a lack that is waited for) fails a
// few times in a row only: for ever would be for ever.

#include "tests/faults/loop.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "eio/main.h"
#include "fiber/base/alloc.h"
#include "fiber/base/fault.h"
#include "tests/faults/errnos.h"
#include "tests/support/counts.h"
#include "tests/support/exit_now.h"
#include "tests/support/mock_run.h"
#include "tests/support/real_run.h"

namespace eio_faults {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLackLasts = std::chrono::milliseconds(200);
constexpr int kHangSeconds = kSanitized ? 180 : 60;
constexpr int kCrowdedMax = 100;      // quarters of a second
constexpr long kMappedMoreKiB = 1024; // a heap may grow by less

struct Shared {
    Tally tally;
    std::atomic<unsigned long long> steps;
    char where[200];
    char wrong[6000];
};

// --- Injection ---

/// Fails one call, and perhaps those of the same name after it.
class Injection {
  public:
    Injection(unsigned nth, size_t which, bool again)
        : nth_(nth), which_(which), again_(again), hook_{Fail, this, Cut} {
        eioi_fault_hook = &hook_;
    }
    ~Injection() { End(); }
    void End() { eioi_fault_hook = nullptr; }
    Injection(const Injection &) = delete;
    Injection &operator=(const Injection &) = delete;

    bool fired() const { return errnum_ != 0; }
    const std::string &name() const { return name_; }
    int errnum() const { return errnum_; }
    size_t errno_count() const { return ErrnosOf(name_).size(); }

  private:
    static int Fail(void *arg, const char *name) {
        Injection *self = static_cast<Injection *>(arg);
        std::lock_guard<std::mutex> hold(self->mutex_);
        return self->Decide(name);
    }
    static size_t Cut(void *arg, const char *name, size_t len) {
        return Fail(arg, name) == 0 ? len : 1;
    }
    int Decide(const char *name) {
        // It waits for memory: in vain if the lack is made up, and else for a good reason.
        if (strcmp(name, "nanosleep") == 0)
            return name_ == "io_uring_setup" ? EINTR : 0;
        if (++seen_ == nth_) {
            name_ = name;
            const std::vector<int> &errnos = ErrnosOf(name_);
            errnum_ = errnos[which_ % errnos.size()];
            left_ = again_ ? RepeatsOf(name_, errnum_) : 0;
            until_ = Clock::now() + kLackLasts;
            return errnum_;
        }
        if (left_ == 0 || name_ != name || Clock::now() > until_)
            return 0;
        left_--;
        return errnum_;
    }

    const unsigned nth_;
    const size_t which_;
    const bool again_;
    std::mutex mutex_; // guards the below while there are other threads
    unsigned seen_ = 0;
    std::string name_;
    int errnum_ = 0;
    unsigned left_ = 0;
    Clock::time_point until_;
    const struct eioi_fault_hook hook_;
};

// --- What a run leaves behind ---

struct State {
    long long objects;
    std::vector<std::string> fds;
    unsigned rings;
    long mapped_kib;
};

unsigned MappedRings() {
    std::ifstream maps("/proc/self/maps");
    std::string line;
    unsigned count = 0;
    while (std::getline(maps, line))
        count += line.find("[io_uring]") != std::string::npos;
    return count;
}

long MappedKiB() {
    long pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

State StateNow() {
    return {eioi_live_objects(), OpenFds(), MappedRings(), MappedKiB()};
}

std::string Joined(const std::vector<std::string> &lines) {
    std::string text;
    for (const std::string &line : lines)
        text += " " + line;
    return text;
}

std::string Leak(const State &before, const State &now) {
    if (now.objects != before.objects)
        return std::to_string(now.objects - before.objects) + " objects are left";
    // Both are sorted. A scenario's server thread may still have had its last connection before.
    if (!std::includes(before.fds.begin(), before.fds.end(), now.fds.begin(), now.fds.end()))
        return "descriptors were" + Joined(before.fds) + " and are" + Joined(now.fds);
    if (now.rings > before.rings)
        return "a ring is left mapped";
    if (!kSanitized && now.mapped_kib > before.mapped_kib + kMappedMoreKiB)
        return std::to_string(now.mapped_kib - before.mapped_kib) + " KiB more are mapped";
    return "";
}

// --- The watched process ---

class Loop {
  public:
    Loop(const Scenario &scenario, const LoopOpts &opts, Shared *shared)
        : scenario_(scenario), opts_(opts), shared_(shared), body_(scenario.make()) {}

    void Run() {
        // Twice: the first time makes what lives as long as the process.
        for (int i = 0; i < 2; i++)
            RunClean("before any fault");
        before_ = StateNow();
        for (unsigned n = 1; RunCall(n) && !failed(); n += opts_.stride) {
        }
        if (!failed() && !complaints_.empty())
            snprintf(shared_->wrong, sizeof shared_->wrong, "%s", complaints_.c_str());
        if (getenv("EIO_FAULTS_TABLE") != nullptr)
            PrintTable();
    }
    bool failed() const { return shared_->wrong[0] != '\0'; }

  private:
    eio_err *Eval() {
        if (scenario_.flags & kMock)
            return EvalMockFull(body_);
        return EvalOn(scenario_.flags & kAnyBackend ? nullptr : opts_.backend, body_);
    }

    /// Whether the system really has no memory for a ring at this moment, which is nobody's fault.
    static bool IsCrowded(const eio_err *err, const std::string &injected) {
        return err != nullptr && injected != "io_uring_setup" &&
               Text(err).find("no memory for the queues") != std::string::npos;
    }

    void Say(const std::string &what) {
        if (!failed())
            snprintf(shared_->wrong, sizeof shared_->wrong, "%s: %s", shared_->where, what.c_str());
    }

    void RunClean(const std::string &when) {
        eio_err *err = Eval();
        for (int i = 0; i < kCrowdedMax && IsCrowded(err, ""); i++) {
            eio_err_drop(err);
            err = Eval();
        }
        if (err != nullptr)
            Say("the scenario fails " + when + ": " + Text(err));
        eio_err_drop(err);
    }

    /// Each errno value of the `n`th call. False: there are fewer calls.
    bool RunCall(unsigned n) {
        if (opts_.stride > 1)
            return RunPoint(n, n / opts_.stride, n / opts_.stride % 2 == 1) > 0;
        size_t errnos = 1;
        for (size_t which = 0; which < errnos && !failed(); which++) {
            errnos = RunPoint(n, which, false);
            if (errnos > 0 && !failed())
                RunPoint(n, which, true);
        }
        return errnos > 0;
    }

    /// How many errno values the call may have; 0: there is no `n`th call.
    size_t RunPoint(unsigned n, size_t which, bool again, int crowded = 0) {
        size_t errnos = 0;
        std::string text;
        bool success;
        {
            Injection injection(n, which, again);
            Note(n, which, again, "");
            eio_err *err = Eval();
            injection.End(); // so that an error can be looked at
            if (crowded < kCrowdedMax && IsCrowded(err, injection.name())) {
                eio_err_drop(err);
                return RunPoint(n, which, again, crowded + 1);
            }
            success = err == nullptr;
            if (injection.fired()) {
                errnos = injection.errno_count();
                Note(n, which, again, injection.name() + " " + NameOfErrno(injection.errnum()));
                text = Text(err);
                Judge(injection, again, err);
            } else if (err != nullptr) {
                Say("the scenario fails without a fault: " + Text(err));
            }
            eio_err_drop(err);
        }
        shared_->steps++;
        Check();
        if (errnos == 0)
            return 0;
        shared_->tally.points++;
        (success ? shared_->tally.successes : shared_->tally.errors)++;
        RunClean("after that, where it got " + text);
        shared_->steps++;
        Check();
        return errnos;
    }

    void Check() {
        std::string leak = Leak(before_, StateNow());
        const auto until = Clock::now() + std::chrono::seconds(10);
        while (scenario_.flags & kServerThread && !leak.empty() && Clock::now() < until) {
            std::this_thread::yield();
            leak = Leak(before_, StateNow());
        }
        if (!leak.empty())
            Say(leak);
    }

    void Note(unsigned n, size_t which, bool again, const std::string &what) {
        snprintf(shared_->where, sizeof shared_->where, "%s on %s, call %u, errno %zu, %s: %s",
                 scenario_.name, opts_.backend, n, which, again ? "again and again" : "once",
                 what.c_str());
    }

    /// Whether the run's result is what may come of the failure.
    void Judge(const Injection &injection, bool again, const eio_err *err) {
        const std::string text = Text(err);
        Row &row = table_[injection.name() + " " + NameOfErrno(injection.errnum())];
        (err == nullptr ? row.successes : row.errors)++;
        if (row.example.empty() && err != nullptr)
            row.example = text;
        if (text.find("WRONG") != std::string::npos)
            Say("a call gave something untrue: " + text);
        else if (err != nullptr && !Explains(text, injection.name(), injection.errnum()) &&
                 !(scenario_.flags & kTwoSides && IsTheOtherSides(text)))
            Complain("the error doesn't say what failed: " + text);
        else if (err == nullptr && !(scenario_.flags & kForgiving) &&
                 MustSurface(injection.name(), injection.errnum(), again))
            Complain("the failure was passed over in silence");
    }

    /// Something is wrong with the answer, but the loop can go on.
    void Complain(const std::string &what) {
        if (complaints_.size() < 4000)
            complaints_ += "\n  " + std::string(shared_->where) + ": " + what;
    }

    void PrintTable() {
        for (const auto &[point, row] : table_)
            fprintf(stderr, "  %-28s %5u errors %5u successes  %s\n", point.c_str(), row.errors,
                    row.successes, row.example.c_str());
    }

    struct Row {
        unsigned errors = 0, successes = 0;
        std::string example;
    };

    const Scenario &scenario_;
    const LoopOpts &opts_;
    Shared *const shared_;
    const Body body_;
    State before_;
    std::string complaints_;
    std::map<std::string, Row> table_;
};

[[noreturn]] void Child(const Scenario &scenario, const LoopOpts &opts, Shared *shared) {
    // One heap, so that what is mapped doesn't depend on which threads met in it.
    mallopt(M_ARENA_MAX, 1);
    // Else large blocks move into the heap, which keeps them, once one has been freed.
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    // Closed rings are charged to the user for a while, and this makes thousands.
    const struct rlimit no_limit = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &no_limit); // where it isn't allowed the library waits
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    close(null);
    {
        Loop loop(scenario, opts, shared);
        loop.Run();
    }
    fflush(stderr);
    eio_test::ExitNow(0);
}

// --- The watching process ---

/// Waits for the end of `pid`; false: it made no step for too long, and was killed.
bool Watch(pid_t pid, const Shared *shared, int *status) {
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    unsigned long long steps = shared->steps;
    bool alive = true;
    for (int idle = 0; alive && idle < kHangSeconds; idle++) {
        struct pollfd fd = {pidfd, POLLIN, 0};
        alive = poll(&fd, 1, 1000) <= 0;
        if (shared->steps != steps)
            idle = 0;
        steps = shared->steps;
    }
    if (alive)
        kill(pid, SIGABRT);
    close(pidfd);
    waitpid(pid, status, 0);
    return !alive;
}

} // namespace

std::string RunLoop(const Scenario &scenario, const LoopOpts &opts, Tally *out) {
    void *map =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return "no memory to share";
    Shared *shared = static_cast<Shared *>(map);
    fflush(nullptr);
    const pid_t pid = fork();
    if (pid == 0)
        Child(scenario, opts, shared);
    int status = 0;
    std::string wrong;
    if (!Watch(pid, shared, &status))
        wrong = "it hangs";
    else if (WIFSIGNALED(status))
        wrong = std::string("it dies of ") + strsignal(WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        wrong = "it exits with " + std::to_string(WEXITSTATUS(status));
    if (!wrong.empty())
        wrong = std::string(shared->where) + ": " + wrong;
    else
        wrong = shared->wrong;
    *out = shared->tally;
    munmap(map, sizeof(Shared));
    return wrong;
}

} // namespace eio_faults
