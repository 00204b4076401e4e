// SPDX-License-Identifier: ISC
// Networks and datagram sockets: both real backends say and do the same.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "eio/await_fd.h"
#include "eio/domain.h"
#include "eio/fd.h"
#include "eio/net.h"
#include "tests/conformance/sockets.h"
#include "tests/support/real_run.h"

namespace eio_test {
namespace {

class NetTest : public RealTest {};
EIO_ON_REAL_BACKENDS(NetTest);

template <class F> eio_err *RunDomain(const eio_env *env, F &&f) {
    return eio_domain_run(env->domain_mgr, Fn<F>::Call, Fn<F>::Arg(f));
}

/// A listener that was closed: its address refuses.
eio_err *RefusingAddr(const eio_env *env, bool tcp, eio_sockaddr *out) {
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_listener *listener;
        EIO_TRY(Listen(sw, env, tcp, 1, &listener));
        return eio_listener_addr(listener, out);
    });
}

/// The text of `err` with every number of a port replaced: those differ from run to run.
std::string WithoutPorts(const std::string &text) {
    std::string out;
    for (size_t i = 0; i < text.size(); i++) {
        out += text[i];
        if (text[i] == ':' && i + 1 < text.size() && isdigit(text[i + 1])) {
            out += 'N';
            while (i + 1 < text.size() && isdigit(text[i + 1]))
                i++;
        }
    }
    return out;
}

/// Every failure that can be had at will, each with all that it says.
eio_err *CollectErrors(eio_switch *sw, const eio_env *env, std::vector<std::string> *out) {
    eio_net *net = &env->net->net;
    auto add = [&](eio_err *err) {
        out->push_back(WithoutPorts(Text(err)) + " errno " + std::to_string(eio_err_errno(err)));
        eio_err_drop(err);
    };
    eio_stream_socket *a, *b, *socket;
    eio_datagram_socket *datagram, *other;
    eio_listener *listener, *second;
    eio_sockaddr addr;
    char space[8];
    size_t got;
    eio_datagram_info info;
    const eio_slice x = eio_slice_of("x", 1);
    const eio_sockaddr udp = eio_sockaddr_udp(eio_ip_v4_loopback(), 0);

    // Connecting.
    EIO_TRY(RefusingAddr(env, true, &addr));
    add(eio_net_connect(net, sw, &addr, nullptr, &socket));
    EIO_TRY(eio_sockaddr_unix(eio_slice_of_str("there-is-no-such-socket"), &addr));
    add(eio_net_connect(net, sw, &addr, nullptr, &socket));
    EIO_TRY(eio_sockaddr_unix(eio_slice_of("\0eio-nobody", 11), &addr));
    add(eio_net_connect(net, sw, &addr, nullptr, &socket));
    addr = eio_sockaddr_tcp(eio_ip_v4(255, 255, 255, 255), 1);
    add(eio_net_connect(net, sw, &addr, nullptr, &socket));
    add(eio_net_connect(net, sw, &udp, nullptr, &socket));

    // Listening, binding.
    EIO_TRY(Listen(sw, env, true, 1, &listener));
    EIO_TRY(eio_listener_addr(listener, &addr));
    add(eio_net_listen(net, sw, &addr, nullptr, &second));
    add(eio_net_listen(net, sw, &udp, nullptr, &second));
    EIO_TRY(eio_sockaddr_unix(eio_slice_of_str("no-such-directory/socket"), &addr));
    add(eio_net_listen(net, sw, &addr, nullptr, &second));
    eio_listener_close(listener);
    add(eio_listener_addr(listener, &addr));
    add(eio_listener_accept(listener, sw, &socket, nullptr));

    // Streams.
    EIO_TRY(eio_socketpair_stream(sw, &a, &b));
    EIO_TRY(eio_flow_copy_string("unread", &a->flow.sink));
    eio_flow_close(&b->flow);
    add(eio_source_single_read(&a->flow.source, eio_buf_of(space, 8), &got));
    add(eio_sink_write(&a->flow.sink, x));
    add(eio_source_single_read(&b->flow.source, eio_buf_of(space, 8), &got));
    add(eio_sink_write(&b->flow.sink, x));
    add(eio_flow_shutdown(&b->flow, EIO_SHUTDOWN_ALL));

    // Datagrams.
    EIO_TRY(eio_socketpair_datagram(sw, &datagram, &other));
    eio_datagram_close(other);
    add(eio_datagram_send(datagram, nullptr, &x, 1));
    add(eio_datagram_send(other, nullptr, &x, 1));
    add(eio_datagram_recv(other, eio_buf_of(space, 8), &info));
    EIO_TRY(eio_net_datagram_socket(net, sw, &udp, nullptr, &datagram));
    add(eio_datagram_send(datagram, nullptr, &x, 1));
    const std::string huge(70000, 'x');
    const eio_slice too_long = eio_slice_of(huge.data(), huge.size());
    EIO_TRY(eio_datagram_addr(datagram, &addr));
    add(eio_datagram_send(datagram, &addr, &too_long, 1));
    add(eio_net_datagram_socket(net, sw, &addr, nullptr, &other));

    // Descriptors.
    add(eio_import_stream(sw, 9999, nullptr, &socket));
    add(eio_await_readable(9999));
    add(eio_await_writable(-1));
    return nullptr;
}

