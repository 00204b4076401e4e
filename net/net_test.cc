// SPDX-License-Identifier: ISC
#include "eio/net.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "eio/net_pi.h"
#include "tests/support/mock_run.h"

using namespace eio_test;

namespace {

const eio_sockaddr kTcp = eio_sockaddr_tcp(eio_ip_v4(1, 2, 3, 4), 80);
const eio_sockaddr kUdp = eio_sockaddr_udp(eio_ip_v6_loopback(), 53);

eio_sockaddr Unix(const char *path) {
    eio_sockaddr addr = {};
    EXPECT_OK(eio_sockaddr_unix(eio_slice_of_str(path), &addr));
    return addr;
}

/// A network that notes what it was asked, and answers with what a test set.
struct FakeNet {
    FakeNet() {
        as_net.ops = &kNetOps;
        as_listener.ops = &kListenerOps;
        as_socket.ops = &kSocketOps;
    }
    ~FakeNet() { eio_err_drop(failure); }

    eio_net as_net = {};
    eio_listener as_listener = {};
    eio_datagram_socket as_socket = {};
    eio_stream_socket conn = {};
    eio_err *failure = nullptr; // what each call fails with; nullptr: it succeeds
    std::vector<eio_sockaddr> answer;
    // What was asked last.
    int calls = 0;
    bool defaults = false; // all options were as if none had been given
    eio_listen_opts listen_opts = {};
    eio_udp_family asked_family = {};
    bool bound = false;
    std::string asked_service;
    std::vector<std::string> sent;

    static const eio_net_ops kNetOps;
    static const eio_listener_ops kListenerOps;
    static const eio_datagram_socket_ops kSocketOps;

