// SPDX-License-Identifier: ISC
// The messages are those of RFC 1035, section 4: a header of 12 bytes, the question, and behind it
// the answers, whose names point back at the question's (4.1.4).
#include "tests/network/dns_server.h"

#include <cstring>
#include <vector>

#include "tests/support/support.h"

namespace eio_test {
namespace {

enum { HEADER = 12, TYPE_A = 1, TYPE_AAAA = 28, NXDOMAIN = 3 };

unsigned U16(const std::string &message, size_t at) {
    return static_cast<unsigned>(static_cast<uint8_t>(message[at]) << 8 |
                                 static_cast<uint8_t>(message[at + 1]));
}

void PutU16(std::string *message, unsigned value) {
    message->push_back(static_cast<char>(value >> 8));
    message->push_back(static_cast<char>(value & 255));
}

/// The name of the question, and where it ends; false when the message is no query.
bool ParseQuestion(const std::string &query, std::string *name, size_t *end) {
    size_t at = HEADER;
    name->clear();
    while (at < query.size() && query[at] != 0) {
        const size_t len = static_cast<uint8_t>(query[at]);
        if (len > 63 || at + 1 + len >= query.size())
            return false;
        if (!name->empty())
            name->push_back('.');
        name->append(query, at + 1, len);
        at += 1 + len;
    }
    *end = at + 1 + 4; // its NUL, type and class
    return *end <= query.size();
}

std::string Answer(const DnsZone &zone, const std::string &query) {
    std::string name;
    size_t end;
    if (query.size() < HEADER || !ParseQuestion(query, &name, &end))
        return "";
    const bool known = strcasecmp(name.c_str(), zone.name.c_str()) == 0;
    const unsigned type = U16(query, end - 4);
    const eio_ip *ip = type == TYPE_A ? &zone.v4 : type == TYPE_AAAA ? &zone.v6 : nullptr;
    const bool has = known && ip != nullptr;
    std::string out = query.substr(0, 2);
    PutU16(&out, 0x8180u | (known ? 0u : static_cast<unsigned>(NXDOMAIN)));
    PutU16(&out, 1);
    PutU16(&out, has ? 1 : 0);
    PutU16(&out, 0);
    PutU16(&out, 0);
    out += query.substr(HEADER, end - HEADER);
    if (has) {
        PutU16(&out, 0xc000u | HEADER);
        PutU16(&out, type);
        PutU16(&out, 1);
        PutU16(&out, 0);
        PutU16(&out, 60); // seconds to live
        PutU16(&out, ip->len);
        out.append(reinterpret_cast<const char *>(ip->bytes), ip->len);
    }
    return out;
}

eio_err *Serve(eio_datagram_socket *socket, const DnsZone &zone) {
    for (;;) {
        char buf[512];
        eio_datagram_info info;
        EIO_TRY(eio_datagram_recv(socket, eio_buf_of(buf, sizeof buf), &info));
        const std::string answer = Answer(zone, std::string(buf, info.len));
        if (answer.empty())
            continue;
        const eio_slice slice = eio_slice_of(answer.data(), answer.size());
        EIO_TRY(eio_datagram_send(socket, &info.from, &slice, 1));
    }
}

} // namespace

eio_err *StartDnsServer(eio_switch *sw, eio_net *net, const DnsZone &zone, eio_sockaddr *out) {
    const eio_sockaddr any_port = eio_sockaddr_udp(eio_ip_v4_loopback(), 0);
    eio_datagram_socket *socket;
    EIO_TRY(eio_net_datagram_socket(net, sw, &any_port, nullptr, &socket));
    EIO_TRY(eio_datagram_addr(socket, out));
    return ForkDaemon(
        sw, [socket, zone] { return Serve(socket, zone); }, "dns server");
}

} // namespace eio_test
