// SPDX-License-Identifier: ISC
#include "eio/buf_read.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "eio/flow_pi.h"
#include "eio/mem.h"
#include "eio/mock/backend.h"
#include "eio/switch.h"
#include "flow/chunked.h"

namespace {

using chunked::FailAlloc;
using chunked::Sink;
using chunked::Slice;
using chunked::Source;
using chunked::Step;
using chunked::Str;
using chunked::Text;

constexpr size_t kFirst = 4096; // the first buffer, where the bound allows it
const char kLimit[] = "Eio__Buf_read.Buffer_limit_exceeded";

const eio_err_kind kBroken = {nullptr, "Broken"};

bool IsDigit(void *, uint8_t c) {
    return c >= '0' && c <= '9';
}
bool IsNoDigit(void *, uint8_t c) {
    return !IsDigit(nullptr, c);
}
bool IsArg(void *arg, uint8_t c) {
    return c == *static_cast<const uint8_t *>(arg);
}

/** A reader over a scripted source; each operation gives its result, or the error, as text. */
class Reader {
  public:
    Reader(std::vector<Step> script, size_t max_size) : src(std::move(script)) {
        EXPECT_OK(eio_buf_read_init(&in, &src, max_size));
    }
    ~Reader() { eio_buf_read_fini(&in); }
    Reader(const Reader &) = delete;
    Reader &operator=(const Reader &) = delete;

    std::string Line() { return Get(eio_buf_read_line); }
    std::string TakeAll() { return Get(eio_buf_read_take_all); }
    std::string Take(size_t n) {
        eio_slice s;
        eio_err *err = eio_buf_read_take(&in, n, &s);
        return err != nullptr ? Text(err) : Str(s);
    }
    std::string TakeWhile(eio_byte_fn *fn, void *arg = nullptr) {
        eio_slice s;
        eio_err *err = eio_buf_read_take_while(&in, fn, arg, &s);
        return err != nullptr ? Text(err) : Str(s);
    }
    std::string Skip(uint64_t n) { return Text(eio_buf_read_skip(&in, n)); }
    std::string SkipWhile(eio_byte_fn *fn) {
        return Text(eio_buf_read_skip_while(&in, fn, nullptr));
    }
    std::string AnyChar() { return GetChar(eio_buf_read_any_char); }
    std::string PeekChar() { return GetChar(eio_buf_read_peek_char); }
    std::string Char(char c) { return Text(eio_buf_read_char(&in, c)); }
    std::string String(const std::string &s) { return Text(eio_buf_read_string(&in, Slice(s))); }
    std::string Ensure(size_t n) {
        eio_err *err = eio_buf_read_ensure(&in, n);
        return err != nullptr ? Text(err) : Peek();
    }
    std::string Peek() const {
        EXPECT_EQ(eio_buf_read_peek(&in).len, eio_buf_read_buffered(&in));
        return Str(eio_buf_read_peek(&in));
    }

    Source src;
    eio_buf_read in;

