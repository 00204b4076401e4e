// SPDX-License-Identifier: ISC
// Flows on descriptors.

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "eio/await_fd.h"
#include "eio/buf_read.h"
#include "eio/fd.h"
#include "eio/flow.h"
#include "eio/net.h"
#include "eio/signal.h"
#include "tests/faults/scenario.h"

namespace eio_faults {
namespace {

eio_err *ReadAll(eio_flow *flow, std::string *out) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_err *err = eio_source_read_all(&flow->source, 1 << 20, &sb);
    if (err == nullptr)
        out->assign(eio_strbuf_str(&sb), sb.len);
    eio_strbuf_free(&sb);
    return err;
}

eio_err *SendAndEnd(eio_flow *flow, const std::string &text) {
    EIO_TRY(eio_sink_write(&flow->sink, eio_slice_of(text.data(), text.size())));
    return eio_flow_shutdown(flow, EIO_SHUTDOWN_SEND);
}

eio_err *SocketPair(eio_switch *sw, const eio_env *) {
    eio_stream_socket *a, *b;
    std::string got;
    EIO_TRY(eio_socketpair_stream(sw, &a, &b));
    EIO_TRY(Both([&] { return SendAndEnd(&a->flow, "hello"); },
                 [&] { return ReadAll(&b->flow, &got); }));
    CHECK_THAT(got == "hello");
    return nullptr;
}

eio_err *ManyBytes(eio_switch *sw, const eio_env *) {
    eio_stream_socket *a, *b;
    std::string sent(300000, 'x'), got;
    for (size_t i = 0; i < sent.size(); i++)
        sent[i] = static_cast<char>(i * 7 + i / 251);
    EIO_TRY(eio_socketpair_stream(sw, &a, &b));
    EIO_TRY(
        Both([&] { return SendAndEnd(&a->flow, sent); }, [&] { return ReadAll(&b->flow, &got); }));
    CHECK_THAT(got == sent);
    return nullptr;
}

eio_err *BufferedRead(eio_switch *sw, const eio_env *) {
    eio_stream_socket *a, *b;
    eio_buf_read *in;
    uint16_t number = 0;
    EIO_TRY(eio_socketpair_stream(sw, &a, &b));
    EIO_TRY(eio_buf_read_create(sw, &b->flow.source, 4096, &in));
    EIO_TRY(SendAndEnd(&a->flow, std::string("GET / HTTP/1.1\r\n\r\n\x12\x34rest", 24)));
    eio_slice line;
    EIO_TRY(eio_buf_read_line(in, &line));
    CHECK_THAT(std::string(reinterpret_cast<const char *>(line.base), line.len) ==
               "GET / HTTP/1.1");
    EIO_TRY(eio_buf_read_line(in, &line));
    CHECK_THAT(line.len == 0);
    EIO_TRY(eio_buf_read_be_uint16(in, &number));
    CHECK_THAT(number == 0x1234);
    EIO_TRY(eio_buf_read_take_all(in, &line));
    CHECK_THAT(line.len == 4);
    return eio_buf_read_end_of_input(in);
}

eio_err *ProxyCopy(eio_switch *sw, const eio_env *) {
    eio_stream_socket *client, *front, *back, *server;
    std::string asked, answered;
    EIO_TRY(eio_socketpair_stream(sw, &client, &front));
    EIO_TRY(eio_socketpair_stream(sw, &back, &server));
    const auto copy = [](eio_flow *from, eio_flow *to) -> eio_err * {
        EIO_TRY(eio_flow_copy(&from->source, &to->sink));
        return eio_flow_shutdown(to, EIO_SHUTDOWN_SEND);
    };
    EIO_TRY(All({
        [&] { return copy(&front->flow, &back->flow); },
        [&] { return copy(&back->flow, &front->flow); },
        [&]() -> eio_err * {
            EIO_TRY(SendAndEnd(&client->flow, "question"));
            return ReadAll(&client->flow, &answered);
        },
        [&]() -> eio_err * {
            EIO_TRY(ReadAll(&server->flow, &asked));
            return SendAndEnd(&server->flow, "answer");
        },
    }));
    CHECK_THAT(asked == "question" && answered == "answer");
    return nullptr;
}

eio_err *Lend(eio_switch *sw, const eio_env *) {
    eio_stream_socket *a, *b;
    std::string got;
    EIO_TRY(eio_socketpair_stream(sw, &a, &b));
    EIO_TRY(SendAndEnd(&a->flow, "lent bytes"));
    while (got.size() < 10) {
        eio_slice slice;
        EIO_TRY(eio_source_lend(&b->flow.source, &slice));
        const size_t used = slice.len < 4 ? slice.len : 4;
        got.append(reinterpret_cast<const char *>(slice.base), used);
        eio_source_release(&b->flow.source, used);
    }
    CHECK_THAT(got == "lent bytes");
    return nullptr;
}

eio_err *CancelledRead(eio_switch *sw, const eio_env *) {
    eio_stream_socket *a, *b;
    char space[8];
    size_t got, winner = 9;
    EIO_TRY(eio_socketpair_stream(sw, &a, &b));
    EIO_TRY(
        First([&] { return eio_source_single_read(&b->flow.source, eio_buf_of(space, 8), &got); },
              [] { return eio_fiber_yield(); }, &winner));
    CHECK_THAT(winner == 1);
    EIO_TRY(eio_flow_copy_string("after", &a->flow.sink));
    return eio_source_read_exact(&b->flow.source, eio_buf_of(space, 5));
}

eio_err *ClosedWhileReading(eio_switch *sw, const eio_env *) {
    eio_stream_socket *a, *b;
    char space[8];
    size_t got;
    EIO_TRY(eio_socketpair_stream(sw, &a, &b));
    eio_err *read = nullptr;
    EIO_TRY(Both(
        [&]() -> eio_err * {
            read = eio_source_single_read(&b->flow.source, eio_buf_of(space, 8), &got);
            return nullptr;
        },
        [&]() -> eio_err * {
            eio_err *err = eio_fiber_yield();
            eio_flow_close(&b->flow);
            return err;
        }));
    CHECK_THAT(read != nullptr);
    eio_err_catch(&read, &eio_err_closed);
    return read;
}

eio_err *StandardStreams(eio_switch *, const eio_env *env) {
    char space[8];
    size_t got = 0;
    EIO_TRY(eio_flow_copy_string("to /dev/null", env->stdout_));
    eio_err *err = eio_source_single_read(env->stdin_, eio_buf_of(space, 8), &got);
    CHECK_THAT(err != nullptr); // /dev/null is at its end
    eio_err_catch(&err, &eio_err_end_of_file);
    return err;
}

eio_err *RandomBytes(eio_switch *, const eio_env *env) {
    uint8_t a[16] = {}, b[16] = {};
    EIO_TRY(eio_source_read_exact(env->random, eio_buf_of(a, sizeof a)));
    EIO_TRY(eio_source_read_exact(env->random, eio_buf_of(b, sizeof b)));
    CHECK_THAT(memcmp(a, b, sizeof a) != 0);
    return nullptr;
}

/// A pair of plain descriptors, closed at the end if they are still the test's.
struct Plain {
    int fds[2] = {-1, -1};
    explicit Plain(bool is_pipe) {
        if ((is_pipe ? pipe2(fds, O_CLOEXEC)
                     : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) != 0)
            abort();
    }
    ~Plain() {
        for (int fd : fds)
            if (fd >= 0)
                close(fd);
    }
};

eio_err *AwaitDescriptor(eio_switch *, const eio_env *) {
    Plain pipe(true);
    char byte;
    EIO_TRY(Both([&] { return eio_await_readable(pipe.fds[0]); },
                 [&]() -> eio_err * {
                     eio_err *err = eio_fiber_yield();
                     CHECK_THAT(write(pipe.fds[1], "x", 1) == 1);
                     return err;
                 }));
    CHECK_THAT(read(pipe.fds[0], &byte, 1) == 1);
    return eio_await_writable(pipe.fds[1]);
}

eio_err *ImportAndClose(eio_switch *, const eio_env *) {
    Plain pair(false);
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_stream_socket *socket;
        char space[4];
        EIO_TRY(eio_import_stream(sw, pair.fds[0], nullptr, &socket));
        pair.fds[0] = -1;
        CHECK_THAT(write(pair.fds[1], "abcd", 4) == 4);
        EIO_TRY(eio_source_read_exact(&socket->flow.source, eio_buf_of(space, 4)));
        EIO_TRY(eio_flow_copy_string("back", &socket->flow.sink));
        eio_flow_close(&socket->flow);
        return nullptr;
    });
}

