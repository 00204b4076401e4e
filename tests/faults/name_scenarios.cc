// SPDX-License-Identifier: ISC
// Names: hosts files, name servers, connecting by name.

#include <ares.h>
#include <unistd.h>

#include <memory>

#include "eio/connect_any.h"
#include "eio/resolver.h"
#include "eio/server.h"
#include "tests/faults/scenario.h"
#include "tests/resolver/fixture.h"

namespace eio_faults {
namespace {

using namespace eio_resolver_test;

/// Files and a name server for all runs.
struct Names {
    Folder folder;
    const std::string hosts =
        folder.Write("hosts", "127.0.0.1 both.test\n::1 both.test\n127.0.0.1 four.test\n");
    const std::string services = folder.Write("services", "http 80/tcp\n");
    const std::string resolv_conf = folder.Write("resolv.conf", "");
    DnsServer dns{[](const DnsQuery &query) -> DnsReply {
        DnsMessage message(query);
        if (query.name == "long.example" && !query.tcp)
            return message.Truncated();
        if (query.type == kTypePtr)
            return message.Ptr("one.example");
        return query.type == kTypeA ? message.A("127.0.0.1") : message.Aaaa("::1");
    }};

    /// Runs `f(net)` with a network that looks names up here.
    template <class F> eio_err *With(eio_switch *, const eio_env *env, F &&f) {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            const eio_sockaddr server = dns.address();
            eio_resolver_opts opts = {};
            opts.servers = &server;
            opts.server_count = 1;
            opts.hosts_path = hosts.c_str();
            opts.services_path = services.c_str();
            opts.resolv_conf_path = resolv_conf.c_str();
            opts.timeout_ns = 100 * EIO_MILLISECOND;
            opts.tries = 3;
            eio_resolver *resolver;
            EIO_TRY(eio_resolver_create(sw, env->mono_clock, &opts, &resolver));
            eio_unix_net net;
            eio_unix_net_init(&net, &resolver->lookup);
            return f(&net.net, sw);
        });
    }
};

/// A scenario of `f(net, sw, env)`.
template <class F> std::function<Body()> With(F f) {
    return [f]() -> Body {
        auto names = std::make_shared<Names>();
        return [names, f](eio_switch *sw, const eio_env *env) {
            return names->With(sw, env,
                               [&](eio_net *net, eio_switch *inner) { return f(net, inner, env); });
        };
    };
}

/// Some addresses, and nothing but those of loopback.
eio_err *LookUp(eio_net *net, eio_switch *sw, const char *host) {
    eio_sockaddr_list list = {};
    EIO_TRY(eio_net_getaddrinfo_stream(net, sw, host, "http", &list));
    CHECK_THAT(list.count >= 1);
    for (size_t i = 0; i < list.count; i++)
        CHECK_THAT(list.items[i].port == 80 &&
                   (list.items[i].ip.len == 4 ? list.items[i].ip.bytes[0] == 127
                                              : list.items[i].ip.bytes[15] == 1));
    return nullptr;
}

eio_err *NameOfAddress(eio_net *net, const char *expected) {
    const eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4(192, 0, 2, 1), 80);
    eio_nameinfo info;
    EIO_TRY(eio_net_getnameinfo(net, &addr, &info));
    // A service that can't be looked up is a number; so is a host.
    CHECK_THAT(std::string(info.host) == expected || std::string(info.host) == "192.0.2.1");
    return nullptr;
}

eio_err *Ignore(void *, eio_err *err) {
    eio_err_drop(err);
    return nullptr;
}

eio_err *ConnectByName(eio_net *net, eio_switch *sw, const eio_env *env, const char *host,
                       bool happy) {
    eio_listener *listener;
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
    EIO_TRY(eio_net_listen(net, sw, &addr, nullptr, &listener));
    EIO_TRY(eio_listener_addr(listener, &addr));
    const std::string port = std::to_string(addr.port);
    const auto use = [](void *, eio_flow *flow) -> eio_err * {
        char space[4];
        return eio_source_read_exact(&flow->source, eio_buf_of(space, 4));
    };
    const auto serve = [](void *, eio_flow *flow, const eio_sockaddr *) -> eio_err * {
        return eio_flow_copy_string("here", &flow->sink);
    };
    eio_tcp_connect_opts opts = {};
    if (happy)
        opts.happy_clock = env->mono_clock;
    // An attempt may be given up when it has connected already, so one accept isn't enough.
    size_t winner;
    return First(
        [&] { return eio_net_run_server(listener, serve, nullptr, Ignore, nullptr, nullptr); },
        [&] { return eio_net_with_tcp_connect(net, host, port.c_str(), &opts, use, nullptr); },
        &winner);
}

} // namespace

std::vector<Scenario> NameScenarios() {
    std::vector<Scenario> all = {
        {"ResolveFromHostsFile", kForgiving,
         With([](eio_net *net, eio_switch *sw, const eio_env *) {
             return LookUp(net, sw, "both.test");
         })},
        {"ConnectByName", kForgiving | kTwoSides,
         With([](eio_net *net, eio_switch *sw, const eio_env *env) {
             return ConnectByName(net, sw, env, "four.test", false);
         })},
        {"HappyEyeballs", kForgiving | kTwoSides,
         With([](eio_net *net, eio_switch *sw, const eio_env *env) {
             return ConnectByName(net, sw, env, "both.test", true);
         })},
    };
    int version;
    ares_version(&version);
    if (version >= 0x012000) // 1.34.8 itself doesn't survive a lack of memory while it retries
        return all;
    all.push_back({"ResolveByServer", kForgiving | kServerThread,
                   With([](eio_net *net, eio_switch *sw, const eio_env *) {
                       return LookUp(net, sw, "www.example");
                   })});
    all.push_back({"ResolveOverTcp", kForgiving | kServerThread,
                   With([](eio_net *net, eio_switch *sw, const eio_env *) {
                       return LookUp(net, sw, "long.example");
                   })});
    all.push_back({"NameOfAddress", kForgiving | kServerThread,
                   With([](eio_net *net, eio_switch *, const eio_env *) {
                       return NameOfAddress(net, "one.example");
                   })});
    return all;
}

} // namespace eio_faults