TEST(NetErrors, BothBackendsFailInTheSameWords) {
    std::vector<std::string> texts[2];
    for (int i = 0; i < 2; i++) {
        const char *backend = i == 0 ? "uring" : "epoll";
        if (WhyNot(backend) != "ok")
            GTEST_SKIP() << "no " << backend << " here: " << WhyNot(backend);
        EXPECT_OK(EvalOn(backend, [&](eio_switch *sw, const eio_env *env) {
            return CollectErrors(sw, env, &texts[i]);
        }));
    }
    EXPECT_EQ(texts[0], texts[1]);
    for (const std::string &text : texts[0])
        EXPECT_EQ(text.find("ok errno"), std::string::npos) << "it succeeded";
}

TEST_P(NetTest, OneListenerServesSeveralDomains) {
    constexpr int kClients = 60;
    std::atomic<int> served{0}, by[3] = {};
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_listener *listener;
        eio_sockaddr addr;
        EIO_TRY(Listen(sw, env, true, 128, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        auto serve = [&](int who) {
            return SwitchRun([&](eio_switch *sw2) -> eio_err * {
                for (;;) {
                    eio_stream_socket *socket;
                    eio_err *err = eio_listener_accept(listener, sw2, &socket, nullptr);
                    if (eio_err_catch(&err, &eio_err_closed))
                        return nullptr; // closed by the first domain when all were served
                    EIO_TRY(err);
                    EIO_TRY(eio_flow_copy_string("hello", &socket->flow.sink));
                    eio_flow_free(&socket->flow);
                    by[who]++;
                    served++;
                }
            });
        };
        return All(
            {[&] { return RunDomain(env, [&] { return serve(1); }); },
             [&] { return RunDomain(env, [&] { return serve(2); }); }, [&] { return serve(0); },
             [&]() -> eio_err * {
                 EIO_TRY(ForEach(kClients, 8, [&](size_t) {
                     return SwitchRun([&](eio_switch *sw2) -> eio_err * {
                         eio_stream_socket *socket;
                         char space[5];
                         EIO_TRY(eio_net_connect(&env->net->net, sw2, &addr, nullptr, &socket));
                         return eio_source_read_exact(&socket->flow.source, eio_buf_of(space, 5));
                     });
                 }));
                 while (served < kClients)
                     EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                 eio_listener_close(listener);
                 return nullptr;
             }});
    }));
    EXPECT_EQ(served, kClients);
    EXPECT_EQ(by[0] + by[1] + by[2], kClients);
}

