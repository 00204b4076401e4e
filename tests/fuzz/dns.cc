// SPDX-License-Identifier: ISC
// Answers of name servers through the resolver: a server on loopback, a fiber of the same loop, gives
// the fuzzer's bytes as answers, then a right one, so that no lookup waits for a time-out. Every
// address that comes out was in what the server sent.

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "eio/buf_read.h"
#include "eio/env.h"
#include "eio/fiber.h"
#include "eio/main.h"
#include "eio/net.h"
#include "eio/resolver.h"
#include "tests/fuzz/fuzz.h"

namespace eio_fuzz {
namespace {

constexpr size_t kHeaderBytes = 12;
constexpr char kNxDomain[] = "\x81\x83\0\1\0\0\0\0\0\0"; // an answer's header behind its id

struct Run {
    Input in;
    const eio_env *env;
    eio_switch *sw;
    eio_datagram_socket *udp;
    eio_listener *tcp; // NULL: nobody listens
    std::vector<std::string> sent;
};

// The header and the question of a query, the records behind them cut off.
std::string QuestionOf(const std::string &query) {
    size_t at = kHeaderBytes;
    while (at < query.size() && query[at] != 0)
        at += 1 + static_cast<uint8_t>(query[at]);
    return query.substr(0, at + 5);
}

// The next of the fuzzer's answers, as it is or put behind a header that fits.
std::string NextAnswer(Run *self, const std::string &query, bool *out_more) {
    uint8_t how = self->in.Byte();
    std::string bytes = self->in.String(600), question = QuestionOf(query);
    *out_more = (how & 1) != 0 && !self->in.empty();
    if (how & 2) // the question repeated, behind a header of the fuzzer's
        bytes = bytes.substr(0, kHeaderBytes) +
                question.substr(std::min(kHeaderBytes, question.size())) +
                (bytes.size() > kHeaderBytes ? bytes.substr(kHeaderBytes) : "");
    if (how & 4) // its id
        bytes.replace(0, std::min<size_t>(2, bytes.size()), query.substr(0, 2));
    return bytes;
}

std::string LastAnswer(const std::string &query) {
    return query.substr(0, 2) + std::string(kNxDomain, sizeof kNxDomain - 1) +
           QuestionOf(query).substr(std::min(kHeaderBytes, query.size()));
}

eio_err *Send(Run *self, const eio_sockaddr &to, const std::string &answer) {
    self->sent.push_back(answer);
    eio_slice slice = Slice(answer);
    return eio_datagram_send(self->udp, &to, &slice, 1);
}

eio_err *ServeUdp(void *arg) {
    auto *self = static_cast<Run *>(arg);
    while (true) {
        uint8_t buf[1500];
        struct eio_datagram_info info;
        EIO_TRY(eio_datagram_recv(self->udp, eio_buf_of(buf, sizeof buf), &info));
        std::string query = Str(eio_slice_of(buf, info.len));
        for (bool more = !self->in.empty(); more;)
            EIO_TRY(Send(self, info.from, NextAnswer(self, query, &more)));
        EIO_TRY(Send(self, info.from, LastAnswer(query)));
    }
}

std::string Framed(const std::string &message) {
    return std::string{static_cast<char>(message.size() >> 8), static_cast<char>(message.size())} +
           message;
}

// One connection, until its peer has had enough of it.
eio_err *Answer(Run *self, eio_flow *flow) {
    eio_buf_read in EIO_CLEANUP(eio_buf_read_fini);
    EIO_TRY(eio_buf_read_init(&in, &flow->source, 70000));
    while (true) {
        uint16_t len;
        eio_slice query;
        EIO_TRY(eio_buf_read_be_uint16(&in, &len));
        EIO_TRY(eio_buf_read_take(&in, len, &query));
        std::string text = Str(query), out;
        bool ends = self->in.Bool();
        for (bool more = !self->in.empty(); more;) {
            bool framed = self->in.Bool();
            std::string answer = NextAnswer(self, text, &more);
            self->sent.push_back(answer);
            out += framed ? Framed(answer) : answer;
            // The peer may wait for more than comes, having taken anything for a length.
            ends = ends || !framed;
        }
        out += Framed(LastAnswer(text));
        EIO_TRY(eio_sink_write(&flow->sink, Slice(out)));
        if (ends)
            return nullptr;
    }
}

eio_err *ServeConnection(void *arg, eio_switch *sw) {
    auto *self = static_cast<Run *>(arg);
    eio_stream_socket *socket;
    EIO_TRY(eio_listener_accept(self->tcp, sw, &socket, nullptr));
    eio_err_drop(Answer(self, &socket->flow));
    eio_flow_close(&socket->flow);
    return nullptr;
}

eio_err *ServeTcp(void *arg) {
    while (true)
        EIO_TRY(eio_switch_run(ServeConnection, arg));
}

// UDP on any port, and TCP on the same one unless somebody has it.
eio_err *Listen(Run *self, bool tcp, eio_sockaddr *out) {
    *out = eio_sockaddr_udp(eio_ip_v4_loopback(), 0);
    EIO_TRY(eio_net_datagram_socket(&self->env->net->net, self->sw, out, nullptr, &self->udp));
    EIO_TRY(eio_datagram_addr(self->udp, out));
    EIO_TRY(eio_fiber_fork_daemon(self->sw, ServeUdp, self, nullptr));
    if (!tcp)
        return nullptr;
    eio_sockaddr addr = eio_sockaddr_tcp(out->ip, out->port);
    eio_err *err = eio_net_listen(&self->env->net->net, self->sw, &addr, nullptr, &self->tcp);
    if (err != nullptr) {
        eio_err_drop(err);
        return nullptr;
    }
    return eio_fiber_fork_daemon(self->sw, ServeTcp, self, nullptr);
}

bool WasSent(const Run &self, const eio_ip &ip) {
    std::string bytes(reinterpret_cast<const char *>(ip.bytes), ip.len);
    for (const std::string &answer : self.sent)
        if (answer.find(bytes) != std::string::npos)
            return true;
    return false;
}

void CheckFailed(eio_err *err) {
    const eio_err_kind *kind = TakeKind(err);
    CHECK(kind == nullptr || kind == &eio_err_net_address_lookup_failed);
}

void LookUpAddresses(Run *self, eio_net *net, const char *name) {
    eio_sockaddr_list list = {};
    CheckFailed(eio_net_getaddrinfo_stream(net, self->sw, name, "80", &list));
    for (size_t i = 0; i < list.count; i++) {
        CHECK(list.items[i].kind == EIO_TCP && list.items[i].port == 80);
        CHECK(list.items[i].ip.len == 4 || list.items[i].ip.len == 16);
        CHECK(WasSent(*self, list.items[i].ip));
    }
}

void LookUpName(eio_net *net, uint8_t last) {
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4(192, 0, 2, last), 80);
    eio_nameinfo info;
    eio_err *err = eio_net_getnameinfo(net, &addr, &info);
    CHECK(err != nullptr || strnlen(info.host, sizeof info.host) < sizeof info.host);
    CHECK(err != nullptr || info.host[0] != '\0');
    CheckFailed(err);
}

eio_err *Body(void *arg, eio_switch *sw) {
    auto *self = static_cast<Run *>(arg);
    uint8_t mode = self->in.Byte();
    eio_sockaddr server;
    self->sw = sw;
    EIO_TRY(Listen(self, (mode & 1) != 0, &server));
    struct eio_resolver_opts opts = {};
    opts.servers = &server;
    opts.server_count = 1;
    opts.hosts_path = opts.services_path = opts.resolv_conf_path = "/dev/null";
    opts.no_search = true;
    opts.no_search = true;
    opts.use_tcp = self->tcp != nullptr && (mode & 2) != 0;
    opts.tries = 1;
    opts.timeout_ns = EIO_SECOND; // for what the server has swallowed by mistake
    eio_resolver *resolver;
    EIO_TRY(eio_resolver_create(sw, self->env->mono_clock, &opts, &resolver));
    eio_unix_net net;
    eio_unix_net_init(&net, &resolver->lookup);
    if (mode & 4)
        LookUpName(&net.net, mode);
    else
        LookUpAddresses(self, &net.net, mode & 8 ? "a" : "www.example.com");
    return nullptr;
}

eio_err *Main(void *arg, const eio_env *env) {
    static_cast<Run *>(arg)->env = env;
    return eio_switch_run(Body, arg);
}

// The number that the next descriptor will have: the same afterwards, when none was left open.
int NextFd() {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

} // namespace

void Target(const uint8_t *data, size_t size) {
    Run run = {Input(data, size), nullptr, nullptr, nullptr, nullptr, {}};
    struct eio_run_opts opts = {};
    opts.backend = "epoll";
    int next_fd = NextFd();
    CHECK(TakeKind(eio_run(&opts, Main, &run)) == nullptr);
    CHECK(NextFd() == next_fd);
}

} // namespace eio_fuzz
