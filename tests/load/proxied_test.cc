// SPDX-License-Identifier: ISC
// Thousands of connections at a time to an echo server, through proxies that delay, cut up, reset
// and fall silent (EIO_SEED sets the seed). Whatever comes back is what was sent, in order; all of
// it, where the proxy has lost nothing; and nothing is left behind on any side.

#include <cstdlib>
#include <ctime>
#include <memory>
#include <random>
#include <vector>

#include "eio/server.h"
#include "tests/load/child.h"
#include "tests/load/fault_proxy.h"
#include "tests/load/scale.h"
#include "tests/load/sockets.h"
#include "tests/support/real_run.h"

namespace {

using namespace eio_test;

enum { kPerProxy = 5000, kMaxMessage = 2048 };

uint64_t Seed() {
    const char *given = getenv("EIO_SEED");
    return given != nullptr ? strtoull(given, nullptr, 10) : static_cast<uint64_t>(time(nullptr));
}

eio_err *Echo(void *, eio_flow *flow, const eio_sockaddr *) {
    return eio_flow_copy(&flow->source, &flow->sink);
}

/// Connections that were cut are what this is about.
eio_err *Ignore(void *, eio_err *err) {
    eio_err_drop(err);
    return nullptr;
}

eio_err *EchoServer(eio_switch *sw, const eio_env *env, Parent &parent) {
    eio_listener *listener;
    uint16_t port;
    EIO_TRY(ListenAnywhere(sw, env, &listener, &port));
    parent.Tell(port);
    return First(
        [&] { return parent.AwaitStop(); },
        [&] { return eio_net_run_server(listener, Echo, nullptr, Ignore, nullptr, nullptr); });
}

struct Tally {
    uint64_t messages = 0, bytes = 0;
    unsigned whole = 0;  ///< connections of which every byte came back
    unsigned reset = 0;  ///< cut by the proxy, and what had come back was right
    unsigned silent = 0; ///< fell silent, and what had come back was right
    unsigned failed = 0; ///< anything else
};

struct Client {
    const eio_env *env;
    eio_sockaddr proxy;
    Misfortune kind;
    std::mt19937_64 random;
    int64_t until_ns;
    Tally *tally;

    int64_t Now() { return eio_mono_clock_now(env->mono_clock); }
    eio_err *Sleep(int64_t ns) { return eio_mono_clock_sleep(env->mono_clock, ns); }

    eio_err *OneMessage(eio_flow *flow, bool first) {
        uint8_t sent[kMaxMessage], got[kMaxMessage];
        const size_t len = 1 + random() % (kind == kOneByte ? 16 : kMaxMessage);
        for (size_t i = 0; i < len; i++)
            sent[i] = static_cast<uint8_t>(random());
        if (first)
            sent[0] = static_cast<uint8_t>(kind);
        EIO_TRY(eio_sink_write(&flow->sink, eio_slice_of(sent, len)));
        EIO_TRY(eio_source_read_exact(&flow->source, eio_buf_of(got, len)));
        if (memcmp(sent, got, len) != 0)
            return eio_err_failure("other bytes came back than were sent");
        tally->messages++;
        tally->bytes += len;
        return nullptr;
    }

    eio_err *NothingMore(eio_flow *flow) {
        uint8_t byte;
        EIO_TRY(eio_flow_shutdown(flow, EIO_SHUTDOWN_SEND));
        eio_err *err = eio_source_read_exact(&flow->source, eio_buf_of(&byte, 1));
        if (eio_err_catch(&err, &eio_err_end_of_file))
            return nullptr;
        return err != nullptr ? err : eio_err_failure("more bytes came back than were sent");
    }

    eio_err *Talk(eio_flow *flow) {
        for (bool first = true; first || Now() < until_ns; first = false) {
            EIO_TRY(OneMessage(flow, first));
            EIO_TRY(Sleep(static_cast<int64_t>(random() % 1000) * EIO_MILLISECOND));
        }
        return NothingMore(flow);
    }

