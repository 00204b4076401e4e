// SPDX-License-Identifier: ISC
// Rows: streams, what is read from them and written to them.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "eio/buf_read.h"
#include "eio/fd.h"
#include "eio/mem.h"
#include "eio/mock/pair.h"
#include "eio/net.h"
#include "tests/conformance/op_rows.h"
#include "tests/conformance/sockets.h"

namespace eio_test {

namespace {

enum class StreamKind { kMock, kUnix, kTcp, kPipe };

/// Two connected flows. For pipes, `a` reads what `b` writes.
eio_err *MakePair(StreamKind kind, eio_switch *sw, const eio_env *env, eio_stream_socket **a,
                  eio_stream_socket **b) {
    switch (kind) {
    case StreamKind::kMock: return eio_mock_flow_pair(sw, 64, a, b);
    case StreamKind::kUnix: return eio_socketpair_stream(sw, a, b);
    case StreamKind::kTcp: return TcpPair(sw, env, a, b);
    case StreamKind::kPipe: {
        int fds[2];
        EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
        EIO_TRY(eio_import_stream(sw, fds[0], nullptr, a));
        return eio_import_stream(sw, fds[1], nullptr, b);
    }
    }
    return nullptr;
}

/// Breaks the connection whose far end is `far`, so that `near` hears of it by an error where its
/// kind has one.
void Break(StreamKind kind, eio_stream_socket *near, eio_stream_socket *far) {
    if (kind == StreamKind::kMock) {
        eio_mock_flow_pair_reset(far);
        return;
    }
    if (kind == StreamKind::kUnix) { // one that closes with something unread
        EXPECT_EQ(WriteRaw(eio_fd_of_flow(&near->flow), "x"), 1);
    } else if (kind == StreamKind::kTcp) {
        const linger at_once = {1, 0};
        EXPECT_EQ(setsockopt(NumberOf(eio_fd_of_flow(&far->flow)), SOL_SOCKET, SO_LINGER, &at_once,
                             sizeof at_once),
                  0);
    }
    eio_flow_close(&far->flow);
}

/// Reads one byte, by one of the calls that read.
class ReadOp : public Op {
  public:
    enum Call { kSingleRead, kReadExact, kLend };
    ReadOp(StreamKind kind, Call call) : kind_(kind), call_(call) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        return MakePair(kind_, sw, env, &a_, &b_);
    }
    eio_err *Run() override {
        uint8_t byte;
        size_t got = 1;
        eio_slice lent;
        eio_source *source = &a_->flow.source;
        switch (call_) {
        case kSingleRead: return eio_source_single_read(source, eio_buf_of(&byte, 1), &got);
        case kReadExact: return eio_source_read_exact(source, eio_buf_of(&byte, 1));
        case kLend:
            EIO_TRY(eio_source_lend(source, &lent));
            eio_source_release(source, 1);
            return nullptr;
        }
        return nullptr;
    }
    void Complete() override {
        if (kind_ == StreamKind::kMock) {
            // Protected: a fiber that is cancelled writes nothing.
            EXPECT_OK(Protect([&] { return eio_flow_copy_string("x", &b_->flow.sink); }));
        } else {
            EXPECT_EQ(WriteRaw(eio_fd_of_flow(&b_->flow), "x"), 1);
        }
    }
    bool CanClose() const override { return true; }
    void Close() override { eio_flow_close(&a_->flow); }
    const char *Name() const override { return "readv"; }
    const eio_err_kind *FailsWith() const override {
        return kind_ == StreamKind::kPipe ? &eio_err_end_of_file : &eio_err_net_connection_reset;
    }
    void Fail() override { Break(kind_, a_, b_); }
    // The library's own lending buffer, and the mock's memory, give what they hold without a turn.
    bool InMemory() const override { return call_ == kLend || kind_ == StreamKind::kMock; }

