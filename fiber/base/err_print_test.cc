// SPDX-License-Identifier: ISC
#include <algorithm>
#include <cstring>
#include <string>

#include "eio/err.h"
#include "fiber/base/testing.h"

using namespace eio_base_test;

namespace {

const eio_err_kind kNet = {&eio_err_io, "Net"};
const eio_err_kind kReset = {&kNet, "Connection_reset"};
const eio_err_kind kConnectionFailure = {&kNet, "Connection_failure"};
const eio_err_kind kRefused = {&kConnectionFailure, "Refused"};
const eio_err_kind kNoAddresses = {&kConnectionFailure, "No_matching_addresses"};
const eio_err_kind kLookupFailed = {&kNet, "Address_lookup_failed"};
const eio_err_kind kGraceful = {nullptr, "Graceful_shutdown"};
const eio_err_kind kVeryGraceful = {&kGraceful, "Very_graceful"};

eio_err *Failure(const std::string &text) {
    return eio_err_failure("%s", text.c_str());
}
eio_err *Mock(const eio_err_kind *kind) {
    return eio_err_backend(kind, "Simulated_failure");
}
eio_err *Ctx(eio_err *err, const std::string &line) {
    return eio_err_add_context(err, "%s", line.c_str());
}
eio_err *NotFound() {
    return Ctx(Mock(&eio_err_fs_not_found), "opening file 'foo'");
}
eio_err *Denied() {
    return Ctx(Mock(&eio_err_fs_permission_denied), "saving file 'bar'");
}
eio_err *And(eio_err *a, eio_err *b) {
    return eio_err_combine(a, b);
}
// An Io error whose whole code is `len` bytes long.
eio_err *Code(size_t len) {
    return eio_err_backend(&eio_err_x, std::string(len, 'c').c_str());
}

class ErrPrintTest : public BaseTest {
  protected:
    static void ExpectText(eio_err *err, const std::string &text) {
        EXPECT_EQ(Text(err), text);
        eio_err_drop(err);
    }
    static void ExpectToplevel(eio_err *err, const std::string &text) {
        EXPECT_EQ(Toplevel(err), text);
        eio_err_drop(err);
    }
    // Both forms of an error that the toplevel has no other form for.
    static void ExpectBoth(eio_err *err, const std::string &text) {
        EXPECT_EQ(Toplevel(err), "Exception: " + text);
        ExpectText(err, text);
    }
};

// --- Plain errors --------------------------------------------------------------------------------

TEST_F(ErrPrintTest, AConstantIsItsName) {
    const struct {
        const eio_err_kind *kind;
        const char *name;
    } table[] = {
        {&eio_err_end_of_file, "End_of_file"},
        {&eio_err_not_found, "Not_found"},
        {&eio_err_exit, "Stdlib.Exit"},
        {&eio_err_timeout, "Eio__Time.Timeout"},
        {&eio_err_not_first, "Eio__core__Fiber.Not_first"},
        {&eio_err_deadlock_detected, "Eio_mock__Backend.Deadlock_detected"},
        {&eio_err_out_of_memory, "Out_of_memory"},
        {&eio_err_stack_limit, "Stack_limit"},
        {&eio_err_failure_kind, "Failure"},
        {&eio_err_invalid_argument, "Invalid_argument"},
        {&eio_err_closed, "Invalid_argument"},
        {&kGraceful, "Graceful_shutdown"},
        {&kVeryGraceful, "Very_graceful"},
    };
    for (const auto &row : table) {
        EXPECT_EQ(Text(eio_err_const(row.kind)), row.name);
        EXPECT_EQ(Toplevel(eio_err_const(row.kind)), std::string("Exception: ") + row.name + ".");
    }
}

TEST_F(ErrPrintTest, ATextIsQuotedInBrackets) {
    ExpectText(Failure("a"), R"(Failure("a"))");
    ExpectText(Failure(""), R"(Failure(""))");
    ExpectText(eio_err_new(&eio_err_closed, "read: file descriptor used after calling close!"),
               R"(Invalid_argument("read: file descriptor used after calling close!"))");
    ExpectText(Failure("tab\t \"q\" \\ it's \x7f\xc3\xa9\r\n\b"),
               R"(Failure("tab\t \"q\" \\ it's \127\195\169\r\n\b"))");
}

