// SPDX-License-Identifier: ISC

// A name server with a link-local address, which needs a zone, in a namespace of the test's own.

#include <linux/ipv6.h>
#include <netinet/in.h>

#include "tests/resolver/fixture.h"

namespace eio_resolver_test {
namespace {

class LinkLocalTest : public ResolverTest {};
EIO_ON_REAL_BACKENDS(LinkLocalTest);

/// Gives the loopback the address fe80::77.
bool AddAddress() {
    const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    in6_ifreq req = {};
    req.ifr6_ifindex = static_cast<int>(if_nametoindex("lo"));
    req.ifr6_prefixlen = 64;
    req.ifr6_addr.s6_addr[0] = 0xfe;
    req.ifr6_addr.s6_addr[1] = 0x80;
    req.ifr6_addr.s6_addr[15] = 0x77;
    bool usable = false;
    if (ioctl(fd, SIOCSIFADDR, &req) == 0) {
        sockaddr_in6 addr = {};
        addr.sin6_family = AF_INET6;
        addr.sin6_addr = req.ifr6_addr;
        addr.sin6_scope_id = static_cast<uint32_t>(req.ifr6_ifindex);
        // The kernel finishes this in the background, and tells nobody.
        for (int i = 0; i < 5000 && !usable; i++) {
            usable = bind(fd, reinterpret_cast<sockaddr *>(&addr), sizeof addr) == 0;
            usleep(1000);
        }
    }
    close(fd);
    return usable;
}

DnsReply Answer(const DnsQuery &query) {
    DnsMessage message(query);
    if (query.name == "tcp.example" && !query.tcp)
        return message.Truncated();
    return query.type == kTypeA ? message.A("192.0.2.1") : message;
}

TEST_P(LinkLocalTest, AServerMayHaveAZone) {
    RunInChild([this] {
        if (!EnterNamespace() || !AddAddress())
            return static_cast<int>(kNoNamespace);
        eio_ip ip = {};
        EXPECT_OK(eio_ip_parse("fe80::77%lo", &ip));
        DnsServer server(Answer, 53, ip);
        With(server, [](eio_net *net, eio_switch *, const eio_env *) {
            EXPECT_EQ(Ips(net, "www.example"), "192.0.2.1");
            EXPECT_EQ(Ips(net, "tcp.example"), "192.0.2.1");
        });
        resolv_conf_ = folder_.Write("resolv.conf", "nameserver fe80::77%lo\n");
        eio_resolver_opts opts = Opts({});
        opts.servers = nullptr;
        With(opts, [](eio_net *net, eio_switch *, const eio_env *) {
            EXPECT_EQ(Ips(net, "www.example"), "192.0.2.1");
        });
        return 0;
    });
}

} // namespace
} // namespace eio_resolver_test
