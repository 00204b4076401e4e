// SPDX-License-Identifier: ISC

// The same lookups by the C library and by us, in a namespace of their own where both read the same
// hosts, services and resolv.conf files and ask the same name server, which is the test's. Where
// they differ the table says how, and why.
//
// The lookups are made in a child process, since a namespace can't be left again; where none can be
// had the tests are skipped, by name. Nothing can leave the child's loopback.

#include <netdb.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "tests/resolver/fixture.h"

namespace eio_resolver_test {
namespace {

const char kFileHosts[] = "127.0.0.1 localhost vm\n"
                          "::1 localhost ip6-localhost ip6-loopback\n"
                          "10.0.0.1 one.test one\n"
                          "10.0.0.2 two.test\n"
                          "10.0.0.3 two.test\n"
                          "2001:db8::2 two.test\n"
                          "10.0.0.6 ula.test\n"
                          "fd00::6 ula.test\n"
                          "10.0.0.8 twice.test\n"
                          "10.0.0.8 twice.test\n"
                          "10.0.0.4 Mixed.Test\n"
                          "fd00::5 six.test\n"
                          "127.0.0.9 near.test\n"
                          "::1 near.test\n";
const char kFileServices[] = "http 80/tcp www\n"
                             "https 443/tcp\nhttps 443/udp\n"
                             "domain 53/tcp\ndomain 53/udp\n"
                             "tftp 69/udp\n"
                             "ftp 21/tcp\n";
const char kFileResolvConf[] =
    "nameserver 127.0.0.1\nsearch search.test\noptions timeout:1 attempts:1\n";
const char kFileNsswitch[] = "hosts: files dns\nservices: files\n";

DnsReply Answer(const DnsQuery &query) {
    DnsMessage message(query);
    if (query.name == "both.dns.test")
        return query.type == kTypeA ? message.A("10.1.0.1") : message.Aaaa("2001:db8:1::1");
    if (query.name == "four.dns.test")
        return query.type == kTypeA ? message.A("10.1.0.2").A("10.1.0.3") : message;
    if (query.name == "six.dns.test")
        return query.type == kTypeAaaa ? message.Aaaa("2001:db8:1::2") : message;
    if (query.name == "alias.dns.test") {
        message.Cname("target.dns.test");
        return query.type == kTypeA ? message.A("10.1.0.4") : message;
    }
    if (query.name == "loop.dns.test")
        return query.type == kTypeA ? message.A("127.0.0.7") : message.Aaaa("::1");
    if (query.name == "short.search.test")
        return query.type == kTypeA ? message.A("10.1.0.5") : message;
    if (query.name == "empty.dns.test")
        return message;
    return message.Rcode(kNxDomain);
}

struct Case {
    const char *host;
    const char *service;
    const char *ours; // what we say where the C library says something else; NULL: we say the same
    const char *why;  // and why
};

const char kRfc6761[] = "localhost and what is below it are always both loopback addresses";

const Case kCases[] = {
    // literals
    {"127.0.0.1", nullptr},
    {"127.0.0.1", "80"},
    {"127.1", "80"},
    {"0x7f.1", "80"},
    {"2130706433", "80"},
    {"0177.0.0.1", nullptr},
    {"256.0.0.1", nullptr},
    {"1.2.3.4.5", nullptr},
    {"::1", "80"},
    {"::ffff:10.0.0.1", "80"},
    {"fe80::1%lo", "80"},
    {"fe80::1%1", "80"},
    {"fe80::1%nothing", "80"},
    {"fd00::1%3", "80"},
    {"1:2:3", nullptr},
    {"::1 ", nullptr},
    {" 127.0.0.1", nullptr},
    // services
    {"127.0.0.1", "http"},
    {"127.0.0.1", "www"},
    {"127.0.0.1", "https"},
    {"127.0.0.1", "tftp"},
    {"127.0.0.1", "nonsense"},
    {"127.0.0.1", "HTTP"},
    {"127.0.0.1", "0"},
    {"127.0.0.1", "65535"},
    {"127.0.0.1", "65536", "failed", "a port beyond 65535 is an error, not another port"},
    {"127.0.0.1", "080"},
    {"127.0.0.1", "0x50"},
    {"127.0.0.1", "-1"},
    {"127.0.0.1", "80x"},
    // no host
    {nullptr, "80"},
    {nullptr, "http"},
    {nullptr, nullptr},
    // the hosts file
    {"localhost", nullptr},
    {"localhost", "http"},
    {"LOCALHOST", "http"},
    {"one.test", "80"},
    {"one", "80"},
    {"ONE.TEST", "80"},
    {"two.test", "80"},
    {"mixed.test", "80"},
    {"six.test", "80"},
    {"near.test", "80"},
    {"vm", "domain"},
    {"one.test.", "80", "tcp:10.0.0.1:80 udp:10.0.0.1:80",
     "a final dot doesn't matter in the hosts file"},
    {"localhost.", "80", "tcp:[::1]:80 udp:[::1]:80 tcp:127.0.0.1:80 udp:127.0.0.1:80", kRfc6761},
    {"x.localhost", "80", "tcp:[::1]:80 udp:[::1]:80 tcp:127.0.0.1:80 udp:127.0.0.1:80", kRfc6761},
    {"ula.test", "80", "tcp:10.0.0.6:80 udp:10.0.0.6:80 tcp:[fd00::6]:80 udp:[fd00::6]:80",
     "unique local addresses come after IPv4: RFC 6724, where glibc follows RFC 3484"},
    {"twice.test", "80", "tcp:10.0.0.8:80 udp:10.0.0.8:80",
     "an address that is listed twice comes once"},
    // the name server
    {"both.dns.test", "80"},
    {"both.dns.test.", "80"},
    {"BOTH.dns.Test", "80"},
    {"four.dns.test", "80"},
    {"six.dns.test", "80"},
    {"alias.dns.test", "80"},
    {"loop.dns.test", "80"},
    {"short", "80"},
    {"empty.dns.test", "80"},
    {"missing.dns.test", "80"},
    {"missing", "80"},
    {"a..b", "80"},
};

/// Ours does only TCP and UDP, so that is what is kept of the C library's.
std::string ByLibc(const char *host, const char *service) {
    addrinfo *res = nullptr;
    if (getaddrinfo(host, service, nullptr, &res) != 0)
        return "failed";
    std::string text;
    for (const addrinfo *it = res; it != nullptr; it = it->ai_next) {
        eio_ip ip = {};
        uint16_t port;
        if (it->ai_protocol != IPPROTO_TCP && it->ai_protocol != IPPROTO_UDP)
            continue;
        if (it->ai_family == AF_INET) {
            sockaddr_in v4;
            memcpy(&v4, it->ai_addr, sizeof v4);
            ip.len = 4;
            memcpy(ip.bytes, &v4.sin_addr, 4);
            port = ntohs(v4.sin_port);
        } else {
            sockaddr_in6 v6;
            memcpy(&v6, it->ai_addr, sizeof v6);
            ip.len = 16;
            memcpy(ip.bytes, &v6.sin6_addr, 16);
            ip.scope_id = v6.sin6_scope_id;
            port = ntohs(v6.sin6_port);
        }
        const eio_sockaddr addr = it->ai_protocol == IPPROTO_TCP ? eio_sockaddr_tcp(ip, port)
                                                                 : eio_sockaddr_udp(ip, port);
        char buf[EIO_SOCKADDR_STR_MAX];
        text += (text.empty() ? "" : " ") + std::string(eio_sockaddr_str(&addr, buf));
    }
    freeaddrinfo(res);
    return text;
}

std::string ByUs(eio_net *net, const char *host, const char *service) {
    const std::string text = Lookup(net, host == nullptr ? "" : host, service);
    return text.rfind("failed", 0) == 0 ? "failed" : text;
}

const char *const kAddresses[] = {
    "127.0.0.1:80", "[::1]:443",         "10.0.0.1:80",      "10.0.0.3:21", "udp:10.0.0.1:69",
    "[fd00::5]:1",  "udp:127.0.0.1:443", "tcp:127.0.0.1:69", "10.1.0.1:80", "[2001:db8:1::1]:80"};

std::string NameByLibc(const char *text) {
    eio_sockaddr addr;
    sockaddr_in v4 = {};
    sockaddr_in6 v6 = {};
    EXPECT_OK(eio_sockaddr_parse(text, &addr));
    v4.sin_family = AF_INET;
    v4.sin_port = v6.sin6_port = htons(addr.port);
    v6.sin6_family = AF_INET6;
    memcpy(&v4.sin_addr, addr.ip.bytes, 4);
    memcpy(&v6.sin6_addr, addr.ip.bytes, 16);
    const auto *sa =
        addr.ip.len == 4 ? reinterpret_cast<sockaddr *>(&v4) : reinterpret_cast<sockaddr *>(&v6);
    char host[NI_MAXHOST], service[NI_MAXSERV];
    if (getnameinfo(sa, addr.ip.len == 4 ? sizeof v4 : sizeof v6, host, sizeof host, service,
                    sizeof service, addr.kind == EIO_UDP ? NI_DGRAM : 0) != 0)
        return "failed";
    return std::string(host) + " " + service;
}

/// Puts our files in the place of the machine's, for this namespace.
bool MountFiles(Folder &folder, const char *resolv_conf) {
    const std::map<std::string, std::string> files = {{"hosts", kFileHosts},
                                                      {"services", kFileServices},
                                                      {"resolv.conf", resolv_conf},
                                                      {"nsswitch.conf", kFileNsswitch}};
    for (const auto &[name, text] : files)
        if (mount(folder.Write(name, text).c_str(), ("/etc/" + name).c_str(), nullptr, MS_BIND,
                  nullptr) != 0)
            return false;
    return true;
}

void CompareAll(eio_net *net) {
    for (const Case &it : kCases) {
        const std::string label = std::string(it.host == nullptr ? "(null)" : it.host) + " " +
                                  (it.service == nullptr ? "" : it.service);
        const std::string theirs = ByLibc(it.host, it.service),
                          ours = ByUs(net, it.host, it.service);
        const bool same = it.ours == nullptr;
        EXPECT_EQ(ours, same ? theirs : it.ours)
            << label << ": " << (same ? "no difference is known" : it.why);
    }
    for (const char *addr : kAddresses)
        EXPECT_EQ(NameOf(net, addr), NameByLibc(addr)) << addr;
}

class LibcTest : public RealTest {};
EIO_ON_REAL_BACKENDS(LibcTest);

TEST_P(LibcTest, WeAnswerAsTheCLibraryDoes) {
    RunInChild([] {
        Folder folder;
        if (!EnterNamespace() || !MountFiles(folder, kFileResolvConf))
            return static_cast<int>(kNoNamespace);
        DnsServer server(Answer, 53);
        EXPECT_OK(EvalOn(GetParam(), [](eio_switch *, const eio_env *env) -> eio_err * {
            CompareAll(&env->net->net); // the system's files, which are ours here
            return nullptr;
        }));
        return 0;
    });
}

TEST_P(LibcTest, WithoutASearchListTheDomainOfTheMachinesNameIsSearched) {
    RunInChild([] {
        Folder folder;
        const char machine[] = "box.search.test";
        if (!EnterNamespace() ||
            !MountFiles(folder, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n") ||
            sethostname(machine, sizeof machine - 1) != 0)
            return static_cast<int>(kNoNamespace);
        DnsServer server(Answer, 53);
        EXPECT_OK(EvalOn(GetParam(), [](eio_switch *, const eio_env *env) -> eio_err * {
            eio_net *net = &env->net->net;
            EXPECT_EQ(ByLibc("short", "80"), "tcp:10.1.0.5:80 udp:10.1.0.5:80");
            EXPECT_EQ(ByUs(net, "short", "80"), ByLibc("short", "80"));
            EXPECT_EQ(ByUs(net, "missing", "80"), ByLibc("missing", "80"));
            return nullptr;
        }));
        return 0;
    });
}

} // namespace
} // namespace eio_resolver_test
