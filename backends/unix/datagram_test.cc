// SPDX-License-Identifier: ISC
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <string>
#include <vector>

#include "eio/err_net.h"
#include "eio/fd.h"
#include "fiber/base/fault.h"
#include "tests/support/real_run.h"

using namespace eio_test;

class DatagramTest : public RealTest {
  protected:
    static eio_err *Send(eio_datagram_socket *socket, const eio_sockaddr *dst, const char *text) {
        eio_slice slice = eio_slice_of_str(text);
        return eio_datagram_send(socket, dst, &slice, 1);
    }
    static eio_err *Recv(eio_datagram_socket *socket, std::string *out,
                         eio_datagram_info *out_info = nullptr, size_t room = 64) {
        uint8_t space[64];
        eio_datagram_info info;
        EIO_TRY(eio_datagram_recv(socket, eio_buf_of(space, room), &info));
        out->assign(reinterpret_cast<char *>(space), info.len);
        if (out_info != nullptr)
            *out_info = info;
        return nullptr;
    }
    static eio_err *Bound(const eio_env *env, eio_switch *sw, eio_ip ip, eio_datagram_socket **out,
                          eio_sockaddr *out_addr) {
        eio_sockaddr addr = eio_sockaddr_udp(ip, 0);
        EIO_TRY(eio_net_datagram_socket(&env->net->net, sw, &addr, nullptr, out));
        return eio_datagram_addr(*out, out_addr);
    }
};
EIO_ON_REAL_BACKENDS(DatagramTest);

TEST_P(DatagramTest, UdpNamesTheSender) {
    for (bool v6 : {false, true})
        EXPECT_OK(EvalReal([v6](eio_switch *sw, const eio_env *env) -> eio_err * {
            eio_ip ip = v6 ? eio_ip_v6_loopback() : eio_ip_v4_loopback();
            eio_datagram_socket *a, *b;
            eio_sockaddr addr_a, addr_b;
            std::string text;
            eio_datagram_info info;
            EIO_TRY(Bound(env, sw, ip, &a, &addr_a));
            EIO_TRY(Bound(env, sw, ip, &b, &addr_b));
            EXPECT_OK(Both([&] { return Recv(b, &text, &info); },
                           [&] { return Send(a, &addr_b, "UDP Message"); }));
            EXPECT_EQ(text, "UDP Message");
            EXPECT_TRUE(eio_sockaddr_equal(&info.from, &addr_a));
            return nullptr;
        }));
}

TEST_P(DatagramTest, AnUnboundSocketGetsItsAddressAtTheFirstSend) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_datagram_socket *a, *b;
        eio_sockaddr addr;
        std::string text;
        EIO_TRY(Bound(env, sw, eio_ip_v4_loopback(), &b, &addr));
        EIO_TRY(eio_net_datagram_socket_unbound(&env->net->net, sw, EIO_UDP_V4, nullptr, &a));
        EIO_TRY(Send(a, &addr, "x"));
        return Recv(b, &text);
    }));
}

