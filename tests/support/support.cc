// SPDX-License-Identifier: ISC
// The trace is one string, appended to by the library's sink (from any thread) and by Print;
// EXPECT_TRACE takes it.
#include "tests/support/support.h"

#include <dirent.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

#include "fiber/base/alloc.h"
#include "tests/support/io_mode.h"

namespace eio_test {

namespace {

struct Captured {
    std::mutex mutex;
    std::string text;
};

Captured &TheTrace() {
    static Captured captured;
    return captured;
}

void Append(const std::string &text) {
    Captured &trace = TheTrace();
    std::lock_guard<std::mutex> hold(trace.mutex);
    trace.text += text;
}

void Sink(void *, const char *text, size_t len) {
    Append(std::string(text, len));
}

std::vector<std::string> LinesOf(const std::string &text) {
    std::vector<std::string> lines;
    size_t start = 0;
    while (start < text.size()) {
        size_t end = text.find('\n', start);
        if (end == std::string::npos)
            end = text.size();
        lines.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    return lines;
}

std::string Toplevel(eio_err *err) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_err_print_toplevel(err, &sb);
    std::string text = eio_strbuf_str(&sb);
    eio_strbuf_free(&sb);
    return text;
}

} // namespace

void Print(const char *fmt, ...) {
    char *text = nullptr;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0)
        abort();
    Append(std::string(text, static_cast<size_t>(len)) + "\n");
    free(text);
}

void PrintResult(eio_err *err) {
    Append(err == nullptr ? "- : unit = ()\n" : Toplevel(err) + "\n");
    eio_err_drop(err);
}

std::string TakeTrace() {
    Captured &trace = TheTrace();
    std::lock_guard<std::mutex> hold(trace.mutex);
    std::string text;
    text.swap(trace.text);
    return text;
}

std::string Dedent(const std::string &block) {
    std::vector<std::string> lines = LinesOf(block);
    auto blank = [](const std::string &s) { return s.find_first_not_of(' ') == std::string::npos; };
    if (!lines.empty() && blank(lines.front()))
        lines.erase(lines.begin());
    if (!lines.empty() && blank(lines.back()))
        lines.pop_back();
    size_t indent = std::string::npos;
    for (const std::string &line : lines)
        if (!blank(line))
            indent = std::min(indent, line.find_first_not_of(' '));
    std::string text;
    for (const std::string &line : lines)
        text += (blank(line) ? std::string() : line.substr(indent)) + "\n";
    return text;
}

// --- Accepting -----------------------------------------------------------------------------------

namespace {

struct Edit {
    size_t line; // of the macro in the file as it was compiled
    long shift;  // lines that the file grew by
    std::string text;
};

/// The edits that this process made, by file: later ones find their place through them.
std::map<std::string, std::vector<Edit>> &Edits() {
    static std::map<std::string, std::vector<Edit>> edits;
    return edits;
}

std::string PathOf(const char *file) {
    const char *root = getenv("BUILD_WORKSPACE_DIRECTORY");
    return root != nullptr && file[0] != '/' ? std::string(root) + "/" + file : file;
}

bool ReadFile(const std::string &path, std::string *out) {
    FILE *f = fopen(path.c_str(), "r");
    if (f == nullptr)
        return false;
    char buf[4096];
    size_t got;
    while ((got = fread(buf, 1, sizeof buf, f)) > 0)
        out->append(buf, got);
    fclose(f);
    return true;
}

bool WriteFile(const std::string &path, const std::string &text) {
    FILE *f = fopen(path.c_str(), "w");
    if (f == nullptr)
        return false;
    bool ok = fwrite(text.data(), 1, text.size(), f) == text.size();
    return fclose(f) == 0 && ok;
}

struct Literal {
    size_t start, end; // from the R to after the last quote
    size_t column;     // indentation of the line on which the macro stands
};

size_t LineAt(const std::string &text, size_t offset) {
    return 1 + static_cast<size_t>(
                   std::count(text.begin(), text.begin() + static_cast<long>(offset), '\n'));
}

/// The raw string of the EXPECT_TRACE that covers `line`: compilers differ in which of its lines
/// they name.
bool FindLiteral(const std::string &text, size_t line, Literal *out) {
    const std::string macro = "EXPECT_TRACE(R\"";
    for (size_t at = text.find(macro); at != std::string::npos; at = text.find(macro, at + 1)) {
        size_t open = text.find('(', at + macro.size());
        if (open == std::string::npos)
            return false;
        std::string close = ")" + text.substr(at + macro.size(), open - at - macro.size()) + "\"";
        size_t end = text.find(close, open);
        if (end == std::string::npos)
            return false;
        size_t line_start = text.rfind('\n', at) + 1;
        *out = {at + macro.size() - 2, end + close.size(),
                text.find_first_not_of(' ', line_start) - line_start};
        if (LineAt(text, at) <= line && line <= LineAt(text, end))
            return true;
    }
    return false;
}

std::string LiteralOf(const std::string &trace, size_t column) {
    std::string delimiter;
    while (trace.find(")" + delimiter + "\"") != std::string::npos)
        delimiter += "x";
    std::string text = "R\"" + delimiter + "(\n";
    for (const std::string &line : LinesOf(trace))
        text += line.empty() ? "\n" : std::string(column + 2, ' ') + line + "\n";
    return text + std::string(column, ' ') + ")" + delimiter + "\"";
}

::testing::AssertionResult Accept(const char *file, int line, const std::string &trace) {
    const std::string path = PathOf(file);
    const size_t compiled = static_cast<size_t>(line);
    long at = line;
    for (const Edit &edit : Edits()[path]) {
        if (edit.line == compiled)
            return edit.text == trace ? ::testing::AssertionSuccess()
                                      : ::testing::AssertionFailure()
                                            << "two runs of this block gave different traces:\n"
                                            << edit.text << "and then:\n"
                                            << trace;
        if (edit.line < compiled)
            at += edit.shift;
    }
    std::string text;
    Literal literal = {};
    if (!ReadFile(path, &text) || !FindLiteral(text, static_cast<size_t>(at), &literal))
        return ::testing::AssertionFailure()
               << "no EXPECT_TRACE(R\"( to rewrite at " << path << ":" << at;
    const std::string old = text.substr(literal.start, literal.end - literal.start);
    const std::string fresh = LiteralOf(trace, literal.column);
    text.replace(literal.start, old.size(), fresh);
    if (!WriteFile(path, text))
        return ::testing::AssertionFailure() << "can't write " << path;
    Edits()[path].push_back({compiled,
                             static_cast<long>(std::count(fresh.begin(), fresh.end(), '\n')) -
                                 static_cast<long>(std::count(old.begin(), old.end(), '\n')),
                             trace});
    printf("%s:%ld: rewritten\n", path.c_str(), at);
    return ::testing::AssertionSuccess();
}

} // namespace

