// SPDX-License-Identifier: ISC
// Rows: the calls of networks and their sockets on mocks, whose scripts wait for what completes them.

#include "eio/connect_any.h"
#include "eio/mock/flow.h"
#include "eio/mock/net.h"
#include "eio/semaphore.h"
#include "eio/server.h"
#include "tests/conformance/op_rows.h"

namespace eio_test {

namespace {

const eio_sockaddr kAddr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 80);

eio_err *DoNothing(void *, eio_flow *, const eio_sockaddr *) {
    return nullptr;
}
eio_err *UseNothing(void *, eio_flow *) {
    return nullptr;
}

/// A call to a mock whose every action waits for a permit first.
class MockOp : public Op {
  public:
    enum Call {
        kConnect,
        kWithTcpConnect,
        kListen,
        kAccept,
        kAcceptFork,
        kDatagramSocket,
        kSend,
        kRecv,
        kRead,
        kWrite,
        kGetaddrinfo,
        kGetaddrinfoStream,
        kGetaddrinfoDatagram,
        kGetnameinfo
    };
    explicit MockOp(Call call) : call_(call) {}

    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        EIO_TRY(eio_semaphore_create(sw, 0, &permits_));
        EIO_TRY(eio_mock_net_create("net", &net_));
        EIO_TRY(eio_mock_listener_create("listener", &listener_));
        EIO_TRY(eio_mock_datagram_create("datagram", &datagram_));
        EIO_TRY(eio_mock_flow_create("flow", &flow_));
        EIO_TRY(eio_mock_on_default(&net_->on_getaddrinfo, eio_mock_return_addrs(&kAddr, 1)));
        eio_mock_handler *const handlers[] = {
            &net_->on_connect,     &net_->on_connect,     &net_->on_listen,
            &listener_->on_accept, &listener_->on_accept, &net_->on_datagram_socket,
            &datagram_->on_send,   &datagram_->on_recv,   &flow_->on_read,
            &flow_->on_copy_bytes, &net_->on_getaddrinfo, &net_->on_getaddrinfo,
            &net_->on_getaddrinfo, &net_->on_getnameinfo};
        return eio_mock_on_default(handlers[call_], eio_mock_call(Action, this));
    }

    eio_err *Run() override {
        return SwitchRun([&](eio_switch *sw) { return RunIn(sw); });
    }
    void Complete() override { eio_semaphore_release(permits_); }
    bool InMemory() const override { return true; }
    const eio_err_kind *FailsWith() const override { return &eio_err_net_refused; }
    void Fail() override {
        fails_ = true;
        Complete();
    }

  private:
    static eio_err *Action(void *arg, eio_mock_value *out) {
        auto *self = static_cast<MockOp *>(arg);
        EIO_TRY(eio_semaphore_acquire(self->permits_));
        if (self->fails_)
            return eio_mock_simulated_failure(&eio_err_net_refused);
        out->flow = &self->flow_->socket;
        out->listener = &self->listener_->listener;
        out->datagram = &self->datagram_->socket;
        out->bytes = eio_slice_of_str("x");
        out->size = 1;
        out->addr = kAddr;
        out->addrs = &kAddr;
        out->addr_count = 1;
        return nullptr;
    }

    eio_err *RunIn(eio_switch *sw) {
        eio_stream_socket *socket;
        eio_listener *listener;
        eio_datagram_socket *datagram;
        eio_datagram_info info;
        eio_sockaddr_list addrs;
        eio_nameinfo name;
        uint8_t byte;
        size_t n;
        const eio_slice slice = eio_slice_of_str("x");
        eio_net *net = &net_->net;
        switch (call_) {
        case kConnect: return eio_net_connect(net, sw, &kAddr, nullptr, &socket);
        case kWithTcpConnect:
            return eio_net_with_tcp_connect(net, "host", "80", nullptr, UseNothing, nullptr);
        case kListen: return eio_net_listen(net, sw, &kAddr, nullptr, &listener);
        case kAccept: return eio_listener_accept(&listener_->listener, sw, &socket, nullptr);
        case kAcceptFork:
            return eio_net_accept_fork(&listener_->listener, sw, DoNothing, nullptr,
                                       eio_on_error_fail, nullptr);
        case kDatagramSocket:
            return eio_net_datagram_socket_unbound(net, sw, EIO_UDP_V4, nullptr, &datagram);
        case kSend: return eio_datagram_send(&datagram_->socket, nullptr, &slice, 1);
        case kRecv: return eio_datagram_recv(&datagram_->socket, eio_buf_of(&byte, 1), &info);
        case kRead: return eio_source_single_read(&flow_->flow.source, eio_buf_of(&byte, 1), &n);
        case kWrite: return eio_sink_single_write(&flow_->flow.sink, &slice, 1, &n);
        case kGetaddrinfo: return eio_net_getaddrinfo(net, sw, "host", "80", &addrs);
        case kGetaddrinfoStream: return eio_net_getaddrinfo_stream(net, sw, "host", "80", &addrs);
        case kGetaddrinfoDatagram:
            return eio_net_getaddrinfo_datagram(net, sw, "host", "80", &addrs);
        case kGetnameinfo: return eio_net_getnameinfo(net, &kAddr, &name);
        }
        return nullptr;
    }

