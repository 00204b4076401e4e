// SPDX-License-Identifier: ISC
#include "eio/mock/net.h"

#include <cerrno>
#include <string>

#include "eio/mock/flow.h"
#include "eio/mock/random.h"
#include "fiber/base/fault.h"
#include "mock/test_support.h"

namespace {

class MockNetTest : public MockTest {
  protected:
    /** Runs `fn(net, sw)` with a mock network labelled "net" in a mock loop. */
    template <typename F> std::string RunNet(F fn) {
        return Run([&]() -> eio_err * {
            eio_mock_net *net;
            EIO_TRY(eio_mock_net_create("net", &net));
            return SwitchRun([&](eio_switch *sw) { return fn(net, sw); });
        });
    }
};

const eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 80);
const eio_sockaddr udp_addr = eio_sockaddr_udp(eio_ip_v6_loopback(), 53);

TEST_F(MockNetTest, WhatIsNotScriptedFailsWithItsName) {
    EXPECT_TRANSCRIPT(
        RunNet([](eio_mock_net *net, eio_switch *sw) -> eio_err * {
            eio_stream_socket *socket;
            eio_listener *listener;
            eio_datagram_socket *datagram;
            eio_sockaddr_list list;
            eio_nameinfo name;
            eio_err *errs[] = {
                eio_net_connect(&net->net, sw, &addr, nullptr, &socket),
                eio_net_listen(&net->net, sw, &addr, nullptr, &listener),
                eio_net_datagram_socket(&net->net, sw, &udp_addr, nullptr, &datagram),
                eio_net_datagram_socket_unbound(&net->net, sw, EIO_UDP_V4, nullptr, &datagram),
                eio_net_datagram_socket_unbound(&net->net, sw, EIO_UDP_V6, nullptr, &datagram),
                eio_net_getaddrinfo(&net->net, sw, "example.org", nullptr, &list),
                eio_net_getaddrinfo(&net->net, sw, "example.org", "http", &list),
                eio_net_getnameinfo(&net->net, &addr, &name),
            };
            for (eio_err *err : errs) {
                char text[100];
                eio_traceln("%s", eio_err_str(err, text, sizeof text));
                eio_err_drop(err);
            }
            return nullptr;
        }),
        R"(
+net: connect to tcp:127.0.0.1:80
+net: listen on tcp:127.0.0.1:80
+net: datagram_socket udp:[::1]:53
+net: datagram_socket UDPv4
+net: datagram_socket UDPv6
+net: getaddrinfo ~service: example.org
+net: getaddrinfo ~service:http example.org
+net: getnameinfo tcp:127.0.0.1:80
+Failure("Mock connect handler not configured")
+Failure("Mock listen handler not configured")
+Failure("Mock datagram_socket handler not configured")
+Failure("Mock datagram_socket handler not configured")
+Failure("Mock datagram_socket handler not configured")
+Failure("Mock getaddrinfo handler not configured")
+Failure("Mock getaddrinfo handler not configured")
+Failure("Mock getnameinfo handler not configured")
- : unit = ()
)");
}

TEST_F(MockNetTest, AConnectionClosesWithItsSwitchAlsoAfterAClose) {
    EXPECT_TRANSCRIPT(RunNet([](eio_mock_net *net, eio_switch *sw) -> eio_err * {
                          eio_mock_flow *flow;
                          EIO_TRY(eio_mock_flow_create("flow", &flow));
                          EIO_TRY(
                              eio_mock_on(&net->on_connect, {eio_mock_return_flow(&flow->socket)}));
                          eio_stream_socket *socket;
                          EIO_TRY(eio_net_connect(&net->net, sw, &addr, nullptr, &socket));
                          EXPECT_EQ(socket, &flow->socket);
                          eio_flow_close(&socket->flow);
                          eio_traceln("end");
                          return nullptr;
                      }),
                      R"(
+net: connect to tcp:127.0.0.1:80
+flow: closed
+end
+flow: closed
- : unit = ()
)");
}