TEST_P(DatagramTest, AConnectedSocketHasOnePeer) {
    for (bool v6 : {false, true})
        for (bool bind : {false, true})
            EXPECT_OK(EvalReal([=](eio_switch *sw, const eio_env *env) -> eio_err * {
                const eio_ip ip = v6 ? eio_ip_v6_loopback() : eio_ip_v4_loopback();
                eio_net *net = &env->net->net;
                eio_datagram_socket *peer, *other, *socket;
                eio_sockaddr peer_addr, other_addr, addr;
                EIO_TRY(Bound(env, sw, ip, &peer, &peer_addr));
                EIO_TRY(Bound(env, sw, ip, &other, &other_addr));
                eio_datagram_opts opts = {};
                opts.connect_to = &peer_addr;
                const eio_sockaddr any = eio_sockaddr_udp(ip, 0);
                if (bind)
                    EIO_TRY(eio_net_datagram_socket(net, sw, &any, &opts, &socket));
                else
                    EIO_TRY(eio_net_datagram_socket_unbound(net, sw, v6 ? EIO_UDP_V6 : EIO_UDP_V4,
                                                            &opts, &socket));
                EIO_TRY(eio_datagram_addr(socket, &addr));
                std::string text;
                eio_datagram_info info;
                EIO_TRY(Send(socket, nullptr, "to the peer"));
                EIO_TRY(Recv(peer, &text, &info));
                EXPECT_EQ(text, "to the peer");
                EXPECT_TRUE(eio_sockaddr_equal(&info.from, &addr));
                EIO_TRY(Send(other, &addr, "not from the peer"));
                EIO_TRY(Send(peer, &addr, "from the peer"));
                EIO_TRY(Recv(socket, &text, &info));
                EXPECT_EQ(text, "from the peer");
                EXPECT_TRUE(eio_sockaddr_equal(&info.from, &peer_addr));
                return nullptr;
            }));
}

TEST_P(DatagramTest, UnixSocketsHavePathsThatTheyRemoveAndMayBeConnected) {
    ASSERT_EQ(chdir(::testing::TempDir().c_str()), 0); // whose name is too long for an address
    const std::string path_text = UniqueName();
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_net *net = &env->net->net;
        eio_sockaddr path, unnamed, addr;
        EIO_TRY(eio_sockaddr_unix(eio_slice_of(path_text.data(), path_text.size()), &path));
        EIO_TRY(eio_sockaddr_unix(eio_slice_of("", 0), &unnamed));
        eio_datagram_socket *server, *client;
        eio_datagram_opts opts = {};
        opts.connect_to = &path;
        EXPECT_ERR_TEXT(eio_net_datagram_socket(net, sw, &unnamed, &opts, &client),
                        "Eio.Io Fs Not_found _,\n  connecting to unix:" + path_text +
                            ",\n  binding to unix:");
        EIO_TRY(eio_net_datagram_socket(net, sw, &path, nullptr, &server));
        EXPECT_EQ(access(path_text.c_str(), F_OK), 0);
        // An unnamed one gets an abstract name, by which it can be answered.
        EIO_TRY(eio_net_datagram_socket(net, sw, &unnamed, &opts, &client));
        EIO_TRY(eio_datagram_addr(client, &addr));
        EXPECT_GT(addr.unix_.len, 1);
        EXPECT_EQ(addr.unix_.path[0], '\0');
        std::string text;
        eio_datagram_info info;
        EIO_TRY(Send(client, nullptr, "question"));
        EIO_TRY(Recv(server, &text, &info));
        EXPECT_EQ(text, "question");
        EXPECT_TRUE(eio_sockaddr_equal(&info.from, &addr));
        EIO_TRY(Send(server, &info.from, "answer"));
        EIO_TRY(Recv(client, &text, &info));
        EXPECT_EQ(text, "answer");
        EXPECT_TRUE(eio_sockaddr_equal(&info.from, &path));
        // A second server fails, and leaves the first one's path alone; a stale one is removed.
        eio_datagram_socket *second;
        eio_err *err = eio_net_datagram_socket(net, sw, &path, nullptr, &second);
        EXPECT_EQ(eio_err_errno(err), EADDRINUSE);
        EXPECT_EQ(TakeText(err), "Eio.Io _,\n  binding to unix:" + path_text);
        EIO_TRY(Send(client, nullptr, "again"));
        EIO_TRY(Recv(server, &text));
        opts = {};
        opts.reuse_addr = true;
        EIO_TRY(eio_net_datagram_socket(net, sw, &path, &opts, &second));
        eio_datagram_close(server); // the path isn't its own any more
        EIO_TRY(Send(client, &path, "to the second"));
        return Recv(second, &text);
    }));
    EXPECT_NE(access(path_text.c_str(), F_OK), 0) << "the path is still there";
}