  private:
    template <typename Fn> std::string Get(Fn fn) {
        eio_slice s = {nullptr, 0};
        eio_err *err = fn(&in, &s);
        return err != nullptr ? Text(err) : Str(s);
    }
    template <typename Fn> std::string GetChar(Fn fn) {
        char c = 0;
        eio_err *err = fn(&in, &c);
        return err != nullptr ? Text(err) : std::string(1, c);
    }
};

class BufReadTest : public chunked::Test {};
using BufReadDeathTest = BufReadTest;

// --- Life ----------------------------------------------------------------------------------------

TEST_F(BufReadTest, TheBoundIsRequired) {
    Source src;
    eio_buf_read in;
    EXPECT_EQ(Text(eio_buf_read_init(&in, &src, 0)),
              "Invalid_argument(\"Max size 0 should be positive!\")");
    eio_buf_read_fini(&in);
}

TEST_F(BufReadTest, NothingIsAllocatedOrReadBeforeTheFirstUse) {
    Reader r({"x"}, 10);
    EXPECT_EQ(Live(), 0);
    EXPECT_TRUE(r.src.reads.empty());
    EXPECT_EQ(r.Peek(), "");
    EXPECT_EQ(r.Ensure(1), "x");
    EXPECT_EQ(Live(), 1);
}

TEST_F(BufReadTest, FiniTakesNullAndComesTwice) {
    Source src({"x"});
    eio_buf_read in;
    ASSERT_OK(eio_buf_read_init(&in, &src, 10));
    ASSERT_OK(eio_buf_read_ensure(&in, 1));
    eio_buf_read_fini(&in);
    EXPECT_EQ(Live(), 0);
    eio_buf_read_fini(&in);
    eio_buf_read_fini(nullptr);
}

TEST_F(BufReadDeathTest, NotAfterItsEndNorInAnotherThread) {
    Reader r({"x"}, 10);
    EXPECT_DEATH(std::thread([&] { r.Ensure(1); }).join(), "used in another thread");
    eio_buf_read_fini(&r.in);
    EXPECT_DEATH(r.Ensure(1), "used after its end");
}

using SwitchFn = std::function<eio_err *(eio_switch *)>;

eio_err *CallInSwitch(void *arg, eio_switch *sw) {
    return (*static_cast<SwitchFn *>(arg))(sw);
}
eio_err *OpenSwitch(void *arg) {
    return eio_switch_run(CallInSwitch, arg);
}

TEST_F(BufReadTest, ACreatedReaderGoesWithItsSwitch) {
    SwitchFn fn = [](eio_switch *sw) -> eio_err * {
        Source src({"one\ntwo\n"});
        eio_buf_read *in = nullptr;
        eio_err *err;
        {
            FailAlloc fail(1);
            err = eio_buf_read_create(sw, &src, 100, &in);
        }
        EXPECT_EQ(Text(err), "Out_of_memory");
        EXPECT_EQ(Text(eio_buf_read_create(sw, &src, 0, &in)),
                  "Invalid_argument(\"Max size 0 should be positive!\")");
        EXPECT_EQ(in, nullptr);

        eio_buf_read *early;
        EIO_TRY(eio_buf_read_create(sw, &src, 100, &early));
        EIO_TRY(eio_buf_read_ensure(early, 1));
        eio_buf_read_fini(early);

        src.steps.push_back("three\n");
        EIO_TRY(eio_buf_read_create(sw, &src, 100, &in));
        eio_slice line;
        EIO_TRY(eio_buf_read_line(in, &line));
        EXPECT_EQ(Str(line), "three");
        return nullptr;
    };
    ASSERT_OK(eio_mock_run(OpenSwitch, &fn));
}

// --- The window ----------------------------------------------------------------------------------

TEST_F(BufReadTest, ASimpleRun) {
    Reader r({"Hello"}, 100);
    EXPECT_EQ(r.Peek(), "");
    EXPECT_EQ(r.Ensure(1), "Hello");
    eio_buf_read_consume(&r.in, 1);
    EXPECT_EQ(r.Peek(), "ello");
    EXPECT_EQ(r.Ensure(4), "ello");
    EXPECT_EQ(r.Ensure(5), "End_of_file");
    EXPECT_EQ(r.Peek(), "ello");
    eio_buf_read_consume(&r.in, 4);
    EXPECT_EQ(r.Peek(), "");
    EXPECT_EQ(eio_buf_read_consumed(&r.in), 5U);
    EXPECT_EQ(r.Ensure(0), "");
}

TEST_F(BufReadTest, TheBufferGrowsByDoublingUpToTheBound) {
    Reader r({std::string(20000, 'x')}, 10000);
    EXPECT_EQ(r.Ensure(1).size(), kFirst);
    EXPECT_EQ(r.Ensure(kFirst).size(), kFirst);
    EXPECT_EQ(r.Ensure(kFirst + 1).size(), 2 * kFirst);
    EXPECT_EQ(r.Ensure(2 * kFirst + 1).size(), 10000U);
    EXPECT_EQ(r.src.reads, (std::vector<size_t>{kFirst, kFirst, 10000 - 2 * kFirst}));
    EXPECT_EQ(r.Ensure(10001), kLimit);
    EXPECT_EQ(r.Peek().size(), 10000U);
}

TEST_F(BufReadTest, WhereDoublingIsNotEnoughItGrowsToWhatIsAsked) {
    Reader r({std::string(100000, 'x')}, 1000000);
    EXPECT_EQ(r.Ensure(50000).size(), 50000U);
    EXPECT_EQ(r.src.reads, std::vector<size_t>{50000});
    Reader small({"hello world!"}, 10);
    EXPECT_EQ(small.Ensure(1), "hello worl");
    EXPECT_EQ(small.src.reads, std::vector<size_t>{10});
}

TEST_F(BufReadTest, TheBoundMayBeEverything) {
    Reader r({std::string(9000, 'x')}, SIZE_MAX);
    EXPECT_EQ(r.TakeAll().size(), 9000U);
}

TEST_F(BufReadTest, OneReadIsEnoughWhereItBringsEnough) {
    Reader r({"one", "two", "three"}, 10);
    EXPECT_EQ(r.Ensure(10), "onetwothre");
    eio_buf_read_consume(&r.in, 4);
    EXPECT_EQ(r.Ensure(7), "wothree") << "moved to the front, which makes room";
    EXPECT_EQ(r.src.reads, (std::vector<size_t>{10, 7, 4, 4}));
}

TEST_F(BufReadTest, AShortRestIsMovedToTheFrontBeforeARead) {
    Reader r({std::string(98, 'x') + "ab", "cdef"}, 100);
    EXPECT_EQ(r.Take(98).size(), 98U);
    EXPECT_EQ(r.Ensure(3), "abcdef");
    EXPECT_EQ(r.src.reads, (std::vector<size_t>{100, 98})) << "not one byte at a time";
}

TEST_F(BufReadTest, TheEndIsRemembered) {
    Reader r({"hi"}, 10);
    EXPECT_EQ(r.Ensure(10), "End_of_file");
    EXPECT_EQ(r.Peek(), "hi");
    EXPECT_EQ(r.Ensure(10), "End_of_file");
    EXPECT_EQ(r.TakeAll(), "hi");
    EXPECT_EQ(r.TakeAll(), "");
    EXPECT_EQ(r.Line(), "End_of_file");
    EXPECT_EQ(r.src.at_eof, 1U);
}

TEST_F(BufReadTest, TheBoundComesBeforeTheEnd) {
    Reader r({"hi"}, 10);
    EXPECT_EQ(r.Ensure(11), kLimit);
    EXPECT_TRUE(r.src.reads.empty());
    EXPECT_EQ(r.Ensure(3), "End_of_file");
    EXPECT_EQ(r.Ensure(11), kLimit);
}

TEST_F(BufReadTest, WhatCameBeforeAnErrorStays) {
    Reader r({"ab", kBroken, "cd", kBroken, "e"}, 10);
    EXPECT_EQ(r.Take(5), "Broken");
    EXPECT_EQ(r.Peek(), "ab");
    EXPECT_EQ(r.TakeAll(), "Broken");
    EXPECT_EQ(r.Peek(), "abcd");
    EXPECT_EQ(r.TakeAll(), "abcde");
}

TEST_F(BufReadTest, OutOfMemoryLosesNothing) {
    Reader r({std::string(5000, 'x')}, 10000);
    eio_err *err;
    {
        FailAlloc fail(1);
        err = eio_buf_read_ensure(&r.in, 1);
    }
    EXPECT_EQ(Text(err), "Out_of_memory");
    EXPECT_EQ(r.Ensure(1).size(), kFirst);
    {
        FailAlloc fail(1);
        err = eio_buf_read_ensure(&r.in, 5000);
    }
    EXPECT_EQ(Text(err), "Out_of_memory");
    EXPECT_EQ(r.TakeAll().size(), 5000U);
}

TEST_F(BufReadDeathTest, NoMoreIsConsumedThanIsBuffered) {
    Reader r({"ab"}, 10);
    r.Ensure(1);
    EXPECT_DEATH(eio_buf_read_consume(&r.in, 3), "more bytes consumed than are buffered");
}

// --- Lines ---------------------------------------------------------------------------------------

using Strings = std::vector<std::string>;

struct LineCase {
    const char *name;
    std::vector<Step> script;
    Strings lines; // up to the first End_of_file
};

TEST_F(BufReadTest, Lines) {
    const LineCase cases[] = {
        {"unix", {"one", "\ntwo\n", "three\n"}, {"one", "two", "three"}},
        {"dos", {"one\r", "\ntwo\r\n", "three\r\n"}, {"one", "two", "three"}},
        {"no LF at the end", {"on", "e\ntwo"}, {"one", "two"}},
        {"many in one read", {"one\ntwo\n\nthree"}, {"one", "two", "", "three"}},
        {"empty lines", {"\n\r\n\n"}, {"", "", ""}},
        {"one CR is stripped", {"a\r\r\n"}, {"a\r"}},
        {"CR inside stays", {"a\rb\n\r"}, {"a\rb", "\r"}},
        {"CR at the end without LF stays", {"abc\r"}, {"abc\r"}},
        {"NUL is a byte", {std::string("a\0b\n", 4)}, {std::string("a\0b", 3)}},
        {"nothing", {}, {}},
    };
    for (const LineCase &c : cases) {
        Reader r(c.script, 100);
        Strings lines;
        for (std::string line = r.Line(); line != "End_of_file"; line = r.Line())
            lines.push_back(line);
        EXPECT_EQ(lines, c.lines) << c.name;
        EXPECT_EQ(r.Line(), "End_of_file") << c.name;
    }
}

TEST_F(BufReadTest, ALineIsThereAsSoonAsItsLfIs) {
    Reader r({"one\n", kBroken}, 100);
    EXPECT_EQ(r.Line(), "one");
    EXPECT_EQ(r.src.reads.size(), 1U);
}

TEST_F(BufReadTest, ALineAndItsLfMayFillTheBound) {
    EXPECT_EQ(Reader({"abc\n"}, 4).Line(), "abc");
    EXPECT_EQ(Reader({"abcd\n"}, 4).Line(), kLimit);
    EXPECT_EQ(Reader({"abc\r\n"}, 4).Line(), kLimit);
    EXPECT_EQ(Reader({"abc"}, 4).Line(), "abc");
    EXPECT_EQ(Reader({"abcd"}, 4).Line(), kLimit) << "as take_all has it";
    Reader r({"abcdef\n"}, 4);
    EXPECT_EQ(r.Line(), kLimit);
    EXPECT_EQ(r.Take(4), "abcd") << "nothing was consumed";
    EXPECT_EQ(r.Line(), "ef");
}

TEST_F(BufReadTest, NoByteIsSearchedForLfTwice) {
    Reader r({"abc", kBroken, "def", kBroken, "gh\nij"}, 100);
    EXPECT_EQ(r.Line(), "Broken");
    EXPECT_EQ(r.in.no_lf, 3U);
    EXPECT_EQ(r.Line(), "Broken");
    EXPECT_EQ(r.in.no_lf, 6U);
    EXPECT_EQ(r.Take(2), "ab");
    EXPECT_EQ(r.in.no_lf, 4U);
    EXPECT_EQ(r.Line(), "cdefgh");
    EXPECT_EQ(r.in.no_lf, 0U);
    EXPECT_EQ(r.Line(), "ij");
}

TEST_F(BufReadTest, LineToAppendsACopy) {
    eio_strbuf text = EIO_STRBUF_INIT;
    Reader r({"one\r\ntwo\n", kBroken, "\n", "three"}, 100);
    ASSERT_OK(eio_buf_read_line_to(&r.in, &text));
    ASSERT_OK(eio_buf_read_line_to(&r.in, &text));
    EXPECT_STREQ(eio_strbuf_str(&text), "onetwo");
    EXPECT_EQ(Text(eio_buf_read_line_to(&r.in, &text)), "Broken");
    ASSERT_OK(eio_buf_read_line_to(&r.in, &text));
    EXPECT_STREQ(eio_strbuf_str(&text), "onetwo");
    eio_strbuf_free(&text);
    eio_err *err;
    ASSERT_OK(eio_buf_read_ensure(&r.in, 5));
    {
        FailAlloc fail(1);
        err = eio_buf_read_line_to(&r.in, &text);
    }
    EXPECT_EQ(Text(err), "Out_of_memory");
    EXPECT_EQ(r.Line(), "End_of_file") << "that line is lost";
    eio_strbuf_free(&text);
}

// --- Blocks --------------------------------------------------------------------------------------

TEST_F(BufReadTest, TakeAllNeedsOneByteMoreThanThereIs) {
    EXPECT_EQ(Reader({"ab"}, 3).TakeAll(), "ab");
    EXPECT_EQ(Reader({"abc"}, 3).TakeAll(), kLimit);
    EXPECT_EQ(Reader({}, 1).TakeAll(), "");
    Reader r({"abc", "def", "ghi", "jkl"}, 10);
    EXPECT_EQ(r.TakeAll(), kLimit);
    EXPECT_EQ(r.src.reads, (std::vector<size_t>{10, 7, 4, 1}));
    EXPECT_EQ(r.Take(3), "abc");
    EXPECT_EQ(r.TakeAll(), "defghijkl");
}

TEST_F(BufReadTest, TakeIsExact) {
    Reader r({"ab", "c"}, 100);
    EXPECT_EQ(r.Take(0), "");
    EXPECT_TRUE(r.src.reads.empty());
    EXPECT_EQ(r.Take(1), "a");
    EXPECT_EQ(r.Take(3), "End_of_file");
    EXPECT_EQ(r.Take(2), "bc");
    EXPECT_EQ(r.Take(101), kLimit);
}

TEST_F(BufReadTest, Scanning) {
    Reader r({"aa", "a0", "123de"}, 100);
    uint8_t a = 'a';
    EXPECT_EQ(r.TakeWhile(IsDigit), "");
    EXPECT_EQ(r.TakeWhile(IsArg, &a), "aaa");
    EXPECT_EQ(r.SkipWhile(IsNoDigit), "ok");
    EXPECT_EQ(r.TakeWhile(IsDigit), "0123");
    EXPECT_EQ(r.TakeWhile(IsNoDigit), "de");
    EXPECT_EQ(r.TakeWhile(IsNoDigit), "");
    EXPECT_EQ(r.SkipWhile(IsNoDigit), "ok");
}

TEST_F(BufReadTest, TakeWhileIsBoundAndSkippingIsNot) {
    EXPECT_EQ(Reader({"123a"}, 4).TakeWhile(IsDigit), "123");
    EXPECT_EQ(Reader({"123"}, 4).TakeWhile(IsDigit), "123");
    EXPECT_EQ(Reader({"1234"}, 4).TakeWhile(IsDigit), kLimit);
    EXPECT_EQ(Reader({"1234a"}, 4).TakeWhile(IsDigit), kLimit);
    Reader r({"1234567890123a"}, 4);
    EXPECT_EQ(r.SkipWhile(IsDigit), "ok");
    EXPECT_EQ(eio_buf_read_consumed(&r.in), 13U);
    EXPECT_EQ(r.TakeAll(), "a");
}

TEST_F(BufReadTest, EachByteIsJudgedOnce) {
    Reader r({"12", "34", "5a"}, 100);
    std::string seen;
    auto judge = [](void *arg, uint8_t c) {
        *static_cast<std::string *>(arg) += static_cast<char>(c);
        return IsDigit(nullptr, c);
    };
    EXPECT_EQ(r.TakeWhile(judge, &seen), "12345");
    EXPECT_EQ(seen, "12345a");
}

TEST_F(BufReadTest, SkipPassesOverMoreThanTheBound) {
    Reader r({"abcdefg"}, 3);
    EXPECT_EQ(r.Skip(0), "ok");
    EXPECT_EQ(r.Skip(5), "ok");
    EXPECT_EQ(r.src.reads, (std::vector<size_t>{3, 3}));
    EXPECT_EQ(r.TakeAll(), "fg");

    Reader broken({"abc", kBroken, "de"}, 3);
    EXPECT_EQ(broken.Skip(4), "Broken");
    EXPECT_EQ(eio_buf_read_consumed(&broken.in), 3U);
    EXPECT_EQ(broken.Skip(3), "End_of_file");
    EXPECT_EQ(eio_buf_read_consumed(&broken.in), 5U);
}

// --- Bytes, literals, numbers --------------------------------------------------------------------

TEST_F(BufReadTest, Characters) {
    Reader r({"ab", "\xff"}, 100);
    EXPECT_EQ(r.AnyChar(), "a");
    EXPECT_EQ(r.PeekChar(), "b");
    EXPECT_EQ(r.AnyChar(), "b");
    EXPECT_EQ(r.Char('\xff'), "ok");
    EXPECT_EQ(r.AnyChar(), "End_of_file");
    EXPECT_EQ(r.PeekChar(), "End_of_file");
    EXPECT_EQ(r.Char('x'), "End_of_file");
}

TEST_F(BufReadTest, Literals) {
    Reader r({"ab", "c"}, 100);
    EXPECT_EQ(r.Char('A'), "Failure(\"Expected 'A' but got 'a'\")");
    EXPECT_EQ(r.Char('a'), "ok");
    EXPECT_EQ(r.String("BC"), "Failure(\"Expected \\\"BC\\\" but got \\\"b\\\"\")")
        << "at once, with what is there";
    EXPECT_EQ(r.src.reads.size(), 1U);
    EXPECT_EQ(r.String("bC"), "Failure(\"Expected \\\"bC\\\" but got \\\"bc\\\"\")");
    EXPECT_EQ(r.String("bcd"), "End_of_file");
    EXPECT_EQ(r.String(""), "ok");
    EXPECT_EQ(r.String("bc"), "ok");
    EXPECT_EQ(r.Peek(), "");
    EXPECT_EQ(Reader({"abcdef"}, 9).String("xy"),
              "Failure(\"Expected \\\"xy\\\" but got \\\"ab\\\"\")")
        << "no more than was expected";
    EXPECT_EQ(Reader({"abcd"}, 3).String("abcd"), kLimit);
    EXPECT_EQ(Reader({"abX"}, 3).String("abcd"),
              "Failure(\"Expected \\\"abcd\\\" but got \\\"abX\\\"\")");
}

TEST_F(BufReadTest, UnexpectedBytesAreQuoted) {
    auto text = [](char expected, char got) {
        Reader r({std::string(1, got)}, 10);
        eio_err *err = eio_buf_read_char(&r.in, expected);
        std::string s = eio_err_text(err);
        eio_err_drop(err);
        return s;
    };
    EXPECT_EQ(text('\n', '\t'), R"(Expected '\n' but got '\t')");
    EXPECT_EQ(text('\'', '"'), R"(Expected '\'' but got '"')");
    EXPECT_EQ(text('\\', '\0'), R"(Expected '\\' but got '\000')");
    EXPECT_EQ(text(' ', '\x7f'), R"(Expected ' ' but got '\127')");
    EXPECT_EQ(text('\r', '\xff'), R"(Expected '\r' but got '\255')");
}

TEST_F(BufReadTest, AMessageThatDoesNotFitIsOutOfMemory) {
    for (int nth = 1; nth <= 2; nth++) {
        Reader r({"ab"}, 10);
        r.Ensure(1);
        eio_err *one;
        eio_err *two;
        {
            FailAlloc fail(nth);
            one = eio_buf_read_char(&r.in, 'x');
        }
        {
            FailAlloc fail(nth);
            two = eio_buf_read_string(&r.in, eio_slice_of_str("xy"));
        }
        EXPECT_EQ(Text(one), "Out_of_memory");
        EXPECT_EQ(Text(two), "Out_of_memory");
    }
}

template <typename T>
T Number(eio_err *(*fn)(eio_buf_read *, T *), const std::string &bytes, size_t chunk) {
    std::vector<Step> steps;
    for (size_t i = 0; i < bytes.size(); i += chunk)
        steps.emplace_back(bytes.substr(i, chunk));
    Reader r(steps, 8);
    T value = 0;
    EXPECT_OK(fn(&r.in, &value));
    EXPECT_EQ(eio_buf_read_consumed(&r.in), sizeof value);
    return value;
}

TEST_F(BufReadTest, Numbers) {
    std::string bytes = "\x80\x01\x02\x83\x04\x05\x06\x87";
    for (size_t chunk : {1U, 3U, 8U}) {
        EXPECT_EQ(Number(eio_buf_read_uint8, bytes, chunk), 0x80U);
        EXPECT_EQ(Number(eio_buf_read_be_uint16, bytes, chunk), 0x8001U);
        EXPECT_EQ(Number(eio_buf_read_be_uint32, bytes, chunk), 0x80010283U);
        EXPECT_EQ(Number(eio_buf_read_be_uint64, bytes, chunk), 0x8001028304050687U);
        EXPECT_EQ(Number(eio_buf_read_le_uint16, bytes, chunk), 0x0180U);
        EXPECT_EQ(Number(eio_buf_read_le_uint32, bytes, chunk), 0x83020180U);
        EXPECT_EQ(Number(eio_buf_read_le_uint64, bytes, chunk), 0x8706050483020180U);
    }
}

TEST_F(BufReadTest, ANumberThatIsCutOffIsNotConsumed) {
    Reader r({"\x01\x02\x03"}, 100);
    uint32_t four = 77;
    EXPECT_EQ(Text(eio_buf_read_be_uint32(&r.in, &four)), "End_of_file");
    EXPECT_EQ(four, 77U);
    uint16_t two = 0;
    ASSERT_OK(eio_buf_read_be_uint16(&r.in, &two));
    EXPECT_EQ(two, 0x0102U);
}

// --- Ends and parsers ----------------------------------------------------------------------------

TEST_F(BufReadTest, AtEnd) {
    Reader r({"a"}, 1);
    bool at_end = true;
    ASSERT_OK(eio_buf_read_at_end(&r.in, &at_end));
    EXPECT_FALSE(at_end);
    EXPECT_EQ(Text(eio_buf_read_end_of_input(&r.in)), "Failure(\"Unexpected data after parsing\")");
    EXPECT_EQ(r.AnyChar(), "a") << "nothing was consumed";
    ASSERT_OK(eio_buf_read_at_end(&r.in, &at_end));
    EXPECT_TRUE(at_end);
    ASSERT_OK(eio_buf_read_end_of_input(&r.in));
    Reader broken({kBroken}, 1);
    EXPECT_EQ(Text(eio_buf_read_at_end(&broken.in, &at_end)), "Broken");
}

/** What a parser does in a test; `text` is what it found. */
struct Parser {
    std::function<eio_err *(eio_buf_read *, std::string *)> fn;
    std::string text;

    static eio_err *Run(void *arg, eio_buf_read *in) {
        Parser *self = static_cast<Parser *>(arg);
        return self->fn(in, &self->text);
    }
};

eio_err *TakeAllParser(eio_buf_read *in, std::string *text) {
    eio_slice s;
    EIO_TRY(eio_buf_read_take_all(in, &s));
    *text = Str(s);
    return nullptr;
}

std::function<eio_err *(eio_buf_read *, std::string *)> TakeParser(size_t n) {
    return [n](eio_buf_read *in, std::string *text) -> eio_err * {
        eio_slice s;
        EIO_TRY(eio_buf_read_take(in, n, &s));
        *text = Str(s);
        return nullptr;
    };
}

eio_err *LineParser(eio_buf_read *in, std::string *text) {
    eio_slice s;
    EIO_TRY(eio_buf_read_line(in, &s));
    *text = Str(s);
    return nullptr;
}

/** Skips `n` bytes, then runs `fn`. */
std::function<eio_err *(eio_buf_read *, std::string *)> After(
    size_t n, std::function<eio_err *(eio_buf_read *, std::string *)> fn) {
    return [n, fn](eio_buf_read *in, std::string *text) -> eio_err * {
        EIO_TRY(eio_buf_read_skip(in, n));
        return fn(in, text);
    };
}

struct ParseCase {
    const char *name;
    std::vector<Step> script;
    size_t max_size;
    std::function<eio_err *(eio_buf_read *, std::string *)> fn;
    const char *result;
};

TEST_F(BufReadTest, ParseSaysWhereItWentWrong) {
    auto x = [](eio_buf_read *in, std::string *) { return eio_buf_read_char(in, 'x'); };
    auto abc = [](eio_buf_read *in, std::string *) {
        return eio_buf_read_string(in, eio_slice_of_str("abc"));
    };
    auto custom = [](eio_buf_read *, std::string *) { return eio_err_failure("no such thing"); };
    auto invalid = [](eio_buf_read *, std::string *) {
        return eio_err_new(&eio_err_invalid_argument, "odd");
    };
    const ParseCase cases[] = {
        {"all", {"ab", "c"}, 100, TakeAllParser, "ok abc"},
        {"exactly", {"abc"}, 100, TakeParser(3), "ok abc"},
        {"empty", {}, 100, TakeAllParser, "ok "},
        {"one more is spare", {"ab"}, 3, TakeAllParser, "ok ab"},
        {"too long",
         {"abc"},
         3,
         TakeAllParser,
         "Failure(\"Buffer size limit exceeded when reading at offset 0\")"},
        {"too long, later",
         {"abcdefgh"},
         3,
         After(4, TakeAllParser),
         "Failure(\"Buffer size limit exceeded when reading at offset 4\")"},
        {"line too long",
         {"abc"},
         2,
         LineParser,
         "Failure(\"Buffer size limit exceeded when reading at offset 0\")"},
        {"too short",
         {"abc"},
         100,
         TakeParser(4),
         "Failure(\"Unexpected end-of-file at offset 3\")"},
        {"too short, later",
         {"abc"},
         100,
         After(2, TakeParser(2)),
         "Failure(\"Unexpected end-of-file at offset 3\")"},
        {"no line", {}, 100, LineParser, "Failure(\"Unexpected end-of-file at offset 0\")"},
        {"data after",
         {"abc"},
         100,
         TakeParser(2),
         "Failure(\"Unexpected data after parsing (at offset 2)\")"},
        {"data after, not read yet",
         {"abc", "d"},
         100,
         TakeParser(3),
         "Failure(\"Unexpected data after parsing (at offset 3)\")"},
        {"wrong byte", {"abc"}, 100, x, "Failure(\"Expected 'x' but got 'a' (at offset 0)\")"},
        {"wrong byte, later",
         {"abc"},
         100,
         After(2, x),
         "Failure(\"Expected 'x' but got 'c' (at offset 2)\")"},
        {"wrong text",
         {"abd"},
         100,
         abc,
         "Failure(\"Expected \\\"abc\\\" but got \\\"abd\\\" (at offset 0)\")"},
        {"own failure", {"abc"}, 100, After(1, custom), "Failure(\"no such thing (at offset 1)\")"},
        {"other errors stay", {"abc"}, 100, invalid, "Invalid_argument(\"odd\")"},
        {"those of the source, too", {"abc", kBroken}, 100, TakeAllParser, "Broken"},
        {"no bound",
         {"abc"},
         0,
         TakeAllParser,
         "Invalid_argument(\"Max size 0 should be positive!\")"},
    };
    for (const ParseCase &c : cases) {
        Source src(c.script);
        Parser parser = {c.fn, ""};
        std::string result = Text(eio_buf_read_parse(&src, c.max_size, Parser::Run, &parser));
        EXPECT_EQ(result == "ok" ? "ok " + parser.text : result, c.result) << c.name;
        EXPECT_EQ(Live(), 0) << c.name;
    }
}

TEST_F(BufReadTest, ParseOfAText) {
    eio_string_source text;
    eio_string_source_init(&text, eio_slice_of_str("GET /\r\n"));
    Parser parser = {LineParser, ""};
    ASSERT_OK(eio_buf_read_parse(&text.source, 100, Parser::Run, &parser));
    EXPECT_EQ(parser.text, "GET /");
}

TEST_F(BufReadTest, EveryAllocationOfAParseMayFail) {
    int failures = 0;
    bool failed = true;
    for (int nth = 1; failed; nth++) {
        Source src({std::string(10000, 'x')});
        Parser parser = {TakeParser(9000), ""};
        eio_err *err;
        {
            FailAlloc fail(nth);
            err = eio_buf_read_parse(&src, 20000, Parser::Run, &parser);
            failed = fail.failed();
        }
        failures += failed ? 1 : 0;
        std::string text = Text(err);
        if (failed)
            EXPECT_EQ(text, "Out_of_memory") << nth;
        else
            EXPECT_EQ(text, "Failure(\"Unexpected data after parsing (at offset 9000)\")");
        EXPECT_EQ(Live(), 0);
    }
    EXPECT_GE(failures, 2);
}

// --- As a source ---------------------------------------------------------------------------------

std::string Read(eio_source *src, size_t room) {
    std::vector<uint8_t> space(room);
    size_t got = 0;
    eio_err *err = eio_source_single_read(src, eio_buf_of(space.data(), room), &got);
    return err != nullptr ? Text(err) : Str(eio_slice_of(space.data(), got));
}

TEST_F(BufReadTest, AsASourceItGivesWhatIsBufferedThenTheRest) {
    Reader r({"line\nfoo", "bar"}, 100);
    EXPECT_EQ(r.Line(), "line");
    EXPECT_EQ(Read(&r.in.source, 2), "fo");
    EXPECT_EQ(Read(&r.in.source, 9), "o");
    EXPECT_EQ(Read(&r.in.source, 2), "ba") << "a small read fills the buffer";
    EXPECT_EQ(r.src.reads, (std::vector<size_t>{100, 100}));
    EXPECT_EQ(r.Take(1), "r");
    EXPECT_EQ(Read(&r.in.source, 2), "End_of_file");
    EXPECT_EQ(Read(&r.in.source, 200), "End_of_file");
    EXPECT_EQ(r.src.at_eof, 1U);
    EXPECT_EQ(eio_buf_read_consumed(&r.in), 11U);
}

TEST_F(BufReadTest, AsASourceALargeReadGoesPastAnEmptyBuffer) {
    Reader r({"foobar", kBroken, "x"}, 4);
    EXPECT_EQ(Read(&r.in.source, 100), "foobar");
    EXPECT_EQ(r.src.reads, std::vector<size_t>{100});
    EXPECT_EQ(eio_buf_read_consumed(&r.in), 6U);
    EXPECT_EQ(Read(&r.in.source, 100), "Broken");
    EXPECT_EQ(r.Line(), "x");
}

TEST_F(BufReadTest, AsASourceItLendsTheBufferThenWhatTheSourceLends) {
    Reader r({"line\nfoo", "bar"}, 100);
    EXPECT_EQ(r.Line(), "line");
    eio_slice loan;
    ASSERT_OK(eio_source_lend(&r.in.source, &loan));
    EXPECT_EQ(Str(loan), "foo");
    EXPECT_EQ(loan.base, eio_buf_read_peek(&r.in).base);
    eio_source_release(&r.in.source, 2);
    EXPECT_EQ(r.Take(1), "o");
    ASSERT_OK(eio_source_lend(&r.in.source, &loan));
    EXPECT_EQ(Str(loan), "bar");
    eio_source_release(&r.in.source, 1);
    EXPECT_EQ(eio_buf_read_consumed(&r.in), 9U);
    EXPECT_EQ(r.TakeAll(), "ar") << "what wasn't used comes again";
    EXPECT_EQ(Text(eio_source_lend(&r.in.source, &loan)), "End_of_file");
}

TEST_F(BufReadTest, AsASourceItCanBeCopied) {
    std::string body(50000, 'b');
    Reader r({"head\nbo", "dy " + body}, 100);
    EXPECT_EQ(r.Line(), "head");
    Sink sink;
    ASSERT_OK(eio_flow_copy(&r.in.source, &sink));
    EXPECT_EQ(sink.got, "body " + body);
    EXPECT_EQ(eio_buf_read_consumed(&r.in), 5 + sink.got.size());
}

TEST_F(BufReadTest, ALoanThatIsNeverGivenBackIsNotLostToTheSource) {
    Source src({"abc"});
    eio_buf_read in;
    ASSERT_OK(eio_buf_read_init(&in, &src, 100));
    eio_slice loan;
    ASSERT_OK(eio_source_lend(&in.source, &loan));
    eio_buf_read_fini(&in);
    EXPECT_EQ(Read(&src, 9), "abc");

    src.steps.emplace_back("def");
    ASSERT_OK(eio_buf_read_init(&in, &src, 100));
    ASSERT_OK(eio_buf_read_ensure(&in, 1));
    ASSERT_OK(eio_source_lend(&in.source, &loan));
    eio_buf_read_fini(&in);
    EXPECT_EQ(Read(&src, 9), "End_of_file") << "the buffer's own bytes go with it";
}

TEST_F(BufReadTest, AReaderOfAReaderLosesNothing) {
    Reader outer({"one\ntwo\nth", "ree\n"}, 100);
    EXPECT_EQ(outer.Line(), "one");
    eio_buf_read inner;
    ASSERT_OK(eio_buf_read_init(&inner, &outer.in.source, 4));
    eio_slice line;
    ASSERT_OK(eio_buf_read_line(&inner, &line));
    EXPECT_EQ(Str(line), "two");
    eio_buf_read_fini(&inner);
    EXPECT_EQ(outer.Line(), "three");
}

TEST_F(BufReadDeathTest, NotUsedWhileItsBytesAreLent) {
    Reader r({"foo"}, 100);
    r.Ensure(1);
    eio_slice loan;
    ASSERT_OK(eio_source_lend(&r.in.source, &loan));
    EXPECT_DEATH(r.Ensure(4), "used while its bytes are lent");
    EXPECT_DEATH(r.Take(1), "used while its bytes are lent");
    eio_source_release(&r.in.source, 3);
}

// --- Against a model -----------------------------------------------------------------------------

/** All of the input as one string: what each operation is to give, whatever the pieces. */
struct Model {
    std::string data;
    size_t max_size;
    size_t pos = 0;

    std::string Rest() const { return data.substr(pos); }
    std::string Cut(size_t n, size_t extra = 0) {
        std::string s = data.substr(pos, n);
        pos += n + extra;
        return s;
    }
    // What asking for a window of n bytes gives.
    std::string Ensure(size_t n) const {
        if (n > max_size)
            return kLimit;
        return n > Rest().size() ? "End_of_file" : "ok";
    }
    std::string Line() {
        size_t lf = Rest().find('\n');
        if (lf != std::string::npos && lf < max_size) {
            std::string line = Cut(lf, 1);
            if (!line.empty() && line.back() == '\r')
                line.pop_back();
            return line;
        }
        if (Rest().size() >= max_size)
            return kLimit;
        return Rest().empty() ? "End_of_file" : Cut(Rest().size());
    }
    std::string TakeAll() { return Rest().size() >= max_size ? kLimit : Cut(Rest().size()); }
    std::string Take(size_t n) {
        std::string can = Ensure(n);
        return can == "ok" ? Cut(n) : can;
    }
    size_t Digits() const {
        size_t n = 0;
        while (n < Rest().size() && IsDigit(nullptr, static_cast<uint8_t>(Rest()[n])))
            n++;
        return n;
    }
    std::string TakeWhile() { return Digits() + 1 > max_size ? kLimit : Cut(Digits()); }
    std::string SkipWhile() {
        pos += Digits();
        return "ok";
    }
    std::string Skip(size_t n) {
        bool enough = n <= Rest().size();
        pos += std::min(n, Rest().size());
        return enough ? "ok" : "End_of_file";
    }
    std::string String(const std::string &s) {
        for (size_t i = 0; i < s.size(); i++) {
            std::string can = Ensure(i + 1);
            if (can != "ok")
                return can;
            if (Rest()[i] != s[i])
                return "Failure";
        }
        pos += s.size();
        return "ok";
    }
    std::string PeekChar() const {
        std::string can = Ensure(1);
        return can == "ok" ? std::string(1, data[pos]) : can;
    }
};

/** The reader under test beside the model; failures of the source and of memory are tried again. */
class Match {
  public:
    Match(unsigned long seed, std::string data, size_t max_size)
        : random_(seed), model_{data, max_size}, reader_(Pieces(data), max_size) {}

    void Run() {
        while (model_.pos < model_.data.size() && !::testing::Test::HasFailure())
            Step();
        Step();
    }

  private:
    std::vector<chunked::Step> Pieces(const std::string &data) {
        std::vector<chunked::Step> steps;
        size_t most = 1 + random_() % 40;
        for (size_t i = 0; i < data.size();) {
            if (random_() % 8 == 0)
                steps.emplace_back(kBroken);
            size_t len = std::min<size_t>(1 + random_() % most, data.size() - i);
            steps.emplace_back(data.substr(i, len));
            i += len;
        }
        return steps;
    }

    template <typename Fn> std::string Try(Fn fn) {
        for (;;) {
            std::string got;
            {
                FailAlloc sometimes(random_() % 4 == 0 ? 1 : 0);
                eio_err *err = fn(&got);
                if (eio_err_catch(&err, &kBroken) || eio_err_catch(&err, &eio_err_out_of_memory))
                    continue;
                if (err == nullptr)
                    return got;
                if (eio_err_catch(&err, &eio_err_failure_kind))
                    return "Failure";
                if (eio_err_catch(&err, &eio_err_end_of_file))
                    return "End_of_file";
                if (eio_err_catch(&err, &eio_err_buffer_limit_exceeded))
                    return kLimit;
                return "another error";
            }
        }
    }
    template <typename Fn> std::string TrySlice(Fn fn) {
        return Try([&](std::string *got) -> eio_err * {
            eio_slice s;
            EIO_TRY(fn(&s));
            *got = Str(s);
            return nullptr;
        });
    }

    // Each of these sets what the model and what the reader gave.
    void Step() {
        eio_buf_read *in = &reader_.in;
        std::string want;
        std::string got;
        unsigned long op = random_() % 10;
        switch (op) {
        case 0:
        case 1:
            want = model_.Line();
            got = TrySlice([&](eio_slice *s) { return eio_buf_read_line(in, s); });
            break;
        case 2: {
            size_t n = random_() % 12;
            want = model_.Take(n);
            got = TrySlice([&](eio_slice *s) { return eio_buf_read_take(in, n, s); });
            break;
        }
        case 3:
            want = model_.TakeWhile();
            got = TrySlice(
                [&](eio_slice *s) { return eio_buf_read_take_while(in, IsDigit, nullptr, s); });
            break;
        case 4:
            want = model_.SkipWhile();
            got = Try([&](std::string *text) -> eio_err * {
                EIO_TRY(eio_buf_read_skip_while(in, IsDigit, nullptr));
                *text = "ok";
                return nullptr;
            });
            break;
        case 5: {
            size_t n = random_() % 30;
            uint64_t end = eio_buf_read_consumed(in) + n;
            want = model_.Skip(n);
            got = Try([&](std::string *text) -> eio_err * {
                EIO_TRY(eio_buf_read_skip(in, end - eio_buf_read_consumed(in)));
                *text = "ok";
                return nullptr;
            });
            break;
        }
        case 6: {
            std::string s = model_.Rest().substr(0, random_() % 10);
            if (!s.empty() && random_() % 2 == 0)
                s[random_() % s.size()] ^= 1;
            want = model_.String(s);
            got = Try([&](std::string *text) -> eio_err * {
                EIO_TRY(eio_buf_read_string(in, Slice(s)));
                *text = "ok";
                return nullptr;
            });
            break;
        }
        case 7:
            want = model_.PeekChar();
            got = Try([&](std::string *text) -> eio_err * {
                char c;
                EIO_TRY(eio_buf_read_peek_char(in, &c));
                *text = c;
                return nullptr;
            });
            break;
        case 8: {
            std::string can = model_.Ensure(4);
            want = can == "ok" ? model_.Cut(4) : can;
            got = Try([&](std::string *text) -> eio_err * {
                uint32_t n;
                EIO_TRY(eio_buf_read_be_uint32(in, &n));
                for (int shift = 24; shift >= 0; shift -= 8)
                    *text += static_cast<char>(n >> shift);
                return nullptr;
            });
            break;
        }
        default:
            want = random_() % 20 == 0 ? model_.TakeAll() : "";
            if (want.empty() && model_.pos < model_.data.size())
                return;
            got = TrySlice([&](eio_slice *s) { return eio_buf_read_take_all(in, s); });
            break;
        }
        EXPECT_EQ(got, want) << "operation " << op << " at " << model_.pos;
        EXPECT_EQ(eio_buf_read_consumed(in), model_.pos) << "operation " << op;
        EXPECT_LE(in->cap, model_.max_size);
        EXPECT_LE(in->no_lf, eio_buf_read_buffered(in));
        EXPECT_EQ(reader_.Peek(), model_.Rest().substr(0, eio_buf_read_buffered(in)));
    }

    std::minstd_rand random_;
    Model model_;
    Reader reader_;
};

TEST_F(BufReadTest, EveryOperationIsAsTheModelHasItHoweverTheInputIsCut) {
    const unsigned long kSeeds = 3000;
    for (unsigned long seed = 1; seed <= kSeeds; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::minstd_rand random(seed * 7919);
        std::string data(random() % 400, '\0');
        for (char &c : data)
            c = "\n\r0123456789ab"[random() % 14];
        Match(seed, data, 1 + random() % 60).Run();
        if (HasFailure())
            break;
    }
}

} // namespace