TEST_F(MockNetTest, AConnectionThatIsFreedClosesOnce) {
    EXPECT_TRANSCRIPT(RunNet([](eio_mock_net *net, eio_switch *sw) -> eio_err * {
                          eio_mock_flow *flow;
                          EIO_TRY(eio_mock_flow_create("flow", &flow));
                          EIO_TRY(
                              eio_mock_on(&net->on_connect, {eio_mock_return_flow(&flow->socket)}));
                          eio_stream_socket *socket;
                          EIO_TRY(eio_net_connect(&net->net, sw, &addr, nullptr, &socket));
                          eio_flow_free(&socket->flow);
                          return nullptr;
                      }),
                      R"(
+net: connect to tcp:127.0.0.1:80
+flow: closed
- : unit = ()
)");
}

TEST_F(MockNetTest, OneFlowMayBeConnectedTwice) {
    EXPECT_TRANSCRIPT(
        RunNet([](eio_mock_net *net, eio_switch *sw) -> eio_err * {
            eio_mock_flow *flow;
            EIO_TRY(eio_mock_flow_create("flow", &flow));
            EIO_TRY(eio_mock_on_default(&net->on_connect, eio_mock_return_flow(&flow->socket)));
            eio_stream_socket *socket;
            EIO_TRY(eio_net_connect(&net->net, sw, &addr, nullptr, &socket));
            return eio_net_connect(&net->net, sw, &addr, nullptr, &socket);
        }),
        R"(
+net: connect to tcp:127.0.0.1:80
+net: connect to tcp:127.0.0.1:80
+flow: closed
+flow: closed
- : unit = ()
)");
}

TEST_F(MockNetTest, AConnectSaysWhereItIsFrom) {
    EXPECT_TRANSCRIPT(RunNet([](eio_mock_net *net, eio_switch *sw) -> eio_err * {
                          const eio_sockaddr from = eio_sockaddr_tcp(eio_ip_v4(1, 2, 3, 4), 0);
                          eio_connect_opts opts = {};
                          opts.bind_to = &from;
                          eio_stream_socket *socket;
                          return eio_net_connect(&net->net, sw, &addr, &opts, &socket);
                      }),
                      R"(
+net: connect to tcp:127.0.0.1:80 (bind to tcp:1.2.3.4:0)
Exception: Failure "Mock connect handler not configured".
)");
}

TEST_F(MockNetTest, AFailedConnectGetsItsContext) {
    EXPECT_TRANSCRIPT(RunNet([](eio_mock_net *net, eio_switch *sw) -> eio_err * {
                          EIO_TRY(eio_mock_on(
                              &net->on_connect,
                              {eio_mock_raise(eio_mock_simulated_failure(&eio_err_net_refused))}));
                          eio_stream_socket *socket;
                          return eio_net_connect(&net->net, sw, &addr, nullptr, &socket);
                      }),
                      R"(
+net: connect to tcp:127.0.0.1:80
Exception:
Eio.Io Net Connection_failure Refused _,
  connecting to tcp:127.0.0.1:80
)");
}

TEST_F(MockNetTest, AnActionThatGivesNoFlowIsAFailure) {
    EXPECT_TRANSCRIPT(RunNet([](eio_mock_net *net, eio_switch *sw) -> eio_err * {
                          EIO_TRY(eio_mock_on(&net->on_connect, {eio_mock_return_str("Hi")}));
                          eio_stream_socket *socket;
                          return eio_net_connect(&net->net, sw, &addr, nullptr, &socket);
                      }),
                      R"(
+net: connect to tcp:127.0.0.1:80
Exception: Failure "net: on_connect: the action gave no flow".
)");
}