TEST_F(ErrPrintTest, TheToplevelWritesATextAsAValueWithAPeriod) {
    ExpectToplevel(Failure("Simulated error"), R"(Exception: Failure "Simulated error".)");
    ExpectToplevel(Failure(""), R"(Exception: Failure "".)");
    ExpectToplevel(eio_err_new(&eio_err_invalid_argument, "a\nb"),
                   R"(Exception: Invalid_argument "a\nb".)");
}

TEST_F(ErrPrintTest, SuccessIsOk) {
    EXPECT_EQ(Text(nullptr), "ok");
    EXPECT_EQ(Toplevel(nullptr), "ok");
}

TEST_F(ErrPrintTest, CancelledIsFollowedByItsReason) {
    ExpectBoth(eio_err_cancelled_new(Failure("x")), R"(Cancelled: Failure("x"))");
    ExpectBoth(eio_err_cancelled_new(eio_err_const(&eio_err_timeout)),
               "Cancelled: Eio__Time.Timeout");
    ExpectBoth(eio_err_cancelled_new(eio_err_cancelled_new(eio_err_const(&kGraceful))),
               "Cancelled: Cancelled: Graceful_shutdown");
    ExpectBoth(eio_err_const(&eio_err_cancelled), "Cancelled");
    ExpectText(eio_err_cancelled_new(NotFound()),
               "Cancelled: Eio.Io Fs Not_found Simulated_failure,\n"
               "  opening file 'foo'");
    ExpectText(eio_err_cancelled_new(And(Failure("a"), Failure("b"))),
               "Cancelled: Multiple exceptions:\n"
               "- Failure(\"a\")\n"
               "- Failure(\"b\")");
}

// --- Io errors -----------------------------------------------------------------------------------

TEST_F(ErrPrintTest, AnIoErrorIsTheNamesBelowIoAndItsDetail) {
    ExpectBoth(Mock(&kReset), "Eio.Io Net Connection_reset Simulated_failure");
    ExpectBoth(Mock(&kRefused), "Eio.Io Net Connection_failure Refused Simulated_failure");
    ExpectBoth(eio_err_const(&kNoAddresses), "Eio.Io Net Connection_failure No_matching_addresses");
    ExpectBoth(Mock(&eio_err_fs_not_found), "Eio.Io Fs Not_found Simulated_failure");
    ExpectBoth(Mock(&eio_err_fs_already_exists), "Eio.Io Fs Already_exists Simulated_failure");
    ExpectBoth(Mock(&eio_err_fs_permission_denied),
               "Eio.Io Fs Permission_denied Simulated_failure");
    ExpectBoth(Mock(&eio_err_fs_file_too_large), "Eio.Io Fs File_too_large Simulated_failure");
    ExpectBoth(eio_err_const(&eio_err_not_available), "Eio.Io Not_available");
    ExpectBoth(eio_err_new(&kLookupFailed, "no such host"),
               "Eio.Io Net Address_lookup_failed no such host");
}

TEST_F(ErrPrintTest, AKindWithoutANameIsItsDetailAlone) {
    ExpectBoth(Mock(&eio_err_x), "Eio.Io Simulated_failure");
    ExpectBoth(eio_err_const(&eio_err_x), "Eio.Io _");
    ExpectBoth(eio_err_new(&eio_err_io, "strange"), "Eio.Io strange");
}

TEST_F(ErrPrintTest, AnOsDetailHasTheSystemsTextTheCallAndAnEmptyArgument) {
    ExpectText(eio_err_os(&eio_err_x, ENOENT, "connect"),
               R"(Eio.Io Unix_error (No such file or directory, "connect", ""))");
    ExpectText(
        eio_err_os(&kRefused, ECONNREFUSED, "recv_msg"),
        R"(Eio.Io Net Connection_failure Refused Unix_error (Connection refused, "recv_msg", ""))");
    ExpectText(eio_err_os(&eio_err_x, 12345, "x"),
               R"(Eio.Io Unix_error (Unknown error 12345, "x", ""))");
}

TEST_F(ErrPrintTest, DetailsPrintAsAnUnderscoreWhenTheyAreHiddenAndTextsDoNot) {
    eio_err_show_backend(false);
    ExpectBoth(eio_err_os(&kRefused, ECONNREFUSED, "connect"),
               "Eio.Io Net Connection_failure Refused _");
    ExpectBoth(Mock(&kReset), "Eio.Io Net Connection_reset _");
    ExpectBoth(Mock(&eio_err_x), "Eio.Io _");
    ExpectBoth(eio_err_const(&kNoAddresses), "Eio.Io Net Connection_failure No_matching_addresses");
    ExpectBoth(eio_err_new(&kLookupFailed, "why"), "Eio.Io Net Address_lookup_failed why");
    eio_err_show_backend(true);
    ExpectBoth(Mock(&eio_err_x), "Eio.Io Simulated_failure");
}