  private:
    StreamKind kind_;
    Call call_;
    eio_stream_socket *a_ = nullptr, *b_ = nullptr;
};

/// Writes one byte to a full flow, by one of the calls that write.
class WriteOp : public Op {
  public:
    enum Call { kSingleWrite, kWrite, kWritev };
    explicit WriteOp(StreamKind kind, Call call = kSingleWrite) : kind_(kind), call_(call) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        EIO_TRY(MakePair(kind_, sw, env, &a_, &b_));
        if (kind_ == StreamKind::kMock) {
            const std::string filler(64, '.');
            return eio_flow_copy_string(filler.c_str(), &b_->flow.sink);
        }
        return FillRaw(env, eio_fd_of_flow(&b_->flow));
    }
    eio_err *Run() override {
        static const eio_slice slices[2] = {eio_slice_of("", 0), eio_slice_of("x", 1)};
        eio_sink *sink = &b_->flow.sink;
        size_t wrote;
        switch (call_) {
        case kSingleWrite: return eio_sink_single_write(sink, slices + 1, 1, &wrote);
        case kWrite: return eio_sink_write(sink, slices[1]);
        case kWritev: return eio_sink_writev(sink, slices, 2);
        }
        return nullptr;
    }
    void Complete() override {
        if (kind_ == StreamKind::kMock) {
            uint8_t byte;
            EXPECT_OK(Protect(
                [&] { return eio_source_read_exact(&a_->flow.source, eio_buf_of(&byte, 1)); }));
        } else {
            DrainRaw(eio_fd_of_flow(&a_->flow));
        }
    }
    bool Counts() const override { return false; } // a drained pipe takes more than one
    bool CanClose() const override { return true; }
    void Close() override { eio_flow_close(&b_->flow); }
    const char *Name() const override { return "writev"; }
    const eio_err_kind *FailsWith() const override { return &eio_err_net_connection_reset; }
    void Fail() override { eio_flow_close(&a_->flow); }
    bool InMemory() const override { return kind_ == StreamKind::kMock; }

  private:
    StreamKind kind_;
    Call call_;
    eio_stream_socket *a_ = nullptr, *b_ = nullptr;
};

/// Reads up to the end of input, by one of the calls that do. Bytes that came before the end are
/// passed on meanwhile, so only the end itself is looked at.
class ReadToEndOp : public Op {
  public:
    enum Call { kCopy, kSimpleSinkCopy, kReadAll };
    explicit ReadToEndOp(Call call) : call_(call) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        EIO_TRY(eio_socketpair_stream(sw, &from_, &far_from_));
        return eio_socketpair_stream(sw, &to_, &far_to_);
    }
    eio_err *Run() override {
        eio_strbuf bytes = EIO_STRBUF_INIT;
        eio_buffer_sink memory;
        eio_err *err = nullptr;
        switch (call_) {
        case kCopy: return eio_flow_copy(&from_->flow.source, &to_->flow.sink);
        case kSimpleSinkCopy:
            eio_buffer_sink_init(&memory, &bytes, 100);
            err = eio_flow_copy(&from_->flow.source, &memory.sink);
            break;
        case kReadAll: err = eio_source_read_all(&from_->flow.source, 100, &bytes); break;
        }
        eio_strbuf_free(&bytes);
        return err;
    }
    void Complete() override {
        EXPECT_EQ(shutdown(NumberOf(eio_fd_of_flow(&far_from_->flow)), SHUT_WR), 0);
    }
    bool Counts() const override { return false; } // the end stays the end
    const eio_err_kind *FailsWith() const override { return &eio_err_net_connection_reset; }
    void Fail() override { Break(StreamKind::kUnix, from_, far_from_); }

  private:
    Call call_;
    eio_stream_socket *from_ = nullptr, *far_from_ = nullptr, *to_ = nullptr, *far_to_ = nullptr;
};