TEST_F(MockNetTest, LookupsGiveWhatIsScripted) {
    EXPECT_TRANSCRIPT(
        RunNet([](eio_mock_net *net, eio_switch *sw) -> eio_err * {
            const eio_sockaddr both[] = {addr, udp_addr};
            EIO_TRY(eio_mock_on(&net->on_getaddrinfo, {eio_mock_return_addrs(both, 2),
                                                       eio_mock_return_addrs(nullptr, 0)}));
            EIO_TRY(eio_mock_on(&net->on_getnameinfo, {eio_mock_return_name("localhost", "http")}));
            eio_sockaddr_list list;
            EIO_TRY(eio_net_getaddrinfo(&net->net, sw, "localhost", "53", &list));
            for (size_t i = 0; i < list.count; i++) {
                char text[EIO_SOCKADDR_STR_MAX];
                eio_traceln("%s", eio_sockaddr_str(&list.items[i], text));
            }
            EIO_TRY(eio_net_getaddrinfo(&net->net, sw, "nowhere", "53", &list));
            eio_traceln("%zu", list.count);
            eio_nameinfo name;
            EIO_TRY(eio_net_getnameinfo(&net->net, &addr, &name));
            eio_traceln("%s %s", name.host, name.service);
            return nullptr;
        }),
        R"(
+net: getaddrinfo ~service:53 localhost
+tcp:127.0.0.1:80
+udp:[::1]:53
+net: getaddrinfo ~service:53 nowhere
+0
+net: getnameinfo tcp:127.0.0.1:80
+localhost http
- : unit = ()
)");
}

TEST_F(MockNetTest, AListenerHasAnAddressAndClosesWithItsSwitch) {
    EXPECT_TRANSCRIPT(
        RunNet([](eio_mock_net *net, eio_switch *sw) -> eio_err * {
            eio_mock_listener *mock;
            EIO_TRY(eio_mock_listener_create("tcp/80", &mock));
            EIO_TRY(eio_mock_on(&net->on_listen, {eio_mock_return_listener(&mock->listener)}));
            eio_listener *listener;
            EIO_TRY(eio_net_listen(&net->net, sw, &addr, nullptr, &listener));
            eio_sockaddr got;
            char text[EIO_SOCKADDR_STR_MAX];
            EIO_TRY(eio_listener_addr(listener, &got));
            eio_traceln("%s", eio_sockaddr_str(&got, text));
            mock->addr = addr;
            EIO_TRY(eio_listener_addr(listener, &got));
            eio_traceln("%s", eio_sockaddr_str(&got, text));
            return nullptr;
        }),
        R"(
+net: listen on tcp:127.0.0.1:80
+tcp:0.0.0.0:0
+tcp:127.0.0.1:80
+tcp/80: closed
- : unit = ()
)");
}

TEST_F(MockNetTest, AnAcceptedFlowThatWasClosedIsNotClosedAgain) {
    EXPECT_TRANSCRIPT(
        RunNet([](eio_mock_net *, eio_switch *sw) -> eio_err * {
            eio_mock_listener *mock;
            eio_mock_flow *a, *b;
            EIO_TRY(eio_mock_listener_create("tcp/80", &mock));
            EIO_TRY(eio_mock_flow_create("a", &a));
            EIO_TRY(eio_mock_flow_create("b", &b));
            EIO_TRY(eio_mock_on(&mock->on_accept, {eio_mock_return_conn(&a->socket, addr),
                                                   eio_mock_return_conn(&b->socket, addr)}));
            eio_stream_socket *socket;
            EIO_TRY(eio_listener_accept(&mock->listener, sw, &socket, nullptr));
            eio_flow_close(&socket->flow);
            eio_sockaddr peer;
            EIO_TRY(eio_listener_accept(&mock->listener, sw, &socket, &peer));
            EXPECT_TRUE(eio_sockaddr_equal(&peer, &addr));
            eio_err *err = eio_listener_accept(&mock->listener, sw, &socket, &peer);
            char text[100];
            eio_traceln("%s", eio_err_str(err, text, sizeof text));
            eio_err_drop(err);
            return nullptr;
        }),
        R"(
+tcp/80: accepted connection from tcp:127.0.0.1:80
+a: closed
+tcp/80: accepted connection from tcp:127.0.0.1:80
+Failure("Mock accept handler not configured")
+b: closed
- : unit = ()
)");
}

