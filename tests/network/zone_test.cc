// SPDX-License-Identifier: ISC
// IPv6 zones: an address of a link is one only together with its link.

#include "eio/flow.h"
#include "eio/net.h"
#include "tests/network/loopback.h"
#include "tests/support/real_run.h"

namespace eio_test {
namespace {

class ZoneTest : public RealTest {};
EIO_ON_REAL_BACKENDS(ZoneTest);

std::string TextOf(const eio_sockaddr &addr) {
    char text[EIO_SOCKADDR_STR_MAX];
    return eio_sockaddr_str(&addr, text);
}

TEST_P(ZoneTest, AnAddressOfALinkIsConnectedToThroughItsZone) {
    if (!OwnLoopback::AddLinkLocal())
        GTEST_SKIP() << "no link-local address can be added here: " << strerror(errno);
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_net *net = &env->net->net;
        eio_sockaddr addr;
        EIO_TRY(eio_sockaddr_parse("[fe80::1%lo]:0", &addr));
        eio_listener *listener;
        EIO_TRY(eio_net_listen(net, sw, &addr, nullptr, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        EXPECT_EQ(TextOf(addr).rfind("tcp:[fe80::1%lo]:", 0), 0u) << TextOf(addr);
        return Both(
            [&]() -> eio_err * {
                eio_stream_socket *ours;
                eio_sockaddr peer;
                EIO_TRY(eio_listener_accept(listener, sw, &ours, &peer));
                EXPECT_EQ(TextOf(peer).rfind("tcp:[fe80::1%lo]:", 0), 0u) << TextOf(peer);
                return eio_flow_copy_string("hello", &ours->flow.sink);
            },
            [&]() -> eio_err * {
                eio_stream_socket *theirs;
                EIO_TRY(eio_net_connect(net, sw, &addr, nullptr, &theirs));
                char bytes[5];
                EIO_TRY(eio_source_read_exact(&theirs->flow.source, eio_buf_of(bytes, 5)));
                EXPECT_EQ(std::string(bytes, 5), "hello");
                return nullptr;
            });
    }));
}

TEST_P(ZoneTest, WithoutAZoneItIsNotAnAddressYet) {
    if (!OwnLoopback::AddLinkLocal())
        GTEST_SKIP() << "no link-local address can be added here: " << strerror(errno);
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr;
        EIO_TRY(eio_sockaddr_parse("[fe80::1]:1", &addr));
        eio_stream_socket *socket;
        eio_err *err = eio_net_connect(&env->net->net, sw, &addr, nullptr, &socket);
        EXPECT_TRUE(eio_err_is(err, &eio_err_io)) << Text(err);
        EXPECT_NE(Text(err).find("connecting to tcp:[fe80::1]:1"), std::string::npos) << Text(err);
        eio_err_drop(err);
        return nullptr;
    }));
}

} // namespace
} // namespace eio_test
