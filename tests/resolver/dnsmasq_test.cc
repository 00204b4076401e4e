// SPDX-License-Identifier: ISC

// Lookups that ask a real name server: dnsmasq, started by the test on a free port of the loopback
// with a zone of the test's own, no upstream server and no file of the machine's. Where it isn't
// installed these tests are skipped, by name.

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "tests/resolver/fixture.h"

namespace eio_resolver_test {
namespace {

std::string FindDnsmasq() {
    const char *path = getenv("PATH");
    std::string dirs =
        std::string(path == nullptr ? "" : path) + ":/usr/sbin:/sbin:/usr/local/sbin:";
    for (size_t at = 0, end; (end = dirs.find(':', at)) != std::string::npos; at = end + 1) {
        const std::string file = dirs.substr(at, end - at) + "/dnsmasq";
        if (access(file.c_str(), X_OK) == 0)
            return file;
    }
    return "";
}

const int kMany = 300, kNames = 1000;

std::string Zone() {
    std::string hosts = "192.0.2.10 host.test\n2001:db8::10 host.test\n192.0.2.11 only4.zone.test\n"
                        "2001:db8::12 only6.zone.test\n";
    for (int i = 0; i < kMany; i++)
        hosts += "10.3." + std::to_string(i / 256) + "." + std::to_string(i % 256) + " many.test\n";
    for (int i = 0; i < kNames; i++)
        hosts += "10.4." + std::to_string(i / 256) + "." + std::to_string(i % 256) + " n" +
                 std::to_string(i) + ".test\n";
    return hosts;
}

/// A running dnsmasq.
class Dnsmasq {
  public:
    explicit Dnsmasq(const std::string &program) {
        const std::string zone = folder_.Write("zone", Zone());
        for (int tries = 0; tries < 5 && pid_ < 0; tries++) {
            port_ = FreePort(); // may be taken again before dnsmasq gets it
            const std::string conf =
                folder_.Write("conf", "port=" + std::to_string(port_) +
                                          "\nlisten-address=127.0.0.1\n"
                                          "bind-interfaces\n"
                                          "no-daemon\n"
                                          "no-resolv\n"
                                          "no-poll\n"
                                          "no-hosts\n"
                                          "user=\n"
                                          "pid-file=\n"
                                          "local=/test/\n"
                                          "local=/zone/\n"
                                          "addn-hosts=" +
                                          zone +
                                          "\n"
                                          "cname=alias.test,host.test\n"
                                          "cname=alias2.test,alias.test\n"
                                          "cname=alias3.test,alias2.test\n"
                                          "txt-record=txt.test,nothing else\n");
            Start(program, conf);
        }
    }
    ~Dnsmasq() {
        if (pid_ > 0) {
            kill(pid_, SIGTERM);
            waitpid(pid_, nullptr, 0);
        }
    }
    bool runs() const { return pid_ > 0; }
    eio_sockaddr address() const { return eio_sockaddr_udp(eio_ip_v4_loopback(), port_); }

  private:
    void Start(const std::string &program, const std::string &conf) {
        const std::string arg = "--conf-file=" + conf;
        pid_ = fork();
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            execl(program.c_str(), "dnsmasq", arg.c_str(), static_cast<char *>(nullptr));
            _exit(127);
        }
        if (pid_ > 0 && !Answers()) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
            pid_ = -1;
        }
    }
    /// Asks until an answer comes; false when the process has ended.
    bool Answers() {
        const uint8_t query[] = {0, 1, 1,   0,   0,   1,   0, 0, 0, 0, 0,
                                 0, 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1};
        const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_in to = {};
        to.sin_family = AF_INET;
        to.sin_port = htons(port_);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        bool answered = connect(fd, reinterpret_cast<sockaddr *>(&to), sizeof to) != 0;
        int status;
        while (!answered && waitpid(pid_, &status, WNOHANG) == 0) {
            if (send(fd, query, sizeof query, 0) < 0)
                continue; // nobody listens yet: the error of the last one
            pollfd ready = {fd, POLLIN, 0};
            char buf[512];
            answered = poll(&ready, 1, 50) == 1 && recv(fd, buf, sizeof buf, 0) > 0;
        }
        close(fd);
        return answered;
    }

    Folder folder_;
    uint16_t port_ = 0;
    pid_t pid_ = -1;
};

std::unique_ptr<Dnsmasq> dnsmasq;

class DnsmasqTest : public ResolverTest {
  protected:
    static void SetUpTestSuite() {
        const std::string program = FindDnsmasq();
        if (!program.empty())
            dnsmasq = std::make_unique<Dnsmasq>(program);
    }
    static void TearDownTestSuite() { dnsmasq.reset(); }
    void SetUp() override {
        ResolverTest::SetUp();
        if (dnsmasq == nullptr)
            GTEST_SKIP() << "dnsmasq isn't installed";
        ASSERT_TRUE(dnsmasq->runs()) << "dnsmasq doesn't start";
    }
    void Run(const NetFn &fn) { With({dnsmasq->address()}, fn); }
};
EIO_ON_REAL_BACKENDS(DnsmasqTest);