TEST_F(MockNetTest, DatagramsPrintTheirPeerAndBytes) {
    EXPECT_TRANSCRIPT(
        RunNet([](eio_mock_net *net, eio_switch *sw) -> eio_err * {
            eio_mock_datagram *mock;
            EIO_TRY(eio_mock_datagram_create("udp", &mock));
            EIO_TRY(
                eio_mock_on(&net->on_datagram_socket, {eio_mock_return_datagram(&mock->socket)}));
            EIO_TRY(eio_mock_on(&mock->on_recv,
                                {eio_mock_return_packet(eio_slice_of_str("answer"), udp_addr),
                                 eio_mock_return_packet(eio_slice_of_str(""), udp_addr)}));
            eio_datagram_socket *socket;
            EIO_TRY(eio_net_datagram_socket(&net->net, sw, &udp_addr, nullptr, &socket));
            const eio_slice two[] = {eio_slice_of_str("12"), eio_slice_of_str("34")};
            EIO_TRY(eio_datagram_send(socket, &udp_addr, two, 1));
            EIO_TRY(eio_datagram_send(socket, nullptr, two, 2));
            uint8_t space[4];
            for (int i = 0; i < 2; i++) {
                struct eio_datagram_info info;
                EIO_TRY(eio_datagram_recv(socket, eio_buf_of(space, sizeof space), &info));
                eio_traceln("%zu%s", info.len, info.truncated ? " truncated" : "");
            }
            struct eio_datagram_info info;
            eio_err *err = eio_datagram_recv(socket, eio_buf_of(space, sizeof space), &info);
            char text[100];
            eio_traceln("%s", eio_err_str(err, text, sizeof text));
            eio_err_drop(err);
            return nullptr;
        }),
        R"(
+net: datagram_socket udp:[::1]:53
+udp: sent to udp:[::1]:53 "12"
+udp: sent ["12"; "34"]
+udp: received from udp:[::1]:53 "answ"
+4 truncated
+udp: received from udp:[::1]:53 ""
+0
+Failure("Mock recv handler not configured")
+udp: closed
- : unit = ()
)");
}

TEST_F(MockNetTest, ADatagramSocketSaysWhoItsPeerIs) {
    EXPECT_TRANSCRIPT(RunNet([](eio_mock_net *net, eio_switch *sw) {
                          eio_datagram_opts opts = {};
                          opts.connect_to = &udp_addr;
                          eio_datagram_socket *socket;
                          return eio_net_datagram_socket_unbound(&net->net, sw, EIO_UDP_V6, &opts,
                                                                 &socket);
                      }),
                      R"(
+net: datagram_socket UDPv6 (connect to udp:[::1]:53)
Exception: Failure "Mock datagram_socket handler not configured".
)");
}

TEST_F(MockNetTest, ANetworkOutsideOfARunIsTheCallers) {
    eio_mock_net *net;
    ASSERT_EQ(eio_mock_net_create("net", &net), nullptr);
    EXPECT_TRANSCRIPT(Run([=] {
                          eio_nameinfo name;
                          return eio_net_getnameinfo(&net->net, &addr, &name);
                      }),
                      R"(
+net: getnameinfo tcp:127.0.0.1:80
Exception: Failure "Mock getnameinfo handler not configured".
)");
    eio_mock_net_destroy(net);
    eio_mock_net_destroy(nullptr);
    eio_mock_listener_destroy(nullptr);
    eio_mock_datagram_destroy(nullptr);
}

TEST_F(MockNetTest, ListenersAndDatagramSocketsSayTheirAddressesAndCloseWhenTold) {
    EXPECT_TRANSCRIPT(Run([]() -> eio_err * {
                          eio_mock_listener *listener;
                          eio_mock_datagram *datagram;
                          char text[EIO_SOCKADDR_STR_MAX];
                          eio_sockaddr got;
                          EIO_TRY(eio_mock_listener_create("listener", &listener));
                          EIO_TRY(eio_mock_datagram_create("udp", &datagram));
                          EIO_TRY(eio_listener_addr(&listener->listener, &got));
                          eio_traceln("%s", eio_sockaddr_str(&got, text));
                          EIO_TRY(eio_datagram_addr(&datagram->socket, &got));
                          eio_traceln("%s", eio_sockaddr_str(&got, text));
                          listener->addr = addr;
                          datagram->addr = udp_addr;
                          EIO_TRY(eio_listener_addr(&listener->listener, &got));
                          eio_traceln("%s", eio_sockaddr_str(&got, text));
                          EIO_TRY(eio_datagram_addr(&datagram->socket, &got));
                          eio_traceln("%s", eio_sockaddr_str(&got, text));
                          eio_listener_close(&listener->listener);
                          eio_datagram_close(&datagram->socket);
                          return nullptr;
                      }),
                      R"(
+tcp:0.0.0.0:0
+udp:0.0.0.0:0
+tcp:127.0.0.1:80
+udp:[::1]:53
+listener: closed
+udp: closed
- : unit = ()
)");
}

