// SPDX-License-Identifier: ISC
// A buffered reader against a model that has all of the input before it. The input comes in pieces
// of any size, from a source that lends or not, and fails now and then; the operations and the limit
// are the fuzzer's. What an operation does must not depend on the pieces.

#include "eio/buf_read.h"

#include <cstring>
#include <vector>

#include "eio/flow_pi.h"
#include "tests/fuzz/fuzz.h"

namespace eio_fuzz {
namespace {

const eio_err_kind *const kFault = &eio_err_timeout;

// Gives `text` in pieces of the given sizes, again from the first when they are used up; a size of 0
// is a failure, after which it goes on.
class Source : public eio_source {
  public:
    Source(std::string text, std::vector<uint8_t> sizes, bool lends)
        : eio_source{lends ? &kLending : &kReading, nullptr}, text_(std::move(text)),
          sizes_(std::move(sizes)) {}
    /// From now on nothing fails.
    void Heal() { healed_ = true; }

  private:
    eio_err *Next(size_t *out_len) {
        uint8_t size = sizes_.empty() ? 255 : sizes_[turn_++ % sizes_.size()];
        if (size == 0 && !healed_)
            return eio_err_const(kFault);
        if (at_ == text_.size()) {
            CHECK(!ended_ || healed_); // it isn't asked again
            ended_ = true;
            return eio_err_const(&eio_err_end_of_file);
        }
        *out_len = std::min<size_t>(std::max<size_t>(size, 1), text_.size() - at_);
        return nullptr;
    }

    static eio_err *SingleRead(eio_source *src, eio_buf buf, size_t *out_got) {
        auto *self = static_cast<Source *>(src);
        size_t len;
        CHECK(buf.len > 0);
        EIO_TRY(self->Next(&len));
        len = std::min(len, buf.len);
        memcpy(buf.base, self->text_.data() + self->at_, len);
        self->at_ += len;
        *out_got = len;
        return nullptr;
    }
    static eio_err *Lend(eio_source *src, eio_slice *out) {
        auto *self = static_cast<Source *>(src);
        size_t len;
        EIO_TRY(self->Next(&len));
        *out = eio_slice_of(self->text_.data() + self->at_, len);
        return nullptr;
    }
    static void Release(eio_source *src, size_t used) { static_cast<Source *>(src)->at_ += used; }

    static const eio_source_ops kReading, kLending;

    std::string text_;
    std::vector<uint8_t> sizes_;
    size_t at_ = 0, turn_ = 0;
    bool healed_ = false, ended_ = false;
};

const eio_source_ops Source::kReading = {"pieces", SingleRead, nullptr, nullptr, nullptr};
const eio_source_ops Source::kLending = {"loans", SingleRead, Lend, Release, nullptr};

bool Accept(void *arg, uint8_t byte) {
    return byte < *static_cast<uint8_t *>(arg);
}

// One operation on both, and what the model says.
class Run {
  public:
    Run(eio_buf_read *in, const std::string &text, size_t max) : in_(in), text_(text), max_(max) {}

    // The error of the operation that the next bytes of `ops` name; checked, and the caller's.
    eio_err *Step(Input &ops) {
        CHECK(eio_buf_read_consumed(in_) == pos_);
        CheckWindow();
        before_ = pos_;
        eio_err *err = Do(ops);
        if (err != nullptr && eio_err_kind_of(err) == kFault) {
            // Only what passes over bytes may have passed over some.
            uint64_t now = eio_buf_read_consumed(in_);
            CHECK(now == before_ || (skips_ && now > before_ && now <= text_.size()));
            pos_ = static_cast<size_t>(now);
        } else {
            CHECK((err == nullptr ? nullptr : eio_err_kind_of(err)) == expected_);
            CHECK(err == nullptr || skips_ || pos_ == before_);
        }
        CheckWindow();
        CHECK(eio_buf_read_consumed(in_) == pos_);
        return err;
    }
    size_t pos() const { return pos_; }

  private:
    std::string Rest() const { return text_.substr(pos_); }
    size_t Left() const { return text_.size() - pos_; }

