// SPDX-License-Identifier: ISC

#include "tests/resolver/dns_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace eio_resolver_test {
namespace {

enum { kHeaderBytes = 12 };

void Put16(Bytes *out, unsigned value) {
    out->push_back(static_cast<uint8_t>(value >> 8));
    out->push_back(static_cast<uint8_t>(value));
}

unsigned Get16(const Bytes &in, size_t at) {
    return static_cast<unsigned>(in[at] << 8 | in[at + 1]);
}

void Append(Bytes *out, const Bytes &more) {
    out->insert(out->end(), more.begin(), more.end());
}

void Must(bool ok, const char *what) {
    if (!ok)
        throw std::runtime_error(std::string(what) + ": " + strerror(errno));
}

bool Bind(int fd, const eio_ip &ip, uint16_t port) {
    if (ip.len == 4) {
        sockaddr_in v4 = {};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        memcpy(&v4.sin_addr, ip.bytes, 4);
        return bind(fd, reinterpret_cast<const sockaddr *>(&v4), sizeof v4) == 0;
    }
    sockaddr_in6 v6 = {};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_scope_id = ip.scope_id;
    memcpy(&v6.sin6_addr, ip.bytes, 16);
    return bind(fd, reinterpret_cast<const sockaddr *>(&v6), sizeof v6) == 0;
}

uint16_t PortOf(int fd) {
    sockaddr_in6 addr = {}; // the port is where that of IPv4 is
    socklen_t len = sizeof addr;
    Must(getsockname(fd, reinterpret_cast<sockaddr *>(&addr), &len) == 0, "getsockname");
    return ntohs(addr.sin6_port);
}

/// A UDP and a TCP socket with the same port; 0: any.
void OpenPair(const eio_ip &ip, uint16_t port, int *udp, int *tcp) {
    const int family = ip.len == 4 ? AF_INET : AF_INET6;
    for (int tries = 0; tries < 100; tries++) {
        *udp = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        *tcp = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        Must(*udp >= 0 && *tcp >= 0, "socket");
        const int on = 1;
        setsockopt(*tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (Bind(*udp, ip, port) && Bind(*tcp, ip, PortOf(*udp)))
            return;
        close(*udp);
        close(*tcp);
    }
    throw std::runtime_error("no port is free for both UDP and TCP");
}

bool Parse(const Bytes &bytes, DnsQuery *out) {
    size_t at = kHeaderBytes;
    out->bytes = bytes;
    while (at < bytes.size() && bytes[at] != 0) {
        const size_t len = bytes[at];
        if (at + len >= bytes.size())
            return false;
        out->name += (out->name.empty() ? "" : ".") +
                     std::string(bytes.begin() + static_cast<long>(at) + 1,
                                 bytes.begin() + static_cast<long>(at + len) + 1);
        at += len + 1;
    }
    if (at + 5 > bytes.size())
        return false;
    out->type = static_cast<uint16_t>(Get16(bytes, at + 1));
    out->question_end = at + 5;
    out->edns = Get16(bytes, 10) != 0;
    return true;
}

std::string TypeName(uint16_t type) {
    switch (type) {
    case kTypeA: return "A";
    case kTypeAaaa: return "AAAA";
    case kTypePtr: return "PTR";
    default: return std::to_string(type);
    }
}

} // namespace

Bytes EncodeName(const std::string &name) {
    Bytes out;
    size_t at = 0;
    while (at < name.size()) {
        const size_t end = std::min(name.find('.', at), name.size());
        out.push_back(static_cast<uint8_t>(end - at));
        out.insert(out.end(), name.begin() + static_cast<long>(at),
                   name.begin() + static_cast<long>(end));
        at = end + 1;
    }
    out.push_back(0);
    return out;
}

DnsMessage::DnsMessage(const DnsQuery &query)
    : bytes_(query.bytes.begin(), query.bytes.begin() + static_cast<long>(query.question_end)),
      owner_{0xc0, kHeaderBytes} {
    bytes_[2] = 0x81; // an answer, recursion desired
    bytes_[3] = 0x80; // recursion available
    std::fill(bytes_.begin() + 6, bytes_.begin() + kHeaderBytes, uint8_t{0});
}

DnsMessage &DnsMessage::Record(uint16_t type, const Bytes &data) {
    Append(&bytes_, owner_);
    Put16(&bytes_, type);
    Put16(&bytes_, 1);
    Put16(&bytes_, 0);
    Put16(&bytes_, 60);
    Put16(&bytes_, static_cast<unsigned>(data.size()));
    Append(&bytes_, data);
    const unsigned count = Get16(bytes_, 6) + 1;
    bytes_[6] = static_cast<uint8_t>(count >> 8);
    bytes_[7] = static_cast<uint8_t>(count);
    return *this;
}

DnsMessage &DnsMessage::A(const std::string &ip) {
    Bytes data(4);
    inet_pton(AF_INET, ip.c_str(), data.data());
    return Record(kTypeA, data);
}

DnsMessage &DnsMessage::Aaaa(const std::string &ip) {
    Bytes data(16);
    inet_pton(AF_INET6, ip.c_str(), data.data());
    return Record(kTypeAaaa, data);
}

DnsMessage &DnsMessage::Cname(const std::string &target) {
    Record(kTypeCname, EncodeName(target));
    owner_ = EncodeName(target);
    return *this;
}

DnsMessage &DnsMessage::Ptr(const std::string &name) {
    return Record(kTypePtr, EncodeName(name));
}

DnsMessage &DnsMessage::Rcode(int rcode) {
    bytes_[3] = static_cast<uint8_t>(0x80 | rcode);
    return *this;
}

DnsMessage &DnsMessage::Truncated() {
    bytes_[2] |= 2;
    return *this;
}

DnsMessage &DnsMessage::Id(int delta) {
    const unsigned id = Get16(bytes_, 0) + static_cast<unsigned>(delta);
    bytes_[0] = static_cast<uint8_t>(id >> 8);
    bytes_[1] = static_cast<uint8_t>(id);
    return *this;
}

DnsServer::DnsServer(Handler handler, uint16_t port, const eio_ip &ip)
    : handler_(std::move(handler)), ip_(ip) {
    OpenPair(ip, port, &udp_, &tcp_);
    port_ = PortOf(udp_);
    const int big = 4 << 20;
    setsockopt(udp_, SOL_SOCKET, SO_RCVBUF, &big, sizeof big);
    Must(listen(tcp_, 64) == 0, "listen");
    Must(pipe2(wake_, O_CLOEXEC | O_NONBLOCK) == 0, "pipe2");
    thread_ = std::thread([this] { Run(); });
}

DnsServer::~DnsServer() {
    {
        std::lock_guard<std::mutex> hold(mutex_);
        stop_ = true;
    }
    Must(write(wake_[1], "", 1) == 1, "write");
    thread_.join();
    for (const auto &connection : connections_)
        close(connection.fd);
    for (int fd : {udp_, tcp_, wake_[0], wake_[1]})
        close(fd);
}

eio_sockaddr DnsServer::address() const {
    return eio_sockaddr_udp(ip_, port_);
}

std::vector<std::string> DnsServer::Seen() {
    std::lock_guard<std::mutex> hold(mutex_);
    return seen_;
}

int DnsServer::Count(const std::string &what) {
    const std::vector<std::string> seen = Seen();
    return static_cast<int>(std::count(seen.begin(), seen.end(), what));
}

void DnsServer::Release() {
    {
        std::lock_guard<std::mutex> hold(mutex_);
        release_ = true;
    }
    Must(write(wake_[1], "", 1) == 1, "write");
}

void DnsServer::Run() {
    while (true) {
        std::vector<pollfd> fds = {{wake_[0], POLLIN, 0}, {udp_, POLLIN, 0}, {tcp_, POLLIN, 0}};
        for (const auto &connection : connections_)
            fds.push_back({connection.fd, POLLIN, 0});
        if (poll(fds.data(), fds.size(), -1) < 0)
            continue;
        char ignored[16];
        while (read(wake_[0], ignored, sizeof ignored) > 0) {
        }
        bool release;
        {
            std::lock_guard<std::mutex> hold(mutex_);
            if (stop_)
                return;
            release = std::exchange(release_, false);
        }
        if (fds[1].revents != 0)
            ReadUdp();
        for (size_t i = 3; i < fds.size(); i++) {
            const auto it = std::find_if(connections_.begin(), connections_.end(),
                                         [&](const Connection &c) { return c.fd == fds[i].fd; });
            if (fds[i].revents != 0 && !ReadTcp(&*it))
                Drop(fds[i].fd);
        }
        if (fds[2].revents != 0)
            Accept();
        if (release)
            for (const auto &pending : std::exchange(held_, {}))
                if (!Send(pending))
                    Drop(pending.fd);
    }
}

void DnsServer::Drop(int fd) {
    const auto of_fd = [fd](const auto &it) { return it.fd == fd; };
    held_.erase(std::remove_if(held_.begin(), held_.end(), of_fd), held_.end());
    const auto it = std::find_if(connections_.begin(), connections_.end(), of_fd);
    if (it == connections_.end())
        return;
    close(fd);
    connections_.erase(it);
}

void DnsServer::Accept() {
    const int fd = accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0)
        connections_.push_back({fd, {}});
}

