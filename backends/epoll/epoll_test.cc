// SPDX-License-Identifier: ISC
// What is particular to the epoll loop: which system calls it makes, and what it makes of
// descriptor numbers that are used again, registered twice, or can't be polled. What it shares with
// io_uring is in //tests/conformance.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "eio/await_fd.h"
#include "eio/fd.h"
#include "eio/net.h"
#include "tests/support/faults.h"
#include "tests/support/real_run.h"

using namespace eio_test;

namespace {

class EpollTest : public EioTest {
  protected:
    template <class F> void Run(F &&f) { RunOn("epoll", f); }
};

eio_slice Bytes(const std::string &text) {
    return eio_slice_of(text.data(), text.size());
}

eio_err *Read(eio_stream_socket *socket, std::string *out, size_t max = 64) {
    char space[4096];
    size_t got;
    EIO_TRY(eio_source_single_read(&socket->flow.source, eio_buf_of(space, max), &got));
    *out = std::string(space, got);
    return nullptr;
}

eio_err *Write(eio_stream_socket *socket, const std::string &text) {
    return eio_sink_write(&socket->flow.sink, Bytes(text));
}

/// A connected TCP pair on loopback: `*out_ours` as a flow, `*out_theirs` as a raw descriptor.
eio_err *TcpPair(eio_switch *sw, eio_stream_socket **out_ours, int *out_theirs) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {};
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof addr;
    EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr *>(&addr), sizeof addr), 0);
    EXPECT_EQ(listen(listener, 1), 0);
    EXPECT_EQ(getsockname(listener, reinterpret_cast<sockaddr *>(&addr), &len), 0);
    *out_theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(*out_theirs, reinterpret_cast<sockaddr *>(&addr), sizeof addr), 0);
    int ours = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    close(listener);
    return eio_import_stream(sw, ours, nullptr, out_ours);
}

void Send(int fd, const std::string &text, int flags = 0) {
    EXPECT_EQ(send(fd, text.data(), text.size(), flags), static_cast<ssize_t>(text.size()));
}

