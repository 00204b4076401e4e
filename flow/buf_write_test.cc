// SPDX-License-Identifier: ISC
#include "eio/buf_write.h"

#include <thread>

#include "eio/fiber.h"
#include "eio/mem.h"
#include "eio/mock/backend.h"
#include "eio/switch.h"
#include "flow/chunked.h"

namespace {

using chunked::FailAlloc;
using chunked::Sink;
using chunked::Slice;
using chunked::Text;

using Writes = std::vector<std::vector<std::string>>;

const eio_err_kind kGone = {nullptr, "Gone"};

/// A writer with a buffer of eight bytes, to a sink that remembers.
class BufWriteTest : public chunked::Test {
  protected:
    void SetUp() override {
        chunked::Test::SetUp();
        ASSERT_OK(eio_buf_write_init(&out_, &sink_, 8));
    }
    void TearDown() override {
        eio_buf_write_fini(&out_);
        chunked::Test::TearDown();
    }
    std::string Put(const std::string &bytes) {
        return Text(eio_buf_write_bytes(&out_, Slice(bytes)));
    }
    std::string Flush() { return Text(eio_buf_write_flush(&out_)); }

    Sink sink_;
    eio_buf_write out_;
};
using BufWriteDeathTest = BufWriteTest;

TEST_F(BufWriteTest, SmallPiecesGoOutTogetherWhenTheyAreFlushed) {
    EXPECT_EQ(Put("ab"), "ok");
    EXPECT_EQ(Put(""), "ok");
    EXPECT_OK(eio_buf_write_string(&out_, "cd"));
    EXPECT_EQ(eio_buf_write_pending(&out_), 4U);
    EXPECT_EQ(sink_.got, "");
    EXPECT_EQ(Flush(), "ok");
    EXPECT_EQ(eio_buf_write_pending(&out_), 0U);
    EXPECT_EQ(sink_.writes, (Writes{{"abcd"}}));
}

TEST_F(BufWriteTest, AFlushOfNothingWritesNothing) {
    EXPECT_EQ(Flush(), "ok");
    EXPECT_EQ(Put(""), "ok");
    EXPECT_EQ(Flush(), "ok");
    EXPECT_EQ(sink_.writes, Writes{});
}

TEST_F(BufWriteTest, AFullBufferWaitsForTheNextPiece) {
    EXPECT_EQ(Put("12345678"), "ok");
    EXPECT_EQ(sink_.writes, Writes{});
    EXPECT_EQ(Put("9"), "ok");
    EXPECT_EQ(sink_.writes, (Writes{{"12345678", "9"}}));
    EXPECT_EQ(eio_buf_write_pending(&out_), 0U);
}

TEST_F(BufWriteTest, ALargePieceGoesOutUncopiedBehindWhatWaited) {
    EXPECT_EQ(Put("ab"), "ok");
    EXPECT_EQ(Put("0123456789"), "ok");
    EXPECT_EQ(sink_.writes, (Writes{{"ab", "0123456789"}}));
}

TEST_F(BufWriteTest, AShortWriteLeavesInTheBufferWhatFits) {
    EXPECT_EQ(Put("abcdef"), "ok");
    sink_.max_per_write = 4;
    EXPECT_EQ(Put("12345"), "ok"); // after one write there is room for the rest
    EXPECT_EQ(sink_.writes, (Writes{{"abcdef", "12345"}}));
    EXPECT_EQ(sink_.got, "abcd");
    EXPECT_EQ(eio_buf_write_pending(&out_), 7U);
    EXPECT_EQ(Flush(), "ok");
    EXPECT_EQ(sink_.got, "abcdef12345");
}

TEST_F(BufWriteTest, EveryCutOfEveryPieceGivesTheSameBytes) {
    for (size_t max = 1; max <= 12; max++) {
        for (size_t piece = 1; piece <= 20; piece++) {
            Sink sink;
            sink.max_per_write = max;
            eio_buf_write out;
            ASSERT_OK(eio_buf_write_init(&out, &sink, 8));
            std::string all;
            for (size_t i = 0; i < 30; i++) {
                const std::string bytes(1 + (i * piece) % 20, static_cast<char>('a' + i % 26));
                all += bytes;
                ASSERT_OK(eio_buf_write_bytes(&out, Slice(bytes)));
                ASSERT_EQ(sink.got.size() + eio_buf_write_pending(&out), all.size());
                ASSERT_LE(eio_buf_write_pending(&out), 8U);
            }
            ASSERT_OK(eio_buf_write_flush(&out));
            eio_buf_write_fini(&out);
            ASSERT_EQ(sink.got, all) << max << " " << piece;
        }
    }
}

TEST_F(BufWriteTest, NumbersAreWrittenInEitherOrder) {
    eio_buf_write out;
    ASSERT_OK(eio_buf_write_init(&out, &sink_, 100));
    EXPECT_OK(eio_buf_write_uint8(&out, 0x01));
    EXPECT_OK(eio_buf_write_be_uint16(&out, 0x0203));
    EXPECT_OK(eio_buf_write_be_uint32(&out, 0x04050607));
    EXPECT_OK(eio_buf_write_be_uint64(&out, 0x08090a0b0c0d0e0f));
    EXPECT_OK(eio_buf_write_le_uint16(&out, 0x1110));
    EXPECT_OK(eio_buf_write_le_uint32(&out, 0x15141312));
    EXPECT_OK(eio_buf_write_le_uint64(&out, 0x1d1c1b1a19181716));
    EXPECT_OK(eio_buf_write_flush(&out));
    eio_buf_write_fini(&out);
    std::string expected;
    for (char c = 0x01; c <= 0x1d; c++)
        expected += c;
    EXPECT_EQ(sink_.got, expected);
}

TEST_F(BufWriteTest, FormattedTextsOfAnyLength) {
    EXPECT_OK(eio_buf_write_printf(&out_, "%d-%s", 42, "x"));
    EXPECT_OK(eio_buf_write_printf(&out_, "%s", ""));
    EXPECT_EQ(eio_buf_write_pending(&out_), 4U);
    const std::string most(255, 'm'), more(256, 'n'), many(10000, 'o');
    for (const std::string &text : {most, more, many})
        EXPECT_OK(eio_buf_write_printf(&out_, "<%s>", text.c_str()));
    EXPECT_EQ(Flush(), "ok");
    EXPECT_EQ(sink_.got, "42-x<" + most + "><" + more + "><" + many + ">");
}

TEST_F(BufWriteTest, AfterAFailureAFlushGoesOnWhereItStopped) {
    EXPECT_EQ(Put("abcdef"), "ok");
    sink_.max_per_write = 2;
    sink_.fail = &kGone;
    sink_.fail_after = 2;
    EXPECT_EQ(Flush(), "Gone");
    EXPECT_EQ(sink_.got, "abcd");
    EXPECT_EQ(eio_buf_write_pending(&out_), 2U);
    EXPECT_EQ(Put("0123456789"), "Gone");
    EXPECT_EQ(eio_buf_write_pending(&out_), 2U);
    sink_.fail = nullptr;
    EXPECT_EQ(Flush(), "ok");
    EXPECT_EQ(sink_.got, "abcdef");
}

TEST_F(BufWriteTest, WithoutMemoryNothingIsTaken) {
    {
        FailAlloc fail(1);
        EXPECT_EQ(Put("ab"), "Out_of_memory");
    }
    EXPECT_EQ(eio_buf_write_pending(&out_), 0U);
    EXPECT_EQ(Put("ab"), "ok");
    {
        FailAlloc fail(1);
        EXPECT_EQ(Text(eio_buf_write_printf(&out_, "%300d", 1)), "Out_of_memory");
    }
    EXPECT_EQ(Flush(), "ok");
    EXPECT_EQ(sink_.got, "ab");
}

TEST_F(BufWriteTest, ASizeOfZeroIsRefused) {
    eio_buf_write none;
    EXPECT_EQ(Text(eio_buf_write_init(&none, &sink_, 0)),
              "Invalid_argument(\"Size 0 should be positive!\")");
    eio_buf_write_fini(&none);
    eio_buf_write_fini(&none);
    eio_buf_write_fini(nullptr);
}

TEST_F(BufWriteTest, WhatWasNotFlushedIsLost) {
    EXPECT_EQ(Put("ab"), "ok");
    eio_buf_write_fini(&out_);
    EXPECT_EQ(sink_.got, "");
}

TEST_F(BufWriteTest, AsASinkItGathersWhatIsCopiedIntoIt) {
    eio_string_source text;
    eio_string_source_init(&text, eio_slice_of_str("abcde"));
    EXPECT_OK(eio_flow_copy(&text.source, &out_.sink));
    const eio_slice slices[] = {eio_slice_of_str("1"), eio_slice_of_str("2"),
                                eio_slice_of_str("345")};
    size_t wrote;
    EXPECT_OK(eio_sink_single_write(&out_.sink, slices, 3, &wrote));
    EXPECT_EQ(wrote, 2U); // the third would have to wait
    EXPECT_EQ(sink_.writes, Writes{});
    EXPECT_OK(eio_sink_write(&out_.sink, slices[2]));
    EXPECT_EQ(Flush(), "ok");
    EXPECT_EQ(sink_.writes, (Writes{{"abcde12", "345"}}));
}

eio_err *Hello(void *arg, eio_buf_write *out) {
    EIO_TRY(eio_buf_write_string(out, "hello"));
    return *static_cast<bool *>(arg) ? eio_err_const(&kGone) : nullptr;
}

TEST_F(BufWriteTest, ARunFlushesWhatSucceededAndDropsWhatFailed) {
    bool fails = true;
    EXPECT_EQ(Text(eio_buf_write_run(&sink_, 100, Hello, &fails)), "Gone");
    EXPECT_EQ(sink_.got, "");
    fails = false;
    EXPECT_OK(eio_buf_write_run(&sink_, 100, Hello, &fails));
    EXPECT_EQ(sink_.got, "hello");
    sink_.fail = &kGone;
    EXPECT_EQ(Text(eio_buf_write_run(&sink_, 100, Hello, &fails)), "Gone");
    EXPECT_EQ(Text(eio_buf_write_run(&sink_, 0, Hello, &fails)),
              "Invalid_argument(\"Size 0 should be positive!\")");
}

eio_err *WriteInSwitch(void *arg, eio_switch *sw) {
    eio_buf_write *out;
    EIO_TRY(eio_buf_write_create(sw, static_cast<Sink *>(arg), 8, &out));
    EIO_TRY(eio_buf_write_string(out, "0123456789"));
    EIO_TRY(eio_buf_write_string(out, "lost"));
    eio_err_drop(eio_buf_write_create(sw, static_cast<Sink *>(arg), 0, &out));
    return nullptr;
}

TEST_F(BufWriteTest, ASwitchFreesTheWriterAndFlushesNothing) {
    EXPECT_OK(eio_mock_run(
        [](void *arg) -> eio_err * { return eio_switch_run(WriteInSwitch, arg); }, &sink_));
    EXPECT_EQ(sink_.got, "0123456789");
}

TEST_F(BufWriteDeathTest, MisuseStopsTheProgram) {
    EXPECT_DEATH(std::thread([&] { (void)Put("x"); }).join(), "used in another thread");
    sink_.take = [&](size_t offered) {
        (void)Put("y"); // as another fiber would, while this one waits
        return offered;
    };
    EXPECT_DEATH((void)Put("0123456789"), "used by two fibers at once");
    sink_.take = [&](size_t offered) {
        eio_buf_write_fini(&out_);
        return offered;
    };
    EXPECT_DEATH((void)Put("0123456789"), "ended while a fiber uses it");
    eio_buf_write_fini(&out_);
    EXPECT_DEATH((void)Put("x"), "used after its end");
}

} // namespace
