// SPDX-License-Identifier: ISC
#include "eio/mem.h"

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "eio/flow_pi.h"
#include "eio/mock/backend.h"
#include "eio/switch.h"
#include "flow/chunked.h"
#include "flow/xor_flow.h"

namespace {

using chunked::FailAlloc;
using chunked::Sink;
using chunked::Slice;
using chunked::Source;
using chunked::Str;
using chunked::Text;

std::string Read(eio_source *src, size_t room) {
    std::vector<uint8_t> space(room);
    size_t got = 0;
    eio_err *err = eio_source_single_read(src, eio_buf_of(space.data(), room), &got);
    return err != nullptr ? Text(err) : Str(eio_slice_of(space.data(), got));
}

using SwitchFn = std::function<eio_err *(eio_switch *)>;

eio_err *CallInSwitch(void *arg, eio_switch *sw) {
    return (*static_cast<SwitchFn *>(arg))(sw);
}
eio_err *OpenSwitch(void *arg) {
    return eio_switch_run(CallInSwitch, arg);
}

/** Runs `fn` in a switch of a mock loop. */
eio_err *InSwitch(SwitchFn fn) {
    return eio_mock_run(OpenSwitch, &fn);
}

// --- String source -------------------------------------------------------------------------------

class StringSourceTest : public chunked::Test {};
using StringSourceDeathTest = StringSourceTest;

TEST_F(StringSourceTest, GivesTheBytesThenTheEnd) {
    eio_string_source text;
    eio_string_source_init(&text, eio_slice_of("a\0bcd", 5));
    EXPECT_EQ(Read(&text.source, 3), std::string("a\0b", 3));
    EXPECT_EQ(text.rest.len, 2U);
    EXPECT_EQ(Read(&text.source, 3), "cd");
    EXPECT_EQ(Read(&text.source, 3), "End_of_file");
    EXPECT_EQ(Read(&text.source, 3), "End_of_file");
}

TEST_F(StringSourceTest, AnEmptyOneIsAtItsEnd) {
    eio_string_source text;
    eio_string_source_init(&text, eio_slice_of(nullptr, 0));
    EXPECT_EQ(Read(&text.source, 3), "End_of_file");
    eio_slice loan;
    EXPECT_EQ(Text(eio_source_lend(&text.source, &loan)), "End_of_file");
}

TEST_F(StringSourceTest, LendsTheBytesThemselves) {
    const char *bytes = "hello";
    eio_string_source text;
    eio_string_source_init(&text, eio_slice_of_str(bytes));
    eio_slice loan;
    ASSERT_OK(eio_source_lend(&text.source, &loan));
    EXPECT_EQ(static_cast<const void *>(loan.base), bytes);
    EXPECT_EQ(loan.len, 5U);
    eio_source_release(&text.source, 2);
    EXPECT_EQ(Read(&text.source, 9), "llo");
    EXPECT_EQ(Live(), 0);
}

TEST_F(StringSourceDeathTest, ReleaseOfMoreThanWasLent) {
    eio_string_source text;
    eio_string_source_init(&text, eio_slice_of_str("hello"));
    eio_slice loan;
    ASSERT_OK(eio_source_lend(&text.source, &loan));
    EXPECT_DEATH(eio_source_release(&text.source, 6), "release of more than was lent");
}

TEST_F(StringSourceTest, ACreatedOneKeepsACopyUntilTheSwitchEnds) {
    ASSERT_OK(InSwitch([](eio_switch *sw) -> eio_err * {
        std::string bytes = "hello";
        eio_source *src;
        EIO_TRY(eio_string_source_create(sw, Slice(bytes), &src));
        bytes = "HELLO";
        EXPECT_EQ(Read(src, 9), "hello");
        EIO_TRY(eio_string_source_create(sw, eio_slice_of(nullptr, 0), &src));
        EXPECT_EQ(Read(src, 9), "End_of_file");
        return nullptr;
    }));
}

TEST_F(StringSourceTest, ACopyThatDoesNotFitIsOutOfMemory) {
    ASSERT_OK(InSwitch([](eio_switch *sw) -> eio_err * {
        eio_source *src = nullptr;
        EXPECT_EQ(Text(eio_string_source_create(sw, eio_slice_of("x", SIZE_MAX), &src)),
                  "Out_of_memory");
        eio_err *err;
        {
            FailAlloc fail(1);
            err = eio_string_source_create(sw, eio_slice_of_str("x"), &src);
        }
        EXPECT_EQ(Text(err), "Out_of_memory");
        EXPECT_EQ(src, nullptr);
        return nullptr;
    }));
}

// --- Buffer sink ---------------------------------------------------------------------------------

class BufferSinkTest : public chunked::Test {
  protected:
    void TearDown() override {
        eio_strbuf_free(&text_);
        chunked::Test::TearDown();
    }
    std::string All() const { return Str(eio_strbuf_slice(&text_)); }