eio_err *RemoveDescriptor(eio_switch *sw, const eio_env *) {
    eio_stream_socket *a, *b;
    int number = -1;
    char space[2];
    EIO_TRY(eio_socketpair_stream(sw, &a, &b));
    EIO_TRY(Both([&] { return eio_source_read_exact(&b->flow.source, eio_buf_of(space, 2)); },
                 [&] { return eio_flow_copy_string("ab", &a->flow.sink); }));
    EIO_TRY(eio_fd_remove(eio_fd_of_flow(&a->flow), &number));
    const ssize_t wrote = write(number, "cd", 2);
    close(number);
    CHECK_THAT(wrote == 2);
    return eio_source_read_exact(&b->flow.source, eio_buf_of(space, 2));
}

eio_err *PipeFlows(eio_switch *, const eio_env *) {
    Plain pipe(true);
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_stream_socket *in, *out;
        std::string got;
        EIO_TRY(eio_import_stream(sw, pipe.fds[0], nullptr, &in));
        pipe.fds[0] = -1;
        EIO_TRY(eio_import_stream(sw, pipe.fds[1], nullptr, &out));
        pipe.fds[1] = -1;
        EIO_TRY(Both([&] { return ReadAll(&in->flow, &got); },
                     [&]() -> eio_err * {
                         EIO_TRY(eio_flow_copy_string("through a pipe", &out->flow.sink));
                         eio_flow_close(&out->flow);
                         return nullptr;
                     }));
        CHECK_THAT(got == "through a pipe");
        return nullptr;
    });
}