std::string BothOf(const std::string &v4, const std::string &v6, const std::string &ips) {
    // Which comes first depends on this machine's routes.
    return ips == v6 + " " + v4 ? v4 + " " + v6 : ips;
}

TEST_P(DnsmasqTest, AddressesOfEitherFamily) {
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ips(net, "only4.zone.test"), "192.0.2.11");
        EXPECT_EQ(Ips(net, "only6.zone.test"), "2001:db8::12");
        EXPECT_EQ(BothOf("192.0.2.10", "2001:db8::10", Ips(net, "host.test")),
                  "192.0.2.10 2001:db8::10");
        EXPECT_EQ(BothOf("192.0.2.10", "2001:db8::10", Ips(net, "HOST.Test.")),
                  "192.0.2.10 2001:db8::10");
        EXPECT_EQ(Lookup(net, "only4.zone.test", "ftp"), "tcp:192.0.2.11:21");
    });
}

TEST_P(DnsmasqTest, AliasesOfAliases) {
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        for (const char *name : {"alias.test", "alias2.test", "alias3.test"})
            EXPECT_EQ(BothOf("192.0.2.10", "2001:db8::10", Ips(net, name)),
                      "192.0.2.10 2001:db8::10")
                << name;
    });
}

TEST_P(DnsmasqTest, NamesThatAreNotThere) {
    Run([](eio_net *net, eio_switch *sw, const eio_env *) {
        EXPECT_EQ(Ips(net, "missing.test"), "failed: no such name (NXDOMAIN)");
        EXPECT_EQ(Ips(net, "txt.test"), "failed: the name has no address");
        EXPECT_EQ(Ips(net, "elsewhere.example"),
                  "failed: the name server refuses to answer (REFUSED)");
        eio_sockaddr_list list;
        EXPECT_EQ(Lines(net->ops->getaddrinfo_family(net, sw, "only4.zone.test", nullptr, EIO_IP_V6,
                                                     &list),
                        list),
                  "");
    });
}

TEST_P(DnsmasqTest, ThreeHundredAddressesCome) {
    Run([](eio_net *net, eio_switch *sw, const eio_env *) {
        eio_sockaddr_list list;
        EXPECT_OK(eio_net_getaddrinfo_stream(net, sw, "many.test", "80", &list));
        EXPECT_EQ(list.count, static_cast<size_t>(kMany)); // more than a datagram holds: over TCP
    });
}

TEST_P(DnsmasqTest, TheNamesOfAddresses) {
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(NameOf(net, "192.0.2.10:21"), "host.test ftp");
        EXPECT_EQ(NameOf(net, "[2001:db8::10]:21"), "host.test ftp");
        EXPECT_EQ(NameOf(net, "10.4.1.0:1"), "n256.test 1");
    });
}

TEST_P(DnsmasqTest, ShortNamesInASearchDomain) {
    resolv_conf_ = folder_.Write("resolv.conf", "search nowhere.test zone.test test\n");
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ips(net, "only4"), "192.0.2.11");
        EXPECT_EQ(Ips(net, "n7"), "10.4.0.7");
        EXPECT_EQ(Ips(net, "only4.zone"), "192.0.2.11");
    });
}

TEST_P(DnsmasqTest, ADeadFirstServer) {
    With({eio_sockaddr_udp(eio_ip_v4_loopback(), FreePort()), dnsmasq->address()},
         [](eio_net *net, eio_switch *, const eio_env *) {
             for (int i = 0; i < 20; i++)
                 EXPECT_EQ(Ips(net, ("n" + std::to_string(i) + ".test").c_str()),
                           "10.4.0." + std::to_string(i));
         });
}

TEST_P(DnsmasqTest, AThousandLookupsAtOnce) {
    Run([](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_OK(ForEach(kNames, 0, [&](size_t i) -> eio_err * {
            EXPECT_EQ(Ips(net, ("n" + std::to_string(i) + ".test").c_str()),
                      "10.4." + std::to_string(i / 256) + "." + std::to_string(i % 256));
            return nullptr;
        }));
    });
}

TEST_P(DnsmasqTest, LookupsThatAreCancelledAtAnyMoment) {
    Run([](eio_net *net, eio_switch *, const eio_env *env) {
        for (int i = 0; i < 100; i++) {
            eio_err *err = TimeoutRun(
                eio_timeout_ns(env->mono_clock, i * 10 * EIO_MICROSECOND), [&]() -> eio_err * {
                    return ForEach(10, 0, [&](size_t j) -> eio_err * {
                        Ips(net,
                            ("n" + std::to_string(static_cast<size_t>(i) + j) + ".test").c_str());
                        return nullptr;
                    });
                });
            eio_err_drop(err);
        }
        EXPECT_EQ(Ips(net, "n999.test"), "10.4.3.231");
    });
}

} // namespace
} // namespace eio_resolver_test