TEST_P(DatagramTest, WhoIsNotConnectedNeverHearsThatNobodyListens) {
    for (bool v6 : {false, true})
        EXPECT_OK(EvalReal([v6](eio_switch *sw, const eio_env *env) -> eio_err * {
            const eio_ip ip = v6 ? eio_ip_v6_loopback() : eio_ip_v4_loopback();
            eio_datagram_socket *gone, *socket, *other;
            eio_sockaddr gone_addr, addr, other_addr;
            EIO_TRY(Bound(env, sw, ip, &gone, &gone_addr));
            eio_datagram_close(gone);
            EIO_TRY(Bound(env, sw, ip, &socket, &addr));
            EIO_TRY(Bound(env, sw, ip, &other, &other_addr));
            for (int i = 0; i < 5; i++)
                EIO_TRY(Send(socket, &gone_addr, "x"));
            EIO_TRY(Send(other, &addr, "still there"));
            std::string text;
            EIO_TRY(Recv(socket, &text));
            EXPECT_EQ(text, "still there");
            return nullptr;
        }));
}

TEST_P(DatagramTest, ADatagramThatIsTooLongIsAnError) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_datagram_socket *a, *b;
        eio_sockaddr addr;
        EIO_TRY(Bound(env, sw, eio_ip_v4_loopback(), &b, &addr));
        EIO_TRY(eio_net_datagram_socket_unbound(&env->net->net, sw, EIO_UDP_V4, nullptr, &a));
        const std::string half(40000, 'x');
        const eio_slice two[] = {eio_slice_of(half.data(), half.size()),
                                 eio_slice_of(half.data(), half.size())};
        eio_err *err = eio_datagram_send(a, &addr, two, 2);
        EXPECT_EQ(eio_err_errno(err), EMSGSIZE);
        eio_err_drop(err);
        const std::vector<eio_slice> many(IOV_MAX + 1, eio_slice_of("x", 1));
        err = eio_datagram_send(a, &addr, many.data(), many.size());
        EXPECT_EQ(eio_err_errno(err), EMSGSIZE);
        eio_err_drop(err);
        return Send(a, &addr, "short enough");
    }));
}

TEST_P(DatagramTest, APairKeepsMessagesApartEmptyOnesToo) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_datagram_socket *a, *b;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        EIO_TRY(Send(a, nullptr, "one"));
        EIO_TRY(Send(a, nullptr, ""));
        EIO_TRY(eio_datagram_send(a, nullptr, nullptr, 0));
        eio_slice slices[] = {eio_slice_of_str("abac"), eio_slice_of_str("abb")};
        EIO_TRY(eio_datagram_send(a, nullptr, slices, 2));
        for (const char *want : {"one", "", "", "abacabb"}) {
            std::string text = "unset";
            eio_datagram_info info;
            EIO_TRY(Recv(b, &text, &info));
            EXPECT_EQ(text, want);
            EXPECT_FALSE(info.truncated);
            EXPECT_EQ(info.from.kind, EIO_UNIX);
            EXPECT_EQ(info.from.unix_.len, 0);
        }
        return nullptr;
    }));
}

TEST_P(DatagramTest, TruncationIsReported) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_datagram_socket *a, *b;
        std::string text;
        eio_datagram_info info;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        EIO_TRY(Send(a, nullptr, "123456"));
        EIO_TRY(Send(a, nullptr, "next"));
        EIO_TRY(Recv(b, &text, &info, 3));
        EXPECT_EQ(text, "123");
        EXPECT_TRUE(info.truncated);
        EIO_TRY(Recv(b, &text, &info));
        EXPECT_EQ(text, "next");
        return nullptr;
    }));
}

TEST_P(DatagramTest, SendingToAClosedPeerIsRefused) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_datagram_socket *a, *b;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        eio_datagram_close(b);
        eio_datagram_close(b);
        EXPECT_ERR(Send(a, nullptr, "x"), &eio_err_net_refused);
        EXPECT_ERR_TEXT(
            Send(b, nullptr, "x"),
            "Invalid_argument(\"send_msg: file descriptor used after calling close!\")");
        return nullptr;
    }));
}

