// SPDX-License-Identifier: ISC

// What needs no name server: literals, localhost, the hosts and services files, options. The server
// that is configured here must never be asked.

#include <unistd.h>

#include <cstring>

#include "tests/resolver/fixture.h"

namespace eio_resolver_test {
namespace {

class LocalTest : public ResolverTest {
  protected:
    void Run(const NetFn &fn) {
        DnsServer server([](const DnsQuery &) { return DnsReply::Silence(); });
        With(server, fn);
        EXPECT_EQ(server.Seen(), std::vector<std::string>{}) << "a name server was asked";
    }
};
EIO_ON_REAL_BACKENDS(LocalTest);

TEST_P(LocalTest, EachAddressComesAsTcpThenUdp) {
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Lookup(net, "127.0.0.1"), "tcp:127.0.0.1:0 udp:127.0.0.1:0");
        EXPECT_EQ(Lookup(net, "127.0.0.1", "80"), "tcp:127.0.0.1:80 udp:127.0.0.1:80");
        EXPECT_EQ(Lookup(net, "127.0.0.1", ""), "tcp:127.0.0.1:0 udp:127.0.0.1:0");
        EXPECT_EQ(Lookup(net, "127.0.0.1", "0"), "tcp:127.0.0.1:0 udp:127.0.0.1:0");
    });
}

TEST_P(LocalTest, ServicesAreLookedUpPerProtocol) {
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Lookup(net, "127.0.0.1", "http"), "tcp:127.0.0.1:80 udp:127.0.0.1:80");
        EXPECT_EQ(Lookup(net, "127.0.0.1", "www"), "tcp:127.0.0.1:80");
        EXPECT_EQ(Lookup(net, "127.0.0.1", "ftp"), "tcp:127.0.0.1:21");
        EXPECT_EQ(Lookup(net, "127.0.0.1", "tftp"), "udp:127.0.0.1:69");
        EXPECT_EQ(Lookup(net, "127.0.0.1", "65535"), "tcp:127.0.0.1:65535 udp:127.0.0.1:65535");
        EXPECT_EQ(Lookup(net, "127.0.0.1", "nonsense"), "failed: no such service: nonsense");
        EXPECT_EQ(Lookup(net, "127.0.0.1", "65536"), "failed: no such service: 65536");
        EXPECT_EQ(Lookup(net, "127.0.0.1", "-1"), "failed: no such service: -1");
        EXPECT_EQ(Lookup(net, "127.0.0.1", "80 "), "failed: no such service: 80 ");
    });
}

TEST_P(LocalTest, StreamAndDatagramAddressesAreToBeHadAlone) {
    Run([](eio_net *net, eio_switch *sw, const eio_env *) {
        eio_sockaddr_list list;
        EXPECT_EQ(Lines(eio_net_getaddrinfo_stream(net, sw, "127.0.0.1", "80", &list), list),
                  "tcp:127.0.0.1:80");
        EXPECT_EQ(Lines(eio_net_getaddrinfo_datagram(net, sw, "127.0.0.1", nullptr, &list), list),
                  "udp:127.0.0.1:0");
        EXPECT_EQ(Lines(eio_net_getaddrinfo_datagram(net, sw, "127.0.0.1", "ftp", &list), list),
                  "");
    });
}

TEST_P(LocalTest, LiteralsAreNeverLookedUp) {
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ips(net, "192.0.2.1"), "192.0.2.1");
        EXPECT_EQ(Ips(net, "127.1"), "127.0.0.1");
        EXPECT_EQ(Ips(net, "0x7f000001"), "127.0.0.1");
        EXPECT_EQ(Ips(net, "2001:db8::1"), "2001:db8::1");
        EXPECT_EQ(Ips(net, "::ffff:192.0.2.1"), "::ffff:192.0.2.1");
        EXPECT_EQ(Ips(net, "fe80::1%4242"), "fe80::1%4242");
        EXPECT_EQ(Ips(net, "fe80::1%lo"),
                  Ips(net, "fe80::1%1")); // lo is the first of any namespace
        EXPECT_EQ(Ips(net, "fe80::1%nosuchinterface"), "failed: not an address");
        EXPECT_EQ(Ips(net, "1:2:3"), "failed: not an address");
        EXPECT_EQ(Ips(net, "[::1]"), "failed: not an address");
    });
}

TEST_P(LocalTest, LocalhostIsAlwaysLoopback) {
    hosts_ = folder_.Write("hosts", "192.0.2.66 localhost evil.localhost\n");
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        for (const char *name : {"localhost", "LOCALHOST", "localhost.", "a.localhost",
                                 "evil.localhost", "a.b.LocalHost."})
            EXPECT_EQ(Ips(net, name), "::1 127.0.0.1") << name;
        EXPECT_EQ(Lookup(net, "localhost", "80"),
                  "tcp:[::1]:80 udp:[::1]:80 tcp:127.0.0.1:80 udp:127.0.0.1:80");
    });
}

TEST_P(LocalTest, NoHostIsLoopbackWhenThereIsAService) {
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Lookup(net, "", "ftp"), "tcp:[::1]:21 tcp:127.0.0.1:21");
        EXPECT_EQ(Lookup(net, "", ""), "failed: neither a name nor a service");
        EXPECT_EQ(Lookup(net, "", nullptr), "failed: neither a name nor a service");
    });
}