    Call call_;
    bool fails_ = false;
    eio_semaphore *permits_ = nullptr;
    eio_mock_net *net_ = nullptr;
    eio_mock_listener *listener_ = nullptr;
    eio_mock_datagram *datagram_ = nullptr;
    eio_mock_flow *flow_ = nullptr;
};

/// A server on a mock listener that accepts nobody, until it's told to stop.
class MockServerOp : public Op {
  public:
    explicit MockServerOp(int additional_domains) : additional_domains_(additional_domains) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        env_ = env;
        EIO_TRY(eio_mock_listener_create("listener", &listener_));
        EIO_TRY(eio_mock_on_default(&listener_->on_accept, eio_mock_await_cancel()));
        return eio_promise_create(sw, &stop_, &set_stop_);
    }
    eio_err *Run() override {
        eio_server_opts opts = {};
        opts.stop = stop_;
        opts.additional_domains = additional_domains_;
        opts.domain_mgr = env_->domain_mgr;
        return eio_net_run_server(&listener_->listener, DoNothing, nullptr, eio_on_error_fail,
                                  nullptr, &opts);
    }
    void Complete() override { eio_promise_try_resolve(set_stop_, nullptr); }
    bool Counts() const override { return false; } // once stopped, it stays so
    bool InMemory() const override { return true; }
    const eio_err_kind *FailsWith() const override { return &eio_err_failure_kind; }
    void Fail() override { eio_promise_try_resolve_error(set_stop_, eio_err_failure("x")); }

  private:
    int additional_domains_;
    const eio_env *env_ = nullptr;
    eio_mock_listener *listener_ = nullptr;
    eio_promise *stop_ = nullptr;
    eio_promise_resolver *set_stop_ = nullptr;
};

} // namespace

std::vector<OpKind> MockRows() {
    return {
        {"connect_mock", kMock, Make<MockOp>(MockOp::kConnect)},
        {"with_tcp_connect_mock", kMock, Make<MockOp>(MockOp::kWithTcpConnect)},
        {"listen_mock", kMock, Make<MockOp>(MockOp::kListen)},
        {"accept_mock", kMock, Make<MockOp>(MockOp::kAccept)},
        {"accept_fork_mock", kMock, Make<MockOp>(MockOp::kAcceptFork)},
        {"datagram_socket_mock", kMock, Make<MockOp>(MockOp::kDatagramSocket)},
        {"send_mock", kMock, Make<MockOp>(MockOp::kSend)},
        {"recv_mock", kMock, Make<MockOp>(MockOp::kRecv)},
        {"scripted_read_mock", kMock, Make<MockOp>(MockOp::kRead)},
        {"scripted_write_mock", kMock, Make<MockOp>(MockOp::kWrite)},
        {"getaddrinfo_mock", kMock, Make<MockOp>(MockOp::kGetaddrinfo)},
        {"getaddrinfo_stream_mock", kMock, Make<MockOp>(MockOp::kGetaddrinfoStream)},
        {"getaddrinfo_datagram_mock", kMock, Make<MockOp>(MockOp::kGetaddrinfoDatagram)},
        {"getnameinfo_mock", kMock, Make<MockOp>(MockOp::kGetnameinfo)},
        {"run_server_mock", kMock, Make<MockServerOp>(0)},
        {"run_server_2_domains_mock", kMock, Make<MockServerOp>(1)},
    };
}

} // namespace eio_test
