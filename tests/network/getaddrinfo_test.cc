// SPDX-License-Identifier: ISC
// Sections "Getaddrinfo" and "getnameinfo" of the seed: transcripts 28 to 35. What the seed takes
// from the machine (32, 33 and 35: the hosts and services files, 34: the network) comes from files
// and a name server of the test's own.

#include <fstream>
#include <sstream>

#include "eio/resolver.h"
#include "eio/unix_net.h"
#include "tests/network/dns_server.h"
#include "tests/network/loopback.h"
#include "tests/network/seed.h"
#include "tests/support/real_run.h"

namespace {

using namespace seed;

/// `Tcp ("\127\000\000\001", 80)
std::string ShowAddr(const eio_sockaddr &addr) {
    const std::string raw(reinterpret_cast<const char *>(addr.ip.bytes), addr.ip.len);
    return std::string(addr.kind == EIO_TCP ? "`Tcp (" : "`Udp (") + Quoted(raw) + ", " +
           std::to_string(addr.port) + ")";
}

/// A list as OCaml's toplevel prints one: on the line of its type when all fits in 78 columns, else
/// as many items on a line as fit.
void PrintList(const std::string &type, const eio_sockaddr_list &list) {
    std::vector<std::string> items;
    for (size_t i = 0; i < list.count; i++)
        items.push_back((i == 0 ? "[" : "") + ShowAddr(list.items[i]) +
                        (i + 1 < list.count ? ";" : "]"));
    std::string lines = list.count == 0 ? "[]" : items[0];
    size_t column = lines.size();
    for (size_t i = 1; i < items.size(); i++) {
        const bool fits = column + 1 + items[i].size() <= 78;
        lines += (fits ? " " : "\n ") + items[i];
        column = fits ? column + 1 + items[i].size() : 1 + items[i].size();
    }
    const std::string head = "- : Eio.Net.Sockaddr." + type + " list =";
    const bool one_line =
        lines.find('\n') == std::string::npos && head.size() + 1 + lines.size() <= 78;
    Print("%s%s%s", head.c_str(), one_line ? " " : "\n", lines.c_str());
}

class Getaddrinfo : public RealTest {
  protected:
    void SetUp() override {
        RealTest::SetUp();
        std::ofstream("hosts") << "127.0.0.1 localhost\n::1 localhost ip6-localhost\n";
        std::ofstream("services") << "ftp 21/tcp\nftp 21/udp\nhttp 80/tcp www\nhttp 80/udp www\n"
                                     "https 443/tcp\nhttps 443/udp\n";
        std::ofstream("resolv.conf") << "";
    }

    /// A network that looks names up in this test's files, and asks `server` (may be null).
    static eio_err *WithOwnFiles(eio_switch *sw, const eio_env *env, const eio_sockaddr *server,
                                 eio_unix_net *out) {
        eio_resolver_opts opts = {};
        opts.hosts_path = "hosts";
        opts.services_path = "services";
        opts.resolv_conf_path = "resolv.conf";
        opts.servers = server;
        opts.server_count = server != nullptr ? 1 : 0;
        eio_resolver *resolver;
        EIO_TRY(eio_resolver_create(sw, env->mono_clock, &opts, &resolver));
        eio_unix_net_init(out, &resolver->lookup);
        return nullptr;
    }

    /// Looks `host` up with `lookup` on `env`'s own network, and prints the list.
    template <class L> void Look(L lookup, const char *type, const char *service) {
        eio_err *err = EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
            eio_sockaddr_list list;
            EIO_TRY(lookup(&env->net->net, sw, "127.0.0.1", service, &list));
            PrintList(type, list);
            return nullptr;
        });
        if (err != nullptr)
            PrintResult(err);
    }

    /// Looks `host` up in this test's files, and prints the list.
    void LookInOwnFiles(const char *host, const char *service, const DnsZone *zone) {
        eio_err *err = EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
            eio_sockaddr server;
            if (zone != nullptr)
                EIO_TRY(StartDnsServer(sw, &env->net->net, *zone, &server));
            eio_unix_net net;
            EIO_TRY(WithOwnFiles(sw, env, zone != nullptr ? &server : nullptr, &net));
            eio_sockaddr_list list;
            EIO_TRY(eio_net_getaddrinfo(&net.net, sw, host, service, &list));
            PrintList("t", list);
            return nullptr;
        });
        if (err != nullptr)
            PrintResult(err);
    }
};
EIO_ON_REAL_BACKENDS(Getaddrinfo);