eio_err *SignalWait(eio_switch *, const eio_env *) {
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        const int wanted[] = {SIGUSR1, SIGUSR2};
        eio_signal *signal;
        int came = 0;
        EIO_TRY(eio_signal_open(sw, wanted, 2, &signal));
        EIO_TRY(Both([&] { return eio_signal_wait(signal, &came); },
                     [&]() -> eio_err * {
                         eio_err *err = eio_fiber_yield();
                         raise(SIGUSR2);
                         return err;
                     }));
        CHECK_THAT(came == SIGUSR2);
        return nullptr;
    });
}

} // namespace

std::vector<Scenario> FlowScenarios() {
    const auto of = [](const Body &body) { return [body] { return body; }; };
    return {
        {"SocketPair", 0, of(SocketPair)},
        {"ManyBytes", 0, of(ManyBytes)},
        {"BufferedRead", 0, of(BufferedRead)},
        {"ProxyCopy", 0, of(ProxyCopy)},
        {"Lend", 0, of(Lend)},
        {"CancelledRead", kForgiving, of(CancelledRead)},
        {"ClosedWhileReading", kForgiving, of(ClosedWhileReading)},
        {"StandardStreams", 0, of(StandardStreams)},
        {"RandomBytes", 0, of(RandomBytes)},
        {"AwaitDescriptor", 0, of(AwaitDescriptor)},
        {"ImportAndClose", 0, of(ImportAndClose)},
        {"RemoveDescriptor", 0, of(RemoveDescriptor)},
        {"PipeFlows", 0, of(PipeFlows)},
        {"SignalWait", 0, of(SignalWait)},
    };
}

} // namespace eio_faults