    void CheckWindow() {
        std::string window = Str(eio_buf_read_peek(in_));
        CHECK(window.size() == eio_buf_read_buffered(in_));
        CHECK(window.size() <= max_);
        CHECK(text_.compare(static_cast<size_t>(eio_buf_read_consumed(in_)), window.size(),
                            window) == 0);
    }

    // What a wait for `n` bytes comes to.
    const eio_err_kind *Need(size_t n) const {
        if (n > max_)
            return &eio_err_buffer_limit_exceeded;
        return n > Left() ? &eio_err_end_of_file : nullptr;
    }
    void Expect(const eio_err_kind *kind) { expected_ = kind; }

    // The bytes that an operation gave: `n` of what is left, of which `used` are consumed.
    void Gave(const std::string &got, size_t n, size_t used) {
        CHECK(got == Rest().substr(0, n));
        pos_ += used;
    }

    eio_err *Line(bool copied) {
        eio_slice line = {};
        std::string rest = Rest();
        size_t lf = rest.find('\n');
        bool found = lf != std::string::npos;
        Expect(Need(found ? lf + 1 : rest.size() + 1));
        if (!found && expected_ == &eio_err_end_of_file && !rest.empty())
            Expect(nullptr);
        eio_strbuf sb = EIO_STRBUF_INIT;
        eio_err *err = copied ? eio_buf_read_line_to(in_, &sb) : eio_buf_read_line(in_, &line);
        std::string got = copied ? Str(eio_strbuf_slice(&sb)) : Str(line);
        eio_strbuf_free(&sb);
        EIO_TRY(err);
        size_t len = found ? lf : rest.size();
        bool cr = found && len > 0 && rest[len - 1] == '\r';
        Gave(got, cr ? len - 1 : len, found ? lf + 1 : len);
        return nullptr;
    }

    eio_err *TakeAll() {
        eio_slice got = {};
        Expect(Need(Left() + 1) == &eio_err_end_of_file ? nullptr : Need(Left() + 1));
        EIO_TRY(eio_buf_read_take_all(in_, &got));
        Gave(Str(got), Left(), Left());
        return nullptr;
    }

    eio_err *Take(size_t n) {
        eio_slice got = {};
        Expect(Need(n));
        EIO_TRY(eio_buf_read_take(in_, n, &got));
        Gave(Str(got), n, n);
        return nullptr;
    }

    size_t Accepted(uint8_t below) const {
        size_t n = 0;
        while (n < Left() && Accept(&below, static_cast<uint8_t>(text_[pos_ + n])))
            n++;
        return n;
    }

    eio_err *TakeWhile(uint8_t below) {
        eio_slice got = {};
        size_t n = Accepted(below);
        Expect(Need(n + 1) == &eio_err_end_of_file ? nullptr : Need(n + 1));
        EIO_TRY(eio_buf_read_take_while(in_, Accept, &below, &got));
        Gave(Str(got), n, n);
        return nullptr;
    }

    eio_err *Skip(size_t n) {
        skips_ = true;
        Expect(n > Left() ? &eio_err_end_of_file : nullptr);
        eio_err *err = eio_buf_read_skip(in_, n);
        if (err == nullptr || eio_err_kind_of(err) == &eio_err_end_of_file)
            pos_ += std::min(n, Left());
        return err;
    }

    eio_err *SkipWhile(uint8_t below) {
        skips_ = true;
        Expect(nullptr);
        EIO_TRY(eio_buf_read_skip_while(in_, Accept, &below));
        pos_ += Accepted(below);
        return nullptr;
    }

    eio_err *Char(char expected) {
        Expect(Need(1));
        if (expected_ == nullptr && text_[pos_] != expected)
            Expect(&eio_err_failure_kind);
        EIO_TRY(eio_buf_read_char(in_, expected));
        pos_++;
        return nullptr;
    }

    eio_err *AnyChar(bool peek) {
        char c = 0;
        Expect(Need(1));
        EIO_TRY(peek ? eio_buf_read_peek_char(in_, &c) : eio_buf_read_any_char(in_, &c));
        Gave(std::string(1, c), 1, peek ? 0 : 1);
        return nullptr;
    }