/// Takes one thing out of a buffered reader.
class BufReadOp : public Op {
  public:
    enum Call { kLine, kLineTo, kTake, kTakeWhile, kSkip, kAnyChar, kEnsure };
    explicit BufReadOp(Call call) : call_(call) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        EIO_TRY(eio_socketpair_stream(sw, &a_, &b_));
        return eio_buf_read_create(sw, &a_->flow.source, 1000, &reader_);
    }
    eio_err *Run() override {
        auto is_x = [](void *, uint8_t byte) { return byte == 'x'; };
        eio_slice got;
        char c;
        switch (call_) {
        case kLine: return eio_buf_read_line(reader_, &got);
        case kLineTo: {
            eio_strbuf line = EIO_STRBUF_INIT;
            eio_err *err = eio_buf_read_line_to(reader_, &line);
            eio_strbuf_free(&line);
            return err;
        }
        case kTake: return eio_buf_read_take(reader_, 2, &got);
        case kTakeWhile:
            EIO_TRY(eio_buf_read_take_while(reader_, is_x, nullptr, &got));
            eio_buf_read_consume(reader_, 1);
            return nullptr;
        case kSkip: return eio_buf_read_skip(reader_, 2);
        case kAnyChar:
            EIO_TRY(eio_buf_read_any_char(reader_, &c));
            return eio_buf_read_char(reader_, '\n');
        case kEnsure:
            EIO_TRY(eio_buf_read_ensure(reader_, 2));
            eio_buf_read_consume(reader_, 2);
            return nullptr;
        }
        return nullptr;
    }
    void Complete() override { EXPECT_EQ(WriteRaw(eio_fd_of_flow(&b_->flow), "x\n"), 2); }
    const eio_err_kind *FailsWith() const override { return &eio_err_net_connection_reset; }
    void Fail() override { Break(StreamKind::kUnix, a_, b_); }
    bool InMemory() const override { return true; } // what is buffered is had without a turn

  private:
    Call call_;
    eio_stream_socket *a_ = nullptr, *b_ = nullptr;
    eio_buf_read *reader_ = nullptr;
};

} // namespace

std::vector<OpKind> FlowRows() {
    return {
        {"read_mock", kMock, Make<ReadOp>(StreamKind::kMock, ReadOp::kSingleRead)},
        {"read_exact_mock", kMock, Make<ReadOp>(StreamKind::kMock, ReadOp::kReadExact)},
        {"lend_mock", kMock, Make<ReadOp>(StreamKind::kMock, ReadOp::kLend)},
        {"write_mock", kMock, Make<WriteOp>(StreamKind::kMock)},
        {"read_unix", kReal, Make<ReadOp>(StreamKind::kUnix, ReadOp::kSingleRead)},
        {"read_tcp", kReal, Make<ReadOp>(StreamKind::kTcp, ReadOp::kSingleRead)},
        {"read_pipe", kReal, Make<ReadOp>(StreamKind::kPipe, ReadOp::kSingleRead)},
        {"read_exact_tcp", kReal, Make<ReadOp>(StreamKind::kTcp, ReadOp::kReadExact)},
        {"lend_unix", kReal, Make<ReadOp>(StreamKind::kUnix, ReadOp::kLend)},
        {"lend_tcp", kReal, Make<ReadOp>(StreamKind::kTcp, ReadOp::kLend)},
        {"lend_pipe", kReal, Make<ReadOp>(StreamKind::kPipe, ReadOp::kLend)},
        {"single_write_unix", kReal, Make<WriteOp>(StreamKind::kUnix)},
        {"single_write_tcp", kReal, Make<WriteOp>(StreamKind::kTcp)},
        {"single_write_pipe", kReal, Make<WriteOp>(StreamKind::kPipe)},
        {"write_unix", kReal, Make<WriteOp>(StreamKind::kUnix, WriteOp::kWrite)},
        {"writev_unix", kReal, Make<WriteOp>(StreamKind::kUnix, WriteOp::kWritev)},
        {"copy_unix", kReal, Make<ReadToEndOp>(ReadToEndOp::kCopy)},
        {"copy_to_memory", kReal, Make<ReadToEndOp>(ReadToEndOp::kSimpleSinkCopy)},
        {"read_all", kReal, Make<ReadToEndOp>(ReadToEndOp::kReadAll)},
        {"buf_read_line", kReal, Make<BufReadOp>(BufReadOp::kLine)},
        {"buf_read_line_to", kReal, Make<BufReadOp>(BufReadOp::kLineTo)},
        {"buf_read_take", kReal, Make<BufReadOp>(BufReadOp::kTake)},
        {"buf_read_take_while", kReal, Make<BufReadOp>(BufReadOp::kTakeWhile)},
        {"buf_read_skip", kReal, Make<BufReadOp>(BufReadOp::kSkip)},
        {"buf_read_any_char", kReal, Make<BufReadOp>(BufReadOp::kAnyChar)},
        {"buf_read_ensure", kReal, Make<BufReadOp>(BufReadOp::kEnsure)},
    };
}

} // namespace eio_test