TEST_F(EpollTest, AConnectionIsRegisteredOnceWhateverIsReadFromIt) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *ours;
        int theirs;
        std::string text;
        EIO_TRY(TcpPair(sw, &ours, &theirs));
        Faults faults;
        for (int i = 0; i < 20; i++) {
            EIO_TRY(Both([&] { return Read(ours, &text); },
                         [&]() -> eio_err * {
                             Send(theirs, "ping");
                             return nullptr;
                         }));
            EXPECT_EQ(text, "ping");
            EIO_TRY(Write(ours, "pong"));
        }
        EXPECT_EQ(faults.Count("epoll_ctl"), 1);
        EXPECT_EQ(faults.Count("send"), 20);
        // The first finds nothing, the second doesn't know yet that a short read of TCP means
        // empty.
        EXPECT_LE(faults.Count("recv"), 20 + 3);
        EXPECT_LE(faults.Count("getsockopt"), 1);
        close(theirs);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, TheEndIsSeenWhenItComesWithTheLastData) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *ours;
        int theirs;
        std::string text;
        EIO_TRY(TcpPair(sw, &ours, &theirs));
        for (int i = 0; i < 3; i++) { // so that it is known for TCP
            Send(theirs, "x");
            EIO_TRY(Read(ours, &text));
            EIO_TRY(Both([&] { return Read(ours, &text); },
                         [&]() -> eio_err * {
                             Send(theirs, "y");
                             return nullptr;
                         }));
        }
        EIO_TRY(Both(
            [&]() -> eio_err * {
                EIO_TRY(Read(ours, &text));
                EXPECT_EQ(text, "last");
                EXPECT_ERR(Read(ours, &text), &eio_err_end_of_file);
                EXPECT_ERR(Read(ours, &text), &eio_err_end_of_file);
                return nullptr;
            },
            [&]() -> eio_err * {
                Send(theirs, "last");
                shutdown(theirs, SHUT_WR);
                return nullptr;
            }));
        close(theirs);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, DataBehindAnUrgentByteIsNotMissed) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *ours;
        int theirs;
        std::string text, all;
        EIO_TRY(TcpPair(sw, &ours, &theirs));
        for (int i = 0; i < 3; i++) {
            EIO_TRY(Both([&] { return Read(ours, &text); },
                         [&]() -> eio_err * {
                             Send(theirs, "x");
                             return nullptr;
                         }));
        }
        // A read stops at the mark, short, although there is more.
        EIO_TRY(Both(
            [&]() -> eio_err * {
                while (all.size() < 6) {
                    EIO_TRY(Read(ours, &text));
                    all += text;
                }
                return nullptr;
            },
            [&]() -> eio_err * {
                Send(theirs, "abc");
                Send(theirs, "!", MSG_OOB);
                Send(theirs, "def");
                return nullptr;
            }));
        EXPECT_EQ(all, "abcdef");
        close(theirs);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, AMessageWithADescriptorDoesNotHideTheNextOne) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        int fds[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        eio_stream_socket *ours;
        EIO_TRY(eio_import_stream(sw, fds[0], nullptr, &ours));
        std::string text, all;
        for (int i = 0; i < 3; i++)
            EIO_TRY(Both([&] { return Read(ours, &text); },
                         [&]() -> eio_err * {
                             Send(fds[1], "x");
                             return nullptr;
                         }));
        char control[CMSG_SPACE(sizeof(int))] = {};
        struct iovec iov = {const_cast<char *>("abc"), 3};
        struct msghdr msg = {};
        msg.msg_iov = &iov;
        msg.msg_iovlen = 1;
        msg.msg_control = control;
        msg.msg_controllen = sizeof control;
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &fds[1], sizeof(int));
        EIO_TRY(Both(
            [&]() -> eio_err * {
                while (all.size() < 6) {
                    EIO_TRY(Read(ours, &text));
                    all += text;
                }
                return nullptr;
            },
            [&]() -> eio_err * {
                EXPECT_EQ(sendmsg(fds[1], &msg, 0), 3);
                Send(fds[1], "def");
                return nullptr;
            }));
        EXPECT_EQ(all, "abcdef");
        close(fds[1]);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, ABlockedWriterGoesOnWhenThereIsRoom) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *ours;
        int theirs;
        EIO_TRY(TcpPair(sw, &ours, &theirs));
        const std::string big(8 << 20, 'x');
        size_t got = 0;
        Faults faults;
        EIO_TRY(Both(
            [&]() -> eio_err * {
                EIO_TRY(Write(ours, big));
                return eio_flow_shutdown(&ours->flow, EIO_SHUTDOWN_SEND);
            },
            [&]() -> eio_err * {
                char space[8192];
                fcntl(theirs, F_SETFL, O_NONBLOCK);
                for (;;) {
                    ssize_t n = recv(theirs, space, sizeof space, 0);
                    if (n == 0)
                        return nullptr;
                    if (n > 0)
                        got += static_cast<size_t>(n);
                    else
                        EIO_TRY(eio_await_readable(theirs));
                }
            }));
        EXPECT_EQ(got, big.size());
        EXPECT_GT(faults.Count("send"), 1);
        close(theirs);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, AFullUnixListenerIsTriedAgain) {
    Run([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr;
        const std::string name = std::string(1, '\0') + UniqueName();
        EIO_TRY(eio_sockaddr_unix(Bytes(name), &addr));
        eio_listen_opts opts = {};
        opts.backlog = 1;
        eio_listener *listener;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, &opts, &listener));
        constexpr int kClients = 6;
        return Both(
            [&] {
                return ForEach(kClients, 0, [&](size_t) -> eio_err * {
                    eio_stream_socket *socket;
                    return eio_net_connect(&env->net->net, sw, &addr, nullptr, &socket);
                });
            },
            [&]() -> eio_err * {
                for (int i = 0; i < kClients; i++) {
                    eio_stream_socket *socket;
                    EIO_TRY(eio_mono_clock_sleep(env->mono_clock, 2 * EIO_MILLISECOND));
                    EIO_TRY(eio_listener_accept(listener, sw, &socket, nullptr));
                }
                return nullptr;
            });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, ARetryingConnectCanBeCancelled) {
    Run([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr;
        const std::string name = std::string(1, '\0') + UniqueName();
        EIO_TRY(eio_sockaddr_unix(Bytes(name), &addr));
        eio_listen_opts opts = {};
        opts.backlog = 1;
        eio_listener *listener;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, &opts, &listener));
        return TimeoutRun(eio_timeout_ns(env->mono_clock, 20 * EIO_MILLISECOND), [&] {
            return ForEach(8, 0, [&](size_t) -> eio_err * {
                eio_stream_socket *socket;
                return eio_net_connect(&env->net->net, sw, &addr, nullptr, &socket);
            });
        });
    });
    EXPECT_TRACE(R"(
        Exception: Eio__Time.Timeout.
    )");
}

