// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_RESOLVER_FIXTURE_H
#define EIO_TESTS_RESOLVER_FIXTURE_H

// Lookups through a resolver of the test's own, on io_uring and on epoll, with hosts, services and
// resolv.conf files of the test's own: nothing here reads the machine's, or asks the machine's name
// server.

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "eio/net.h"
#include "eio/resolver.h"
#include "eio/unix_net.h"
#include "tests/resolver/dns_server.h"
#include "tests/support/exit_now.h"
#include "tests/support/real_run.h"

namespace eio_resolver_test {

using namespace eio_test;

/// A folder for the files of one test, removed at its end.
class Folder {
  public:
    Folder() {
        path_ = ::testing::TempDir() + "eio_resolver_XXXXXX";
        EXPECT_NE(mkdtemp(&path_[0]), nullptr);
    }
    ~Folder() {
        for (const auto &name : names_)
            unlink(Path(name).c_str());
        rmdir(path_.c_str());
    }
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;
    std::string Path(const std::string &name) const { return path_ + "/" + name; }
    /// Puts a file there, or another in its place.
    std::string Write(const std::string &name, const std::string &text) {
        names_.push_back(name);
        const std::string tmp = Path(name) + "~";
        std::ofstream(tmp) << text;
        EXPECT_EQ(rename(tmp.c_str(), Path(name).c_str()), 0);
        return Path(name);
    }

  private:
    std::string path_;
    std::vector<std::string> names_;
};

/// The addresses of a list in one line, or the reason of a failure; consumes `err`.
inline std::string Lines(eio_err *err, const eio_sockaddr_list &list) {
    if (err != nullptr) {
        const bool failed = eio_err_is(err, &eio_err_net_address_lookup_failed);
        std::string text = failed ? std::string("failed: ") + eio_err_text(err) : Text(err);
        eio_err_drop(err);
        return text;
    }
    std::string text;
    for (size_t i = 0; i < list.count; i++) {
        char buf[EIO_SOCKADDR_STR_MAX];
        text += (i > 0 ? " " : "") + std::string(eio_sockaddr_str(&list.items[i], buf));
    }
    return text;
}

/// All addresses of `host`.
inline std::string Lookup(eio_net *net, const char *host, const char *service = nullptr) {
    std::string text;
    eio_err *err = SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_sockaddr_list list = {};
        eio_err *failed = eio_net_getaddrinfo(net, sw, host, service, &list);
        text = Lines(failed, list);
        return nullptr;
    });
    return err == nullptr ? text : TakeText(err);
}
/// Its stream addresses without protocol and port.
inline std::string Ips(eio_net *net, const char *host) {
    std::string text;
    eio_err *err = SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_sockaddr_list list = {};
        eio_err *failed = eio_net_getaddrinfo_stream(net, sw, host, nullptr, &list);
        if (failed != nullptr) {
            text = Lines(failed, list);
            return nullptr;
        }
        for (size_t i = 0; i < list.count; i++) {
            char buf[EIO_IP_STR_MAX];
            text += (i > 0 ? " " : "") + std::string(eio_ip_str(&list.items[i].ip, buf));
        }
        return nullptr;
    });
    return err == nullptr ? text : TakeText(err);
}
/// "HOST SERVICE" of an address.
inline std::string NameOf(eio_net *net, const eio_sockaddr &addr) {
    eio_nameinfo info;
    eio_err *err = eio_net_getnameinfo(net, &addr, &info);
    if (err != nullptr)
        return Lines(err, {});
    return std::string(info.host) + " " + info.service;
}
inline std::string NameOf(eio_net *net, const char *addr) {
    eio_sockaddr parsed;
    eio_err *err = eio_sockaddr_parse(addr, &parsed);
    return err == nullptr ? NameOf(net, parsed) : TakeText(err);
}

inline const char kHosts[] = "127.0.0.1 localhost\n"
                             "::1 localhost ip6-localhost\n"
                             "192.0.2.7 server.test server\n"
                             "2001:db8::7 server.test\n"
                             "192.0.2.8 only4.test\n";
inline const char kServices[] = "http 80/tcp www\nhttp 80/udp\n"
                                "ftp 21/tcp\n"
                                "tftp 69/udp\n"
                                "exec 512/tcp\nbiff 512/udp comsat\n";

