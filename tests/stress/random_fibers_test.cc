// SPDX-License-Identifier: ISC
// Thousands of fibers that sleep, connect, fail or are cancelled at random, from a printed seed
// (EIO_SEED sets it). At the end no object is alive, no descriptor open and no mapping left that
// wasn't there before.

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <random>

#include "eio/clock.h"
#include "eio/net.h"
#include "eio/server.h"
#include "tests/support/counts.h"
#include "tests/support/real_run.h"

namespace {

using namespace eio_test;

uint64_t Seed() {
    const char *given = getenv("EIO_SEED");
    return given != nullptr ? strtoull(given, nullptr, 10) : static_cast<uint64_t>(time(nullptr));
}

size_t Mappings() {
    std::ifstream maps("/proc/self/maps");
    size_t lines = 0;
    for (std::string line; std::getline(maps, line);)
        lines++;
    return lines;
}

eio_err *Echo(void *, eio_flow *flow, const eio_sockaddr *) {
    return eio_flow_copy(&flow->source, &flow->sink);
}

/// A failed handler (its client vanished) is no failure here.
eio_err *Ignore(void *, eio_err *err) {
    eio_err_drop(err);
    return nullptr;
}

const eio_err_kind kPlanned = {nullptr, "Planned"};

/// What the fibers share.
struct World {
    const eio_env *env;
    eio_sockaddr addr;
    std::mt19937_64 random;
    unsigned ended = 0;
    unsigned open = 0; ///< connections now: descriptors are few

    unsigned Below(unsigned n) { return static_cast<unsigned>(random() % n); }
    int64_t ShortTime() { return Below(20) * EIO_MILLISECOND; }
    eio_err *Sleep(int64_t ns) { return eio_mono_clock_sleep(env->mono_clock, ns); }
};

enum { kMaxOpen = 200 };

eio_err *ConnectAndTalk(World *world) {
    if (world->open >= kMaxOpen)
        return world->Sleep(world->ShortTime());
    world->open++;
    eio_err *err = SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_stream_socket *socket;
        EIO_TRY(eio_net_connect(&world->env->net->net, sw, &world->addr, nullptr, &socket));
        char text[64] = {};
        EIO_TRY(eio_sink_write(&socket->flow.sink, eio_slice_of(text, sizeof text)));
        if (world->Below(4) == 0)
            return eio_err_const(&kPlanned); // leaves without reading
        return eio_source_read_exact(&socket->flow.source, eio_buf_of(text, sizeof text));
    });
    world->open--;
    return err;
}

eio_err *SleepsUntilCancelled(World *world) {
    eio_err *err = TimeoutRun(eio_timeout_ns(world->env->mono_clock, world->ShortTime()),
                              [] { return eio_fiber_await_cancel(); });
    eio_err_catch(&err, &eio_err_timeout);
    return err;
}

eio_err *RacesItself(World *world) {
    return First([&] { return world->Sleep(world->ShortTime()); },
                 [&] { return ConnectAndTalk(world); });
}

eio_err *FailsASwitchOfItsOwn(World *world) {
    return Both([&] { return world->Sleep(3600 * EIO_SECOND); },
                [&]() -> eio_err * {
                    EIO_TRY(world->Sleep(world->ShortTime()));
                    return eio_err_const(&kPlanned);
                });
}

eio_err *OneFiber(World *world) {
    eio_err *err = nullptr;
    switch (world->Below(6)) {
    case 0: err = world->Sleep(world->ShortTime()); break;
    case 1: err = ConnectAndTalk(world); break;
    case 2: err = SleepsUntilCancelled(world); break;
    case 3: err = RacesItself(world); break;
    case 4: err = FailsASwitchOfItsOwn(world); break;
    default: err = eio_fiber_yield(); break;
    }
    eio_err_catch(&err, &kPlanned);
    world->ended++;
    return err;
}

eio_err *RunAll(eio_switch *sw, const eio_env *env, uint64_t seed, unsigned fibers) {
    World world = {env, {}, std::mt19937_64(seed)};
    const eio_sockaddr any_port = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
    eio_listen_opts listen = {};
    listen.backlog = 1024;
    eio_listener *listener;
    EIO_TRY(eio_net_listen(&env->net->net, sw, &any_port, &listen, &listener));
    EIO_TRY(eio_listener_addr(listener, &world.addr));
    EIO_TRY(ForkDaemon(
        sw, [&] { return eio_net_run_server(listener, Echo, nullptr, Ignore, nullptr, nullptr); }));
    // Each fiber of the outer half; the inner half is cancelled as a whole before it has ended.
    EIO_TRY(ForEach(fibers / 2, 0, [&](size_t) { return OneFiber(&world); }));
    EXPECT_EQ(world.ended, fibers / 2);
    eio_err *err = TimeoutRun(eio_timeout_ns(env->mono_clock, 5 * EIO_MILLISECOND), [&] {
        return ForEach(fibers - fibers / 2, 0, [&](size_t) { return OneFiber(&world); });
    });
    eio_err_catch(&err, &eio_err_timeout);
    return err;
}

class RandomFibers : public RealTest {};
EIO_ON_REAL_BACKENDS(RandomFibers);

TEST_P(RandomFibers, LeaveNothingBehind) {
    const uint64_t seed = Seed();
    const unsigned fibers = HowMany(kFibers);
    printf("EIO_SEED=%llu\n", static_cast<unsigned long long>(seed));
    auto run = [&] {
        return EvalReal(
            [&](eio_switch *sw, const eio_env *env) { return RunAll(sw, env, seed, fibers); });
    };
    ASSERT_TRUE(IsOk(run())); // the C library's own heap has grown after this
    const size_t mappings = Mappings();
    EXPECT_OK(run());
    // A sanitizer's allocator maps what it likes.
    if (!kSanitized) {
        EXPECT_LE(Mappings(), mappings);
    }
}

} // namespace