TEST_F(EpollTest, AForeignNumberMayBeClosedAndReopenedBetweenWaits) {
    Run([](eio_switch *, const eio_env *) -> eio_err * {
        int number = eventfd(1, EFD_CLOEXEC);
        EIO_TRY(eio_await_readable(number));
        for (int i = 0; i < 3; i++) {
            close(number);
            int again = eventfd(0, EFD_CLOEXEC);
            EXPECT_EQ(again, number);
            EIO_TRY(Both([&] { return eio_await_readable(again); },
                         [&]() -> eio_err * {
                             uint64_t one = 1;
                             EXPECT_EQ(write(again, &one, sizeof one), 8);
                             return nullptr;
                         }));
        }
        close(number);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, ANumberMayBeOursThenForeignThenOurs) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        for (int round = 0; round < 3; round++) {
            eio_stream_socket *ours;
            int theirs, number = -1;
            std::string text;
            EIO_TRY(TcpPair(sw, &ours, &theirs));
            EIO_TRY(Both([&] { return Read(ours, &text); },
                         [&]() -> eio_err * {
                             Send(theirs, "x");
                             return nullptr;
                         }));
            EIO_TRY(eio_fd_remove(eio_fd_of_flow(&ours->flow), &number));
            close(number);
            int event = eventfd(0, EFD_CLOEXEC);
            EXPECT_EQ(dup3(event, number, O_CLOEXEC), number);
            close(event);
            event = number;
            EIO_TRY(Both([&] { return eio_await_readable(event); },
                         [&]() -> eio_err * {
                             uint64_t one = 1;
                             EXPECT_EQ(write(event, &one, sizeof one), 8);
                             return nullptr;
                         }));
            close(event);
            close(theirs);
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, ADescriptorThatIsHandedOverIsNoLongerRegistered) {
    Run([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_stream_socket *ours;
        int theirs, number = -1;
        std::string text;
        EIO_TRY(TcpPair(sw, &ours, &theirs));
        EIO_TRY(Both([&] { return Read(ours, &text); },
                     [&]() -> eio_err * {
                         Send(theirs, "x");
                         return nullptr;
                     }));
        Faults faults;
        EIO_TRY(eio_fd_remove(eio_fd_of_flow(&ours->flow), &number));
        EXPECT_EQ(faults.Count("epoll_ctl"), 1);
        const int before = faults.Count("epoll_wait") + faults.Count("epoll_pwait2");
        EIO_TRY(Both([&] { return eio_mono_clock_sleep(env->mono_clock, 20 * EIO_MILLISECOND); },
                     [&]() -> eio_err * {
                         for (int i = 0; i < 10; i++)
                             Send(theirs, "y");
                         return nullptr;
                     }));
        EXPECT_LE(faults.Count("epoll_wait") + faults.Count("epoll_pwait2"), before + 2)
            << "the loop was woken";
        close(number);
        close(theirs);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, ADescriptorOfOursCanBeWaitedForAsAForeignOne) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *ours;
        int theirs;
        std::string text;
        EIO_TRY(TcpPair(sw, &ours, &theirs));
        auto wait = [&] {
            auto use = [](void *, int fd) { return eio_await_readable(fd); };
            return eio_fd_use(eio_fd_of_flow(&ours->flow), "test", use, nullptr);
        };
        for (int i = 0; i < 3; i++) {
            // Both kinds of wait at once, and each alone, in turn.
            EIO_TRY(Both(wait, [&]() -> eio_err * {
                return Both([&] { return Read(ours, &text); },
                            [&]() -> eio_err * {
                                Send(theirs, "x");
                                return nullptr;
                            });
            }));
            Send(theirs, "y");
            EIO_TRY(wait());
            EIO_TRY(Read(ours, &text));
            EXPECT_EQ(text, "y");
        }
        close(theirs);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, TwoFlowsMayHaveOneNumber) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        int fds[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        eio_import_opts opts = {};
        opts.keep_open = true;
        eio_stream_socket *a, *b;
        std::string text, both;
        EIO_TRY(eio_import_stream(sw, fds[0], &opts, &a));
        EIO_TRY(eio_import_stream(sw, fds[0], &opts, &b));
        for (int i = 0; i < 3; i++) {
            EIO_TRY(All({[&] { return Read(a, &text, 1); }, [&] { return Read(b, &text, 1); },
                         [&]() -> eio_err * {
                             Send(fds[1], "xy");
                             return nullptr;
                         }}));
        }
        close(fds[0]);
        close(fds[1]);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, EventsOfAClosedDescriptorWhoseFileLivesOnAreIgnored) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *ours;
        int theirs;
        std::string text;
        EIO_TRY(TcpPair(sw, &ours, &theirs));
        EIO_TRY(Both([&] { return Read(ours, &text); },
                     [&]() -> eio_err * {
                         Send(theirs, "x");
                         return nullptr;
                     }));
        int number = -1, copy = -1;
        auto use = [](void *arg, int fd) -> eio_err * {
            *static_cast<int *>(arg) = fd;
            return nullptr;
        };
        EIO_TRY(eio_fd_use(eio_fd_of_flow(&ours->flow), "test", use, &number));
        copy = dup(number);
        eio_flow_close(&ours->flow);
        // The same number, another file; the first one's registration is still there.
        int fds[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        EXPECT_EQ(fds[0], number);
        eio_stream_socket *next;
        EIO_TRY(eio_import_stream(sw, fds[0], nullptr, &next));
        bool done = false;
        EIO_TRY(Both(
            [&]() -> eio_err * {
                EIO_TRY(Read(next, &text));
                done = true;
                return nullptr;
            },
            [&]() -> eio_err * {
                Send(theirs, "stale");
                for (int i = 0; i < 300; i++)
                    EIO_TRY(eio_fiber_yield());
                EXPECT_FALSE(done);
                Send(fds[1], "fresh");
                return nullptr;
            }));
        EXPECT_EQ(text, "fresh");
        close(copy);
        close(theirs);
        close(fds[1]);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, EventsThatNobodyWantsAreGivenUpAndComeBackOnDemand) {
    Run([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_stream_socket *ours;
        int theirs;
        std::string text;
        EIO_TRY(TcpPair(sw, &ours, &theirs));
        EIO_TRY(Both([&] { return Read(ours, &text); },
                     [&]() -> eio_err * {
                         Send(theirs, "x");
                         return nullptr;
                     }));
        Faults faults;
        for (int i = 0; i < 40; i++) {
            Send(theirs, "y");
            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND / 10));
        }
        EXPECT_EQ(faults.Count("epoll_ctl"), 1) << "taken back once";
        std::string all;
        while (all.size() < 40) {
            EIO_TRY(Read(ours, &text));
            all += text;
        }
        EIO_TRY(Both([&] { return Read(ours, &text); },
                     [&]() -> eio_err * {
                         EIO_TRY(eio_fiber_yield());
                         Send(theirs, "z");
                         return nullptr;
                     }));
        EXPECT_EQ(text, "z");
        EXPECT_EQ(faults.Count("epoll_ctl"), 2);
        close(theirs);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, AWriterIsNotForgottenWhenReadEventsAreGivenUp) {
    Run([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_stream_socket *ours;
        int theirs;
        std::string text;
        EIO_TRY(TcpPair(sw, &ours, &theirs));
        EIO_TRY(Both([&] { return Read(ours, &text); },
                     [&]() -> eio_err * {
                         Send(theirs, "x");
                         return nullptr;
                     }));
        const std::string big(8 << 20, 'x');
        size_t got = 0;
        EIO_TRY(Both([&] { return Write(ours, big); },
                     [&]() -> eio_err * {
                         for (int i = 0; i < 40; i++) {
                             Send(theirs, "y");
                             EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND / 10));
                         }
                         char space[8192];
                         fcntl(theirs, F_SETFL, O_NONBLOCK);
                         while (got < big.size()) {
                             ssize_t n = recv(theirs, space, sizeof space, 0);
                             if (n > 0)
                                 got += static_cast<size_t>(n);
                             else
                                 EIO_TRY(eio_await_readable(theirs));
                         }
                         return nullptr;
                     }));
        EXPECT_EQ(got, big.size());
        close(theirs);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, TimersAreNeverEarlyWithoutEpollPwait2) {
    Faults faults([](const std::string &call) { return call == "epoll_pwait2" ? ENOSYS : 0; });
    Run([](eio_switch *, const eio_env *env) -> eio_err * {
        for (int64_t ns :
             {INT64_C(1), INT64_C(999999), INT64_C(1000000), INT64_C(1000001), INT64_C(2500000)}) {
            const int64_t deadline = eio_mono_clock_now(env->mono_clock) + ns;
            EIO_TRY(eio_mono_clock_sleep_until(env->mono_clock, deadline));
            EXPECT_GE(eio_mono_clock_now(env->mono_clock), deadline);
        }
        return nullptr;
    });
    EXPECT_EQ(faults.Count("epoll_pwait2"), 1) << "asked once, then known";
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, WhatItNeedsAndCannotHaveIsAnErrorAndLeavesNothing) {
    for (const char *call : {"epoll_create1", "eventfd", "epoll_ctl"}) {
        Faults faults([&](const std::string &made) { return made == call ? EMFILE : 0; });
        Run([](eio_switch *, const eio_env *) -> eio_err * {
            ADD_FAILURE() << "it runs";
            return nullptr;
        });
    }
    EXPECT_TRACE(R"(
        Exception: Failure "The epoll backend can't be started: Too many open files".
        Exception: Failure "The epoll backend can't be started: Too many open files".
        Exception: Failure "The epoll backend can't be started: Too many open files".
    )");
}

TEST_F(EpollTest, ARegistrationThatFailsIsTheOperationsError) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        std::string text;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        {
            Faults faults([](const std::string &call) { return call == "epoll_ctl" ? ENOSPC : 0; });
            EXPECT_ERR_TEXT(Read(a, &text), "Eio.Io _");
            EXPECT_ERR_TEXT(eio_await_readable(STDIN_FILENO), "Eio.Io _");
        }
        EIO_TRY(Write(b, "x"));
        return Read(a, &text);
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, ManyLoansAtATimeEachHaveTheirBytes) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        enum { kPairs = 600 }; // more than the loop keeps buffers
        eio_stream_socket *a[kPairs], *b[kPairs];
        eio_slice loans[kPairs];
        for (int i = 0; i < kPairs; i++) {
            EIO_TRY(eio_socketpair_stream(sw, &a[i], &b[i]));
            EIO_TRY(Write(b[i], "bytes of " + std::to_string(i)));
            EIO_TRY(eio_source_lend(&a[i]->flow.source, &loans[i]));
            EXPECT_EQ(reinterpret_cast<uintptr_t>(loans[i].base) % 64, 0u) << "slow to copy to";
        }
        for (int i = 0; i < kPairs; i++) {
            EXPECT_EQ(std::string(reinterpret_cast<const char *>(loans[i].base), loans[i].len),
                      "bytes of " + std::to_string(i));
            eio_source_release(&a[i]->flow.source, loans[i].len);
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, WhatALoanLeftIsReadFirstAndForgottenByAClose) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        eio_slice loan;
        std::string text;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        EIO_TRY(Write(b, "abcdef"));
        EIO_TRY(eio_source_lend(&a->flow.source, &loan));
        eio_source_release(&a->flow.source, 1);
        EIO_TRY(Read(a, &text, 2));
        EXPECT_EQ(text, "bc");
        EIO_TRY(eio_source_lend(&a->flow.source, &loan));
        EXPECT_EQ(loan.len, 3u);
        eio_source_release(&a->flow.source, 2);
        eio_flow_close(&a->flow);
        EXPECT_ERR(eio_source_lend(&a->flow.source, &loan), &eio_err_closed);
        EXPECT_ERR(Read(a, &text), &eio_err_closed);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, ALoanStaysThroughAClose) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        eio_slice loan;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        EIO_TRY(Write(b, "abcdef"));
        EIO_TRY(eio_source_lend(&a->flow.source, &loan));
        eio_flow_close(&a->flow);
        EXPECT_EQ(std::string(reinterpret_cast<const char *>(loan.base), loan.len), "abcdef");
        eio_source_release(&a->flow.source, 3);
        EXPECT_ERR(eio_source_lend(&a->flow.source, &loan), &eio_err_closed);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, ALoanWhoseBytesWereThereStaysThroughACloseInItsTurn) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        EIO_TRY(Write(b, "abcdef"));
        return Both(
            [&]() -> eio_err * {
                eio_slice loan;
                EIO_TRY(eio_source_lend(&a->flow.source, &loan));
                EXPECT_FALSE(eio_fd_is_open(eio_fd_of_flow(&a->flow)));
                EXPECT_EQ(std::string(reinterpret_cast<const char *>(loan.base), loan.len),
                          "abcdef");
                eio_source_release(&a->flow.source, loan.len);
                return nullptr;
            },
            [&]() -> eio_err * {
                eio_flow_close(&a->flow);
                return nullptr;
            });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, CopiesThatGoOnInOneTurnHaveOneBufferAmongThem) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        enum { kPairs = 8 };
        eio_stream_socket *a[kPairs], *b[kPairs];
        eio_fd_use_fn *write_byte = [](void *, int fd) -> eio_err * { // without a turn
            EXPECT_EQ(write(fd, "x", 1), 1);
            return nullptr;
        };
        for (int i = 0; i < kPairs; i++) {
            EIO_TRY(eio_socketpair_stream(sw, &a[i], &b[i]));
            EIO_TRY(Fork(
                sw, [flow = &a[i]->flow] { return eio_flow_copy(&flow->source, &flow->sink); }));
        }
        EIO_TRY(eio_fiber_yield());
        int blocks = 0;
        std::string text;
        {
            Faults faults([&](const std::string &call) {
                blocks += call == "alloc";
                return 0;
            });
            for (int i = 0; i < kPairs; i++)
                EIO_TRY(eio_fd_use(eio_fd_of_flow(&b[i]->flow), "write", write_byte, nullptr));
            for (int i = 0; i < kPairs; i++)
                EIO_TRY(Read(b[i], &text));
        }
        EXPECT_EQ(blocks, 0) << "the buffer of their first tries was enough";
        for (int i = 0; i < kPairs; i++)
            eio_flow_close(&b[i]->flow);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(EpollTest, WithoutMemoryALoanFailsAndNoByteIsLost) {
    Run([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        eio_slice loan;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        EIO_TRY(Write(b, "abcdef"));
        for (int i = 1; i <= 2; i++) { // its record, its buffer
            int n = 0;
            Faults faults([&](const std::string &call) {
                return call == "alloc" && ++n == (i == 1 ? 1 : 2) ? ENOMEM : 0;
            });
            eio_err *err = eio_source_lend(&a->flow.source, &loan);
            EXPECT_NE(err, nullptr);
            eio_err_drop(err);
        }
        EIO_TRY(eio_source_lend(&a->flow.source, &loan));
        EXPECT_EQ(loan.len, 6u);
        eio_source_release(&a->flow.source, loan.len);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

} // namespace