/// The loop's clock, which a test may put forward.
struct SkewedClock {
    eio_mono_clock clock;
    eio_mono_clock *real;
    int64_t skew_ns;

    static int64_t Now(eio_mono_clock *self) {
        auto *skewed = reinterpret_cast<SkewedClock *>(self);
        return eio_mono_clock_now(skewed->real) + skewed->skew_ns;
    }
    static eio_err *SleepUntil(eio_mono_clock *self, int64_t deadline_ns) {
        auto *skewed = reinterpret_cast<SkewedClock *>(self);
        return eio_mono_clock_sleep_until(skewed->real, deadline_ns - skewed->skew_ns);
    }
};

enum { kNoNamespace = 77 };
/// Runs `child` in a process of its own, since a namespace can't be left again. It returns 0, 1
/// when something failed (which is on stderr then), or kNoNamespace: the test is skipped.
inline void RunInChild(const std::function<int()> &child) {
    fflush(nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
        int status = 1;
        try {
            status = child();
        } catch (const std::exception &e) {
            fprintf(stderr, "%s\n", e.what());
        }
        fflush(nullptr);
        ExitNow(::testing::Test::HasFailure() ? 1 : status);
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
    if (WEXITSTATUS(status) == kNoNamespace)
        GTEST_SKIP() << "no namespace of one's own can be had here";
    EXPECT_EQ(WEXITSTATUS(status), 0) << "see above";
}
/// Enters a namespace with a loopback that is up, where files can be mounted; false when it can't
/// be had.
inline bool EnterNamespace() {
    const int what = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS;
    if (unshare(what) != 0 && unshare(CLONE_NEWUSER | what) != 0)
        return false;
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        return false;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq req = {};
    strcpy(req.ifr_name, "lo");
    req.ifr_flags = IFF_UP | IFF_RUNNING;
    const bool up = ioctl(fd, SIOCSIFFLAGS, &req) == 0;
    close(fd);
    return up;
}

/// What a test runs with its network.
using NetFn = std::function<void(eio_net *net, eio_switch *sw, const eio_env *env)>;

class ResolverTest : public RealTest {
  protected:
    void SetUp() override {
        RealTest::SetUp();
        hosts_ = folder_.Write("hosts", kHosts);
        services_ = folder_.Write("services", kServices);
        resolv_conf_ = folder_.Write("resolv.conf", "nameserver 127.0.0.1\nsearch .\n");
    }

    /// Options with the test's files and these servers. Time-outs are long enough for a busy
    /// machine; a test that waits for them sets its own.
    eio_resolver_opts Opts(const std::vector<eio_sockaddr> &servers) {
        eio_resolver_opts opts = {};
        opts.servers = servers.data();
        opts.server_count = servers.size();
        opts.hosts_path = hosts_.c_str();
        opts.services_path = services_.c_str();
        opts.resolv_conf_path = resolv_conf_.c_str();
        opts.timeout_ns = 10 * EIO_SECOND;
        opts.tries = 2;
        return opts;
    }
    /// Runs `fn` with a network that looks names up through a resolver with `opts`.
    eio_err *Eval(const eio_resolver_opts &opts, const NetFn &fn) {
        return EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
            static const eio_mono_clock_ops ops = {"skewed", SkewedClock::Now,
                                                   SkewedClock::SleepUntil};
            eio_resolver *resolver;
            clock_ = {{&ops}, env->mono_clock, 0};
            EIO_TRY(eio_resolver_create(sw, &clock_.clock, &opts, &resolver));
            eio_unix_net net;
            eio_unix_net_init(&net, &resolver->lookup);
            fn(&net.net, sw, env);
            return nullptr;
        });
    }
    void With(const eio_resolver_opts &opts, const NetFn &fn) { EXPECT_OK(Eval(opts, fn)); }
    void With(const std::vector<eio_sockaddr> &servers, const NetFn &fn) {
        With(Opts(servers), fn);
    }
    void With(DnsServer &server, const NetFn &fn) { With({server.address()}, fn); }

    Folder folder_;
    std::string hosts_, services_, resolv_conf_;
    SkewedClock clock_ = {}; // the resolver's, while it is there
};

} // namespace eio_resolver_test

#endif
