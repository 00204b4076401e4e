// SPDX-License-Identifier: ISC
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "eio/err_net.h"
#include "eio/fd.h"
#include "fiber/base/fault.h"
#include "tests/support/real_run.h"

using namespace eio_test;

/// Each test has a directory of its own, in which it runs: paths are relative, so that they fit
/// into an address.
class NetTest : public RealTest {
  protected:
    void SetUp() override {
        RealTest::SetUp();
        const char *tmp = getenv("TEST_TMPDIR");
        dir_ = std::string(tmp != nullptr ? tmp : "/tmp") + "/net_test_XXXXXX";
        ASSERT_NE(mkdtemp(dir_.data()), nullptr);
        ASSERT_NE(getcwd(old_, sizeof old_), nullptr);
        ASSERT_EQ(chdir(dir_.c_str()), 0);
    }
    void TearDown() override {
        ASSERT_EQ(chdir(old_), 0);
        EXPECT_EQ(rmdir(dir_.c_str()), 0) << "a file was left behind in " << dir_;
        RealTest::TearDown();
    }
    static eio_sockaddr Path(const std::string &path) {
        eio_sockaddr addr;
        EXPECT_OK(eio_sockaddr_unix(eio_slice_of(path.data(), path.size()), &addr));
        return addr;
    }
    static eio_sockaddr Loopback(uint16_t port = 0) {
        return eio_sockaddr_tcp(eio_ip_v4_loopback(), port);
    }
    static bool Exists(const char *path) {
        struct stat st;
        return lstat(path, &st) == 0;
    }
    static int Option(eio_fd *fd, int level, int name) {
        struct Args {
            int level, name, value;
        } args = {level, name, -1};
        EXPECT_OK(eio_fd_use(
            fd, "getsockopt",
            [](void *arg, int number) -> eio_err * {
                auto *self = static_cast<Args *>(arg);
                socklen_t len = sizeof self->value;
                EXPECT_EQ(getsockopt(number, self->level, self->name, &self->value, &len), 0);
                return nullptr;
            },
            &args));
        return args.value;
    }
    /// A connection through `listener`.
    static eio_err *Pair(const eio_env *env, eio_switch *sw, eio_listener *listener,
                         eio_stream_socket **client, eio_stream_socket **server,
                         eio_sockaddr *peer = nullptr) {
        eio_sockaddr addr;
        EIO_TRY(eio_listener_addr(listener, &addr));
        eio_net *net = &env->net->net;
        return Both([&] { return eio_net_connect(net, sw, &addr, nullptr, client); },
                    [&] { return eio_listener_accept(listener, sw, server, peer); });
    }
    static eio_err *Exchange(eio_stream_socket *a, eio_stream_socket *b) {
        EIO_TRY(eio_flow_copy_string("ping", &a->flow.sink));
        uint8_t space[16];
        EIO_TRY(eio_source_read_exact(&b->flow.source, eio_buf_of(space, 4)));
        EXPECT_EQ(memcmp(space, "ping", 4), 0);
        return nullptr;
    }

  private:
    std::string dir_;
    char old_[4096];
};
EIO_ON_REAL_BACKENDS(NetTest);

TEST_P(NetTest, TcpV4ConnectsAndNamesThePeer) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr = Loopback(), peer;
        eio_listener *listener;
        eio_stream_socket *client, *server;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
        EIO_TRY(Pair(env, sw, listener, &client, &server, &peer));
        EXPECT_EQ(peer.kind, EIO_TCP);
        eio_ip loopback = eio_ip_v4_loopback();
        EXPECT_TRUE(eio_ip_equal(&peer.ip, &loopback));
        EXPECT_NE(peer.port, 0);
        EIO_TRY(Exchange(client, server));
        return Exchange(server, client);
    }));
}

TEST_P(NetTest, TcpV6AndADualStackListener) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr any = eio_sockaddr_tcp(eio_ip_v6_any(), 0), addr, peer;
        eio_listener *listener;
        eio_stream_socket *client, *server;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &any, nullptr, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        eio_sockaddr v6 = eio_sockaddr_tcp(eio_ip_v6_loopback(), addr.port);
        EXPECT_OK(Both([&] { return eio_net_connect(&env->net->net, sw, &v6, nullptr, &client); },
                       [&] { return eio_listener_accept(listener, sw, &server, nullptr); }));
        EIO_TRY(Exchange(client, server));
        eio_sockaddr v4 = Loopback(addr.port);
        EXPECT_OK(Both([&] { return eio_net_connect(&env->net->net, sw, &v4, nullptr, &client); },
                       [&] { return eio_listener_accept(listener, sw, &server, &peer); }));
        char text[EIO_SOCKADDR_STR_MAX];
        EXPECT_EQ(std::string(eio_sockaddr_str(&peer, text)).find("tcp:[::ffff:127.0.0.1]:"), 0u);
        return nullptr;
    }));
}