TEST_F(ErrPrintTest, ContextLinesStandTwoColumnsInOldestFirst) {
    ExpectText(Ctx(Ctx(Mock(&kRefused), "connecting to tcp:1.2.3.4:8080"), "fetching"),
               "Eio.Io Net Connection_failure Refused Simulated_failure,\n"
               "  connecting to tcp:1.2.3.4:8080,\n"
               "  fetching");
}

// --- The line break after `Exception:` -----------------------------------------------------------

TEST_F(ErrPrintTest, TextsOfUpTo66BytesStayOnTheLineOfException) {
    for (size_t len = 60; len <= 66; len++)
        ExpectToplevel(Failure(std::string(len - strlen("Failure \"\"."), 'a')),
                       "Exception: Failure \"" + std::string(len - strlen("Failure \"\"."), 'a') +
                           "\".");
    ExpectToplevel(Failure(std::string(67 - strlen("Failure \"\"."), 'a')),
                   "Exception:\nFailure \"" + std::string(67 - strlen("Failure \"\"."), 'a') +
                       "\".");
}

TEST_F(ErrPrintTest, WithoutAPeriodTheBoundaryIsTheSame) {
    size_t rest = strlen("Eio.Io ");
    ExpectToplevel(Code(66 - rest), "Exception: Eio.Io " + std::string(66 - rest, 'c'));
    ExpectToplevel(Code(67 - rest), "Exception:\nEio.Io " + std::string(67 - rest, 'c'));
}

TEST_F(ErrPrintTest, TheBoundaryCountsAllLinesAndTheirNewlines) {
    // 6 + 1 + 10 of the code, 1 of the comma, 1 of the newline, 2 of the indentation.
    size_t rest = 6 + 1 + 10 + 1 + 1 + 2;
    std::string line66(66 - rest, 's'), line67(67 - rest, 's');
    ExpectToplevel(Ctx(Code(10), line66), "Exception: Eio.Io cccccccccc,\n  " + line66);
    ExpectToplevel(Ctx(Code(10), line67), "Exception:\nEio.Io cccccccccc,\n  " + line67);
}

TEST_F(ErrPrintTest, TheBoundaryCountsBytesAsTheyAreWritten) {
    // Each of these bytes is written as four.
    std::string bytes(13, '\xff'), written;
    for (int i = 0; i < 13; i++)
        written += "\\255";
    ASSERT_EQ(strlen("Failure \"\".") + written.size() + 3, 66u);
    ExpectToplevel(Failure(bytes + "abc"), "Exception: Failure \"" + written + "abc\".");
    ExpectToplevel(Failure(bytes + "abcd"), "Exception:\nFailure \"" + written + "abcd\".");
}

TEST_F(ErrPrintTest, TheBoundaryIsMeasuredFromTheErrorNotFromTheBuffer) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_strbuf_adds(&sb, std::string(100, '-').c_str());
    eio_err_print_toplevel(eio_err_const(&kGraceful), &sb);
    EXPECT_EQ(Take(&sb), std::string(100, '-') + "Exception: Graceful_shutdown.");
}

TEST_F(ErrPrintTest, AValueOfMoreThan77BytesBreaksBeforeItsText) {
    std::string fits(77 - strlen("Failure \"\""), 'a');
    ExpectToplevel(Failure(fits), "Exception:\nFailure \"" + fits + "\".");
    ExpectToplevel(Failure(fits + "a"), "Exception:\nFailure\n \"" + fits + "a\".");
}

TEST_F(ErrPrintTest, TheSeedsFormsAreExact) {
    eio_err_show_backend(false);
    ExpectToplevel(Ctx(eio_err_os(&eio_err_fs_not_found, ENOENT, "connect"),
                       "connecting to unix:idontexist.sock"),
                   "Exception: Eio.Io Fs Not_found _,\n"
                   "  connecting to unix:idontexist.sock");
    ExpectToplevel(Ctx(eio_err_const(&kNoAddresses), "connecting to \"www.example.com\":http"),
                   "Exception:\n"
                   "Eio.Io Net Connection_failure No_matching_addresses,\n"
                   "  connecting to \"www.example.com\":http");
    ExpectToplevel(Ctx(Ctx(Mock(&kRefused), "connecting to tcp:1.2.3.4:8080"),
                       "connecting to \"www.example.com\":http"),
                   "Exception:\n"
                   "Eio.Io Net Connection_failure Refused _,\n"
                   "  connecting to tcp:1.2.3.4:8080,\n"
                   "  connecting to \"www.example.com\":http");
}