    template <class T> static FakeNet *Of(T FakeNet::*member, T *self) {
        static FakeNet any;
        auto offset = reinterpret_cast<char *>(&(any.*member)) - reinterpret_cast<char *>(&any);
        return reinterpret_cast<FakeNet *>(reinterpret_cast<char *>(self) - offset);
    }
    eio_err *Answer() {
        calls++;
        return eio_err_ref(failure);
    }
};

const eio_net_ops FakeNet::kNetOps = [] {
    eio_net_ops ops = {};
    ops.name = "fake";
    ops.connect = [](eio_net *net, eio_switch *, const eio_sockaddr *, const eio_connect_opts *opts,
                     eio_stream_socket **out) {
        FakeNet *self = FakeNet::Of(&FakeNet::as_net, net);
        self->defaults = opts->bind_to == nullptr && !opts->delay;
        eio_err *err = self->Answer();
        if (err == nullptr)
            *out = &self->conn;
        return err;
    };
    ops.listen = [](eio_net *net, eio_switch *, const eio_sockaddr *, const eio_listen_opts *opts,
                    eio_listener **out) {
        FakeNet *self = FakeNet::Of(&FakeNet::as_net, net);
        self->listen_opts = *opts;
        eio_err *err = self->Answer();
        if (err == nullptr)
            *out = &self->as_listener;
        return err;
    };
    ops.datagram_socket = [](eio_net *net, eio_switch *, const eio_sockaddr *addr,
                             eio_udp_family family, const eio_datagram_opts *opts,
                             eio_datagram_socket **out) {
        FakeNet *self = FakeNet::Of(&FakeNet::as_net, net);
        self->bound = addr != nullptr;
        self->asked_family = family;
        self->defaults = !opts->reuse_addr && !opts->reuse_port && opts->connect_to == nullptr;
        eio_err *err = self->Answer();
        if (err == nullptr)
            *out = &self->as_socket;
        return err;
    };
    ops.getaddrinfo = [](eio_net *net, eio_switch *sw, const char *, const char *service,
                         eio_sockaddr_list *out) -> eio_err * {
        FakeNet *self = FakeNet::Of(&FakeNet::as_net, net);
        self->asked_service = service != nullptr ? service : "NULL";
        EIO_TRY(self->Answer());
        void *items;
        EIO_TRY(eio_switch_alloc(sw, self->answer.size() * sizeof(eio_sockaddr), &items));
        out->items = static_cast<eio_sockaddr *>(items);
        out->count = self->answer.size();
        std::copy(self->answer.begin(), self->answer.end(), out->items);
        return nullptr;
    };
    ops.getnameinfo = [](eio_net *net, const eio_sockaddr *, eio_nameinfo *out) {
        eio_err *err = FakeNet::Of(&FakeNet::as_net, net)->Answer();
        if (err == nullptr)
            *out = {"host", "http"};
        return err;
    };
    return ops;
}();

const eio_listener_ops FakeNet::kListenerOps = [] {
    eio_listener_ops ops = {};
    ops.name = "fake";
    ops.accept = [](eio_listener *listener, eio_switch *, eio_stream_socket **out,
                    eio_sockaddr *out_peer) {
        FakeNet *self = FakeNet::Of(&FakeNet::as_listener, listener);
        eio_err *err = self->Answer();
        if (err == nullptr) {
            *out = &self->conn;
            *out_peer = kTcp;
        }
        return err;
    };
    ops.addr = [](eio_listener *listener, eio_sockaddr *out) {
        eio_err *err = FakeNet::Of(&FakeNet::as_listener, listener)->Answer();
        if (err == nullptr)
            *out = kTcp;
        return err;
    };
    ops.close = [](eio_listener *listener) {
        FakeNet::Of(&FakeNet::as_listener, listener)->calls++;
    };
    return ops;
}();

const eio_datagram_socket_ops FakeNet::kSocketOps = [] {
    eio_datagram_socket_ops ops = {};
    ops.name = "fake";
    ops.send = [](eio_datagram_socket *socket, const eio_sockaddr *dst, const eio_slice *slices,
                  size_t n) {
        FakeNet *self = FakeNet::Of(&FakeNet::as_socket, socket);
        self->bound = dst != nullptr;
        self->sent.clear();
        for (size_t i = 0; i < n; i++)
            self->sent.emplace_back(reinterpret_cast<const char *>(slices[i].base), slices[i].len);
        return self->Answer();
    };
    ops.recv = [](eio_datagram_socket *socket, eio_buf, eio_datagram_info *out) {
        eio_err *err = FakeNet::Of(&FakeNet::as_socket, socket)->Answer();
        if (err == nullptr)
            *out = {kUdp, 0, false};
        return err;
    };
    ops.addr = [](eio_datagram_socket *socket, eio_sockaddr *out) {
        eio_err *err = FakeNet::Of(&FakeNet::as_socket, socket)->Answer();
        if (err == nullptr)
            *out = kUdp;
        return err;
    };
    ops.close = [](eio_datagram_socket *socket) {
        FakeNet::Of(&FakeNet::as_socket, socket)->calls++;
    };
    return ops;
}();

class NetTest : public EioTest {
  protected:
    void TearDown() override {
        FailWith(nullptr);
        EioTest::TearDown();
    }
    /// Runs `f(sw)`; nothing of it is traced.
    template <class F> void Run(F f) {
        EXPECT_OK(EvalMock([&](eio_switch *sw) -> eio_err * {
            f(sw);
            return nullptr;
        }));
    }
    void FailWith(eio_err *err) {
        eio_err_drop(fake_.failure);
        fake_.failure = err;
    }
    void FailWithRefused() { FailWith(eio_err_os(&eio_err_net_refused, ECONNREFUSED, "call")); }