TEST_P(NetTest, AV6OnlyListenerTakesNoV4) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr any = eio_sockaddr_tcp(eio_ip_v6_any(), 0), addr;
        eio_listen_opts opts = {};
        opts.v6_only = true;
        eio_listener *listener;
        eio_stream_socket *client;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &any, &opts, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        eio_sockaddr v4 = Loopback(addr.port);
        EXPECT_ERR(eio_net_connect(&env->net->net, sw, &v4, nullptr, &client),
                   &eio_err_net_refused);
        return nullptr;
    }));
}

TEST_P(NetTest, NagleIsOffUnlessAskedFor) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_net *net = &env->net->net;
        for (bool delay : {false, true}) {
            eio_sockaddr addr = Loopback();
            eio_listen_opts listen_opts = {};
            eio_connect_opts connect_opts = {};
            listen_opts.delay = connect_opts.delay = delay;
            eio_listener *listener;
            eio_stream_socket *client, *server;
            EIO_TRY(eio_net_listen(net, sw, &addr, &listen_opts, &listener));
            EIO_TRY(eio_listener_addr(listener, &addr));
            EXPECT_OK(Both([&] { return eio_net_connect(net, sw, &addr, &connect_opts, &client); },
                           [&] { return eio_listener_accept(listener, sw, &server, nullptr); }));
            int want = delay ? 0 : 1;
            EXPECT_EQ(Option(eio_fd_of_flow(&client->flow), IPPROTO_TCP, TCP_NODELAY), want);
            EXPECT_EQ(Option(eio_fd_of_flow(&server->flow), IPPROTO_TCP, TCP_NODELAY), want);
        }
        return nullptr;
    }));
}

TEST_P(NetTest, AFailedConnectClosesItsDescriptorAtOnce) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr = Loopback();
        eio_listener *listener;
        eio_stream_socket *client;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        eio_listener_close(listener);
        size_t before = OpenFds().size();
        for (int i = 0; i < 5; i++)
            EXPECT_ERR(eio_net_connect(&env->net->net, sw, &addr, nullptr, &client),
                       &eio_err_net_refused);
        EIO_TRY(eio_fiber_yield());
        EXPECT_LE(OpenFds().size(), before + 1) << "one close may still be queued";
        return nullptr;
    }));
}

TEST_P(NetTest, AConnectErrorNamesTheAddressAndTheCall) {
    eio_err_show_backend(true);
    EXPECT_ERR_TEXT(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
                        eio_sockaddr addr = Path("missing");
                        eio_stream_socket *client;
                        return eio_net_connect(&env->net->net, sw, &addr, nullptr, &client);
                    }),
                    "Eio.Io Fs Not_found Unix_error (No such file or directory, \"connect\", "
                    "\"\"),\n  connecting to unix:missing");
    eio_err_show_backend(false);
}

TEST_P(NetTest, ConnectFromAGivenLocalAddress) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_net *net = &env->net->net;
        eio_sockaddr addr = Loopback(), peer;
        eio_sockaddr from = eio_sockaddr_tcp(eio_ip_v4(127, 0, 0, 9), 0);
        eio_connect_opts opts = {};
        opts.bind_to = &from;
        eio_listener *listener;
        eio_stream_socket *client, *server;
        EIO_TRY(eio_net_listen(net, sw, &addr, nullptr, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        EXPECT_OK(Both([&] { return eio_net_connect(net, sw, &addr, &opts, &client); },
                       [&] { return eio_listener_accept(listener, sw, &server, &peer); }));
        EXPECT_TRUE(eio_ip_equal(&peer.ip, &from.ip));
        return nullptr;
    }));
}

TEST_P(NetTest, AnAddressInUseIsSaid) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr = Loopback();
        eio_listener *listener, *second;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        eio_err *err = eio_net_listen(&env->net->net, sw, &addr, nullptr, &second);
        EXPECT_EQ(eio_err_errno(err), EADDRINUSE);
        EXPECT_NE(Text(err).find("listening on tcp:127.0.0.1:"), std::string::npos);
        eio_err_drop(err);
        return nullptr;
    }));
}

TEST_P(NetTest, ReusePortSharesAPort) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr = Loopback();
        eio_listen_opts opts = {};
        opts.reuse_port = true;
        eio_listener *listener, *second;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, &opts, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        return eio_net_listen(&env->net->net, sw, &addr, &opts, &second);
    }));
}

