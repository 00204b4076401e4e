// SPDX-License-Identifier: ISC
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "eio/fd.h"
#include "tests/support/real_run.h"

using namespace eio_test;

class ImportTest : public RealTest {};
EIO_ON_REAL_BACKENDS(ImportTest);

TEST_P(ImportTest, ABadDescriptorIsAnError) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *socket;
        eio_err *err = eio_import_stream(sw, -1, nullptr, &socket);
        EXPECT_EQ(eio_err_errno(err), EBADF);
        eio_err_drop(err);
        return nullptr;
    }));
}

TEST_P(ImportTest, AKeptDescriptorStaysOpenWhenTheFlowCloses) {
    int fds[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_import_opts opts = {};
        opts.keep_open = true;
        eio_stream_socket *socket;
        EIO_TRY(eio_import_stream(sw, fds[0], &opts, &socket));
        EIO_TRY(eio_flow_copy_string("x", &socket->flow.sink));
        eio_flow_close(&socket->flow);
        EXPECT_ERR(eio_flow_copy_string("x", &socket->flow.sink), &eio_err_closed);
        return nullptr;
    }));
    EXPECT_GE(fcntl(fds[0], F_GETFD), 0);
    close(fds[0]);
    close(fds[1]);
}

TEST_P(ImportTest, AListeningSocketAccepts) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in in = {};
        in.sin_family = AF_INET;
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr *>(&in), sizeof in), 0);
        EXPECT_EQ(listen(fd, 5), 0);
        eio_listener *listener;
        EIO_TRY(eio_import_listening(sw, fd, nullptr, &listener));
        eio_sockaddr addr;
        EIO_TRY(eio_listener_addr(listener, &addr));
        eio_stream_socket *client, *server;
        EXPECT_OK(Both([&] { return eio_net_connect(&env->net->net, sw, &addr, nullptr, &client); },
                       [&] { return eio_listener_accept(listener, sw, &server, nullptr); }));
        EXPECT_NE(eio_fd_of_listener(listener), nullptr);
        return nullptr;
    }));
}

TEST_P(ImportTest, ADatagramSocketKeepsMessagesApart) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        int fds[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
        eio_datagram_socket *a, *b;
        EIO_TRY(eio_import_datagram(sw, fds[0], nullptr, &a));
        EIO_TRY(eio_import_datagram(sw, fds[1], nullptr, &b));
        eio_slice one = eio_slice_of_str("one"), two = eio_slice_of_str("two");
        EIO_TRY(eio_datagram_send(a, nullptr, &one, 1));
        EIO_TRY(eio_datagram_send(a, nullptr, &two, 1));
        uint8_t space[16];
        eio_datagram_info info;
        EIO_TRY(eio_datagram_recv(b, eio_buf_of(space, sizeof space), &info));
        EXPECT_EQ(std::string(reinterpret_cast<char *>(space), info.len), "one");
        return nullptr;
    }));
}