// --- Multiple ------------------------------------------------------------------------------------

TEST_F(ErrPrintTest, AMultipleListsItsErrorsOldestFirst) {
    ExpectBoth(And(And(Failure("a"), Failure("b")), eio_err_const(&eio_err_end_of_file)),
               "Multiple exceptions:\n"
               "- Failure(\"a\")\n"
               "- Failure(\"b\")\n"
               "- End_of_file");
}

TEST_F(ErrPrintTest, ANestedMultiplesLinesAreNotIndented) {
    ExpectText(And(And(Failure("x"), And(Failure("a"), Failure("b"))), Failure("y")),
               "Multiple exceptions:\n"
               "- Failure(\"x\")\n"
               "- Multiple exceptions:\n"
               "- Failure(\"a\")\n"
               "- Failure(\"b\")\n"
               "- Failure(\"y\")");
}

TEST_F(ErrPrintTest, AnIoErrorInAMultipleHasItsContextLinesFourColumnsIn) {
    ExpectText(And(Failure("a"), NotFound()), "Multiple exceptions:\n"
                                              "- Failure(\"a\")\n"
                                              "- Eio.Io Fs Not_found Simulated_failure,\n"
                                              "    opening file 'foo'");
    ExpectText(And(Failure("x"), And(Ctx(NotFound(), "two"), Failure("a"))),
               "Multiple exceptions:\n"
               "- Failure(\"x\")\n"
               "- Multiple exceptions:\n"
               "- Eio.Io Fs Not_found Simulated_failure,\n"
               "    opening file 'foo',\n"
               "    two\n"
               "- Failure(\"a\")");
}

TEST_F(ErrPrintTest, AMultipleIoInAMultipleIsIndentedWhole) {
    ExpectText(And(Failure("a"), Ctx(And(Denied(), NotFound()), "processing request")),
               "Multiple exceptions:\n"
               "- Failure(\"a\")\n"
               "- Eio.Io Multiple_io\n"
               "  - Fs Permission_denied Simulated_failure, saving file 'bar'\n"
               "  - Fs Not_found Simulated_failure, opening file 'foo',\n"
               "    processing request");
}

// --- Multiple_io ---------------------------------------------------------------------------------

TEST_F(ErrPrintTest, AMultipleIoHasContextOnTheLineOfItsCode) {
    ExpectText(And(Denied(), NotFound()),
               "Eio.Io Multiple_io\n"
               "- Fs Permission_denied Simulated_failure, saving file 'bar'\n"
               "- Fs Not_found Simulated_failure, opening file 'foo'");
}

TEST_F(ErrPrintTest, ItsOwnContextFollowsItsChildrenOnLinesOfTheirOwn) {
    ExpectText(Ctx(Ctx(And(Denied(), NotFound()), "one"), "two"),
               "Eio.Io Multiple_io\n"
               "- Fs Permission_denied Simulated_failure, saving file 'bar'\n"
               "- Fs Not_found Simulated_failure, opening file 'foo',\n"
               "  one,\n"
               "  two");
}

TEST_F(ErrPrintTest, ANestedMultipleIoIsATree) {
    ExpectText(And(Ctx(And(Denied(), NotFound()), "processing request"), NotFound()),
               "Eio.Io Multiple_io\n"
               "- Multiple_io\n"
               "  - Fs Permission_denied Simulated_failure, saving file 'bar'\n"
               "  - Fs Not_found Simulated_failure, opening file 'foo', processing request\n"
               "- Fs Not_found Simulated_failure, opening file 'foo'");
    ExpectText(And(Mock(&kReset), And(Code(1), And(Code(2), Code(3)))),
               "Eio.Io Multiple_io\n"
               "- Net Connection_reset Simulated_failure\n"
               "- Multiple_io\n"
               "  - c\n"
               "  - Multiple_io\n"
               "    - cc\n"
               "    - ccc");
}

TEST_F(ErrPrintTest, TheLastContextLineStaysOnItsLineUpToColumn77) {
    std::string fits(77 - strlen("- cccccccccc, "), 's');
    ExpectText(And(Ctx(Code(10), fits), Code(1)),
               "Eio.Io Multiple_io\n- cccccccccc, " + fits + "\n- c");
    ExpectText(And(Ctx(Code(10), fits + "s"), Code(1)),
               "Eio.Io Multiple_io\n- cccccccccc,\n    " + fits + "s\n- c");
}

