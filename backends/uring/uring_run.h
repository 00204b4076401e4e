// SPDX-License-Identifier: ISC
#ifndef EIO_URING_URING_RUN_H
#define EIO_URING_URING_RUN_H

// For the tests of this folder: lambdas on an io_uring loop, and faults in its system calls.

#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <string>

#include "backends/uring/uring.h"
#include "eio/fd.h"
#include "eio/unix_net.h"
#include "fiber/base/fault.h"
#include "fiber/sched.h"
#include "tests/support/counts.h"
#include "tests/support/faults.h"
#include "tests/support/support.h"

namespace eio_test {

/// Runs `f(sw)` in a switch on an io_uring loop of `entries`; returns its error.
template <class F> eio_err *EvalUring(F &&f, unsigned entries = 256) {
    eioi_uring *uring;
    EIO_TRY(eioi_uring_create_sized(entries, &uring));
    auto main = [&f]() -> eio_err * { return SwitchRun(f); };
    eioi_sched_opts opts = {};
    opts.ops = &eioi_uring_ops;
    opts.backend = uring;
    eio_err *err = eioi_sched_run(&opts, Fn<decltype(main)>::Call, &main);
    eioi_uring_destroy(uring);
    return err;
}

/// Faults by plan: which point fails, with what, and when.
class FaultPlan {
  public:
    FaultPlan() : faults_([this](const std::string &name) { return Decide(name); }) {}

    /// Makes point `name` fail with `errnum`, `times` times from its `from`th from now on.
    void Fail(const std::string &name, int errnum, int from = 1, int times = 1) {
        rules_[name] = {errnum, from, from + times, 0};
    }
    int Count(const std::string &name) { return faults_.Count(name); }
    void Clear() { rules_.clear(); }

  private:
    struct Rule {
        int errnum, from, to, seen;
    };
    int Decide(const std::string &name) {
        auto rule = rules_.find(name);
        if (rule == rules_.end())
            return 0;
        int n = ++rule->second.seen;
        return n >= rule->second.from && n < rule->second.to ? rule->second.errnum : 0;
    }
    std::map<std::string, Rule> rules_;
    Faults faults_;
};

/// A flow on one end of a socket pair; the other end is a raw descriptor of the test's.
class HalfRaw {
  public:
    eio_err *Open(eio_switch *sw) {
        int fds[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
            return eio_err_failure("socketpair");
        raw = fds[0];
        eio_stream_socket *socket;
        EIO_TRY(eio_import_stream(sw, fds[1], nullptr, &socket));
        flow = &socket->flow;
        return nullptr;
    }
    ~HalfRaw() { Hangup(); }
    void Hangup() {
        if (raw >= 0)
            close(raw);
        raw = -1;
    }
    void Send(const char *text) {
        EXPECT_EQ(send(raw, text, strlen(text), MSG_NOSIGNAL), static_cast<ssize_t>(strlen(text)));
    }
    /// Until `raw` takes no more.
    void Fill() {
        static const char space[4096] = {};
        while (send(raw, space, sizeof space, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
        }
    }
    /// What has come to `raw`.
    std::string Received() {
        char space[64];
        ssize_t got = recv(raw, space, sizeof space, MSG_DONTWAIT);
        return std::string(space, got > 0 ? static_cast<size_t>(got) : 0);
    }
    eio_err *Read(std::string *out) {
        uint8_t space[64];
        size_t got;
        EIO_TRY(eio_source_single_read(&flow->source, eio_buf_of(space, sizeof space), &got));
        out->assign(reinterpret_cast<char *>(space), got);
        return nullptr;
    }
    eio_err *Read() {
        std::string ignored;
        return Read(&ignored);
    }
    eio_flow *flow = nullptr;
    int raw = -1;
};

/// A turn of the loop in which the kernel had its say.
inline eio_err *Settle() {
    return eioi_sleep_until(eioi_now() + 2000000);
}

/// A loan of everything there is at once, given back whole.
inline eio_err *Lend(eio_flow *flow, std::string *out) {
    eio_slice lent;
    EIO_TRY(eio_source_lend(&flow->source, &lent));
    out->assign(reinterpret_cast<const char *>(lent.base), lent.len);
    eio_source_release(&flow->source, lent.len);
    return nullptr;
}

/// Reads so often that the flow is armed.
inline eio_err *Arm(HalfRaw *pair) {
    std::string text;
    for (const char *word : {"one", "two"}) {
        pair->Send(word);
        EIO_TRY(Lend(pair->flow, &text));
        EXPECT_EQ(text, word);
    }
    // Whoever waits for a third, is served by what is armed; the wait is cancelled, that stays.
    return First([&]() -> eio_err * { return Lend(pair->flow, &text); }, [] { return Settle(); });
}

} // namespace eio_test

#endif
