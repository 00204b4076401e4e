// SPDX-License-Identifier: ISC
#include "eio/flow.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "eio/buf_read.h"
#include "eio/flow_pi.h"
#include "eio/mem.h"
#include "flow/chunked.h"
#include "flow/xor_flow.h"

namespace {

using chunked::FailAlloc;
using chunked::Sink;
using chunked::Slice;
using chunked::Source;
using chunked::Str;
using chunked::Text;

constexpr size_t kChunk = 16 * 1024; // what the library lends at most, and copies at once
constexpr size_t kIovMax = 1024;

const eio_err_kind kBroken = {nullptr, "Broken"};

std::string Bytes(size_t len, unsigned long seed) {
    std::minstd_rand random(seed);
    std::string s(len, '\0');
    for (char &c : s)
        c = static_cast<char>(random() >> 8);
    return s;
}

std::string Read(eio_source *src, size_t room) {
    std::vector<uint8_t> space(room);
    size_t got = 99;
    eio_err *err = eio_source_single_read(src, eio_buf_of(space.data(), room), &got);
    return err != nullptr ? Text(err) : Str(eio_slice_of(space.data(), got));
}

std::string Lend(eio_source *src) {
    eio_slice loan = {nullptr, 0};
    eio_err *err = eio_source_lend(src, &loan);
    return err != nullptr ? Text(err) : Str(loan);
}

// --- Reading -------------------------------------------------------------------------------------

class SourceTest : public chunked::Test {};
using SourceDeathTest = SourceTest;

TEST_F(SourceTest, SingleReadGivesWhatIsThere) {
    Source src({"hello", "world"});
    EXPECT_EQ(Read(&src, 3), "hel");
    EXPECT_EQ(Read(&src, 100), "lo");
    EXPECT_EQ(Read(&src, 100), "world");
}

TEST_F(SourceTest, EndOfFileComesAgainAtEachRead) {
    Source src({"x"});
    EXPECT_EQ(Read(&src, 8), "x");
    EXPECT_EQ(Read(&src, 8), "End_of_file");
    EXPECT_EQ(Read(&src, 8), "End_of_file");
    EXPECT_EQ(Lend(&src), "End_of_file");
}

TEST_F(SourceTest, OutIsWrittenOnSuccessOnly) {
    Source src;
    uint8_t byte = 0;
    size_t got = 77;
    EXPECT_EQ(Text(eio_source_single_read(&src, eio_buf_of(&byte, 1), &got)), "End_of_file");
    EXPECT_EQ(got, 77U);
    eio_slice loan = {&byte, 77};
    EXPECT_EQ(Text(eio_source_lend(&src, &loan)), "End_of_file");
    EXPECT_EQ(loan.base, &byte);
    EXPECT_EQ(loan.len, 77U);
}

TEST_F(SourceTest, ReadExactFillsFromManyReads) {
    Source src({"ab", "c", "defg"});
    uint8_t space[6];
    ASSERT_OK(eio_source_read_exact(&src, eio_buf_of(space, sizeof space)));
    EXPECT_EQ(Str(eio_slice_of(space, sizeof space)), "abcdef");
    EXPECT_EQ(src.reads, (std::vector<size_t>{6, 4, 3}));
    EXPECT_EQ(Read(&src, 8), "g");
}

TEST_F(SourceTest, ReadExactOfNothingDoesNotRead) {
    Source src({kBroken});
    ASSERT_OK(eio_source_read_exact(&src, eio_buf_of(nullptr, 0)));
    EXPECT_TRUE(src.reads.empty());
}

TEST_F(SourceTest, ReadExactThatMeetsTheEndIsEndOfFile) {
    Source src({"abc"});
    uint8_t space[4];
    EXPECT_EQ(Text(eio_source_read_exact(&src, eio_buf_of(space, 4))), "End_of_file");
    EXPECT_EQ(memcmp(space, "abc", 3), 0);
}

TEST_F(SourceTest, ReadExactPassesErrorsOn) {
    Source src({"abc", kBroken, "d"});
    uint8_t space[4];
    EXPECT_EQ(Text(eio_source_read_exact(&src, eio_buf_of(space, 4))), "Broken");
}

TEST_F(SourceDeathTest, ReadIntoAnEmptyBuffer) {
    Source src({"x"});
    size_t got;
    EXPECT_DEATH(eio_err_drop(eio_source_single_read(&src, eio_buf_of(nullptr, 0), &got)),
                 "chunked: read into an empty buffer");
}

// A provider that breaks its contract.
size_t g_claim;
eio_err *ClaimRead(eio_source *, eio_buf, size_t *out) {
    *out = g_claim;
    return nullptr;
}
eio_err *LendNothing(eio_source *, eio_slice *out) {
    *out = eio_slice_of(nullptr, 0);
    return nullptr;
}
eio_err *ClaimWrite(eio_sink *, const eio_slice *, size_t, size_t *out) {
    *out = g_claim;
    return nullptr;
}
void ReleaseNothing(eio_source *, size_t) {}

TEST_F(SourceDeathTest, ProviderReadsNothingOrTooMuch) {
    const eio_source_ops ops = {"liar", ClaimRead, nullptr, nullptr, nullptr};
    eio_source src = {&ops, nullptr};
    g_claim = 0;
    EXPECT_DEATH(Read(&src, 4), "liar: the source read nothing, and said no End_of_file");
    EXPECT_DEATH(Lend(&src), "liar: the source read nothing, and said no End_of_file");
    g_claim = 5;
    EXPECT_DEATH(Read(&src, 4), "liar: the source read more than there is room for");
    g_claim = 4;
    EXPECT_EQ(Read(&src, 4).size(), 4U);
}

TEST_F(SourceDeathTest, ProviderLendsNothing) {
    const eio_source_ops ops = {"liar", ClaimRead, LendNothing, ReleaseNothing, nullptr};
    eio_source src = {&ops, nullptr};
    EXPECT_DEATH(Lend(&src), "liar: the source lent nothing, and said no End_of_file");
}

// --- Lending -------------------------------------------------------------------------------------

class LendTest : public chunked::Test {};
using LendDeathTest = LendTest;

TEST_F(LendTest, TheLibraryLendsForASourceWithoutOwnMemory) {
    Source src({"hello"});
    EXPECT_EQ(Live(), 0);
    EXPECT_EQ(Lend(&src), "hello");
    EXPECT_EQ(src.reads, std::vector<size_t>{kChunk});
    EXPECT_EQ(Live(), 1);
    eio_source_release(&src, 5);
    EXPECT_EQ(Live(), 0) << "a loan wholly released leaves no buffer";
    EXPECT_EQ(src.lent, nullptr);
}

TEST_F(LendTest, WhatWasNotUsedIsReadFirstByReadAndLend) {
    Source src({"hello", "world"});
    EXPECT_EQ(Lend(&src), "hello");
    eio_source_release(&src, 1);
    EXPECT_EQ(Read(&src, 2), "el");
    EXPECT_EQ(Lend(&src), "lo") << "alone, though the source has more";
    eio_source_release(&src, 0);
    EXPECT_EQ(Lend(&src), "lo");
    EXPECT_EQ(src.reads.size(), 1U) << "the source isn't asked while there is some left";
    eio_source_release(&src, 1);
    EXPECT_EQ(Read(&src, 9), "o");
    EXPECT_EQ(Live(), 0) << "read to its end, the buffer goes";
    EXPECT_EQ(Read(&src, 9), "world");
}

TEST_F(LendTest, ReadExactGoesOnFromWhatWasLeft) {
    Source src({"hello", "world"});
    EXPECT_EQ(Lend(&src), "hello");
    eio_source_release(&src, 3);
    uint8_t space[7];
    ASSERT_OK(eio_source_read_exact(&src, eio_buf_of(space, 7)));
    EXPECT_EQ(Str(eio_slice_of(space, 7)), "loworld");
}

TEST_F(LendTest, AReadThatFailsLeavesNoBuffer) {
    Source src({kBroken, "x"});
    EXPECT_EQ(Lend(&src), "Broken");
    EXPECT_EQ(Live(), 0);
    EXPECT_EQ(Lend(&src), "x");
    eio_source_release(&src, 1);
    EXPECT_EQ(Lend(&src), "End_of_file");
    EXPECT_EQ(Live(), 0);
}

TEST_F(LendTest, WithoutMemoryNothingIsRead) {
    Source src({"x"});
    {
        FailAlloc fail(1);
        eio_slice loan;
        EXPECT_TRUE(eio_err_is(eio_source_lend(&src, &loan), &eio_err_out_of_memory));
    }
    EXPECT_TRUE(src.reads.empty());
    EXPECT_EQ(Read(&src, 4), "x");
}

TEST_F(LendTest, FiniFreesALoanAndWhatIsLeftOfOne) {
    Source lent({"hello"});
    EXPECT_EQ(Lend(&lent), "hello");
    eio_source_fini(&lent);
    EXPECT_EQ(Live(), 0);
    eio_source_fini(&lent);

    Source kept({"hello"});
    EXPECT_EQ(Lend(&kept), "hello");
    eio_source_release(&kept, 2);
    EXPECT_EQ(Live(), 1);
    eio_source_fini(&kept);
    EXPECT_EQ(Live(), 0);
}

TEST_F(LendTest, ASourceWithOwnMemoryLendsThat) {
    Source src({"hello", "world"}, Source::kLends);
    eio_slice loan;
    ASSERT_OK(eio_source_lend(&src, &loan));
    EXPECT_EQ(static_cast<const void *>(loan.base), src.steps.front().bytes.data());
    EXPECT_EQ(loan.len, 5U);
    EXPECT_EQ(Live(), 0);
    eio_source_release(&src, 4);
    EXPECT_EQ(Read(&src, 9), "o");
    EXPECT_EQ(Lend(&src), "world");
    eio_source_fini(&src);
    EXPECT_EQ(src.lent, nullptr);
}

TEST_F(LendDeathTest, OneLoanAtATime) {
    for (auto lending : {Source::kBorrows, Source::kLends}) {
        Source src({"hello"}, lending);
        EXPECT_EQ(Lend(&src), "hello");
        EXPECT_DEATH(Lend(&src), "read while its bytes are lent");
        EXPECT_DEATH(Read(&src, 1), "read while its bytes are lent");
        eio_source_release(&src, 5);
        EXPECT_DEATH(eio_source_release(&src, 0), "release without a loan");
    }
}

TEST_F(LendDeathTest, ReleaseOfMoreThanWasLent) {
    Source src({"hello"});
    EXPECT_EQ(Lend(&src), "hello");
    EXPECT_DEATH(eio_source_release(&src, 6), "chunked: release of more than was lent");
    eio_source_release(&src, 3);
    EXPECT_DEATH(eio_source_release(&src, 1), "chunked: release without a loan");
    EXPECT_EQ(Lend(&src), "lo");
    EXPECT_DEATH(eio_source_release(&src, 3), "chunked: release of more than was lent");
    eio_source_release(&src, 2);
}

TEST_F(LendDeathTest, OneReaderAtATime) {
    Source src({"hello"});
    src.during_read = [&] { Read(&src, 1); };
    EXPECT_DEATH(Lend(&src), "chunked: read by two fibers at once");
    src.during_read = [&] { Lend(&src); };
    EXPECT_DEATH(Lend(&src), "chunked: read by two fibers at once");
    src.during_read = [&] { eio_source_fini(&src); };
    EXPECT_DEATH(Lend(&src), "chunked: freed while a fiber reads it");
}

// --- Writing -------------------------------------------------------------------------------------

class SinkTest : public chunked::Test {};
using SinkDeathTest = SinkTest;

std::vector<eio_slice> Slices(const std::vector<std::string> &parts) {
    std::vector<eio_slice> slices;
    for (const std::string &part : parts)
        slices.push_back(Slice(part));
    return slices;
}

eio_err *WriteV(eio_sink *sink, const std::vector<std::string> &parts) {
    std::vector<eio_slice> slices = Slices(parts);
    return eio_sink_writev(sink, slices.data(), slices.size());
}

TEST_F(SinkTest, SingleWriteMayBeShort) {
    Sink sink;
    sink.max_per_write = 4;
    std::vector<std::string> parts = {"abc", "def"};
    std::vector<eio_slice> slices = Slices(parts);
    size_t wrote = 0;
    ASSERT_OK(eio_sink_single_write(&sink, slices.data(), 2, &wrote));
    EXPECT_EQ(wrote, 4U);
    EXPECT_EQ(sink.got, "abcd");
    EXPECT_EQ(sink.writes.size(), 1U);
}

TEST_F(SinkTest, SingleWriteSkipsEmptySlicesInFrontAndStopsBeforeOthers) {
    Sink sink;
    std::vector<std::string> parts = {"", "", "ab", "c", "", "d"};
    std::vector<eio_slice> slices = Slices(parts);
    size_t wrote = 0;
    ASSERT_OK(eio_sink_single_write(&sink, slices.data(), slices.size(), &wrote));
    EXPECT_EQ(wrote, 3U);
    EXPECT_EQ(sink.writes, (std::vector<std::vector<std::string>>{{"ab", "c"}}));
}

TEST_F(SinkTest, SingleWriteOffersNoMoreThanIovMax) {
    Sink sink;
    std::vector<std::string> parts(kIovMax + 1, "x");
    std::vector<eio_slice> slices = Slices(parts);
    size_t wrote = 0;
    ASSERT_OK(eio_sink_single_write(&sink, slices.data(), slices.size(), &wrote));
    EXPECT_EQ(wrote, kIovMax);
}

TEST_F(SinkDeathTest, SingleWriteOfNothing) {
    Sink sink;
    eio_slice empty[2] = {eio_slice_of(nullptr, 0), eio_slice_of("x", 0)};
    size_t wrote;
    EXPECT_DEATH(eio_err_drop(eio_sink_single_write(&sink, empty, 2, &wrote)),
                 "chunked: a single write of no bytes");
    EXPECT_DEATH(eio_err_drop(eio_sink_single_write(&sink, nullptr, 0, &wrote)),
                 "chunked: a single write of no bytes");
}

TEST_F(SinkDeathTest, ProviderWritesNothingOrTooMuch) {
    const eio_sink_ops ops = {"liar", ClaimWrite, nullptr, nullptr};
    eio_sink sink = {&ops};
    g_claim = 0;
    EXPECT_DEATH(eio_err_drop(eio_sink_write(&sink, eio_slice_of_str("ab"))),
                 "liar: the sink wrote nothing, and said no error");
    g_claim = 3;
    EXPECT_DEATH(eio_err_drop(eio_sink_write(&sink, eio_slice_of_str("ab"))),
                 "liar: the sink wrote more than there is");
    EXPECT_DEATH(eio_err_drop(WriteV(&sink, {"a", "b"})),
                 "liar: the sink wrote more than there is");
}

TEST_F(SinkTest, WriteGoesOnUntilAllIsWritten) {
    Sink sink;
    sink.max_per_write = 3;
    ASSERT_OK(eio_sink_write(&sink, eio_slice_of_str("abcdefgh")));
    EXPECT_EQ(sink.writes,
              (std::vector<std::vector<std::string>>{{"abcdefgh"}, {"defgh"}, {"gh"}}));
    EXPECT_EQ(sink.got, "abcdefgh");
}

TEST_F(SinkTest, WriteOfNothingDoesNotWrite) {
    Sink sink;
    sink.fail = &kBroken;
    EXPECT_OK(eio_sink_write(&sink, eio_slice_of(nullptr, 0)));
    EXPECT_OK(eio_sink_writev(&sink, nullptr, 0));
    EXPECT_OK(WriteV(&sink, {"", "", ""}));
}

TEST_F(SinkTest, WriteErrorsEndTheWrite) {
    Sink sink;
    sink.max_per_write = 2;
    sink.fail = &kBroken;
    sink.fail_after = 2;
    EXPECT_EQ(Text(eio_sink_write(&sink, eio_slice_of_str("abcdefgh"))), "Broken");
    EXPECT_EQ(sink.got, "abcd");
    EXPECT_EQ(Text(WriteV(&sink, {"x", "y"})), "Broken");
}

TEST_F(SinkTest, WritevIsOneGatheredWriteWhereTheSinkTakesAll) {
    Sink sink;
    ASSERT_OK(WriteV(&sink, {"a", "b", "c"}));
    ASSERT_OK(WriteV(&sink, {"", "d", "", "e", ""}));
    EXPECT_EQ(sink.writes, (std::vector<std::vector<std::string>>{{"a", "b", "c"}, {"d", "e"}}));
}

TEST_F(SinkTest, WritevGoesOnInTheMiddleOfASlice) {
    Sink sink;
    sink.max_per_write = 2;
    ASSERT_OK(WriteV(&sink, {"abc", "", "de", "f"}));
    EXPECT_EQ(sink.writes, (std::vector<std::vector<std::string>>{
                               {"abc", "de", "f"}, {"c", "de", "f"}, {"e", "f"}}));
    EXPECT_EQ(sink.got, "abcdef");
}

TEST_F(SinkTest, WritevSplitsAtIovMax) {
    Sink sink;
    ASSERT_OK(WriteV(&sink, std::vector<std::string>(2 * kIovMax + 10, "x")));
    ASSERT_EQ(sink.writes.size(), 3U);
    EXPECT_EQ(sink.writes[0].size(), kIovMax);
    EXPECT_EQ(sink.writes[1].size(), kIovMax);
    EXPECT_EQ(sink.writes[2].size(), 10U);
    EXPECT_EQ(sink.got, std::string(2 * kIovMax + 10, 'x'));
}

TEST_F(SinkTest, WritevWritesEverythingInOrderHoweverShortTheWritesAre) {
    std::minstd_rand random(7);
    for (int round = 0; round < 300; round++) {
        std::vector<std::string> parts(random() % (round % 10 == 0 ? 1500 : 90));
        std::string all;
        for (std::string &part : parts) {
            part = random() % 3 == 0 ? "" : Bytes(random() % 20, random());
            all += part;
        }
        Sink sink;
        sink.take = [&](size_t offered) { return 1 + random() % offered; };
        ASSERT_OK(WriteV(&sink, parts));
        ASSERT_EQ(sink.got, all) << "round " << round;
    }
}

// --- Copying -------------------------------------------------------------------------------------

class CopyTest : public chunked::Test {};

TEST_F(CopyTest, CopyMovesEverythingUpToTheEnd) {
    for (auto lending : {Source::kBorrows, Source::kLends}) {
        Source src({"hello ", "big ", "world"}, lending);
        Sink sink;
        sink.max_per_write = 4;
        ASSERT_OK(eio_flow_copy(&src, &sink));
        EXPECT_EQ(sink.got, "hello big world");
        EXPECT_EQ(src.at_eof, 1U);
    }
}

TEST_F(CopyTest, CopyOfAnEmptySourceWritesNothing) {
    Source src;
    Sink sink;
    sink.fail = &kBroken;
    EXPECT_OK(eio_flow_copy(&src, &sink));
}

TEST_F(CopyTest, CopyWritesLentBytesInPlaceAndElseUsesOneBuffer) {
    std::vector<chunked::Step> script = {Bytes(100, 1), Bytes(2 * kChunk + 5, 2), Bytes(1, 3)};
    {
        Source src(script, Source::kLends);
        Sink sink;
        FailAlloc count(0);
        eio_err *err = eio_flow_copy(&src, &sink);
        EXPECT_EQ(count.count(), 0);
        ASSERT_OK(err);
        EXPECT_EQ(sink.writes.size(), 3U);
    }
    {
        Source src(script);
        Sink sink;
        FailAlloc count(0);
        eio_err *err = eio_flow_copy(&src, &sink);
        EXPECT_EQ(count.count(), 1) << "not one for each round";
        ASSERT_OK(err);
        EXPECT_EQ(sink.got, Bytes(100, 1) + Bytes(2 * kChunk + 5, 2) + Bytes(1, 3));
        EXPECT_EQ(src.reads, std::vector<size_t>(6, kChunk));
    }
}

TEST_F(CopyTest, CopyStartsWithWhatALoanLeft) {
    Source src({"hello", " world"});
    EXPECT_EQ(Lend(&src), "hello");
    eio_source_release(&src, 2);
    Sink sink;
    ASSERT_OK(eio_flow_copy(&src, &sink));
    EXPECT_EQ(sink.got, "llo world");
}

TEST_F(CopyTest, ErrorsOfBothSidesEndTheCopyAndLeaveNothing) {
    for (auto lending : {Source::kBorrows, Source::kLends}) {
        Source broken({"ab", kBroken, "cd"}, lending);
        Sink sink;
        EXPECT_EQ(Text(eio_flow_copy(&broken, &sink)), "Broken");
        EXPECT_EQ(sink.got, "ab");

        Source src({"ab", "cd"}, lending);
        sink.fail = &kBroken;
        EXPECT_EQ(Text(eio_flow_copy(&src, &sink)), "Broken");
        EXPECT_EQ(src.lent, nullptr) << "the loan was given back";
        EXPECT_EQ(Read(&src, 9), "cd");
    }
}

TEST_F(CopyTest, EndOfFileFromTheSinkIsAnError) {
    for (auto lending : {Source::kBorrows, Source::kLends}) {
        Source src({"ab"}, lending);
        Sink sink;
        sink.fail = &eio_err_end_of_file;
        EXPECT_EQ(Text(eio_flow_copy(&src, &sink)), "End_of_file");
    }
}

TEST_F(CopyTest, WithoutMemoryNothingIsRead) {
    Source src({"ab"});
    Sink sink;
    {
        FailAlloc fail(1);
        EXPECT_TRUE(eio_err_is(eio_flow_copy(&src, &sink), &eio_err_out_of_memory));
    }
    EXPECT_TRUE(src.reads.empty());
}

eio_source *g_copied;
eio_err *CopyFrom(eio_sink *sink, eio_source *src) {
    g_copied = src;
    return eio_flow_simple_copy(src, sink);
}
std::string g_wrote;
eio_err *Append(eio_sink *, const eio_slice *slices, size_t, size_t *out) {
    g_wrote += Str(slices[0]);
    *out = slices[0].len;
    return nullptr;
}

TEST_F(CopyTest, TheSinkDecidesHow) {
    const eio_sink_ops ops = {"clever", Append, CopyFrom, nullptr};
    eio_sink sink = {&ops};
    g_copied = nullptr;
    g_wrote.clear();
    Source src({"ab"});
    ASSERT_OK(eio_flow_copy(&src, &sink));
    EXPECT_EQ(g_copied, &src);
    EXPECT_EQ(g_wrote, "ab");

    g_copied = nullptr;
    ASSERT_OK(eio_flow_copy_string("cd", &sink));
    EXPECT_NE(g_copied, nullptr) << "a text is copied, too";
    EXPECT_EQ(g_wrote, "abcd");

    g_copied = nullptr;
    ASSERT_OK(eio_flow_copy_string("", &sink));
    EXPECT_EQ(g_copied, nullptr) << "but not an empty one";
}

TEST_F(CopyTest, CopyStringIsOneWriteWhereTheSinkTakesAll) {
    Sink sink;
    FailAlloc count(0);
    eio_err *err = eio_flow_copy_string("GET / HTTP/1.0\r\n\r\n", &sink);
    EXPECT_EQ(count.count(), 0);
    ASSERT_OK(err);
    EXPECT_EQ(sink.writes, (std::vector<std::vector<std::string>>{{"GET / HTTP/1.0\r\n\r\n"}}));
}

TEST_F(CopyTest, CopyOfAnEmptyStringDoesNotWrite) {
    Sink sink;
    sink.fail = &kBroken;
    EXPECT_OK(eio_flow_copy_string("", &sink));
    EXPECT_EQ(Text(eio_flow_copy_string("x", &sink)), "Broken");
}

class ReadAllTest : public chunked::Test {
  protected:
    void TearDown() override {
        eio_strbuf_free(&text_);
        chunked::Test::TearDown();
    }
    eio_strbuf text_ = EIO_STRBUF_INIT;
};

TEST_F(ReadAllTest, AppendsEverything) {
    eio_strbuf_adds(&text_, "> ");
    Source src({"one", "two"});
    ASSERT_OK(eio_source_read_all(&src, SIZE_MAX, &text_));
    EXPECT_STREQ(eio_strbuf_str(&text_), "> onetwo");
}

TEST_F(ReadAllTest, TheLimitItselfIsAllowedAndMoreIsNot) {
    Source three({"ab", "c"});
    ASSERT_OK(eio_source_read_all(&three, 3, &text_));
    EXPECT_STREQ(eio_strbuf_str(&text_), "abc");

    eio_strbuf_clear(&text_);
    Source four({"ab", "cd", kBroken});
    EXPECT_EQ(Text(eio_source_read_all(&four, 3, &text_)), "Eio__Buf_read.Buffer_limit_exceeded");
    EXPECT_STREQ(eio_strbuf_str(&text_), "abc") << "what came before";

    Source none;
    ASSERT_OK(eio_source_read_all(&none, 0, &text_));
    Source one({"a"});
    EXPECT_EQ(Text(eio_source_read_all(&one, 0, &text_)), "Eio__Buf_read.Buffer_limit_exceeded");
}

TEST_F(ReadAllTest, AReadErrorKeepsWhatCameBefore) {
    Source src({"ab", kBroken});
    EXPECT_EQ(Text(eio_source_read_all(&src, SIZE_MAX, &text_)), "Broken");
    EXPECT_STREQ(eio_strbuf_str(&text_), "ab");
}

TEST_F(ReadAllTest, EveryAllocationMayFail) {
    bool failed = true;
    for (int nth = 1; failed; nth++) {
        eio_strbuf_free(&text_);
        Source src({"ab", Bytes(5000, 1)});
        eio_err *err;
        {
            FailAlloc fail(nth);
            err = eio_source_read_all(&src, SIZE_MAX, &text_);
            failed = fail.failed();
        }
        EXPECT_EQ(Text(err), failed ? "Out_of_memory" : "ok") << "allocation " << nth;
    }
    EXPECT_EQ(text_.len, 5002U);
}

// --- Flows ---------------------------------------------------------------------------------------

// Logs what is asked of it; its source is scripted; once closed, reads say so.
class Flow : public eio_flow {
  public:
    explicit Flow(std::vector<chunked::Step> script = {})
        : eio_flow{{&SourceOps(), nullptr}, *static_cast<eio_sink *>(&sink_), &FlowOps()},
          src(std::move(script)) {
        this->sink.ops = &SinkOps();
    }