    eio_strbuf text_ = EIO_STRBUF_INIT;
    eio_buffer_sink sink_;
};

TEST_F(BufferSinkTest, Appends) {
    eio_strbuf_adds(&text_, "> ");
    eio_buffer_sink_init(&sink_, &text_, SIZE_MAX);
    ASSERT_OK(eio_sink_write(&sink_.sink, eio_slice_of("a\0b", 3)));
    eio_slice two[2] = {eio_slice_of_str("cd"), eio_slice_of_str("ef")};
    ASSERT_OK(eio_sink_writev(&sink_.sink, two, 2));
    ASSERT_OK(eio_flow_copy_string("!", &sink_.sink));
    EXPECT_EQ(All(), std::string("> a\0bcdef!", 10));
}

TEST_F(BufferSinkTest, TakesWhatThereIsRoomForThenFails) {
    eio_strbuf_adds(&text_, "> ");
    eio_buffer_sink_init(&sink_, &text_, 5);
    eio_slice three[3] = {eio_slice_of_str("abc"), eio_slice_of_str("def"), eio_slice_of_str("g")};
    size_t wrote = 0;
    ASSERT_OK(eio_sink_single_write(&sink_.sink, three, 3, &wrote));
    EXPECT_EQ(wrote, 5U);
    EXPECT_EQ(All(), "> abcde");
    wrote = 77;
    EXPECT_EQ(Text(eio_sink_single_write(&sink_.sink, three, 1, &wrote)),
              "Eio__Buf_read.Buffer_limit_exceeded");
    EXPECT_EQ(wrote, 77U);
    EXPECT_OK(eio_sink_write(&sink_.sink, eio_slice_of(nullptr, 0)));
    EXPECT_EQ(All(), "> abcde");
}

TEST_F(BufferSinkTest, OutOfMemoryIsAnErrorAndStaysOne) {
    eio_buffer_sink_init(&sink_, &text_, SIZE_MAX);
    eio_err *err;
    {
        FailAlloc fail(1);
        err = eio_sink_write(&sink_.sink, eio_slice_of_str("abc"));
    }
    EXPECT_EQ(Text(err), "Out_of_memory");
    EXPECT_EQ(Text(eio_sink_write(&sink_.sink, eio_slice_of_str("def"))), "Out_of_memory");
    EXPECT_EQ(All(), "");
}

// --- Null flow -----------------------------------------------------------------------------------

class NullFlowTest : public chunked::Test {};

TEST_F(NullFlowTest, ReadsAreAtTheEnd) {
    EXPECT_EQ(Read(&eio_null_flow()->source, 5), "End_of_file");
    eio_slice loan;
    EXPECT_EQ(Text(eio_source_lend(&eio_null_flow()->source, &loan)), "End_of_file");
    Sink sink;
    ASSERT_OK(eio_flow_copy(&eio_null_flow()->source, &sink));
    EXPECT_EQ(sink.writes.size(), 0U);
}

TEST_F(NullFlowTest, WritesAreSwallowedWhole) {
    eio_slice two[2] = {eio_slice_of_str("ab"), eio_slice_of_str("cde")};
    size_t wrote = 0;
    ASSERT_OK(eio_sink_single_write(&eio_null_flow()->sink, two, 2, &wrote));
    EXPECT_EQ(wrote, 5U);
    Source src({"one", "two"});
    ASSERT_OK(eio_flow_copy(&src, &eio_null_flow()->sink));
    EXPECT_EQ(src.at_eof, 1U);
}

TEST_F(NullFlowTest, ClosingItIsNothing) {
    eio_flow *flow = eio_null_flow();
    ASSERT_OK(eio_flow_shutdown(flow, EIO_SHUTDOWN_ALL));
    eio_flow_close(flow);
    eio_flow_free(flow);
    EXPECT_EQ(eio_null_flow(), flow);
    EXPECT_OK(eio_flow_copy_string("x", &flow->sink));
    EXPECT_EQ(Read(&flow->source, 5), "End_of_file");
}

// --- A wrapper that a switch holds ---------------------------------------------------------------

eio_err *ReadX(eio_source *, eio_buf buf, size_t *out_got) {
    memset(buf.base, 'x', buf.len);
    *out_got = buf.len;
    return nullptr;
}

class XorCreateTest : public chunked::Test {};

TEST_F(XorCreateTest, ALoanThatIsNeverGivenBackGoesWithTheSwitch) {
    const eio_source_ops ops = {"x", ReadX, nullptr, nullptr, nullptr};
    eio_flow raw = *eio_null_flow();
    raw.source.ops = &ops;
    ASSERT_OK(InSwitch([&](eio_switch *sw) -> eio_err * {
        eio_flow *flow;
        EIO_TRY(xor_flow_create(sw, &raw, 'x' ^ 'y', &flow));
        eio_slice loan;
        EIO_TRY(eio_source_lend(&flow->source, &loan));
        EXPECT_EQ(Str(loan), std::string(16384, 'y'));
        return nullptr;
    }));
}

} // namespace