TEST_P(NetTest, ADomainThatNoLongerAcceptsTakesNoConnectionFromTheOthers) {
    // The other domain's acceptor is cancelled; then every connection is this domain's, promptly.
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_listener *listener;
        eio_sockaddr addr;
        eio_promise *stopped;
        eio_promise_resolver *set_stopped;
        EIO_TRY(Listen(sw, env, true, 128, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        EIO_TRY(eio_promise_create(sw, &stopped, &set_stopped));
        eio_promise *done;
        eio_promise_resolver *set_done;
        EIO_TRY(eio_promise_create(sw, &done, &set_done));
        return Both(
            [&] {
                return RunDomain(env, [&]() -> eio_err * {
                    eio_err *err =
                        TimeoutRun(eio_timeout_ns(env->mono_clock, 2 * EIO_MILLISECOND), [&] {
                            return SwitchRun([&](eio_switch *sw2) {
                                eio_stream_socket *socket;
                                return eio_listener_accept(listener, sw2, &socket, nullptr);
                            });
                        });
                    EXPECT_ERR(err, &eio_err_timeout);
                    eio_promise_resolve(set_stopped, nullptr);
                    return eio_promise_await(done, nullptr); // the loop goes on without an acceptor
                });
            },
            [&]() -> eio_err * {
                EIO_TRY(eio_promise_await(stopped, nullptr));
                eio_err *err =
                    TimeoutRun(eio_timeout_ns(env->mono_clock, 5 * EIO_SECOND), [&]() -> eio_err * {
                        for (int i = 0; i < 50; i++) {
                            EIO_TRY(SwitchRun([&](eio_switch *sw2) {
                                return Both(
                                    [&] {
                                        eio_stream_socket *socket;
                                        return eio_listener_accept(listener, sw2, &socket, nullptr);
                                    },
                                    [&] {
                                        eio_stream_socket *socket;
                                        return eio_net_connect(&env->net->net, sw2, &addr, nullptr,
                                                               &socket);
                                    });
                            }));
                        }
                        return nullptr;
                    });
                eio_promise_resolve(set_done, nullptr);
                return err;
            });
    }));
}

TEST_P(NetTest, ADatagramSocketServesSeveralDomains) {
    constexpr int kDatagrams = 200;
    std::atomic<int> received{0};
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_datagram_socket *a, *b;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b)); // which drops none
        auto receive = [&]() -> eio_err * {
            for (;;) {
                char space[8];
                eio_datagram_info info;
                eio_err *err = eio_datagram_recv(a, eio_buf_of(space, 8), &info);
                if (eio_err_catch(&err, &eio_err_closed))
                    return nullptr;
                EIO_TRY(err);
                received++;
            }
        };
        auto send = [&]() -> eio_err * {
            for (int i = 0; i < kDatagrams / 2; i++) {
                const eio_slice x = eio_slice_of("x", 1);
                EIO_TRY(eio_datagram_send(b, nullptr, &x, 1));
            }
            return nullptr;
        };
        return All({[&] { return RunDomain(env, receive); }, receive,
                    [&]() -> eio_err * {
                        EIO_TRY(Both([&] { return RunDomain(env, send); }, send));
                        while (received < kDatagrams)
                            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                        eio_datagram_close(a);
                        return nullptr;
                    }});
    }));
    EXPECT_EQ(received, kDatagrams);
}

TEST_P(NetTest, ReceiversAreServedFirstInFirstOut) {
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_datagram_socket *a, *b;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        std::vector<size_t> order;
        EIO_TRY(Both(
            [&] {
                return ForEach(5, 0, [&](size_t i) -> eio_err * {
                    char space[8];
                    eio_datagram_info info;
                    EIO_TRY(eio_datagram_recv(a, eio_buf_of(space, 8), &info));
                    EXPECT_EQ(space[0], static_cast<char>('0' + i));
                    order.push_back(i);
                    return nullptr;
                });
            },
            [&]() -> eio_err * {
                for (char c = '0'; c < '5'; c++) {
                    EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                    EXPECT_EQ(WriteRaw(eio_fd_of_datagram(b), std::string(1, c)), 1);
                }
                return nullptr;
            }));
        EXPECT_EQ(order, (std::vector<size_t>{0, 1, 2, 3, 4}));
        return nullptr;
    }));
}

TEST_P(NetTest, AcceptorsAreServedFirstInFirstOut) {
    for (bool tcp : {true, false}) {
        EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
            eio_listener *listener;
            eio_sockaddr addr;
            EIO_TRY(Listen(sw, env, tcp, 8, &listener));
            EIO_TRY(eio_listener_addr(listener, &addr));
            std::vector<size_t> order;
            std::vector<int> clients;
            EIO_TRY(Both(
                [&] {
                    return ForEach(5, 0, [&](size_t i) -> eio_err * {
                        eio_stream_socket *socket;
                        EIO_TRY(eio_listener_accept(listener, sw, &socket, nullptr));
                        order.push_back(i);
                        return nullptr;
                    });
                },
                [&]() -> eio_err * {
                    for (int i = 0; i < 5; i++) {
                        EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                        clients.push_back(ConnectRaw(addr));
                    }
                    return nullptr;
                }));
            for (int fd : clients)
                close(fd);
            EXPECT_EQ(order, (std::vector<size_t>{0, 1, 2, 3, 4}));
            return nullptr;
        }));
    }
}

