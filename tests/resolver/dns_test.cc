// SPDX-License-Identifier: ISC

// Lookups that ask a name server, which answers as it should: what is asked, of whom, in which
// order, how often.

#include <algorithm>
#include <atomic>
#include <cstring>

#include "tests/resolver/fixture.h"
#include "tests/support/faults.h"

namespace eio_resolver_test {
namespace {

class DnsTest : public ResolverTest {};
EIO_ON_REAL_BACKENDS(DnsTest);

using Seen = std::vector<std::string>;

Seen Sorted(Seen seen) {
    std::sort(seen.begin(), seen.end());
    return seen;
}

/// Every name has one address of each family.
DnsReply OneOfEach(const DnsQuery &query) {
    DnsMessage message(query);
    if (query.type == kTypeA)
        message.A("127.0.0.2");
    else if (query.type == kTypeAaaa)
        message.Aaaa("::1");
    return message;
}

TEST_P(DnsTest, BothFamiliesAreAskedAndSorted) {
    DnsServer server(OneOfEach);
    With(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Lookup(net, "www.example", "80"),
                  "tcp:[::1]:80 udp:[::1]:80 tcp:127.0.0.2:80 udp:127.0.0.2:80");
    });
    EXPECT_EQ(Sorted(server.Seen()), (Seen{"A www.example", "AAAA www.example"}));
}

TEST_P(DnsTest, ALookupOfOneFamilyAsksForThatOnly) {
    DnsServer server(OneOfEach);
    With(server, [&](eio_net *net, eio_switch *sw, const eio_env *) {
        eio_sockaddr_list list;
        EXPECT_EQ(
            Lines(net->ops->getaddrinfo_family(net, sw, "a.example", "80", EIO_IP_V4, &list), list),
            "tcp:127.0.0.2:80 udp:127.0.0.2:80");
        EXPECT_EQ(
            Lines(net->ops->getaddrinfo_family(net, sw, "b.example", "80", EIO_IP_V6, &list), list),
            "tcp:[::1]:80 udp:[::1]:80");
    });
    EXPECT_EQ(server.Seen(), (Seen{"A a.example", "AAAA b.example"}));
}

TEST_P(DnsTest, NoAddressOfOneFamilyIsNoErrorThere) {
    DnsServer server([](const DnsQuery &query) {
        DnsMessage message(query);
        if (query.name == "no.example")
            message.Rcode(kNxDomain);
        else if (query.type == kTypeA)
            message.A("192.0.2.1");
        return DnsReply(message);
    });
    With(server, [&](eio_net *net, eio_switch *sw, const eio_env *) {
        eio_sockaddr_list list;
        const auto v6 = [&](const char *host) {
            return Lines(net->ops->getaddrinfo_family(net, sw, host, "80", EIO_IP_V6, &list), list);
        };
        EXPECT_EQ(v6("www.example"), "");
        EXPECT_EQ(v6("only4.test"), ""); // in the hosts file
        EXPECT_EQ(v6("192.0.2.1"), "");
        EXPECT_EQ(v6("no.example"), "failed: no such name (NXDOMAIN)");
    });
}

TEST_P(DnsTest, AnAliasIsFollowed) {
    DnsServer server([](const DnsQuery &query) {
        DnsMessage message(query);
        message.Cname("middle.example").Cname("end.example");
        return query.type == kTypeA ? message.A("192.0.2.1") : message.Aaaa("2001:db8::1");
    });
    With(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        const std::string ips = Ips(net, "start.example");
        EXPECT_TRUE(ips == "192.0.2.1 2001:db8::1" || ips == "2001:db8::1 192.0.2.1") << ips;
    });
}