    // A literal of the fuzzer's, or what really comes.
    eio_err *String(const std::string &literal) {
        size_t same = 0;
        while (same < literal.size() && same < Left() && text_[pos_ + same] == literal[same])
            same++;
        if (same == literal.size())
            Expect(Need(same));
        else if (Need(same + 1) != nullptr)
            Expect(Need(same + 1));
        else
            Expect(&eio_err_failure_kind);
        EIO_TRY(eio_buf_read_string(in_, Slice(literal)));
        pos_ += literal.size();
        return nullptr;
    }

    eio_err *Number(size_t log_len, bool little) {
        size_t len = size_t{1} << log_len;
        uint64_t got = 0, value = 0;
        uint8_t u8 = 0;
        uint16_t u16 = 0;
        uint32_t u32 = 0;
        Expect(Need(len));
        switch (log_len) {
        case 0:
            EIO_TRY(eio_buf_read_uint8(in_, &u8));
            got = u8;
            break;
        case 1:
            EIO_TRY(little ? eio_buf_read_le_uint16(in_, &u16) : eio_buf_read_be_uint16(in_, &u16));
            got = u16;
            break;
        case 2:
            EIO_TRY(little ? eio_buf_read_le_uint32(in_, &u32) : eio_buf_read_be_uint32(in_, &u32));
            got = u32;
            break;
        default:
            EIO_TRY(little ? eio_buf_read_le_uint64(in_, &got) : eio_buf_read_be_uint64(in_, &got));
        }
        for (size_t i = 0; i < len; i++)
            value |= static_cast<uint64_t>(static_cast<uint8_t>(text_[pos_ + i]))
                     << 8 * (little ? i : len - 1 - i);
        CHECK(got == value);
        pos_ += len;
        return nullptr;
    }

    eio_err *AtEnd() {
        bool at_end = false;
        Expect(nullptr);
        EIO_TRY(eio_buf_read_at_end(in_, &at_end));
        CHECK(at_end == (Left() == 0));
        return nullptr;
    }

    eio_err *EndOfInput() {
        Expect(Left() == 0 ? nullptr : &eio_err_failure_kind);
        return eio_buf_read_end_of_input(in_);
    }

    eio_err *Ensure(size_t n) {
        Expect(Need(n));
        EIO_TRY(eio_buf_read_ensure(in_, n));
        CHECK(eio_buf_read_buffered(in_) >= n);
        return nullptr;
    }

    eio_err *Consume(size_t n) {
        n = std::min(n, eio_buf_read_buffered(in_));
        Expect(nullptr);
        eio_buf_read_consume(in_, n);
        pos_ += n;
        return nullptr;
    }

    eio_err *SingleRead(size_t room) {
        std::string buf(room + 1, '\0');
        size_t got = 0;
        Expect(Left() == 0 ? &eio_err_end_of_file : nullptr);
        EIO_TRY(eio_source_single_read(&in_->source, eio_buf_of(&buf[0], buf.size()), &got));
        CHECK(got > 0 && got <= buf.size());
        Gave(buf.substr(0, got), got, got);
        return nullptr;
    }

    eio_err *Lend(size_t used) {
        eio_slice loan = {};
        Expect(Left() == 0 ? &eio_err_end_of_file : nullptr);
        EIO_TRY(eio_source_lend(&in_->source, &loan));
        CHECK(loan.len > 0);
        std::string got = Str(loan);
        used = std::min(used, loan.len);
        Gave(got, got.size(), used);
        eio_source_release(&in_->source, used);
        return nullptr;
    }