DnsReply DnsServer::Handle(const Bytes &bytes, bool tcp) {
    DnsQuery query;
    query.tcp = tcp;
    query.number = ++number_;
    if (bytes.size() < kHeaderBytes || !Parse(bytes, &query))
        return DnsReply::Silence();
    {
        std::lock_guard<std::mutex> hold(mutex_);
        seen_.push_back(TypeName(query.type) + (tcp ? "/tcp " : " ") + query.name);
    }
    return handler_(query);
}

void DnsServer::ReadUdp() {
    Bytes bytes(4096);
    sockaddr_storage from;
    socklen_t len = sizeof from;
    const ssize_t got =
        recvfrom(udp_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr *>(&from), &len);
    if (got < 0)
        return;
    bytes.resize(static_cast<size_t>(got));
    const auto *base = reinterpret_cast<const uint8_t *>(&from);
    Pending pending = {Handle(bytes, false), udp_, Bytes(base, base + len)};
    if (pending.reply.hold)
        held_.push_back(pending);
    else
        Send(pending);
}

bool DnsServer::ReadTcp(Connection *connection) {
    Bytes bytes(4096);
    const ssize_t got = recv(connection->fd, bytes.data(), bytes.size(), 0);
    if (got <= 0)
        return false;
    connection->in.insert(connection->in.end(), bytes.begin(), bytes.begin() + got);
    while (connection->in.size() >= 2) {
        const size_t len = Get16(connection->in, 0);
        if (connection->in.size() < len + 2)
            break;
        const auto begin = connection->in.begin() + 2;
        const Bytes query(begin, begin + static_cast<long>(len));
        connection->in.erase(connection->in.begin(), begin + static_cast<long>(len));
        Pending pending = {Handle(query, true), connection->fd, {}};
        if (pending.reply.hold)
            held_.push_back(pending);
        else if (!Send(pending))
            return false;
    }
    return true;
}

bool DnsServer::Send(const Pending &pending) {
    const DnsReply &reply = pending.reply;
    Bytes stream = reply.raw;
    for (const auto &packet : reply.packets) {
        if (!pending.to.empty()) {
            sendto(pending.fd, packet.data(), packet.size(), MSG_NOSIGNAL,
                   reinterpret_cast<const sockaddr *>(pending.to.data()),
                   static_cast<socklen_t>(pending.to.size()));
            continue;
        }
        Put16(&stream, static_cast<unsigned>(packet.size()));
        Append(&stream, packet);
    }
    if (!pending.to.empty())
        return true;
    for (size_t sent = 0; sent < stream.size();) {
        const ssize_t n =
            send(pending.fd, stream.data() + sent, stream.size() - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        sent += static_cast<size_t>(n);
    }
    if (reply.reset) {
        const linger now = {1, 0}; // close sends a reset
        setsockopt(pending.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    return !reply.reset;
}

uint16_t FreePort() {
    int udp, tcp;
    OpenPair(eio_ip_v4_loopback(), 0, &udp, &tcp);
    const uint16_t port = PortOf(udp);
    close(udp);
    close(tcp);
    return port;
}

} // namespace eio_resolver_test