TEST_P(DnsTest, FailuresSayWhy) {
    DnsServer server([](const DnsQuery &query) {
        const std::string kind = query.name.substr(0, query.name.find('.'));
        DnsMessage message(query);
        if (kind == "nxdomain")
            message.Rcode(kNxDomain);
        if (kind == "servfail")
            message.Rcode(kServFail);
        if (kind == "refused")
            message.Rcode(kRefused);
        if (kind == "notimp")
            message.Rcode(kNotImp);
        if (kind == "onlyalias")
            message.Cname("nothing.example");
        return DnsReply(message);
    });
    With(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ips(net, "nxdomain.example"), "failed: no such name (NXDOMAIN)");
        EXPECT_EQ(Ips(net, "nodata.example"), "failed: the name has no address");
        EXPECT_EQ(Ips(net, "onlyalias.example"), "failed: the name has no address");
        EXPECT_EQ(Ips(net, "servfail.example"), "failed: the name server failed (SERVFAIL)");
        EXPECT_EQ(Ips(net, "refused.example"),
                  "failed: the name server refuses to answer (REFUSED)");
        EXPECT_EQ(Ips(net, "notimp.example"),
                  "failed: the name server doesn't answer such queries (NOTIMP)");
    });
}

TEST_P(DnsTest, NamesThatCantBeAskedForAreErrorsAtOnce) {
    DnsServer server(OneOfEach);
    With(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ips(net, std::string(256, 'a').c_str()), "failed: the name is too long");
        EXPECT_EQ(Ips(net, (std::string(64, 'a') + ".example").c_str()),
                  "failed: not a valid name");
        EXPECT_EQ(Ips(net, "a..example"), "failed: not a valid name");
        EXPECT_EQ(Ips(net, "secret.onion"), "failed: no such name (NXDOMAIN)"); // RFC 7686
    });
    EXPECT_EQ(server.Seen(), (Seen{}));
}

TEST_P(DnsTest, ShortNamesAreTriedInTheSearchDomains) {
    DnsServer server([](const DnsQuery &query) {
        DnsMessage message(query);
        if (query.name != "host.b.example" && query.name != "host.sub.a.example")
            message.Rcode(kNxDomain);
        else if (query.type == kTypeA)
            message.A("192.0.2.1");
        return DnsReply(message);
    });
    const char *search[] = {"a.example", "b.example"};
    std::vector<eio_sockaddr> servers = {server.address()};
    eio_resolver_opts opts = Opts(servers);
    opts.search = search;
    opts.search_count = 2;
    With(opts, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ips(net, "host"), "192.0.2.1");
        EXPECT_EQ(Ips(net, "host.sub"),
                  "192.0.2.1"); // one dot: as it is first, then with the domains
        EXPECT_EQ(Ips(net, "host."), "failed: no such name (NXDOMAIN)");
    });
    Seen seen = server.Seen();
    seen.erase(std::remove_if(seen.begin(), seen.end(),
                              [](const std::string &it) { return it.rfind("AAAA", 0) == 0; }),
               seen.end());
    EXPECT_EQ(seen, (Seen{"A host.a.example", "A host.b.example", "A host.sub",
                          "A host.sub.a.example", "A host"}));
}

TEST_P(DnsTest, NdotsSaysWhenANameIsAskedAsItIsFirst) {
    DnsServer server([](const DnsQuery &query) {
        DnsMessage message(query);
        return DnsReply(query.type == kTypeA ? message.A("192.0.2.1") : message);
    });
    const char *search[] = {"a.example"};
    std::vector<eio_sockaddr> servers = {server.address()};
    eio_resolver_opts opts = Opts(servers);
    opts.search = search;
    opts.search_count = 1;
    opts.ndots = 2;
    With(opts, [&](eio_net *net, eio_switch *, const eio_env *) {
        Ips(net, "host.sub");
        Ips(net, "host.sub.sub");
    });
    EXPECT_EQ(server.Count("A host.sub.a.example"), 1);
    EXPECT_EQ(server.Count("A host.sub.sub"), 1);
    EXPECT_EQ(server.Total(), 4);
}