    eio_err *Do(Input &ops) {
        skips_ = false;
        size_t what = ops.Below(21);
        switch (what) {
        case 0: return Line(false);
        case 1: return Line(true);
        case 2: return TakeAll();
        case 3: return Take(ops.Byte());
        case 4: return Take(ops.Below(20000));
        case 5: return TakeWhile(ops.Byte());
        case 6: return Skip(ops.Byte());
        case 7: return Skip(ops.Below(20000));
        case 8: return SkipWhile(ops.Byte());
        case 9: return Char(static_cast<char>(ops.Byte()));
        case 10: return Char(Left() == 0 ? 'a' : text_[pos_]);
        case 11: return AnyChar(false);
        case 12: return AnyChar(true);
        case 13: return String(ops.String(15));
        case 14: return String(Rest().substr(0, ops.Byte()) + ops.String(1));
        case 15: {
            size_t log_len = ops.Below(4);
            return Number(log_len, ops.Bool());
        }
        case 16: return AtEnd();
        case 17: return EndOfInput();
        case 18: return Ensure(ops.Below(6000));
        case 19: return Consume(ops.Byte());
        default: return ops.Bool() ? SingleRead(ops.Below(9000)) : Lend(ops.Byte());
        }
    }

    eio_buf_read *in_;
    const std::string &text_;
    size_t max_;
    size_t pos_ = 0, before_ = 0;
    bool skips_ = false;
    const eio_err_kind *expected_ = nullptr;
};

void Operations(Source &source, const std::string &text, size_t max, Input &ops) {
    eio_buf_read in;
    CHECK(TakeKind(eio_buf_read_init(&in, &source, max)) == nullptr);
    Run run(&in, text, max);
    for (int i = 0; i < 1000 && !ops.empty(); i++)
        eio_err_drop(run.Step(ops));
    eio_buf_read_fini(&in);
}

// The same as a parser that stops at its first error, with the message that the wrapper makes of it.
struct Parser {
    const std::string &text;
    size_t max;
    Input &ops;
    std::string failure; // the text of a Failure that it returned
    size_t pos = 0;
    const eio_err_kind *kind = nullptr;
};

eio_err *Parse(void *arg, eio_buf_read *in) {
    auto *self = static_cast<Parser *>(arg);
    Run run(in, self->text, self->max);
    eio_err *err = nullptr;
    while (err == nullptr && !self->ops.empty())
        err = run.Step(self->ops);
    self->pos = run.pos();
    if (err != nullptr) {
        self->kind = eio_err_kind_of(err);
        self->failure = eio_err_text(err);
    }
    return err;
}

void Parsing(Source &source, const std::string &text, size_t max, Input &ops) {
    Parser parser = {text, max, ops, "", 0, nullptr};
    eio_err *err = eio_buf_read_parse(&source, max, Parse, &parser);
    std::string expected;
    std::string got = err == nullptr ? "" : eio_err_text(err);
    std::string at = std::to_string(parser.pos);
    const eio_err_kind *kind = TakeKind(err);
    if (parser.kind == kFault || kind == kFault)
        return;
    if (parser.kind == &eio_err_end_of_file)
        expected = "Unexpected end-of-file at offset " + std::to_string(text.size());
    else if (parser.kind == &eio_err_buffer_limit_exceeded)
        expected = "Buffer size limit exceeded when reading at offset " + at;
    else if (parser.kind == &eio_err_failure_kind)
        expected = parser.failure + " (at offset " + at + ")";
    else if (parser.pos < text.size())
        expected = "Unexpected data after parsing (at offset " + at + ")";
    CHECK(got == expected);
    CHECK(kind == (expected.empty() ? nullptr : &eio_err_failure_kind));
}

} // namespace

void Target(const uint8_t *data, size_t size) {
    Input in(data, size);
    uint8_t mode = in.Byte();
    size_t max = mode & 4 ? 1 + in.Below(12000) : 1 + in.Below(64);
    std::string sizes = in.String(12);
    std::string text;
    if (mode & 8) { // long enough for a buffer that grows
        std::string unit = in.String(40);
        for (size_t n = in.Below(1000); n > 0; n--)
            text += unit;
    }
    text += in.String(300);
    Source source(text, std::vector<uint8_t>(sizes.begin(), sizes.end()), (mode & 2) != 0);
    if (sizes.find_first_not_of('\0') == std::string::npos)
        source.Heal(); // else nothing would ever come
    if (mode & 1)
        Parsing(source, text, max, in);
    else
        Operations(source, text, max, in);
    eio_source_fini(&source);
}

} // namespace eio_fuzz