TEST_P(LocalTest, TheHostsFileComesBeforeAnyServer) {
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ips(net, "only4.test"), "192.0.2.8");
        EXPECT_EQ(Ips(net, "ONLY4.test."), "192.0.2.8");
        EXPECT_EQ(Ips(net, "server"), "192.0.2.7");
        const std::string both =
            Ips(net, "server.test"); // the order depends on this machine's routes
        EXPECT_TRUE(both == "192.0.2.7 2001:db8::7" || both == "2001:db8::7 192.0.2.7") << both;
    });
}

TEST_P(LocalTest, TheHostsFileIsReadAgainWhenItHasChanged) {
    Run([&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ips(net, "only4.test"), "192.0.2.8");
        folder_.Write("hosts", "192.0.2.9 only4.test\n");
        EXPECT_EQ(Ips(net, "only4.test"), "192.0.2.8"); // not looked at within the second
        clock_.skew_ns = EIO_SECOND;
        EXPECT_EQ(Ips(net, "only4.test"), "192.0.2.9");
    });
}

TEST_P(LocalTest, FailuresSayWhatWasLookedUp) {
    Run([](eio_net *net, eio_switch *sw, const eio_env *) {
        eio_sockaddr_list list;
        EXPECT_ERR_TEXT(eio_net_getaddrinfo(net, sw, "1:2", nullptr, &list),
                        "Eio.Io Net Address_lookup_failed not an address,\n  looking up \"1:2\"");
    });
}

TEST_P(LocalTest, NamesOfAddressesComeFromTheFiles) {
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(NameOf(net, "127.0.0.1:80"), "localhost http");
        EXPECT_EQ(NameOf(net, "[::1]:80"), "localhost http");
        EXPECT_EQ(NameOf(net, "192.0.2.7:21"), "server.test ftp");
        EXPECT_EQ(NameOf(net, "[2001:db8::7]:4321"), "server.test 4321");
        EXPECT_EQ(NameOf(net, "[::ffff:192.0.2.7]:0"), "server.test 0");
        EXPECT_EQ(NameOf(net, "tcp:127.0.0.1:512"), "localhost exec");
        EXPECT_EQ(NameOf(net, "udp:127.0.0.1:512"), "localhost biff");
        EXPECT_EQ(NameOf(net, "127.5.5.5:69"),
                  "localhost 69"); // loopback is never asked of a server
    });
}

TEST_P(LocalTest, AUnixAddressIsThisMachineAndItsPath) {
    char host[256];
    ASSERT_EQ(gethostname(host, sizeof host), 0);
    Run([&](eio_net *net, eio_switch *, const eio_env *) {
        const std::string path(EIO_UNIX_PATH_MAX, 'p');
        EXPECT_EQ(NameOf(net, ("unix:" + path).c_str()), host + (" " + path));
        EXPECT_EQ(NameOf(net, "unix:@abstract"), host + std::string(" @abstract"));
    });
}

TEST_P(LocalTest, ACancelledFiberGetsCancelledAtOnce) {
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        eio_err *err = CancelSub([&](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, eio_err_failure("enough"));
            eio_nameinfo info;
            eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 80);
            EXPECT_ERR(eio_net_getnameinfo(net, &addr, &info), &eio_err_cancelled);
            EXPECT_EQ(Lookup(net, "127.0.0.1"), "Cancelled: Failure(\"enough\")");
            return nullptr;
        });
        EXPECT_OK(err);
    });
}

TEST_P(LocalTest, MissingFilesAreEmpty) {
    hosts_ = services_ = resolv_conf_ = folder_.Path("missing");
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Lookup(net, "localhost", "http"), "failed: no such service: http");
        EXPECT_EQ(Ips(net, "localhost"), "::1 127.0.0.1");
        EXPECT_EQ(NameOf(net, "127.0.0.1:80"), "localhost 80");
    });
}

TEST_P(LocalTest, OptionsThatMakeNoSenseAreInvalid) {
    const auto create = [&](const std::function<void(eio_resolver_opts *)> &change) {
        eio_resolver_opts opts = Opts({});
        change(&opts);
        return TakeText(Eval(opts, [](eio_net *, eio_switch *, const eio_env *) {}));
    };
    eio_sockaddr unix_ = {};
    EXPECT_OK(eio_sockaddr_unix(eio_slice_of_str("x"), &unix_));
    const std::string long_domain(254, 'x');
    const char *search[] = {long_domain.c_str()};
    const std::vector<eio_sockaddr> many(9, eio_sockaddr_udp(eio_ip_v4_loopback(), 53));
    EXPECT_EQ(create([&](eio_resolver_opts *o) { o->servers = &unix_, o->server_count = 1; }),
              "Invalid_argument(\"servers\")");
    EXPECT_EQ(create([&](eio_resolver_opts *o) { o->servers = many.data(), o->server_count = 9; }),
              "Invalid_argument(\"server_count\")");
    EXPECT_EQ(create([&](eio_resolver_opts *o) { o->search = search, o->search_count = 1; }),
              "Invalid_argument(\"search\")");
    EXPECT_EQ(create([](eio_resolver_opts *o) { o->timeout_ns = -1; }),
              "Invalid_argument(\"timeout_ns\")");
    EXPECT_EQ(create([](eio_resolver_opts *o) { o->tries = 11; }), "Invalid_argument(\"tries\")");
    EXPECT_EQ(create([](eio_resolver_opts *o) { o->search_count = 0, o->tries = 10; }), "ok");
}

TEST_P(LocalTest, ThousandsOfLocalLookupsLeaveNothingBehind) {
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        for (int i = 0; i < 5000; i++)
            ASSERT_EQ(Ips(net, "only4.test"), "192.0.2.8");
    });
}

} // namespace
} // namespace eio_resolver_test