TEST_P(DnsTest, NoSearchAsksNamesAsTheyAre) {
    DnsServer server(OneOfEach);
    resolv_conf_ = folder_.Write("resolv.conf", "search a.example\n");
    std::vector<eio_sockaddr> servers = {server.address()};
    eio_resolver_opts opts = Opts(servers);
    opts.no_search = true;
    With(opts, [&](eio_net *net, eio_switch *, const eio_env *) { Ips(net, "host"); });
    EXPECT_EQ(Sorted(server.Seen()), (Seen{"A host", "AAAA host"}));
}

TEST_P(DnsTest, ResolvConfIsReadAgainWhenItHasChanged) {
    DnsServer server(OneOfEach);
    resolv_conf_ = folder_.Write("resolv.conf", "search one.example\n");
    With(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        Ips(net, "host");
        folder_.Write("resolv.conf", "search two.example\n");
        clock_.skew_ns = EIO_SECOND;
        Ips(net, "host");
    });
    EXPECT_EQ(server.Count("A host.one.example"), 1);
    EXPECT_EQ(server.Count("A host.two.example"), 1);
}

TEST_P(DnsTest, AChangedResolvConfDoesntDisturbQueriesOnTheirWay) {
    DnsServer server([](const DnsQuery &query) { return std::move(OneOfEach(query)).Held(); });
    resolv_conf_ = folder_.Write("resolv.conf", "search one.example\n");
    With(server, [&](eio_net *net, eio_switch *, const eio_env *env) {
        EXPECT_OK(Both(
            [&]() -> eio_err * {
                EXPECT_EQ(Ips(net, "host"), "::1 127.0.0.2");
                return nullptr;
            },
            [&]() -> eio_err * {
                while (server.Total() < 2)
                    EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                folder_.Write("resolv.conf", "search two.example\n");
                clock_.skew_ns = EIO_SECOND;
                return Both(
                    [&]() -> eio_err * {
                        EXPECT_EQ(Ips(net, "other"), "::1 127.0.0.2");
                        return nullptr;
                    },
                    [&]() -> eio_err * {
                        while (server.Total() < 4)
                            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                        server.Release();
                        return nullptr;
                    });
            }));
    });
    EXPECT_EQ(server.Count("A host.one.example"), 1);
    EXPECT_EQ(server.Count("A other.two.example"), 1);
}

TEST_P(DnsTest, EqualNamesOnTheirWayShareOneQuery) {
    DnsServer server([](const DnsQuery &query) { return std::move(OneOfEach(query)).Held(); });
    With(server, [&](eio_net *net, eio_switch *, const eio_env *env) {
        int done = 0;
        EXPECT_OK(Both(
            [&]() -> eio_err * {
                return ForEach(100, 0, [&](size_t i) -> eio_err * {
                    EXPECT_EQ(Ips(net, i % 2 == 0 ? "www.example" : "WWW.Example"),
                              "::1 127.0.0.2");
                    done++;
                    return nullptr;
                });
            },
            [&]() -> eio_err * {
                while (server.Total() < 2)
                    EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                EXPECT_EQ(done, 0);
                server.Release();
                return nullptr;
            }));
        EXPECT_EQ(done, 100);
        EXPECT_EQ(server.Total(), 2);
        server.Release();
    });
}

TEST_P(DnsTest, AnAnswerIsNotKept) {
    std::atomic<int> count{0};
    DnsServer server([&](const DnsQuery &query) {
        DnsMessage message(query);
        return DnsReply(query.type == kTypeA ? message.A("192.0.2." + std::to_string(++count))
                                             : message);
    });
    With(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ips(net, "www.example"), "192.0.2.1");
        EXPECT_EQ(Ips(net, "www.example"), "192.0.2.2");
    });
}

