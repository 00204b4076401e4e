// SPDX-License-Identifier: ISC
#include "eio/unix_net.h"

#include "tests/support/real_run.h"

using namespace eio_test;

class TypedTest : public RealTest {};
EIO_ON_REAL_BACKENDS(TypedTest);

TEST_P(TypedTest, WhatARealNetworkMakesHasADescriptorInItsType) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
        eio_unix_listener *listener;
        eio_unix_flow *client, *server;
        EIO_TRY(eio_unix_listen(env->net, sw, &addr, nullptr, &listener));
        EIO_TRY(eio_listener_addr(&listener->listener, &addr));
        EXPECT_OK(Both([&] { return eio_unix_connect(env->net, sw, &addr, nullptr, &client); },
                       [&] { return eio_unix_accept(listener, sw, &server, nullptr); }));
        EXPECT_EQ(listener->fd, eio_fd_of_listener(&listener->listener));
        EXPECT_EQ(client->fd, eio_fd_of_flow(&client->socket.flow));
        EXPECT_TRUE(eio_fd_is_open(server->fd));
        return nullptr;
    }));
}

TEST_P(TypedTest, AnAcceptForkHandlerGetsTheRealFlowAndItsArgument) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
        eio_unix_listener *listener;
        eio_unix_flow *client;
        bool handled = false;
        EIO_TRY(eio_unix_listen(env->net, sw, &addr, nullptr, &listener));
        EIO_TRY(eio_listener_addr(&listener->listener, &addr));
        auto handler = [](void *arg, eio_unix_flow *flow, const eio_sockaddr *peer) -> eio_err * {
            EIO_TRY(eio_fiber_yield()); // what accept_fork had on its stack is gone by now
            EXPECT_TRUE(eio_fd_is_open(flow->fd));
            EXPECT_EQ(peer->kind, EIO_TCP);
            *static_cast<bool *>(arg) = true;
            return eio_flow_copy_string("hi", &flow->socket.flow.sink);
        };
        EXPECT_OK(Both([&] { return eio_unix_connect(env->net, sw, &addr, nullptr, &client); },
                       [&] {
                           return eio_unix_accept_fork(listener, sw, handler, &handled,
                                                       eio_on_error_fail, nullptr);
                       }));
        uint8_t space[4];
        EIO_TRY(eio_source_read_exact(&client->socket.flow.source, eio_buf_of(space, 2)));
        EXPECT_TRUE(handled);
        return nullptr;
    }));
}
