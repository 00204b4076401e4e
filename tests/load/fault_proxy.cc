// SPDX-License-Identifier: ISC

// Each connection is two copies, side by side, in the scope of its handler; a misfortune is what
// the copy does between a read and the write of what was read. A reset closes both sockets with
// SO_LINGER of 0 seconds, which sends RST (tcp(7), socket(7)); half-open waits to be cancelled.

#include "tests/load/fault_proxy.h"

#include <sys/socket.h>

#include <random>

#include "eio/net.h"
#include "eio/server.h"
#include "eio/unix_net.h"
#include "tests/load/sockets.h"

namespace eio_test {

namespace {

struct Proxy {
    const eio_env *env;
    eio_sockaddr target;
    std::mt19937_64 random;
};

/// One connection.
struct Pair {
    Proxy *proxy;
    eio_flow *client, *server;
    char kind = 0;
    uint64_t faulty_after; ///< bytes, both ways together, until the misfortune
    uint64_t forwarded = 0;
};

const eio_err_kind kWasReset = {nullptr, "Was_reset"};

eio_err *SufferBefore(Pair *pair, size_t len) {
    pair->forwarded += len;
    const bool now = pair->forwarded > pair->faulty_after;
    switch (pair->kind) {
    case kDelays:
        return eio_mono_clock_sleep(pair->proxy->env->mono_clock,
                                    static_cast<int64_t>(pair->proxy->random() % 20) *
                                        EIO_MILLISECOND);
    case kReset: return now ? eio_err_const(&kWasReset) : nullptr;
    case kHalfOpen: return now ? eio_fiber_await_cancel() : nullptr;
    default: return nullptr;
    }
}

eio_err *Forward(Pair *pair, const uint8_t *bytes, size_t len, eio_flow *to) {
    if (pair->kind != kOneByte)
        return eio_sink_write(&to->sink, eio_slice_of(bytes, len));
    for (size_t i = 0; i < len; i++)
        EIO_TRY(eio_sink_write(&to->sink, eio_slice_of(bytes + i, 1)));
    return nullptr;
}

eio_err *Copy(Pair *pair, eio_flow *from, eio_flow *to) {
    uint8_t bytes[4096];
    for (;;) {
        size_t got = 0;
        eio_err *err = eio_source_single_read(&from->source, eio_buf_of(bytes, sizeof bytes), &got);
        if (eio_err_catch(&err, &eio_err_end_of_file))
            return eio_flow_shutdown(to, EIO_SHUTDOWN_SEND);
        EIO_TRY(err);
        if (pair->kind == 0)
            pair->kind = static_cast<char>(bytes[0]);
        EIO_TRY(SufferBefore(pair, got));
        EIO_TRY(Forward(pair, bytes, got, to));
    }
}

eio_err *HandlePair(void *arg, eio_flow *client, const eio_sockaddr *) {
    Proxy *proxy = static_cast<Proxy *>(arg);
    Pair pair = {proxy, client, nullptr, 0, 200 + proxy->random() % 4000, 0};
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_stream_socket *socket;
        EIO_TRY(eio_net_connect(&proxy->env->net->net, sw, &proxy->target, nullptr, &socket));
        pair.server = &socket->flow;
        eio_err *err = Both([&] { return Copy(&pair, pair.client, pair.server); },
                            [&] { return Copy(&pair, pair.server, pair.client); });
        if (eio_err_catch(&err, &kWasReset)) {
            EIO_TRY(ResetAtClose(pair.client));
            EIO_TRY(ResetAtClose(pair.server));
        }
        return err;
    });
}

/// Whatever ends a connection here is what this proxy is for.
eio_err *Ignore(void *, eio_err *err) {
    eio_err_drop(err);
    return nullptr;
}

} // namespace

eio_err *RunFaultProxy(eio_switch *sw, const eio_env *env, Parent &parent,
                       const eio_sockaddr &target, uint64_t seed) {
    Proxy proxy = {env, target, std::mt19937_64(seed)};
    eio_listener *listener;
    uint16_t port;
    EIO_TRY(ListenAnywhere(sw, env, &listener, &port));
    parent.Tell(port);
    // Half-open connections end by being cancelled, with all others.
    return First(
        [&] { return parent.AwaitStop(); },
        [&] { return eio_net_run_server(listener, HandlePair, &proxy, Ignore, nullptr, nullptr); });
}

} // namespace eio_test