    Source src;
    std::string log;
    bool closed = false;
    Sink written;

  private:
    static Flow *Of(eio_source *source) {
        return static_cast<Flow *>(reinterpret_cast<eio_flow *>(source));
    }
    static eio_err *SingleRead(eio_source *source, eio_buf buf, size_t *out_got) {
        Flow *self = Of(source);
        if (self->closed)
            return eio_err_const(&eio_err_closed);
        return eio_source_single_read(&self->src, buf, out_got);
    }
    static eio_err *SingleWrite(eio_sink *sink, const eio_slice *slices, size_t n, size_t *out) {
        auto *flow =
            reinterpret_cast<eio_flow *>(reinterpret_cast<char *>(sink) - offsetof(eio_flow, sink));
        return eio_sink_single_write(&static_cast<Flow *>(flow)->written, slices, n, out);
    }
    static eio_err *Shutdown(eio_flow *flow, eio_shutdown how) {
        static_cast<Flow *>(flow)->log +=
            "shutdown " + std::to_string(static_cast<int>(how)) + "; ";
        return static_cast<Flow *>(flow)->closed ? eio_err_const(&eio_err_closed) : nullptr;
    }
    static void Close(eio_flow *flow) {
        static_cast<Flow *>(flow)->closed = true;
        static_cast<Flow *>(flow)->log += "close; ";
    }
    static void Free(eio_flow *flow) { static_cast<Flow *>(flow)->log += "free; "; }