TEST_P(DatagramTest, ASendErrorNamesTheAddress) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_datagram_socket *socket;
        eio_sockaddr addr;
        EIO_TRY(Bound(env, sw, eio_ip_v4_loopback(), &socket, &addr));
        eio_sockaddr v6 = eio_sockaddr_udp(eio_ip_v6_loopback(), 9);
        EXPECT_ERR_TEXT(Send(socket, &v6, "x"), "Eio.Io _,\n  sending to udp:[::1]:9");
        return nullptr;
    }));
}

namespace {

/// Places for many datagrams.
struct Places {
    explicit Places(size_t n, size_t room = 16) : space(n, std::vector<uint8_t>(room)), items(n) {
        for (size_t i = 0; i < n; i++)
            items[i].buf = eio_buf_of(space[i].data(), room);
    }
    std::string Text(size_t i) const {
        return std::string(reinterpret_cast<const char *>(space[i].data()), items[i].info.len);
    }
    std::vector<std::vector<uint8_t>> space;
    std::vector<eio_datagram_in> items;
};

/// Receives until it has `n` datagrams; says how many calls that took.
eio_err *RecvAll(eio_datagram_socket *socket, size_t n, std::vector<std::string> *out,
                 size_t *out_calls) {
    for (*out_calls = 0; out->size() < n; ++*out_calls) {
        Places places(n);
        size_t got = 0;
        EIO_TRY(eio_datagram_recv_many(socket, places.items.data(), n, &got));
        for (size_t i = 0; i < got; i++)
            out->push_back(places.Text(i));
    }
    return nullptr;
}

} // namespace

// More than one system call takes.
TEST_P(DatagramTest, ManyGoAndComeTogether) {
    static constexpr size_t kMany = 70;
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_datagram_socket *a, *b;
        eio_sockaddr addr_a, addr_b;
        EIO_TRY(Bound(env, sw, eio_ip_v4_loopback(), &a, &addr_a));
        EIO_TRY(Bound(env, sw, eio_ip_v4_loopback(), &b, &addr_b));
        std::vector<std::string> texts, got;
        std::vector<eio_slice> slices;
        std::vector<eio_datagram_out> out;
        for (size_t i = 0; i < kMany; i++)
            texts.push_back(i % 10 == 3 ? "" : "datagram " + std::to_string(i));
        for (const std::string &text : texts)
            slices.push_back(eio_slice_of(text.data(), text.size()));
        for (const eio_slice &slice : slices)
            out.push_back({&addr_b, &slice, 1});
        size_t sent = 0, calls = 0;
        EIO_TRY(eio_datagram_send_many(a, out.data(), out.size(), &sent));
        EXPECT_EQ(sent, kMany);
        EIO_TRY(RecvAll(b, kMany, &got, &calls));
        EXPECT_EQ(got, texts);
        EXPECT_EQ(calls, 1U);
        return nullptr;
    }));
}

TEST_P(DatagramTest, EachOfManyHasItsSenderAndItsTruncation) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_datagram_socket *a, *b, *to;
        eio_sockaddr addr_a, addr_b, addr;
        EIO_TRY(Bound(env, sw, eio_ip_v4_loopback(), &a, &addr_a));
        EIO_TRY(Bound(env, sw, eio_ip_v4_loopback(), &b, &addr_b));
        EIO_TRY(Bound(env, sw, eio_ip_v4_loopback(), &to, &addr));
        EIO_TRY(Send(a, &addr, "123456"));
        EIO_TRY(Send(b, &addr, "12"));
        EIO_TRY(Send(a, &addr, "1234567"));
        EIO_TRY(Send(b, &addr, "later"));
        Places places(3, 4);
        size_t n = 0;
        EIO_TRY(eio_datagram_recv_many(to, places.items.data(), 3, &n));
        EXPECT_EQ(n, 3U); // there is room for no more
        const char *texts[] = {"1234", "12", "1234"};
        for (size_t i = 0; i < n; i++) {
            const eio_datagram_info &info = places.items[i].info;
            EXPECT_EQ(places.Text(i), texts[i]);
            EXPECT_EQ(info.truncated, i != 1) << i;
            EXPECT_TRUE(eio_sockaddr_equal(&info.from, i == 1 ? &addr_b : &addr_a)) << i;
        }
        std::string text;
        EIO_TRY(Recv(to, &text));
        EXPECT_EQ(text, "later");
        return nullptr;
    }));
}