TEST_P(DnsTest, AThousandLookupsAtOnceAllSucceed) {
    DnsServer server([](const DnsQuery &query) {
        const int i = std::stoi(query.name.substr(1));
        DnsMessage message(query);
        return query.type == kTypeA
                   ? message.A("10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256))
                   : message;
    });
    With(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_OK(ForEach(1000, 0, [&](size_t i) -> eio_err * {
            const std::string name = "n" + std::to_string(i) + ".example";
            EXPECT_EQ(Ips(net, name.c_str()),
                      "10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256));
            return nullptr;
        }));
    });
    EXPECT_GE(server.Total(), 2000);
}

TEST_P(DnsTest, NamesThatNobodyAnswersForDontHoldTheOthersUp) {
    DnsServer server([](const DnsQuery &query) {
        return query.name.rfind("dead", 0) == 0 ? DnsReply::Silence() : OneOfEach(query);
    });
    std::vector<eio_sockaddr> servers = {server.address()};
    eio_resolver_opts opts = Opts(servers);
    opts.timeout_ns = 600 * EIO_SECOND; // this test doesn't wait for that
    With(opts, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_OK(SwitchRun([&](eio_switch *sw) -> eio_err * {
            for (int i = 0; i < 300; i++)
                EIO_TRY(ForkDaemon(sw, [net, i]() -> eio_err * {
                    EXPECT_EQ(
                        Ips(net, ("dead" + std::to_string(i) + ".example").c_str()).substr(0, 9),
                        "Cancelled");
                    return nullptr;
                }));
            EXPECT_EQ(Ips(net, "alive.example"), "::1 127.0.0.2");
            return nullptr;
        }));
    });
}

TEST_P(DnsTest, TheNameOfAnAddressIsAskedForWhenNoFileHasIt) {
    DnsServer server([](const DnsQuery &query) {
        DnsMessage message(query);
        if (query.name == "1.2.0.192.in-addr.arpa")
            return message.Ptr("one.example");
        if (query.name.rfind("1.0.0.0.0.0.0.0", 0) == 0)
            return message.Ptr("six.example");
        if (query.name == "2.2.0.192.in-addr.arpa")
            return message.Ptr("evil\nname<>.example");
        if (query.name == "3.2.0.192.in-addr.arpa")
            return message.Rcode(kServFail);
        return message.Rcode(kNxDomain);
    });
    With(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(NameOf(net, "192.0.2.1:80"), "one.example http");
        EXPECT_EQ(NameOf(net, "[::ffff:192.0.2.1]:80"), "one.example http");
        EXPECT_EQ(NameOf(net, "[2001:db8::1]:80"), "six.example http");
        EXPECT_EQ(NameOf(net, "192.0.2.2:80"), "192.0.2.2 http"); // no name to be shown to anybody
        EXPECT_EQ(NameOf(net, "192.0.2.99:80"), "192.0.2.99 http");
        EXPECT_EQ(NameOf(net, "[2001:db8::2]:80"), "2001:db8::2 http");
        EXPECT_EQ(NameOf(net, "192.0.2.3:80"), "failed: the name server failed (SERVFAIL)");
    });
    EXPECT_EQ(server.Count("PTR 1.2.0.192.in-addr.arpa"), 2);
}

TEST_P(DnsTest, ADeadFirstServerIsPassedOverAtOnce) {
    // Nobody listens there, and the system says so: nothing has to time out.
    DnsServer server(OneOfEach);
    std::vector<eio_sockaddr> servers = {eio_sockaddr_udp(eio_ip_v4_loopback(), FreePort()),
                                         server.address()};
    eio_resolver_opts opts = Opts(servers);
    opts.timeout_ns = 600 * EIO_SECOND;
    With(opts, [&](eio_net *net, eio_switch *, const eio_env *) {
        for (int i = 0; i < 10; i++)
            EXPECT_EQ(Ips(net, "www.example"), "::1 127.0.0.2");
    });
}

