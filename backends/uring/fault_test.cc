// SPDX-License-Identifier: ISC

// Each allocation and each system call of some scenarios fails in turn, with each errno that it may
// have: the scenario succeeds or says so, nothing is left behind, and the next run succeeds.

#include <string>
#include <vector>

#include "backends/uring/uring_run.h"
#include "eio/server.h"
#include "fiber/base/alloc.h"

using namespace eio_test;

namespace {

using Scenario = std::function<eio_err *(eio_switch *, eio_net *)>;

eio_err *RunScenario(const Scenario &scenario) {
    return EvalUring([&](eio_switch *sw) -> eio_err * {
        eio_unix_net net;
        eio_unix_net_init(&net, nullptr);
        return scenario(sw, &net.net);
    });
}

/// The errno values that point `name` is tried with.
std::vector<int> ErrnosOf(const std::string &name) {
    static const std::map<std::string, std::vector<int>> table = {
        {"alloc", {ENOMEM}},
        {"io_uring_setup", {EPERM, ENOSYS, ENOMEM, EINVAL}},
        {"io_uring_enter", {EINTR, EAGAIN, EBUSY, ENOMEM}},
        {"uring_sqe_full", {ENOSPC}},
        {"cqe_read", {EINTR, EAGAIN, ECANCELED, ECONNRESET, ENOMEM}},
        {"cqe_write", {EINTR, EAGAIN, ECANCELED, EPIPE, ENOMEM}},
        {"cqe_accept", {EINTR, EAGAIN, ECANCELED, EMFILE, ECONNABORTED}},
        {"cqe_connect", {EINTR, ECANCELED, ECONNREFUSED, ETIMEDOUT, EADDRNOTAVAIL}},
        {"cqe_wake", {EINTR, EAGAIN, ENOMEM}},
        {"cqe_cancel", {EALREADY, ENOENT}},
        {"mmap", {ENOMEM}},
    };
    auto it = table.find(name);
    return it != table.end() ? it->second : std::vector<int>{ENOMEM, EMFILE};
}

struct Tally {
    int points = 0, errors = 0;
};

/// One point, the `n`th of the run, with its `which`th errno. False: there is no such point.
bool FailOne(const Scenario &scenario, int n, size_t which, bool *more, Tally *tally) {
    int seen = 0;
    bool fired = false;
    long long objects = eioi_live_objects();
    std::vector<std::string> fds = OpenFds();
    std::string point;
    eio_err *err;
    {
        Faults faults([&](const std::string &name) {
            if (++seen != n)
                return 0;
            point = name;
            std::vector<int> errnos = ErrnosOf(name);
            *more = which + 1 < errnos.size();
            fired = true;
            return errnos[which];
        });
        err = RunScenario(scenario);
    }
    tally->points += fired;
    tally->errors += err != nullptr;
    eio_err_drop(err);
    EXPECT_EQ(eioi_live_objects(), objects) << point << " " << n << " " << which;
    EXPECT_EQ(OpenFds(), fds) << point << " " << n << " " << which;
    return fired;
}

void FailEach(const Scenario &scenario) {
    Tally tally;
    for (int n = 1;; n++) {
        bool more = true, fired = true;
        for (size_t which = 0; more && fired; which++) {
            more = false;
            fired = FailOne(scenario, n, which, &more, &tally);
            if (::testing::Test::HasFailure())
                return;
        }
        if (!fired)
            break;
    }
    EXPECT_TRUE(IsOk(RunScenario(scenario))) << "without a fault";
    EXPECT_GT(tally.errors, 0);
    printf("%d points, %d errors\n", tally.points, tally.errors);
}

eio_err *Echo(void *, eio_flow *flow, const eio_sockaddr *) {
    return eio_flow_copy(&flow->source, &flow->sink);
}

eio_err *Exchange(eio_flow *flow) {
    uint8_t space[5];
    EIO_TRY(eio_flow_copy_string("hello", &flow->sink));
    EIO_TRY(eio_flow_shutdown(flow, EIO_SHUTDOWN_SEND));
    return eio_source_read_exact(&flow->source, eio_buf_of(space, sizeof space));
}

eio_err *EchoOver(eio_switch *sw, eio_net *net, eio_sockaddr addr) {
    eio_listener *listener;
    EIO_TRY(eio_net_listen(net, sw, &addr, nullptr, &listener));
    EIO_TRY(eio_listener_addr(listener, &addr));
    return Both(
        [&] {
            return eio_net_accept_fork(listener, sw, Echo, nullptr, eio_on_error_fail, nullptr);
        },
        [&]() -> eio_err * {
            eio_stream_socket *client;
            EIO_TRY(eio_net_connect(net, sw, &addr, nullptr, &client));
            return Exchange(&client->flow);
        });
}

} // namespace

class FaultTest : public EioTest {
  protected:
    void SetUp() override {
        EXPECT_OK(RunScenario(
            [](eio_switch *, eio_net *) -> eio_err * { return nullptr; })); // what is cached
        EioTest::SetUp();
    }
};

TEST_F(FaultTest, TcpEcho) {
    FailEach([](eio_switch *sw, eio_net *net) {
        return EchoOver(sw, net, eio_sockaddr_tcp(eio_ip_v4_loopback(), 0));
    });
}

TEST_F(FaultTest, UnixEchoOnAnAbstractAddress) {
    FailEach([](eio_switch *sw, eio_net *net) -> eio_err * {
        eio_sockaddr addr;
        std::string name = std::string(1, '\0') + UniqueName();
        EIO_TRY(eio_sockaddr_unix(eio_slice_of(name.data(), name.size()), &addr));
        return EchoOver(sw, net, addr);
    });
}

TEST_F(FaultTest, DatagramsAndACancelledReceiver) {
    FailEach([](eio_switch *sw, eio_net *) -> eio_err * {
        eio_datagram_socket *a, *b;
        uint8_t space[8];
        eio_datagram_info info;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        eio_slice slice = eio_slice_of_str("x");
        EIO_TRY(eio_datagram_send(a, nullptr, &slice, 1));
        EIO_TRY(eio_datagram_recv(b, eio_buf_of(space, sizeof space), &info));
        return First([&] { return eio_datagram_recv(b, eio_buf_of(space, sizeof space), &info); },
                     []() -> eio_err * { return eioi_sleep_until(eioi_now() + 100000); });
    });
}

TEST_F(FaultTest, ACloseUnderABlockedRead) {
    FailEach([](eio_switch *sw, eio_net *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        return Both(
            [&]() -> eio_err * {
                uint8_t byte;
                size_t got;
                eio_err *err = eio_source_single_read(&a->flow.source, eio_buf_of(&byte, 1), &got);
                eio_err_catch(&err, &eio_err_closed);
                return err;
            },
            [&]() -> eio_err * {
                EIO_TRY(eioi_sleep_until(eioi_now() + 100000));
                eio_flow_close(&a->flow);
                return nullptr;
            });
    });
}
