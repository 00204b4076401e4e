// SPDX-License-Identifier: ISC
// Errors: any sequence of making, sharing, combining and dropping, with any text in them. Nothing
// leaks, nothing is freed twice, and what is printed says what went in.

#include "eio/err.h"

#include <cstring>
#include <vector>

#include "eio/err_net.h"
#include "tests/fuzz/fuzz.h"

namespace eio_fuzz {
namespace {

const eio_err_kind *const kKinds[] = {
    &eio_err_io,
    &eio_err_x,
    &eio_err_not_available,
    &eio_err_fs_not_found,
    &eio_err_closed,
    &eio_err_timeout,
    &eio_err_end_of_file,
    &eio_err_out_of_memory,
    &eio_err_cancelled,
    &eio_err_failure_kind,
    &eio_err_net_connection_reset,
    &eio_err_not_first,
};
const eio_err_kind *const kIoKinds[] = {&eio_err_x, &eio_err_fs_not_found, &eio_err_net_refused,
                                        &eio_err_net_connection_reset};

// How often `needle` is in `text`.
size_t CountOf(const std::string &text, const std::string &needle) {
    size_t n = 0;
    for (size_t at = text.find(needle); at != std::string::npos; at = text.find(needle, at + 1))
        n++;
    return n;
}

std::string Printed(const eio_err *err, void (*print)(const eio_err *, eio_strbuf *)) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    print(err, &sb);
    CHECK(!sb.failed);
    std::string text = Str(eio_strbuf_slice(&sb));
    eio_strbuf_free(&sb);
    return text;
}

void CheckPrinting(const eio_err *err, size_t room) {
    std::string text = Printed(err, eio_err_print);
    std::string top = Printed(err, eio_err_print_toplevel);
    (void)Printed(err, eio_err_print_trace);
    CHECK(top.compare(0, 11, "Exception: ") == 0 || top.compare(0, 11, "Exception:\n") == 0);
    // In a buffer that is too small it is cut, and ends all the same.
    std::string buf(room + 1, 'x');
    std::string cut = eio_err_str(err, &buf[0], buf.size());
    CHECK(cut.size() <= room);
    CHECK(text.compare(0, cut.size(), cut) == 0);
    CHECK(cut.size() == std::min(room, strlen(text.c_str())));
}

// An error of one text prints that text, quoted.
void CheckFailure(const std::string &text) {
    eio_err *err = eio_err_failure("%s", text.c_str());
    CHECK(eio_err_text(err) == std::string(text.c_str()));
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_strbuf_adds(&sb, "Failure(");
    eio_strbuf_add_quoted(&sb, eio_slice_of_str(text.c_str()));
    eio_strbuf_addc(&sb, ')');
    CHECK(Printed(err, eio_err_print) == Str(eio_strbuf_slice(&sb)));
    eio_strbuf_free(&sb);
    eio_err_drop(err);
}

size_t Leaves(const eio_err *err) {
    size_t n = eio_err_child_count(err), leaves = n == 0 ? 1 : 0;
    for (size_t i = 0; i < n; i++)
        leaves += Leaves(eio_err_child(err, i));
    return leaves;
}

} // namespace

void Target(const uint8_t *data, size_t size) {
    Input in(data, size);
    std::vector<eio_err *> held; // never NULL
    auto take = [&](size_t i) {
        eio_err *err = held[i % held.size()];
        held.erase(held.begin() + static_cast<ptrdiff_t>(i % held.size()));
        return err;
    };
    eio_err_show_backend(in.Bool());
    while (!in.empty() && held.size() < 40) {
        uint8_t what = in.Byte(), which = in.Byte();
        const eio_err_kind *kind = kKinds[which % (sizeof kKinds / sizeof *kKinds)];
        const eio_err_kind *io_kind = kIoKinds[which % (sizeof kIoKinds / sizeof *kIoKinds)];
        if (held.empty())
            what %= 4;
        switch (what % 14) {
        case 0: held.push_back(eio_err_const(kind)); break;
        case 1: {
            std::string text = in.String(40);
            CheckFailure(text);
            held.push_back(eio_err_failure("%s", text.c_str()));
            break;
        }
        case 2: held.push_back(eio_err_os(io_kind, in.Byte() % 134, "connect")); break;
        case 3: held.push_back(eio_err_backend(io_kind, in.String(30).c_str())); break;
        case 4: held.push_back(eio_err_cancelled_new(take(which))); break;
        case 5: held.push_back(eio_err_ref(held[which % held.size()])); break;
        case 6: eio_err_drop(take(which)); break;
        case 7:
        case 8: {
            eio_err *first = take(which);
            eio_err *second = held.empty() ? nullptr : take(in.Byte());
            size_t leaves = Leaves(first) + (second == nullptr ? 0 : Leaves(second));
            bool both = what % 14 == 7;
            eio_err *err = both ? eio_err_combine(first, second) : eio_err_collect(first, second);
            CHECK(err != nullptr && Leaves(err) <= leaves);
            held.push_back(err);
            break;
        }
        case 9: {
            std::string line = in.String(30);
            eio_err *err = take(which);
            size_t before = CountOf(Printed(err, eio_err_print), "\n");
            bool prints = eio_err_is(err, &eio_err_io) && eio_err_text(err) != nullptr;
            err = eio_err_add_context(err, "%s", line.c_str());
            CHECK(CountOf(Printed(err, eio_err_print), "\n") >= (prints ? before : 0));
            held.push_back(err);
            break;
        }
        case 10: {
            eio_err *err = take(which), *same = err;
            bool is = eio_err_is(err, kind);
            CHECK(eio_err_catch(&err, kind) == is);
            CHECK(err == (is ? nullptr : same));
            if (err != nullptr)
                held.push_back(err);
            break;
        }
        case 11: held.push_back(eio_err_trace(take(which), "file.c", what)); break;
        case 12: eio_err_show_backend((which & 1) != 0); break;
        default: CheckPrinting(held[which % held.size()], in.Byte());
        }
    }
    for (eio_err *err : held) {
        CheckPrinting(err, 80);
        eio_err_drop(err);
    }
    eio_err_show_backend(true);
}

} // namespace eio_fuzz