    static const eio_source_ops &SourceOps() {
        static const eio_source_ops ops = {"flow", SingleRead, nullptr, nullptr, nullptr};
        return ops;
    }
    static const eio_sink_ops &SinkOps() {
        static const eio_sink_ops ops = {"flow", SingleWrite, nullptr, nullptr};
        return ops;
    }
    static const eio_flow_ops &FlowOps() {
        static const eio_flow_ops ops = {"flow", Shutdown, Close, Free, nullptr};
        return ops;
    }
    Sink sink_;
};

class FlowTest : public chunked::Test {};

TEST_F(FlowTest, ShutdownCloseAndFreeReachTheProvider) {
    Flow flow;
    ASSERT_OK(eio_flow_shutdown(&flow, EIO_SHUTDOWN_SEND));
    eio_flow_close(&flow);
    eio_flow_close(&flow);
    EXPECT_NE(Text(eio_flow_shutdown(&flow, EIO_SHUTDOWN_ALL)), "ok");
    eio_flow_free(&flow);
    EXPECT_EQ(flow.log, "shutdown 1; close; close; shutdown 2; free; ");
}

TEST_F(FlowTest, CloseAndFreeTakeNull) {
    eio_flow_close(nullptr);
    eio_flow_free(nullptr);
}

TEST_F(FlowTest, AfterACloseNoOldBytesAreRead) {
    Flow flow({"hello"});
    EXPECT_EQ(Lend(&flow.source), "hello");
    eio_source_release(&flow.source, 1);
    eio_flow_close(&flow);
    EXPECT_EQ(Live(), 0);
    std::string closed = Text(eio_err_const(&eio_err_closed));
    EXPECT_EQ(Read(&flow.source, 9), closed);
    EXPECT_EQ(Lend(&flow.source), closed);
}

TEST_F(FlowTest, ALoanOutlivesACloseButNothingOfItIsKept) {
    Flow flow({"hello"});
    eio_slice loan;
    ASSERT_OK(eio_source_lend(&flow.source, &loan));
    eio_flow_close(&flow);
    EXPECT_EQ(Str(loan), "hello");
    eio_source_release(&flow.source, 1);
    EXPECT_EQ(Live(), 0);
    EXPECT_EQ(Read(&flow.source, 9), Text(eio_err_const(&eio_err_closed)));
}

TEST_F(FlowTest, AReadThatACloseInterruptsMayStillSucceed) {
    Flow flow({"hello"});
    flow.src.during_read = [&] { eio_flow_close(&flow); };
    eio_slice loan;
    ASSERT_OK(eio_source_lend(&flow.source, &loan));
    EXPECT_EQ(Str(loan), "hello");
    eio_source_release(&flow.source, 1);
    EXPECT_EQ(Live(), 0);
    EXPECT_EQ(Read(&flow.source, 9), Text(eio_err_const(&eio_err_closed)));
}

TEST_F(FlowTest, FreeTakesALoanBack) {
    Flow flow({"hello"});
    EXPECT_EQ(Lend(&flow.source), "hello");
    eio_flow_free(&flow);
    EXPECT_EQ(Live(), 0);
    EXPECT_EQ(flow.log, "free; ");
}

// --- A wrapper -----------------------------------------------------------------------------------

std::string Xor(std::string s, uint8_t key) {
    for (char &c : s)
        c = static_cast<char>(static_cast<uint8_t>(c) ^ key);
    return s;
}

class XorTest : public chunked::Test {
  protected:
    static constexpr uint8_t kKey = 0x5a;
};

TEST_F(XorTest, LendsWhatItChanged) {
    Flow raw({Xor("hello", kKey), Xor("world", kKey)});
    struct xor_flow flow;
    xor_flow_init(&flow, &raw, kKey);
    EXPECT_EQ(Lend(&flow.base.source), "hello");
    eio_source_release(&flow.base.source, 3);
    EXPECT_EQ(Read(&flow.base.source, 9), "lo");
    EXPECT_EQ(Lend(&flow.base.source), "world");
    eio_source_release(&flow.base.source, 2);
    eio_flow_free(&flow.base);
    EXPECT_EQ(raw.log, "close; ");
}

TEST_F(XorTest, CopyThroughAPairOfWrappersGivesBackTheBytes) {
    std::string text = Bytes(3 * kChunk + 17, 5);
    Flow plain({text.substr(0, 1000), text.substr(1000)});
    Flow wire;
    wire.written.max_per_write = 700;
    struct xor_flow in;
    xor_flow_init(&in, &wire, kKey);
    ASSERT_OK(eio_flow_copy(&plain.source, &in.base.sink));
    EXPECT_EQ(wire.written.got, Xor(text, kKey));

    Flow received({wire.written.got});
    struct xor_flow back;
    xor_flow_init(&back, &received, kKey);
    Sink sink;
    ASSERT_OK(eio_flow_copy(&back.base.source, &sink));
    EXPECT_EQ(sink.got, text);
}

TEST_F(XorTest, GatheredWritesAreChangedInOrder) {
    Flow wire;
    wire.written.max_per_write = 5;
    struct xor_flow flow;
    xor_flow_init(&flow, &wire, kKey);
    std::string big = Bytes(1500, 9);
    ASSERT_OK(WriteV(&flow.base.sink, {"abc", "", big, "d"}));
    EXPECT_EQ(wire.written.got, Xor("abc" + big + "d", kKey));
}

TEST_F(XorTest, ParsersAndTextsWorkThroughIt) {
    Flow raw({Xor("one\r", kKey), Xor("\ntwo", kKey)});
    struct xor_flow flow;
    xor_flow_init(&flow, &raw, kKey);
    eio_buf_read in;
    ASSERT_OK(eio_buf_read_init(&in, &flow.base.source, 100));
    eio_slice line;
    ASSERT_OK(eio_buf_read_line(&in, &line));
    EXPECT_EQ(Str(line), "one");
    ASSERT_OK(eio_buf_read_line(&in, &line));
    EXPECT_EQ(Str(line), "two");
    eio_buf_read_fini(&in);
    ASSERT_OK(eio_flow_copy_string("three", &flow.base.sink));
    EXPECT_EQ(raw.written.got, Xor("three", kKey));
    ASSERT_OK(eio_flow_shutdown(&flow.base, EIO_SHUTDOWN_SEND));
    EXPECT_EQ(raw.log, "shutdown 1; ");
}

TEST_F(XorTest, DoesNotGiveAwayWhatIsBehindIt) {
    Flow raw;
    struct xor_flow flow;
    xor_flow_init(&flow, &raw, kKey);
    EXPECT_EQ(flow.base.ops->query, nullptr);
    EXPECT_EQ(flow.base.source.ops->query, nullptr);
    EXPECT_EQ(flow.base.sink.ops->query, nullptr);
    EXPECT_EQ(flow.base.sink.ops->copy_from, nullptr);
}

} // namespace