    FakeNet fake_;
    eio_net *net_ = &fake_.as_net;
    eio_stream_socket *stream_ = nullptr;
    eio_listener *listener_ = nullptr;
    eio_datagram_socket *socket_ = nullptr;
    eio_sockaddr_list list_ = {};
    eio_nameinfo name_ = {};
};

// --- Options -------------------------------------------------------------------------------------

TEST_F(NetTest, ProvidersAlwaysGetOptions) {
    Run([&](eio_switch *sw) {
        EXPECT_OK(eio_net_connect(net_, sw, &kTcp, nullptr, &stream_));
        EXPECT_TRUE(fake_.defaults);
        fake_.defaults = false;
        EXPECT_OK(eio_net_datagram_socket(net_, sw, &kUdp, nullptr, &socket_));
        EXPECT_TRUE(fake_.defaults);
        fake_.defaults = false;
        EXPECT_OK(eio_net_datagram_socket_unbound(net_, sw, EIO_UDP_V4, nullptr, &socket_));
        EXPECT_TRUE(fake_.defaults);
        EXPECT_OK(eio_net_listen(net_, sw, &kTcp, nullptr, &listener_));
        EXPECT_FALSE(fake_.listen_opts.reuse_addr);
    });
    EXPECT_EQ(stream_, &fake_.conn);
    EXPECT_EQ(listener_, &fake_.as_listener);
    EXPECT_EQ(socket_, &fake_.as_socket);
}

TEST_F(NetTest, ABacklogOf0IsTheDefaultAndOthersPass) {
    Run([&](eio_switch *sw) {
        EXPECT_OK(eio_net_listen(net_, sw, &kTcp, nullptr, &listener_));
        EXPECT_EQ(fake_.listen_opts.backlog, 128u);
        eio_listen_opts opts = {};
        opts.reuse_addr = true;
        EXPECT_OK(eio_net_listen(net_, sw, &kTcp, &opts, &listener_));
        EXPECT_EQ(fake_.listen_opts.backlog, 128u);
        EXPECT_TRUE(fake_.listen_opts.reuse_addr);
        opts.backlog = 5;
        EXPECT_OK(eio_net_listen(net_, sw, &kTcp, &opts, &listener_));
        EXPECT_EQ(fake_.listen_opts.backlog, 5u);
    });
}

TEST_F(NetTest, AnUnboundSocketHasAFamilyAndNoAddress) {
    Run([&](eio_switch *sw) {
        EXPECT_OK(eio_net_datagram_socket_unbound(net_, sw, EIO_UDP_V6, nullptr, &socket_));
        EXPECT_FALSE(fake_.bound);
        EXPECT_EQ(fake_.asked_family, EIO_UDP_V6);
        EXPECT_OK(eio_net_datagram_socket(net_, sw, &kUdp, nullptr, &socket_));
        EXPECT_TRUE(fake_.bound);
        EXPECT_EQ(fake_.asked_family, EIO_UDP_V6);
    });
}

// --- Arguments -----------------------------------------------------------------------------------

TEST_F(NetTest, AnAddressOfTheWrongKindIsRefusedBeforeTheProviderIsAsked) {
    eio_sockaddr path = Unix("/x");
    Run([&](eio_switch *sw) {
        EXPECT_ERR_TEXT(
            eio_net_connect(net_, sw, &kUdp, nullptr, &stream_),
            "Invalid_argument(\"connect: udp:[::1]:53 is not the address of a stream socket\")");
        EXPECT_ERR_TEXT(
            eio_net_listen(net_, sw, &kUdp, nullptr, &listener_),
            "Invalid_argument(\"listen: udp:[::1]:53 is not the address of a stream socket\")");
        EXPECT_ERR_TEXT(eio_net_datagram_socket(net_, sw, &kTcp, nullptr, &socket_),
                        "Invalid_argument(\"datagram_socket: tcp:1.2.3.4:80 is not the address of "
                        "a datagram socket\")");
        EXPECT_ERR_TEXT(
            eio_datagram_send(&fake_.as_socket, &kTcp, nullptr, 0),
            "Invalid_argument(\"send: tcp:1.2.3.4:80 is not the address of a datagram socket\")");
        EXPECT_EQ(fake_.calls, 0);
        EXPECT_OK(eio_net_connect(net_, sw, &path, nullptr, &stream_));
        EXPECT_OK(eio_net_listen(net_, sw, &path, nullptr, &listener_));
        EXPECT_OK(eio_net_datagram_socket(net_, sw, &path, nullptr, &socket_));
        EXPECT_OK(eio_datagram_send(&fake_.as_socket, &path, nullptr, 0));
    });
}

TEST_F(NetTest, TheLocalAddressOfAConnectIsOfItsKind) {
    eio_sockaddr path = Unix("/x"), local = eio_sockaddr_tcp(eio_ip_v4_any(), 0);
    Run([&](eio_switch *sw) {
        eio_connect_opts opts = {};
        opts.bind_to = &path;
        EXPECT_ERR_TEXT(
            eio_net_connect(net_, sw, &kTcp, &opts, &stream_),
            "Invalid_argument(\"connect: bind_to is unix:/x, another kind of address\")");
        EXPECT_EQ(fake_.calls, 0);
        opts.bind_to = &local;
        EXPECT_OK(eio_net_connect(net_, sw, &kTcp, &opts, &stream_));
    });
}

TEST_F(NetTest, ThePeerOfADatagramSocketIsOfItsKindAndFamily) {
    eio_sockaddr path = Unix("/x"), v4 = eio_sockaddr_udp(eio_ip_v4_loopback(), 53);
    Run([&](eio_switch *sw) {
        eio_datagram_opts opts = {};
        opts.connect_to = &path;
        EXPECT_ERR_TEXT(eio_net_datagram_socket(net_, sw, &kUdp, &opts, &socket_),
                        "Invalid_argument(\"datagram_socket: connect_to is unix:/x, another kind "
                        "of address\")");
        opts.connect_to = &kTcp;
        EXPECT_ERR(eio_net_datagram_socket(net_, sw, &kUdp, &opts, &socket_),
                   &eio_err_invalid_argument);
        opts.connect_to = &v4;
        EXPECT_ERR(eio_net_datagram_socket(net_, sw, &kUdp, &opts, &socket_),
                   &eio_err_invalid_argument);
        EXPECT_ERR(eio_net_datagram_socket_unbound(net_, sw, EIO_UDP_V6, &opts, &socket_),
                   &eio_err_invalid_argument);
        EXPECT_EQ(fake_.calls, 0);
        EXPECT_OK(eio_net_datagram_socket_unbound(net_, sw, EIO_UDP_V4, &opts, &socket_));
        opts.connect_to = &kUdp;
        EXPECT_OK(eio_net_datagram_socket(net_, sw, &kUdp, &opts, &socket_));
        opts.connect_to = &path;
        EXPECT_OK(eio_net_datagram_socket(net_, sw, &path, &opts, &socket_));
    });
}

TEST_F(NetTest, AModeHasOnlyPermissions) {
    eio_listen_opts opts = {};
    Run([&](eio_switch *sw) {
        opts.unix_mode = 0100600;
        EXPECT_ERR(eio_net_listen(net_, sw, &kTcp, &opts, &listener_), &eio_err_invalid_argument);
        EXPECT_EQ(fake_.calls, 0);
        opts.unix_mode = 0600;
        EXPECT_OK(eio_net_listen(net_, sw, &kTcp, &opts, &listener_));
        EXPECT_EQ(fake_.listen_opts.unix_mode, 0600u);
    });
}

// --- Context lines -------------------------------------------------------------------------------

TEST_F(NetTest, IoErrorsSayWhatWasBeingDone) {
    FailWithRefused();
    const std::string refused = "Eio.Io Net Connection_failure Refused _,\n  ";
    eio_sockaddr addr;
    eio_datagram_info info;
    Run([&](eio_switch *sw) {
        EXPECT_ERR_TEXT(eio_net_connect(net_, sw, &kTcp, nullptr, &stream_),
                        refused + "connecting to tcp:1.2.3.4:80");
        EXPECT_ERR_TEXT(eio_net_listen(net_, sw, &kTcp, nullptr, &listener_),
                        refused + "listening on tcp:1.2.3.4:80");
        EXPECT_ERR_TEXT(eio_net_datagram_socket(net_, sw, &kUdp, nullptr, &socket_),
                        refused + "binding to udp:[::1]:53");
        EXPECT_ERR_TEXT(eio_listener_accept(&fake_.as_listener, sw, &stream_, &addr),
                        refused + "accepting a connection");
        EXPECT_ERR_TEXT(eio_datagram_send(&fake_.as_socket, &kUdp, nullptr, 0),
                        refused + "sending to udp:[::1]:53");
        EXPECT_ERR_TEXT(eio_net_getaddrinfo(net_, sw, "a\"b", nullptr, &list_),
                        refused + "looking up \"a\\\"b\"");
        EXPECT_ERR_TEXT(eio_net_getaddrinfo_stream(net_, sw, "", "80", &list_),
                        refused + "looking up \"\"");
        EXPECT_ERR_TEXT(eio_net_getnameinfo(net_, &kTcp, &name_),
                        refused + "looking up tcp:1.2.3.4:80");
        // Where there is nothing to name.
        const std::string bare = "Eio.Io Net Connection_failure Refused _";
        EXPECT_ERR_TEXT(eio_net_datagram_socket_unbound(net_, sw, EIO_UDP_V4, nullptr, &socket_),
                        bare);
        EXPECT_ERR_TEXT(eio_datagram_send(&fake_.as_socket, nullptr, nullptr, 0), bare);
        EXPECT_ERR_TEXT(eio_datagram_recv(&fake_.as_socket, eio_buf_of(nullptr, 0), &info), bare);
        EXPECT_ERR_TEXT(eio_datagram_addr(&fake_.as_socket, &addr), bare);
        EXPECT_ERR_TEXT(eio_listener_addr(&fake_.as_listener, &addr), bare);
    });
    EXPECT_EQ(Text(fake_.failure), "Eio.Io Net Connection_failure Refused _")
        << "a shared error was written to";
}

TEST_F(NetTest, OtherErrorsPassAsTheyAre) {
    FailWith(eio_err_failure("x"));
    Run([&](eio_switch *sw) {
        EXPECT_ERR_TEXT(eio_net_connect(net_, sw, &kTcp, nullptr, &stream_), "Failure(\"x\")");
        EXPECT_ERR_TEXT(eio_net_listen(net_, sw, &kTcp, nullptr, &listener_), "Failure(\"x\")");
        EXPECT_ERR_TEXT(eio_listener_accept(&fake_.as_listener, sw, &stream_, nullptr),
                        "Failure(\"x\")");
        EXPECT_ERR_TEXT(eio_net_getaddrinfo(net_, sw, "h", "s", &list_), "Failure(\"x\")");
    });
}

// --- Sockets -------------------------------------------------------------------------------------

TEST_F(NetTest, ThePeerOfAnAcceptMayBeUnwanted) {
    eio_sockaddr peer;
    Run([&](eio_switch *sw) {
        EXPECT_OK(eio_listener_accept(&fake_.as_listener, sw, &stream_, nullptr));
        EXPECT_OK(eio_listener_accept(&fake_.as_listener, sw, &stream_, &peer));
        EXPECT_TRUE(eio_sockaddr_equal(&peer, &kTcp));
    });
    EXPECT_EQ(stream_, &fake_.conn);
}

TEST_F(NetTest, ADatagramMayBeEmptyOrOfManySlices) {
    Run([&](eio_switch *) {
        eio_slice slices[] = {eio_slice_of_str("ab"), eio_slice_of_str(""), eio_slice_of_str("c")};
        EXPECT_OK(eio_datagram_send(&fake_.as_socket, &kUdp, slices, 3));
        EXPECT_EQ(fake_.sent, (std::vector<std::string>{"ab", "", "c"}));
        EXPECT_OK(eio_datagram_send(&fake_.as_socket, nullptr, nullptr, 0));
        EXPECT_TRUE(fake_.sent.empty());
        eio_datagram_info info;
        EXPECT_OK(eio_datagram_recv(&fake_.as_socket, eio_buf_of(nullptr, 0), &info));
        EXPECT_EQ(info.len, 0u);
    });
}

// A provider that knows one datagram at a time.
TEST_F(NetTest, ManyDatagramsAreSentOneByOneWhereTheProviderHasNothingBetter) {
    Run([&](eio_switch *) {
        eio_slice slice = eio_slice_of_str("x");
        const eio_datagram_out items[] = {{&kUdp, &slice, 1}, {nullptr, nullptr, 0}};
        size_t n = 9;
        EXPECT_OK(eio_datagram_send_many(&fake_.as_socket, items, 2, &n));
        EXPECT_EQ(n, 2U);
        EXPECT_OK(eio_datagram_send_many(&fake_.as_socket, nullptr, 0, &n));
        EXPECT_EQ(n, 0U);
        eio_datagram_in places[2] = {};
        EXPECT_OK(eio_datagram_recv_many(&fake_.as_socket, places, 2, &n));
        EXPECT_EQ(n, 1U);
    });
}

TEST_F(NetTest, TheFirstOfManyDatagramsThatIsWrongIsNamedAndThoseBeforeItAreSent) {
    Run([&](eio_switch *) {
        eio_slice slice = eio_slice_of_str("x");
        const eio_datagram_out items[] = {
            {&kUdp, &slice, 1}, {&kTcp, nullptr, 0}, {&kTcp, nullptr, 0}};
        size_t n = 9;
        EXPECT_ERR_TEXT(
            eio_datagram_send_many(&fake_.as_socket, items, 3, &n),
            "Invalid_argument(\"send: tcp:1.2.3.4:80 is not the address of a datagram socket\")");
        EXPECT_EQ(n, 1U);
        EXPECT_EQ(fake_.sent, (std::vector<std::string>{"x"}));
    });
}

TEST_F(NetTest, CloseReachesTheProvider) {
    eio_listener_close(&fake_.as_listener);
    eio_datagram_close(&fake_.as_socket);
    EXPECT_EQ(fake_.calls, 2);
}

// --- Names ---------------------------------------------------------------------------------------

TEST_F(NetTest, LookupsOfOneSocketTypeKeepTheOrderAndUnixAddresses) {
    eio_sockaddr path = Unix("/x"), tcp2 = eio_sockaddr_tcp(eio_ip_v6_any(), 1);
    fake_.answer = {kTcp, kUdp, path, tcp2};
    Run([&](eio_switch *sw) {
        EXPECT_OK(eio_net_getaddrinfo(net_, sw, "h", "s", &list_));
        EXPECT_EQ(list_.count, 4u);
        EXPECT_OK(eio_net_getaddrinfo_stream(net_, sw, "h", "s", &list_));
        ASSERT_EQ(list_.count, 3u);
        EXPECT_TRUE(eio_sockaddr_equal(&list_.items[0], &kTcp));
        EXPECT_TRUE(eio_sockaddr_equal(&list_.items[1], &path));
        EXPECT_TRUE(eio_sockaddr_equal(&list_.items[2], &tcp2));
        EXPECT_OK(eio_net_getaddrinfo_datagram(net_, sw, "h", "s", &list_));
        ASSERT_EQ(list_.count, 2u);
        EXPECT_TRUE(eio_sockaddr_equal(&list_.items[0], &kUdp));
        EXPECT_TRUE(eio_sockaddr_equal(&list_.items[1], &path));
        fake_.answer = {kUdp};
        EXPECT_OK(eio_net_getaddrinfo_stream(net_, sw, "h", "s", &list_));
        EXPECT_EQ(list_.count, 0u);
    });
}

TEST_F(NetTest, TheServicePassesAsItIs) {
    Run([&](eio_switch *sw) {
        EXPECT_OK(eio_net_getaddrinfo(net_, sw, "h", nullptr, &list_));
        EXPECT_EQ(fake_.asked_service, "NULL");
        EXPECT_OK(eio_net_getaddrinfo(net_, sw, "h", "", &list_));
        EXPECT_EQ(fake_.asked_service, "");
        EXPECT_OK(eio_net_getaddrinfo_stream(net_, sw, "h", "http", &list_));
        EXPECT_EQ(fake_.asked_service, "http");
    });
}

TEST_F(NetTest, NamesOfAnAddress) {
    Run([&](eio_switch *) {
        EXPECT_OK(eio_net_getnameinfo(net_, &kTcp, &name_));
        EXPECT_STREQ(name_.host, "host");
        EXPECT_STREQ(name_.service, "http");
    });
}

} // namespace