::testing::AssertionResult TraceIs(const char *file, int line, const std::string &expected) {
    const std::string want = Dedent(expected);
    const std::string got = TakeTrace();
    if (want == got)
        return ::testing::AssertionSuccess();
    const char *accept = getenv("EIO_ACCEPT");
    if (accept != nullptr && accept[0] == '1')
        return Accept(file, line, got);
    std::vector<std::string> want_lines = LinesOf(want), got_lines = LinesOf(got);
    size_t i = 0;
    while (i < want_lines.size() && i < got_lines.size() && want_lines[i] == got_lines[i])
        i++;
    return ::testing::AssertionFailure()
           << "the trace differs, first in line " << i + 1 << ". Expected:\n"
           << want << "Got:\n"
           << got;
}

// --- Errors --------------------------------------------------------------------------------------

std::string Text(const eio_err *err) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_err_print(err, &sb);
    std::string text = eio_strbuf_str(&sb);
    eio_strbuf_free(&sb);
    return text;
}

std::string TakeText(eio_err *err) {
    std::string text = Text(err);
    eio_err_drop(err);
    return text;
}

::testing::AssertionResult IsOk(eio_err *err) {
    if (err == nullptr)
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << TakeText(err);
}

::testing::AssertionResult IsErr(eio_err *err, const eio_err_kind *kind) {
    if (eio_err_catch(&err, kind))
        return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "not " << kind->name << " but " << TakeText(err);
}

// --- The fixture ---------------------------------------------------------------------------------

std::string UniqueName() {
    uint64_t words[2];
    EXPECT_EQ(getrandom(words, sizeof words, 0), static_cast<ssize_t>(sizeof words));
    char name[64];
    snprintf(name, sizeof name, "eio-test-%016" PRIx64 "%016" PRIx64, words[0], words[1]);
    return name;
}

std::vector<std::string> OpenFds() {
    std::vector<std::string> fds;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == nullptr)
        return fds;
    for (struct dirent *entry = readdir(dir); entry != nullptr; entry = readdir(dir)) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(dir))
            continue;
        char target[256];
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof target);
        fds.push_back(std::string(entry->d_name) + " -> " +
                      (len < 0 ? std::string("?") : std::string(target, static_cast<size_t>(len))));
    }
    closedir(dir);
    std::sort(fds.begin(), fds.end());
    return fds;
}

void EioTest::SetUp() {
    StartIoMode();
    TakeTrace();
    eio_traceln_set_sink(Sink, nullptr);
    eio_err_show_backend(false);
    live_objects_ = eioi_live_objects();
    fds_ = OpenFds();
}

void EioTest::TearDown() {
    eio_traceln_set_sink(nullptr, nullptr);
    eio_err_show_backend(true);
    const std::string rest = TakeTrace();
    if (IsSkipped())
        return;
    EXPECT_EQ(rest, "") << "the test left trace that it didn't look at";
    if (allow_leaks_)
        return;
    EXPECT_EQ(eioi_live_objects(), live_objects_)
        << "objects of the library, at the end and at the start";
    EXPECT_EQ(OpenFds(), fds_) << "open descriptors, at the end and at the start";
}

} // namespace eio_test