TEST_P(DnsTest, ASilentFirstServerIsPassedOverAfterItsTime) {
    DnsServer silent([](const DnsQuery &) { return DnsReply::Silence(); });
    DnsServer server(OneOfEach);
    std::vector<eio_sockaddr> servers = {silent.address(), server.address()};
    eio_resolver_opts opts = Opts(servers);
    opts.timeout_ns = 300 * EIO_MILLISECOND;
    opts.tries = 5;
    With(opts, [&](eio_net *net, eio_switch *, const eio_env *) {
        // c-ares 1.34 gives a family up that timed out once when the other one has answered by
        // then.
        const std::string ips = Ips(net, "www.example");
        EXPECT_TRUE(ips == "::1 127.0.0.2" || ips == "127.0.0.2") << ips;
    });
    EXPECT_GE(silent.Total(), 2);
}

TEST_P(DnsTest, AQueryTimesOutWhenItsTimeIsOverWhateverElseIsWaitedFor) {
    std::atomic<int> lost{0};
    DnsServer server([&](const DnsQuery &query) {
        if (query.name == "silent.example" || (query.name == "lost.example" && lost++ == 0))
            return DnsReply::Silence();
        return OneOfEach(query);
    });
    std::vector<eio_sockaddr> servers = {server.address()};
    eio_resolver_opts opts = Opts(servers);
    opts.timeout_ns = 100 * EIO_MILLISECOND;
    opts.tries = 10;
    With(opts, [&](eio_net *net, eio_switch *, const eio_env *env) {
        const auto v4 = [net](const char *host) {
            std::string text;
            EXPECT_OK(SwitchRun([&](eio_switch *sw) -> eio_err * {
                eio_sockaddr_list list = {};
                eio_err *err =
                    net->ops->getaddrinfo_family(net, sw, host, nullptr, EIO_IP_V4, &list);
                text = Lines(err, list);
                return nullptr;
            }));
            return text;
        };
        EXPECT_OK(SwitchRun([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkDaemon(sw, [&]() -> eio_err * {
                EXPECT_EQ(v4("silent.example").substr(0, 9), "Cancelled");
                return nullptr;
            }));
            // By its fourth try it waits eight times as long as at first.
            while (server.Count("A silent.example") < 4)
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
            EXPECT_EQ(v4("lost.example"), "tcp:127.0.0.2:0 udp:127.0.0.2:0");
            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, 50 * EIO_MILLISECOND)); // to reach it
            EXPECT_EQ(server.Count("A silent.example"), 4) << "one waited for the other";
            return nullptr;
        }));
    });
    EXPECT_EQ(server.Count("A lost.example"), 2);
}

TEST_P(DnsTest, RotateAsksTheServersInTurn) {
    DnsServer one(OneOfEach), two(OneOfEach);
    std::vector<eio_sockaddr> servers = {one.address(), two.address()};
    eio_resolver_opts opts = Opts(servers);
    opts.rotate = true;
    With(opts, [&](eio_net *net, eio_switch *, const eio_env *) {
        for (int i = 0; i < 50; i++)
            Ips(net, "www.example");
    });
    EXPECT_GT(one.Total(), 10);
    EXPECT_GT(two.Total(), 10);
    EXPECT_EQ(one.Total() + two.Total(), 100);
}

TEST_P(DnsTest, NobodyThereIsAFailure) {
    With({eio_sockaddr_udp(eio_ip_v4_loopback(), FreePort())},
         [&](eio_net *net, eio_switch *, const eio_env *) {
             EXPECT_EQ(Ips(net, "www.example"), "failed: no name server can be reached");
             EXPECT_EQ(NameOf(net, "192.0.2.1:80"), "failed: no name server can be reached");
         });
}

TEST_P(DnsTest, TcpIsAskedFromTheStartIfWanted) {
    DnsServer server(OneOfEach);
    std::vector<eio_sockaddr> servers = {server.address()};
    eio_resolver_opts opts = Opts(servers);
    opts.use_tcp = true;
    With(opts, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ips(net, "www.example"), "::1 127.0.0.2");
    });
    EXPECT_EQ(Sorted(server.Seen()), (Seen{"A/tcp www.example", "AAAA/tcp www.example"}));
}

