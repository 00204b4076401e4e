// SPDX-License-Identifier: ISC
// The eio program, serving under load, is told to stop by SIGTERM: whoever was connected gets back
// everything that it had sent and goes on sending, and the program ends by itself, well.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <string>

#include "tests/load/scale.h"
#include "tests/load/sockets.h"
#include "tests/support/real_run.h"

namespace {

using namespace eio_test;

/// `eio echo` in a process of its own.
class EchoProgram {
  public:
    explicit EchoProgram(const std::string &backend, const std::string &domains) {
        int fds[2];
        if (pipe2(fds, O_CLOEXEC) != 0)
            return;
        pid_ = fork();
        if (pid_ == 0) {
            setenv("EIO_BACKEND", backend.c_str(), 1);
            dup2(fds[1], STDERR_FILENO);
            execl("tools/eio/eio", "eio", "echo", "127.0.0.1:0", "--domains", domains.c_str(),
                  nullptr);
            _exit(127);
        }
        close(fds[1]);
        stderr_ = fdopen(fds[0], "r");
        char line[256];
        while (port_ == 0 && fgets(line, sizeof line, stderr_) != nullptr) {
            const char *colon = strrchr(line, ':');
            if (colon != nullptr)
                port_ = static_cast<uint16_t>(atoi(colon + 1));
        }
    }
    ~EchoProgram() {
        if (pid_ > 0)
            kill(pid_, SIGKILL);
        Wait();
        if (stderr_ != nullptr)
            fclose(stderr_);
    }
    uint16_t port() const { return port_; }
    void Terminate() { kill(pid_, SIGTERM); }
    /// Its exit status; -1: it hasn't exited.
    int Wait() {
        int status = -1;
        if (pid_ > 0)
            waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

  private:
    pid_t pid_ = -1;
    uint16_t port_ = 0;
    FILE *stderr_ = nullptr;
};

struct World {
    const eio_env *env;
    eio_sockaddr addr;
    EchoProgram *program;
    unsigned clients;
    unsigned talking = 0; ///< clients that got an answer
    bool terminated = false;
    uint64_t bytes_after = 0; ///< that came back after the program was told to stop
};

eio_err *Send(World *world, eio_flow *flow, uint64_t seed, uint64_t *out_sent) {
    std::mt19937_64 random(seed);
    uint8_t bytes[8192];
    *out_sent = 0;
    for (int after = 0; after < 20;) {
        const size_t len = 1 + random() % sizeof bytes;
        for (size_t i = 0; i < len; i++)
            bytes[i] = static_cast<uint8_t>((*out_sent + i) * (seed + 1) >> 3);
        EIO_TRY(eio_sink_write(&flow->sink, eio_slice_of(bytes, len)));
        *out_sent += len;
        EIO_TRY(eio_mono_clock_sleep(world->env->mono_clock,
                                     static_cast<int64_t>(random() % 5) * EIO_MILLISECOND));
        after += world->terminated;
    }
    return eio_flow_shutdown(flow, EIO_SHUTDOWN_SEND);
}

eio_err *Receive(World *world, eio_flow *flow, uint64_t seed, uint64_t *out_received) {
    uint8_t bytes[8192];
    *out_received = 0;
    for (;;) {
        size_t got = 0;
        eio_err *err = eio_source_single_read(&flow->source, eio_buf_of(bytes, sizeof bytes), &got);
        if (eio_err_catch(&err, &eio_err_end_of_file))
            return nullptr;
        EIO_TRY(err);
        for (size_t i = 0; i < got; i++)
            if (bytes[i] != static_cast<uint8_t>((*out_received + i) * (seed + 1) >> 3))
                return eio_err_failure("other bytes came back than were sent");
        world->talking += *out_received == 0;
        *out_received += got;
        if (world->terminated)
            world->bytes_after += got;
    }
}

eio_err *OneClient(World *world, uint64_t seed) {
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_stream_socket *socket;
        uint64_t sent, received;
        EIO_TRY(eio_net_connect(&world->env->net->net, sw, &world->addr, nullptr, &socket));
        EIO_TRY(Both([&] { return Send(world, &socket->flow, seed, &sent); },
                     [&] { return Receive(world, &socket->flow, seed, &received); }));
        EXPECT_EQ(received, sent);
        return nullptr;
    });
}

eio_err *TerminateOnceAllTalk(World *world) {
    while (world->talking < world->clients)
        EIO_TRY(eio_mono_clock_sleep(world->env->mono_clock, 5 * EIO_MILLISECOND));
    world->program->Terminate();
    world->terminated = true;
    return nullptr;
}

class Drain : public RealTest {
  protected:
    void Run(const char *domains) {
        EchoProgram program(GetParam(), domains);
        ASSERT_NE(program.port(), 0);
        World world = {nullptr, Loopback(program.port()), &program, HowMany(kDrained)};
        EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *env) {
            world.env = env;
            return Both(
                [&] {
                    return ForEach(world.clients, 0,
                                   [&](size_t i) { return OneClient(&world, i); });
                },
                [&] { return TerminateOnceAllTalk(&world); });
        }));
        EXPECT_GT(world.bytes_after, 0u);
        EXPECT_EQ(program.Wait(), 0);
    }
};
EIO_ON_REAL_BACKENDS(Drain);

TEST_P(Drain, AStoppedServerDropsNothingOfThoseItServes) {
    Run("1");
}
TEST_P(Drain, AStoppedServerOfTwoDomainsDropsNothingOfThoseItServes) {
    Run("2");
}

} // namespace