// Unix paths

TEST_P(NetTest, AUnixPathLivesAsLongAsItsListener) {
    EXPECT_OK(EvalReal([](eio_switch *, const eio_env *env) -> eio_err * {
        eio_sockaddr addr = Path("sock");
        eio_err *err = SwitchRun([&](eio_switch *sw) -> eio_err * {
            eio_listener *listener;
            eio_stream_socket *client, *server;
            eio_sockaddr peer;
            EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
            EXPECT_TRUE(Exists("sock"));
            EIO_TRY(Pair(env, sw, listener, &client, &server, &peer));
            EXPECT_EQ(peer.kind, EIO_UNIX);
            EXPECT_EQ(peer.unix_.len, 0);
            return Exchange(client, server);
        });
        EXPECT_FALSE(Exists("sock"));
        return err;
    }));
}

TEST_P(NetTest, AnExplicitCloseRemovesThePathOnce) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr = Path("sock");
        eio_listener *listener;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
        eio_listener_close(listener);
        EXPECT_FALSE(Exists("sock"));
        close(creat("sock", 0600)); // somebody else's
        eio_listener_close(listener);
        EXPECT_TRUE(Exists("sock"));
        return nullptr;
    }));
    EXPECT_EQ(unlink("sock"), 0) << "the switch's end left it alone";
}

TEST_P(NetTest, APathThatSomebodyElseTookOverIsLeftAlone) {
    EXPECT_OK(EvalReal([](eio_switch *, const eio_env *env) -> eio_err * {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            eio_sockaddr addr = Path("sock");
            eio_listener *listener;
            EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
            EXPECT_EQ(rename("sock", "mine"), 0);
            close(creat("sock", 0600));
            return nullptr;
        });
    }));
    EXPECT_EQ(unlink("sock"), 0);
    EXPECT_EQ(unlink("mine"), 0);
}

TEST_P(NetTest, ARemovedPathIsNoErrorAtClose) {
    EXPECT_OK(EvalReal([](eio_switch *, const eio_env *env) -> eio_err * {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            eio_sockaddr addr = Path("sock");
            eio_listener *listener;
            EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
            EXPECT_EQ(unlink("sock"), 0);
            return nullptr;
        });
    }));
}

TEST_P(NetTest, AFailedSecondListenLeavesTheFirstServersPath) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr = Path("sock");
        eio_listener *listener;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
        eio_err *err = SwitchRun([&](eio_switch *inner) -> eio_err * {
            eio_listener *second;
            return eio_net_listen(&env->net->net, inner, &addr, nullptr, &second);
        });
        EXPECT_EQ(eio_err_errno(err), EADDRINUSE);
        eio_err_drop(err);
        EXPECT_TRUE(Exists("sock"));
        eio_stream_socket *client, *server;
        return Pair(env, sw, listener, &client, &server);
    }));
}

TEST_P(NetTest, ReuseAddrRemovesAStaleSocketOnly) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr = Path("sock");
        eio_listen_opts opts = {};
        opts.reuse_addr = true;
        eio_listener *listener, *second;
        int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr name = {AF_UNIX, "sock"};
        EXPECT_EQ(bind(stale, &name, sizeof name), 0);
        close(stale);
        EXPECT_TRUE(Exists("sock"));
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, &opts, &listener));
        close(creat("file", 0600));
        eio_sockaddr file = Path("file");
        eio_err *err = eio_net_listen(&env->net->net, sw, &file, &opts, &second);
        EXPECT_EQ(eio_err_errno(err), EADDRINUSE);
        eio_err_drop(err);
        return nullptr;
    }));
    EXPECT_EQ(unlink("file"), 0);
}

TEST_P(NetTest, AnAbstractAddressHasNoFileAndMayHoldNuls) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        std::string name = std::string("\0eio\0", 5) + UniqueName();
        eio_sockaddr addr = Path(name), local;
        eio_listener *listener;
        eio_stream_socket *client, *server;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
        EIO_TRY(eio_listener_addr(listener, &local));
        EXPECT_TRUE(eio_sockaddr_equal(&addr, &local));
        EIO_TRY(Pair(env, sw, listener, &client, &server));
        return Exchange(client, server);
    }));
}