TEST_F(ErrPrintTest, AContextLineBeforeAnotherNeedsRoomForTheSeparatorToo) {
    std::string fits(75 - strlen("- cccccccccc, "), 's');
    ExpectText(And(Ctx(Ctx(Code(10), fits), "x"), Code(1)),
               "Eio.Io Multiple_io\n- cccccccccc, " + fits + ",\n    x\n- c");
    ExpectText(And(Ctx(Ctx(Code(10), fits + "s"), "x"), Code(1)),
               "Eio.Io Multiple_io\n- cccccccccc,\n    " + fits + "s, x\n- c");
}

TEST_F(ErrPrintTest, IndentationStopsAtColumn68) {
    eio_err *err = Code(1);
    for (int i = 0; i < 60; i++)
        err = And(err, Code(1));
    std::string text = Text(err);
    size_t deepest = 0;
    for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1))
        deepest = std::max(deepest, text.find_first_not_of(' ', at + 1) - at - 1);
    EXPECT_EQ(deepest, 68u);
    eio_err_drop(err);
}

// --- Into other things ---------------------------------------------------------------------------

TEST_F(ErrPrintTest, WhatStandsBeforeInTheBufferDoesNotMoveTheLayout) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_err *err = And(Denied(), NotFound());
    eio_strbuf_adds(&sb, "error: ");
    eio_err_print(err, &sb);
    EXPECT_EQ(Take(&sb), "error: " + Text(err));
    eio_err_drop(err);
}

TEST_F(ErrPrintTest, StrIsTheTextCutToTheBuffer) {
    char buf[64];
    eio_err *err = Failure("hello");
    EXPECT_STREQ(eio_err_str(err, buf, sizeof buf), "Failure(\"hello\")");
    EXPECT_STREQ(eio_err_str(err, buf, 8), "Failure");
    EXPECT_STREQ(eio_err_str(err, buf, 1), "");
    buf[0] = '!';
    EXPECT_EQ(eio_err_str(err, buf, 0), buf);
    EXPECT_EQ(buf[0], '!');
    EXPECT_STREQ(eio_err_str(nullptr, buf, sizeof buf), "ok");
    eio_err_drop(err);
}

TEST_F(ErrPrintTest, StrWithoutMemoryIsTheKind) {
    char buf[64];
    eio_err *err = Failure("hello");
    FailNth fail(1);
    EXPECT_STREQ(eio_err_str(err, buf, sizeof buf), "Failure");
    eio_err_drop(err);
}

TEST_F(ErrPrintTest, WithoutMemoryTheTextIsCutAndSaysSo) {
    eio_err *err = Failure(std::string(300, 'x'));
    for (int i = 0; i < 40; i++) // deeper than what is printed without memory of its own
        err = And(eio_err_const(&kGraceful), err);
    err = And(err, NotFound());
    for (void (*print)(const eio_err *, eio_strbuf *) : {eio_err_print, eio_err_print_toplevel}) {
        eio_strbuf whole = EIO_STRBUF_INIT;
        print(err, &whole);
        std::string expected = Take(&whole);
        int nth = 1;
        for (bool failed = true; failed; nth++) {
            ASSERT_LT(nth, 50);
            eio_strbuf sb = EIO_STRBUF_INIT;
            {
                FailNth fail(nth);
                print(err, &sb);
                failed = fail.failed();
            }
            EXPECT_EQ(sb.failed, failed);
            std::string text = Take(&sb);
            EXPECT_EQ(text == expected, !failed);
            // A short piece of a long text stands on the line of `Exception:`.
            if (text.compare(0, 11, "Exception: ") == 0)
                text[10] = '\n';
            EXPECT_EQ(expected.compare(0, text.size(), text), 0) << "not a prefix: " << text;
        }
        EXPECT_GT(nth, 3);
    }
    eio_err_drop(err);
}

TEST_F(ErrPrintTest, AValueWithoutMemoryForItsTextSaysSo) {
    eio_err *err = Failure("x");
    for (int nth = 1; nth <= 2; nth++) {
        eio_strbuf sb = EIO_STRBUF_INIT;
        {
            FailNth fail(nth);
            eio_err_print_toplevel(err, &sb);
        }
        EXPECT_TRUE(sb.failed);
        eio_strbuf_free(&sb);
    }
    eio_err_drop(err);
}

} // namespace