TEST_F(MockNetTest, OutsideOfALoopTheyAreTheCallersToDestroy) {
    eio_mock_listener *listener;
    eio_mock_datagram *datagram;
    eio_mock_net *net;
    ASSERT_EQ(eio_mock_listener_create("listener", &listener), nullptr);
    ASSERT_EQ(eio_mock_datagram_create("udp", &datagram), nullptr);
    ASSERT_EQ(eio_mock_net_create("net", &net), nullptr);
    ASSERT_EQ(eio_mock_on(&datagram->on_send, {eio_mock_return_unit()}), nullptr);
    eio_mock_listener_destroy(listener);
    eio_mock_datagram_destroy(datagram);
    eio_mock_net_destroy(net);
    eio_mock_listener_destroy(nullptr);
    eio_mock_datagram_destroy(nullptr);
    eio_mock_net_destroy(nullptr);
}

TEST_F(MockNetTest, WhatTheyWereScriptedToDoAndDidNotIsNamed) {
    EXPECT_TRANSCRIPT(
        Run([]() -> eio_err * {
            eio_mock_listener *listener;
            eio_mock_datagram *datagram;
            EIO_TRY(eio_mock_listener_create("listener", &listener));
            EIO_TRY(eio_mock_datagram_create("udp", &datagram));
            EIO_TRY(eio_mock_on(&listener->on_accept, {eio_mock_raise(eio_err_failure("a"))}));
            EIO_TRY(eio_mock_on(&datagram->on_send, {eio_mock_return_unit()}));
            EIO_TRY(eio_mock_on(&datagram->on_recv,
                                {eio_mock_return_packet(eio_slice_of_str("x"), udp_addr)}));
            return eio_mock_check_used();
        }),
        R"(
Exception:
Failure
 "not all scripted actions were used: listener: on_accept: 1 left; udp: on_send: 1 left; udp: on_recv: 1 left".
)");
}

int FailNth(void *arg, const char *) {
    return --*static_cast<int *>(arg) == 0 ? ENOMEM : 0;
}

TEST_F(MockNetTest, WhicheverAllocationOfAMockFailsNothingIsLeft) {
    const auto net = [] {
        eio_mock_net *mock = nullptr;
        eio_err *err = eio_mock_net_create("net", &mock);
        eio_mock_net_destroy(mock);
        return err;
    };
    const auto listener = [] {
        eio_mock_listener *mock = nullptr;
        eio_err *err = eio_mock_listener_create("listener", &mock);
        eio_mock_listener_destroy(mock);
        return err;
    };
    const auto datagram = [] {
        eio_mock_datagram *mock = nullptr;
        eio_err *err = eio_mock_datagram_create("udp", &mock);
        eio_mock_datagram_destroy(mock);
        return err;
    };
    const auto flow = [] {
        eio_mock_flow *mock = nullptr;
        eio_err *err = eio_mock_flow_create("flow", &mock);
        eio_mock_flow_destroy(mock);
        return err;
    };
    const auto random = [] {
        eio_source *mock = nullptr;
        eio_err *err = eio_mock_random_create(1, &mock);
        eio_mock_random_destroy(mock);
        return err;
    };
    eio_err *(*const makers[])() = {net, listener, datagram, flow, random};
    for (auto make : makers) {
        int failures = 0;
        for (int n = 1;; n++) {
            int left = n;
            const struct eioi_fault_hook hook = {FailNth, &left, nullptr};
            const struct eioi_fault_hook *const before = eioi_fault_hook;
            eioi_fault_hook = &hook;
            eio_err *err = make();
            eioi_fault_hook = before;
            if (err == nullptr)
                break;
            EXPECT_TRUE(eio_err_is(err, &eio_err_out_of_memory));
            eio_err_drop(err);
            failures++;
        }
        EXPECT_GE(failures, 2);
    }
}

} // namespace