TEST_P(DnsTest, ATruncatedAnswerIsAskedForAgainOverTcp) {
    DnsServer server([](const DnsQuery &query) {
        DnsMessage message(query);
        if (!query.tcp)
            return message.Truncated();
        for (int i = 0; i < 300 && query.type == kTypeA; i++)
            message.A("10.1." + std::to_string(i / 256) + "." + std::to_string(i % 256));
        return message;
    });
    With(server, [&](eio_net *net, eio_switch *sw, const eio_env *) {
        eio_sockaddr_list list;
        EXPECT_OK(eio_net_getaddrinfo_stream(net, sw, "many.example", "80", &list));
        ASSERT_EQ(list.count, 300u);
        for (size_t i = 0; i < list.count; i++) // in the order in which they came
            EXPECT_EQ(list.items[i].ip.bytes[3], i % 256);
    });
    EXPECT_EQ(server.Count("A/tcp many.example"), 1);
}

TEST_P(DnsTest, AQuerySaysHowMuchItTakes) {
    std::atomic<unsigned> size{0};
    DnsServer server([&](const DnsQuery &query) {
        if (query.edns) // the OPT record follows the question: root, type, size
            size = static_cast<unsigned>(query.bytes[query.question_end + 3] << 8 |
                                         query.bytes[query.question_end + 4]);
        return OneOfEach(query);
    });
    With(server, [&](eio_net *net, eio_switch *, const eio_env *) { Ips(net, "www.example"); });
    EXPECT_EQ(size, 1232u);
}

TEST_P(DnsTest, LookupsFromAnotherDomainAreAnswered) {
    DnsServer server(OneOfEach);
    With(server, [&](eio_net *net, eio_switch *, const eio_env *env) {
        auto lookups = [&]() -> eio_err * {
            return ForEach(50, 0, [&](size_t i) -> eio_err * {
                EXPECT_EQ(Ips(net, ("n" + std::to_string(i % 10) + ".example").c_str()),
                          "::1 127.0.0.2");
                EXPECT_EQ(Ips(net, "only4.test"), "192.0.2.8");
                return nullptr;
            });
        };
        auto in_domain = [&]() -> eio_err * {
            return eio_domain_run(env->domain_mgr, Fn<decltype(lookups)>::Call, &lookups);
        };
        EXPECT_OK(All({in_domain, in_domain, lookups}));
    });
}

// --- Cancelling ---

TEST_P(DnsTest, ACancelledLookupReturnsAtOnceAndItsQueryGoesOn) {
    DnsServer server([](const DnsQuery &query) { return std::move(OneOfEach(query)).Held(); });
    With(server, [&](eio_net *net, eio_switch *, const eio_env *env) {
        eio_err *err = CancelSub([&](eio_cancel *cc) -> eio_err * {
            return Both(
                [&]() -> eio_err * {
                    EXPECT_EQ(Ips(net, "www.example"), "Cancelled: Failure(\"enough\")");
                    return nullptr;
                },
                [&]() -> eio_err * {
                    while (server.Total() < 2)
                        EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                    eio_cancel_cancel(cc, eio_err_failure("enough"));
                    return nullptr;
                });
        });
        eio_err_drop(err);
        // Who asks now shares the query that nobody waits for any more.
        EXPECT_OK(Both(
            [&]() -> eio_err * {
                EXPECT_EQ(Ips(net, "www.example"), "::1 127.0.0.2");
                return nullptr;
            },
            [&]() -> eio_err * {
                server.Release();
                return nullptr;
            }));
        EXPECT_EQ(server.Total(), 2);
    });
}

TEST_P(DnsTest, AnAnswerAfterEveryoneHasGoneHurtsNobody) {
    DnsServer server([](const DnsQuery &query) {
        return query.name == "last.example" ? OneOfEach(query) : std::move(OneOfEach(query)).Held();
    });
    With(server, [&](eio_net *net, eio_switch *, const eio_env *env) {
        eio_err *err =
            TimeoutRun(eio_timeout_ns(env->mono_clock, 5 * EIO_MILLISECOND), [&]() -> eio_err * {
                return ForEach(20, 0, [&](size_t i) -> eio_err * {
                    EXPECT_EQ(Ips(net, ("n" + std::to_string(i) + ".example").c_str()).substr(0, 9),
                              "Cancelled");
                    return nullptr;
                });
            });
        eio_err_drop(err);
        server.Release();
        EXPECT_EQ(Ips(net, "last.example"), "::1 127.0.0.2");
    });
}