TEST_P(DatagramTest, TheFirstOfManyThatCannotBeSentIsNamed) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_datagram_socket *socket, *to;
        eio_sockaddr addr, ignored;
        EIO_TRY(Bound(env, sw, eio_ip_v4_loopback(), &socket, &ignored));
        EIO_TRY(Bound(env, sw, eio_ip_v4_loopback(), &to, &addr));
        const eio_sockaddr v6 = eio_sockaddr_udp(eio_ip_v6_loopback(), 9);
        const eio_slice slice = eio_slice_of_str("x");
        const std::vector<eio_slice> pieces(IOV_MAX + 1, slice);
        const eio_datagram_out items[] = {{&addr, &slice, 1},
                                          {&v6, &slice, 1},
                                          {&addr, pieces.data(), pieces.size()},
                                          {&addr, &slice, 1}};
        size_t n = 0;
        EXPECT_ERR_TEXT(eio_datagram_send_many(socket, items, 4, &n),
                        "Eio.Io _,\n  sending to udp:[::1]:9");
        EXPECT_EQ(n, 1U);
        eio_err *err = eio_datagram_send_many(socket, items + 2, 2, &n);
        EXPECT_EQ(eio_err_errno(err), EMSGSIZE);
        eio_err_drop(err);
        EXPECT_EQ(n, 0U);
        EIO_TRY(eio_datagram_send_many(socket, items + 3, 1, &n));
        EXPECT_EQ(n, 1U);
        std::vector<std::string> got;
        size_t calls;
        return RecvAll(to, 2, &got, &calls);
    }));
}

// The queue of a Unix socket is short, so most of them have to wait.
TEST_P(DatagramTest, ManyWaitUntilTheReceiverHasRoom) {
    static constexpr size_t kMany = 2000;
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_datagram_socket *a, *b;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        std::vector<std::string> texts, got;
        std::vector<eio_slice> slices;
        std::vector<eio_datagram_out> out;
        for (size_t i = 0; i < kMany; i++)
            texts.push_back(std::to_string(i));
        for (const std::string &text : texts)
            slices.push_back(eio_slice_of(text.data(), text.size()));
        for (const eio_slice &slice : slices)
            out.push_back({nullptr, &slice, 1});
        size_t sent = 0, calls = 0;
        EXPECT_OK(Both([&] { return eio_datagram_send_many(a, out.data(), kMany, &sent); },
                       [&] { return RecvAll(b, kMany, &got, &calls); }));
        EXPECT_EQ(sent, kMany);
        EXPECT_EQ(got, texts);
        return nullptr;
    }));
}