TEST_P(NetTest, ThoseWhoAwaitADescriptorAreServedFirstInFirstOut) {
    EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *env) -> eio_err * {
        int fds[2];
        EXPECT_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        std::vector<size_t> order;
        eio_err *err = Both(
            [&] {
                return ForEach(5, 0, [&](size_t i) -> eio_err * {
                    char byte;
                    do { // several may be told of one byte
                        EIO_TRY(eio_await_readable(fds[0]));
                    } while (read(fds[0], &byte, 1) != 1);
                    order.push_back(i);
                    return nullptr;
                });
            },
            [&]() -> eio_err * {
                for (int i = 0; i < 5; i++) {
                    EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                    EXPECT_EQ(write(fds[1], "x", 1), 1);
                }
                return nullptr;
            });
        close(fds[0]);
        close(fds[1]);
        EXPECT_EQ(order.size(), 5u);
        if (std::string(GetParam()) == "uring") { // epoll tells them all, and they ask again
            EXPECT_EQ(order, (std::vector<size_t>{0, 1, 2, 3, 4}));
        }
        return err;
    }));
}

TEST_P(NetTest, OneWhoIsCancelledInTheMiddleOfTheLineLeavesItsPlaceToTheNext) {
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_datagram_socket *a, *b;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        std::vector<size_t> order;
        eio_cancel *cancels[4];
        EIO_TRY(Both(
            [&] {
                return ForEach(4, 0, [&](size_t i) {
                    return CancelSub([&](eio_cancel *cc) -> eio_err * {
                        char space[8];
                        eio_datagram_info info;
                        cancels[i] = cc;
                        eio_err *err = eio_datagram_recv(a, eio_buf_of(space, 8), &info);
                        if (i < 2) { // the first, who is in the kernel, and one who is behind it
                            EXPECT_ERR(err, &eio_err_cancelled);
                            return nullptr;
                        }
                        EIO_TRY(err);
                        EXPECT_EQ(space[0], static_cast<char>('0' + i));
                        order.push_back(i);
                        return nullptr;
                    });
                });
            },
            [&]() -> eio_err * {
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                eio_cancel_cancel(cancels[1], eio_err_failure("stop"));
                eio_cancel_cancel(cancels[0], eio_err_failure("stop"));
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                EXPECT_EQ(WriteRaw(eio_fd_of_datagram(b), "2"), 1);
                EXPECT_EQ(WriteRaw(eio_fd_of_datagram(b), "3"), 1);
                return nullptr;
            }));
        EXPECT_EQ(order, (std::vector<size_t>{2, 3}));
        return nullptr;
    }));
}

TEST_P(NetTest, AConnectedSocketIsToldThatNobodyListens) {
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_datagram_socket *closed, *socket;
        eio_sockaddr addr;
        const eio_sockaddr any = eio_sockaddr_udp(eio_ip_v4_loopback(), 0);
        EIO_TRY(eio_net_datagram_socket(&env->net->net, sw, &any, nullptr, &closed));
        EIO_TRY(eio_datagram_addr(closed, &addr));
        const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(ConnectUdpRaw(fd, addr), 0);
        EIO_TRY(eio_import_datagram(sw, fd, nullptr, &socket));
        eio_datagram_close(closed);
        char space[8];
        eio_datagram_info info;
        const eio_slice x = eio_slice_of("x", 1);
        EIO_TRY(Both(
            [&]() -> eio_err * {
                EXPECT_ERR(eio_datagram_recv(socket, eio_buf_of(space, 8), &info),
                           &eio_err_net_refused);
                return nullptr;
            },
            [&] { return eio_datagram_send(socket, nullptr, &x, 1); }));
        return nullptr;
    }));
}

TEST_P(NetTest, WithoutDescriptorsAcceptFailsAndTheConnectionWaits) {
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_listener *listener;
        eio_sockaddr addr;
        eio_stream_socket *socket;
        EIO_TRY(Listen(sw, env, true, 8, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        const int client = ConnectRaw(addr);
        struct rlimit old, none;
        EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
        none = old;
        none.rlim_cur = 0;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
        eio_err *err = eio_listener_accept(listener, sw, &socket, nullptr);
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
        EXPECT_EQ(eio_err_errno(err), EMFILE) << Text(err);
        eio_err_drop(err);
        EIO_TRY(eio_listener_accept(listener, sw, &socket, nullptr));
        close(client);
        return nullptr;
    }));
}

} // namespace
} // namespace eio_test