TEST_P(DnsTest, ALookupMayBeCancelledAtAnyMoment) {
    DnsServer server(OneOfEach);
    With(server, [&](eio_net *net, eio_switch *, const eio_env *env) {
        int answered = 0, cancelled = 0;
        for (int i = 0; i < 300; i++) {
            eio_sockaddr_list list = {};
            eio_err *err = TimeoutRun(
                eio_timeout_ns(env->mono_clock, i * 2 * EIO_MICROSECOND), [&]() -> eio_err * {
                    return SwitchRun([&](eio_switch *sw) -> eio_err * {
                        return eio_net_getaddrinfo(net, sw,
                                                   ("n" + std::to_string(i) + ".example").c_str(),
                                                   nullptr, &list);
                    });
                });
            if (err == nullptr)
                answered++;
            else if (eio_err_is(err, &eio_err_timeout))
                cancelled++;
            else
                ADD_FAILURE() << Text(err);
            eio_err_drop(err);
        }
        EXPECT_GT(cancelled, 0);
        EXPECT_EQ(answered + cancelled, 300);
        EXPECT_EQ(Ips(net, "last.example"), "::1 127.0.0.2");
    });
}

TEST_P(DnsTest, AScopeMayEndWithQueriesOnTheirWay) {
    DnsServer server([](const DnsQuery &) { return DnsReply::Silence(); });
    EXPECT_ERR_TEXT(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
                        eio_resolver *resolver;
                        std::vector<eio_sockaddr> servers = {server.address()};
                        const eio_resolver_opts opts = Opts(servers);
                        EIO_TRY(eio_resolver_create(sw, env->mono_clock, &opts, &resolver));
                        eio_unix_net net;
                        eio_unix_net_init(&net, &resolver->lookup);
                        for (int i = 0; i < 10; i++)
                            EIO_TRY(Fork(sw, [&net, i]() -> eio_err * {
                                const std::string text =
                                    Ips(&net.net, ("n" + std::to_string(i) + ".example").c_str());
                                EXPECT_EQ(text, "Cancelled: Failure(\"stop\")");
                                return nullptr;
                            }));
                        while (server.Total() < 20)
                            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                        eio_switch_fail(sw, eio_err_failure("stop"));
                        return nullptr;
                    }),
                    "Failure(\"stop\")");
}

TEST_P(DnsTest, AResolverThatIsBeingShutDownSaysSo) {
    DnsServer server(OneOfEach);
    EXPECT_ERR_TEXT(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
                        eio_resolver *resolver;
                        std::vector<eio_sockaddr> servers = {server.address()};
                        const eio_resolver_opts opts = Opts(servers);
                        EIO_TRY(eio_resolver_create(sw, env->mono_clock, &opts, &resolver));
                        eio_unix_net net;
                        eio_unix_net_init(&net, &resolver->lookup);
                        eio_switch_fail(sw, eio_err_failure("stop"));
                        return Protect([&]() -> eio_err * {
                            EIO_TRY(eio_fiber_yield()); // its daemon ends
                            EIO_TRY(eio_fiber_yield());
                            EIO_TRY(eio_fiber_yield());
                            EIO_TRY(eio_fiber_yield());
                            EXPECT_EQ(Ips(&net.net, "www.example"),
                                      "failed: the resolver was shut down");
                            EXPECT_EQ(Ips(&net.net, "only4.test"), "192.0.2.8");
                            return nullptr;
                        });
                    }),
                    "Failure(\"stop\")");
}

} // namespace
} // namespace eio_resolver_test