TEST_P(NetTest, TheLongestPathWorksAndANulInAPathIsAnError) {
    EXPECT_OK(EvalReal([](eio_switch *, const eio_env *env) -> eio_err * {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            std::string longest(EIO_UNIX_PATH_MAX, 'x');
            eio_sockaddr addr = Path(longest), local;
            eio_listener *listener;
            EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
            EIO_TRY(eio_listener_addr(listener, &local));
            EXPECT_TRUE(eio_sockaddr_equal(&addr, &local));
            addr = Path("axb");
            addr.unix_.path[1] = '\0'; // what eio_sockaddr_unix refuses to make
            EXPECT_ERR(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener),
                       &eio_err_invalid_argument);
            return nullptr;
        });
    }));
}

TEST_P(NetTest, APathsPermissionsAreThoseAskedForWhateverTheUmask) {
    mode_t old = umask(077);
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr = Path("sock");
        eio_listen_opts opts = {};
        opts.unix_mode = 0622;
        eio_listener *listener;
        struct stat st;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, &opts, &listener));
        EXPECT_EQ(lstat("sock", &st), 0);
        EXPECT_EQ(st.st_mode & 07777, 0622u);
        return nullptr;
    }));
    umask(old);
}

TEST_P(NetTest, ARemovedListenersPathStays) {
    int fd = -1;
    EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *env) -> eio_err * {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            eio_sockaddr addr = Path("sock");
            eio_listener *listener;
            EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
            return eio_fd_remove(eio_fd_of_listener(listener), &fd);
        });
    }));
    close(fd);
    EXPECT_EQ(unlink("sock"), 0);
}

// Cancelling

TEST_P(NetTest, AConnectThatWaitsIsCancelledAndLeavesNothing) {
    for (const char *where : {"tcp", "unix"})
        EXPECT_OK(EvalReal([where](eio_switch *sw, const eio_env *env) -> eio_err * {
            eio_sockaddr addr = *where == 't' ? Loopback() : Path("sock");
            eio_listen_opts opts = {};
            opts.backlog = 1;
            eio_listener *listener;
            EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, &opts, &listener));
            EIO_TRY(eio_listener_addr(listener, &addr));
            int connected = 0, cancelled = 0;
            eio_err *err = SwitchRun([&](eio_switch *inner) -> eio_err * {
                for (int i = 0; i < 6; i++) // more than may wait to be accepted
                    EIO_TRY(Fork(inner, [&, inner]() -> eio_err * {
                        eio_stream_socket *client;
                        eio_err *result =
                            eio_net_connect(&env->net->net, inner, &addr, nullptr, &client);
                        connected += result == nullptr;
                        cancelled += eio_err_is(result, &eio_err_cancelled);
                        return result;
                    }));
                while (connected < 2)
                    EIO_TRY(eio_fiber_yield());
                return eio_err_const(&eio_err_timeout);
            });
            EXPECT_TRUE(eio_err_catch(&err, &eio_err_timeout));
            EXPECT_EQ(connected + cancelled, 6);
            EXPECT_GE(cancelled, 3);
            return err;
        }));
}

// Each system call fails in turn

namespace {
struct FailNth {
    int countdown;
    int errnum;
    bool fired;
};
int DecideNth(void *arg, const char *name) {
    auto *self = static_cast<FailNth *>(arg);
    // What the loop does goes on; only what makes sockets fails.
    static const char *const names[] = {"socket", "setsockopt", "bind",   "listen",
                                        "lstat",  "chmod",      "fchmod", "alloc"};
    for (const char *candidate : names)
        if (strcmp(name, candidate) == 0 && --self->countdown == 0) {
            self->fired = true;
            return self->errnum;
        }
    return 0;
}
} // namespace

TEST_P(NetTest, WhicheverCallOfListenFailsNothingIsLeft) {
    for (const char *where : {"tcp", "unix"}) {
        bool fired = true;
        for (int n = 1; fired; n++) {
            ASSERT_LT(n, 20);
            EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
                eio_sockaddr addr = *where == 't' ? Loopback() : Path("sock");
                eio_listen_opts opts = {};
                opts.reuse_addr = opts.reuse_port = true;
                opts.unix_mode = 0600;
                eio_listener *listener;
                size_t before = OpenFds().size();
                FailNth fail = {n, EACCES, false};
                const struct eioi_fault_hook hook = {DecideNth, &fail};
                eioi_fault_hook = &hook;
                eio_err *err = eio_net_listen(&env->net->net, sw, &addr, &opts, &listener);
                eioi_fault_hook = nullptr;
                fired = fail.fired;
                EXPECT_EQ(err != nullptr, fired) << where << n;
                if (err != nullptr) {
                    EXPECT_EQ(OpenFds().size(), before);
                    EXPECT_FALSE(Exists("sock"));
                }
                eio_err_drop(err);
                return nullptr;
            }));
        }
    }
}