// It may come between the first datagram and the others: then it is the next call's.
TEST_P(DatagramTest, NoErrorOfTheSocketIsLostByReceivingMany) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_datagram_socket *a, *b;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        EIO_TRY(Send(a, nullptr, "x"));
        int failed = 0;
        const struct eioi_fault_hook hook = {[](void *arg, const char *name) {
                                                 if (strcmp(name, "recvmmsg") != 0)
                                                     return 0;
                                                 ++*static_cast<int *>(arg);
                                                 return ECONNREFUSED;
                                             },
                                             &failed};
        Places places(4);
        size_t n = 0;
        eioi_fault_hook = &hook;
        EXPECT_OK(eio_datagram_recv_many(b, places.items.data(), 4, &n));
        eioi_fault_hook = nullptr;
        EXPECT_EQ(n, 1U);
        EXPECT_EQ(failed, 1);
        EXPECT_OK(First( // who is cancelled hears of that, and leaves the error to the next
            [&]() -> eio_err * {
                EIO_TRY(Protect([] { return eio_fiber_yield(); }));
                EXPECT_ERR(eio_datagram_recv_many(b, places.items.data(), 4, &n),
                           &eio_err_cancelled);
                return nullptr;
            },
            []() -> eio_err * { return nullptr; }));
        EXPECT_ERR(eio_datagram_recv_many(b, places.items.data(), 4, &n), &eio_err_net_refused);
        EIO_TRY(Send(a, nullptr, "y"));
        return eio_datagram_recv_many(b, places.items.data(), 4, &n);
    }));
}

// Its switch ends between the datagram's arrival and the receiver's turn.
TEST_P(DatagramTest, ASocketMayGoWhileManyAreReceivedOrSent) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        for (bool receives : {false, true})
            for (int turns : {1, 2, 3}) { // the call begins before that
                eio_datagram_socket *a = nullptr, *b = nullptr;
                const eio_slice slice = eio_slice_of_str("x");
                const eio_datagram_out item = {nullptr, &slice, 1};
                Places places(4);
                size_t n = 0;
                eio_promise *made;
                eio_promise_resolver *set_made;
                EIO_TRY(eio_promise_create(sw, &made, &set_made));
                EIO_TRY(Both(
                    [&] {
                        return SwitchRun([&](eio_switch *inner) -> eio_err * {
                            EIO_TRY(eio_socketpair_datagram(inner, &a, &b));
                            EIO_TRY(Send(a, nullptr, "x"));
                            EIO_TRY(Send(a, nullptr, "y"));
                            eio_promise_resolve(set_made, nullptr);
                            for (int i = 0; i < turns; i++)
                                EIO_TRY(eio_fiber_yield());
                            return nullptr;
                        });
                    },
                    [&]() -> eio_err * {
                        EIO_TRY(eio_promise_await(made, nullptr));
                        eio_err *err = receives
                                           ? eio_datagram_recv_many(b, places.items.data(), 4, &n)
                                           : eio_datagram_send_many(a, &item, 1, &n);
                        eio_err_drop(err); // done or closed, as it comes
                        return nullptr;
                    }));
            }
        return nullptr;
    }));
}

TEST_P(DatagramTest, WhoIsCancelledSendsNoneOfMany) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_datagram_socket *a, *b;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        const eio_slice slice = eio_slice_of_str("x");
        const eio_datagram_out item = {nullptr, &slice, 1};
        size_t n = 9;
        EXPECT_OK(First(
            [&]() -> eio_err * {
                EIO_TRY(Protect([] { return eio_fiber_yield(); }));
                return eio_datagram_send_many(a, &item, 1, &n);
            },
            []() -> eio_err * { return nullptr; }));
        EXPECT_EQ(n, 0U);
        EIO_TRY(Send(a, nullptr, "only this"));
        std::string text;
        EIO_TRY(Recv(b, &text));
        EXPECT_EQ(text, "only this");
        return nullptr;
    }));
}

TEST_P(DatagramTest, ReceiversAreCancelledAndClosed) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_datagram_socket *a, *b;
        std::string text;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        EXPECT_OK(
            First([&] { return Recv(b, &text); }, []() -> eio_err * { return eio_fiber_yield(); }));
        auto closed = [&]() -> eio_err * {
            std::string ignored;
            EXPECT_ERR(Recv(b, &ignored), &eio_err_closed);
            return nullptr;
        };
        EXPECT_OK(All({closed, closed, [&]() -> eio_err * {
                           EIO_TRY(eio_fiber_yield());
                           eio_datagram_close(b);
                           return nullptr;
                       }}));
        return nullptr;
    }));
}
