// SPDX-License-Identifier: ISC

// Each allocation and each system call of a lookup fails in turn, c-ares's own included. The lookup
// then succeeds or fails as an error; nothing leaks (the fixture looks), nothing hangs, and the
// resolver works as before.

#include <ares.h>

#include "tests/resolver/fixture.h"
#include "tests/support/faults.h"

namespace eio_resolver_test {
namespace {

class FaultsTest : public ResolverTest {
  protected:
    /// Makes a resolver and uses it while call number `nth` of `call` fails with `errnum`, then
    /// again when nothing fails. False when there were fewer calls than that.
    bool FailNth(DnsServer &server, const std::string &call, int nth, int errnum) {
        int seen = 0;
        bool armed = false;
        Faults faults([&](const std::string &name) {
            return armed && name == call && ++seen == nth ? errnum : 0;
        });
        EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *env) -> eio_err * {
            std::vector<eio_sockaddr> servers = {server.address()};
            eio_resolver_opts opts = Opts(servers);
            const char *search[] = {"search.example"};
            opts.timeout_ns = 100 * EIO_MILLISECOND;
            opts.tries = 4;
            opts.search = search;
            opts.search_count = 1;
            armed = true;
            eio_resolver *resolver = nullptr;
            eio_err *err = SwitchRun([&](eio_switch *inner) -> eio_err * {
                EIO_TRY(eio_resolver_create(inner, env->mono_clock, &opts, &resolver));
                Use(resolver, call + " " + std::to_string(nth));
                armed = false;
                eio_unix_net net;
                eio_unix_net_init(&net, &resolver->lookup);
                EXPECT_EQ(Ips(&net.net, "www.example"), "::1 127.0.0.2") << call << " " << nth;
                EXPECT_EQ(Ips(&net.net, "only4.test"), "192.0.2.8") << call << " " << nth;
                return nullptr;
            });
            armed = false;
            EXPECT_TRUE(resolver != nullptr || err != nullptr);
            eio_err_drop(err);
            return nullptr;
        }));
        return seen >= nth;
    }

  private:
    static void Use(eio_resolver *resolver, const std::string &label) {
        eio_unix_net net;
        eio_unix_net_init(&net, &resolver->lookup);
        const auto fine = [&](const std::string &text, const std::string &right) {
            EXPECT_TRUE(text == right || text == "Out_of_memory" || text.rfind("failed: ", 0) == 0)
                << label << ": " << text;
        };
        const std::string ips = Ips(&net.net, "www.example");
        if (ips != "127.0.0.2" && ips != "::1" &&
            ips != "127.0.0.2 ::1") // a family, or the order, may be lost
            fine(ips, "::1 127.0.0.2");
        const std::string many = Lookup(&net.net, "tcp.example", "http");
        if (many.rfind("tcp:", 0) != 0)
            fine(many, "");
        fine(Ips(&net.net, "only4.test"), "192.0.2.8");
        const std::string name = NameOf(&net.net, "192.0.2.1:80");
        if (name != "192.0.2.1 http")
            fine(name, "one.example http");
    }
};
EIO_ON_REAL_BACKENDS(FaultsTest);

DnsReply Answer(const DnsQuery &query) {
    DnsMessage message(query);
    if (query.name == "tcp.example" && !query.tcp)
        return message.Truncated();
    if (query.type == kTypePtr)
        return message.Ptr("one.example");
    return query.type == kTypeA ? message.A("127.0.0.2") : message.Aaaa("::1");
}

TEST_P(FaultsTest, EveryAllocationMayFail) {
    int version;
    ares_version(&version);
    if (version >=
        0x012000) // 1.34.8 keeps a query whose connection it has freed when it can't note a retry
        GTEST_SKIP() << "c-ares " << ares_version(nullptr)
                     << " itself doesn't survive a lack of memory";
    DnsServer server(Answer);
    int nth = 1;
    while (FailNth(server, "alloc", nth, ENOMEM))
        nth++;
    EXPECT_GT(nth, 50);
}

TEST_P(FaultsTest, EverySystemCallMayFail) {
    DnsServer server(Answer);
    const std::vector<std::pair<const char *, int>> calls = {
        {"socket", EMFILE},
        {"connect", ENETUNREACH},
        {"sendmsg", EPERM},
        {"sendmsg", EAGAIN},
        {"recvfrom", EIO},
        {"recvfrom", EAGAIN},
        {"setsockopt", ENOPROTOOPT},
        {"getsockname", ENOBUFS},
        {"open", EMFILE},
        {"fstat", EIO},
        {"read", EIO},
        {"stat", EIO},
    };
    for (const auto &[call, errnum] : calls) {
        int nth = 1;
        while (FailNth(server, call, nth, errnum))
            nth++;
        const bool expected =
            std::string(call) != "stat"; // no file is looked at twice within a second
        EXPECT_EQ(nth > 1, expected) << call;
    }
}

} // namespace
} // namespace eio_resolver_test