    eio_err *Once() {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            eio_stream_socket *socket;
            EIO_TRY(eio_net_connect(&env->net->net, sw, &proxy, nullptr, &socket));
            return Talk(&socket->flow);
        });
    }

    /// Once a connection that falls silent has been silent for so long it is given up.
    eio_err *OnceWithPatience() {
        if (kind != kHalfOpen)
            return Once();
        const int64_t left_ns = until_ns - Now() + 2 * EIO_SECOND;
        return TimeoutRun(eio_timeout_ns(env->mono_clock, left_ns), [&] { return Once(); });
    }

    /// A reset may meet a read or a write, and an end where the peer's kernel was quicker.
    static bool IsReset(eio_err **err) {
        return eio_err_catch(err, &eio_err_net_connection_reset) ||
               eio_err_catch(err, &eio_err_end_of_file);
    }

    eio_err *Run() {
        EIO_TRY(Sleep(static_cast<int64_t>(random() % 1000) * EIO_MILLISECOND)); // not all at once
        do {
            eio_err *err = OnceWithPatience();
            if (err == nullptr)
                tally->whole++;
            else if (kind == kReset && IsReset(&err))
                tally->reset++;
            else if (kind == kHalfOpen && eio_err_catch(&err, &eio_err_timeout))
                tally->silent++;
            else {
                tally->failed++;
                EXPECT_EQ(TakeText(err), "ok") << "with misfortune '" << char(kind) << "'";
            }
        } while (kind == kReset && Now() < until_ns);
        return nullptr;
    }
};

Misfortune KindOf(size_t i) {
    static const Misfortune kinds[] = {kNone, kDelays, kOneByte, kReset, kNone, kDelays, kHalfOpen};
    return kinds[i % (sizeof kinds / sizeof *kinds)];
}

class Proxied : public RealTest {};
EIO_ON_REAL_BACKENDS(Proxied);

TEST_P(Proxied, WhatComesBackIsWhatWasSentWhateverTheNetworkDoes) {
    const unsigned clients = HowMany(kProxied);
    const unsigned seconds = HowMany(kProxiedSeconds);
    const uint64_t seed = Seed();
    printf("EIO_SEED=%llu\n", static_cast<unsigned long long>(seed));
    Child server(GetParam(), EchoServer);
    const eio_sockaddr target = Loopback(server.Told());
    std::vector<std::unique_ptr<Child>> proxies;
    for (unsigned n = 0; n < clients; n += kPerProxy)
        proxies.push_back(std::make_unique<Child>(
            GetParam(), [&](eio_switch *sw, const eio_env *env, Parent &parent) {
                return RunFaultProxy(sw, env, parent, target, seed + n);
            }));
    std::vector<eio_sockaddr> addrs;
    for (auto &proxy : proxies)
        addrs.push_back(Loopback(proxy->Told()));
    Tally tally;
    EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *env) {
        const int64_t until_ns = eio_mono_clock_now(env->mono_clock) + seconds * EIO_SECOND;
        return ForEach(clients, 0, [&](size_t i) {
            Client client = {
                env, addrs[i / kPerProxy], KindOf(i), std::mt19937_64(seed ^ i), until_ns, &tally};
            return client.Run();
        });
    }));
    printf("%llu messages, %llu bytes; %u connections whole, %u reset, %u silent, %u failed\n",
           static_cast<unsigned long long>(tally.messages),
           static_cast<unsigned long long>(tally.bytes), tally.whole, tally.reset, tally.silent,
           tally.failed);
    EXPECT_EQ(tally.failed, 0u);
    EXPECT_GT(tally.whole, 0u);
    EXPECT_GT(tally.reset, 0u);
    for (auto &proxy : proxies)
        EXPECT_TRUE(proxy->Stop());
    EXPECT_TRUE(server.Stop());
}

} // namespace