TEST_P(Getaddrinfo, T28_Stream) {
    Look(eio_net_getaddrinfo_stream, "stream", nullptr);
    EXPECT_TRACE(R"(
- : Eio.Net.Sockaddr.stream list = [`Tcp ("\127\000\000\001", 0)]
)");
}

TEST_P(Getaddrinfo, T29_StreamWithAService) {
    Look(eio_net_getaddrinfo_stream, "stream", "80");
    EXPECT_TRACE(R"(
- : Eio.Net.Sockaddr.stream list = [`Tcp ("\127\000\000\001", 80)]
)");
}

TEST_P(Getaddrinfo, T30_Datagram) {
    Look(eio_net_getaddrinfo_datagram, "datagram", nullptr);
    EXPECT_TRACE(R"(
- : Eio.Net.Sockaddr.datagram list = [`Udp ("\127\000\000\001", 0)]
)");
}

TEST_P(Getaddrinfo, T31_DatagramWithAService) {
    Look(eio_net_getaddrinfo_datagram, "datagram", "80");
    EXPECT_TRACE(R"(
- : Eio.Net.Sockaddr.datagram list = [`Udp ("\127\000\000\001", 80)]
)");
}

TEST_P(Getaddrinfo, T32_Http) {
    LookInOwnFiles("127.0.0.1", "http", nullptr);
    EXPECT_TRACE(R"(
- : Eio.Net.Sockaddr.t list =
[`Tcp ("\127\000\000\001", 80); `Udp ("\127\000\000\001", 80)]
)");
}

TEST_P(Getaddrinfo, T33_Ftp) {
    LookInOwnFiles("127.0.0.1", "ftp", nullptr);
    EXPECT_TRACE(R"(
- : Eio.Net.Sockaddr.t list =
[`Tcp ("\127\000\000\001", 21); `Udp ("\127\000\000\001", 21)]
)");
}

/// The seed's text lost bytes in the IPv4 address (there it has one, `":"`). The server's is d8 3a
/// d4 ce, of which that one is left when the others, which are no valid UTF-8, are taken out; so
/// this block differs from the seed's in that string.
TEST_P(Getaddrinfo, T34_OfAHostName) {
    if (!OwnLoopback::HasIPv4RouteOnly())
        GTEST_SKIP() << "IPv4 comes first where only it has a route, which needs a network "
                        "namespace of the test's own";
    DnsZone zone = {"google.com", eio_ip_v4(0xd8, 0x3a, 0xd4, 0xce), {}};
    ASSERT_TRUE(IsOk(eio_ip_parse("2a00:1450:4009:820::200e", &zone.v6)));
    LookInOwnFiles("google.com", "https", &zone);
    EXPECT_TRACE(R"(
- : Eio.Net.Sockaddr.t list =
[`Tcp ("\216:\212\206", 443); `Udp ("\216:\212\206", 443);
 `Tcp ("*\000\020P@\t\b \000\000\000\000\000\000 \014", 443);
 `Udp ("*\000\020P@\t\b \000\000\000\000\000\000 \014", 443)]
)");
}

void PrintNames(const eio_nameinfo &info) {
    const std::string service = strcmp(info.service, "www") == 0 ? "http" : info.service; // OpenBSD
    Print("- : string * string = (%s, %s)", Quoted(info.host).c_str(), Quoted(service).c_str());
}

TEST_P(Getaddrinfo, T35_Getnameinfo) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_unix_net net;
        EIO_TRY(WithOwnFiles(sw, env, nullptr, &net));
        const eio_sockaddr sockaddr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 80);
        eio_nameinfo info;
        EIO_TRY(eio_net_getnameinfo(&net.net, &sockaddr, &info));
        PrintNames(info);
        return nullptr;
    }));
    EXPECT_TRACE(R"(
- : string * string = ("localhost", "http")
)");
}

/// Whether a line of `path` has `first` as its first word and `second` as its second.
bool HasLine(const char *path, const std::string &first, const std::string &second) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string a, b;
        if (words >> a >> b && a == first && b == second)
            return true;
    }
    return false;
}

TEST_P(Getaddrinfo, T35_GetnameinfoOnTheMachinesOwnFiles) {
    if (!HasLine("/etc/hosts", "127.0.0.1", "localhost") ||
        !HasLine("/etc/services", "http", "80/tcp"))
        GTEST_SKIP() << "this machine's hosts or services file lacks the line";
    EXPECT_OK(EvalReal([](eio_switch *, const eio_env *env) -> eio_err * {
        const eio_sockaddr sockaddr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 80);
        eio_nameinfo info;
        EIO_TRY(eio_net_getnameinfo(&env->net->net, &sockaddr, &info));
        PrintNames(info);
        return nullptr;
    }));
    EXPECT_TRACE(R"(
- : string * string = ("localhost", "http")
)");
}

} // namespace
