// SPDX-License-Identifier: ISC
// Copying a flow, in each of its ways: bytes out are bytes in, in order, whatever the pieces, and
// when one end fails they are a prefix of them.

#include <cstring>
#include <vector>

#include "eio/buf_read.h"
#include "eio/flow.h"
#include "eio/flow_pi.h"
#include "eio/mem.h"
#include "tests/fuzz/fuzz.h"

namespace eio_fuzz {
namespace {

struct Source : eio_source {
    std::string text, sizes;
    size_t at = 0, turn = 0;

    eio_err *Next(size_t *out_len) {
        auto size = static_cast<uint8_t>(sizes[turn++ % sizes.size()]);
        if (size == 0)
            return eio_err_const(&eio_err_timeout);
        if (at == text.size())
            return eio_err_const(&eio_err_end_of_file);
        *out_len = std::min<size_t>(size, text.size() - at);
        return nullptr;
    }
};

eio_err *SourceRead(eio_source *src, eio_buf buf, size_t *out_got) {
    auto *self = static_cast<Source *>(src);
    EIO_TRY(self->Next(out_got));
    *out_got = std::min(*out_got, buf.len);
    memcpy(buf.base, self->text.data() + self->at, *out_got);
    self->at += *out_got;
    return nullptr;
}
eio_err *SourceLend(eio_source *src, eio_slice *out) {
    auto *self = static_cast<Source *>(src);
    size_t len;
    EIO_TRY(self->Next(&len));
    *out = eio_slice_of(self->text.data() + self->at, len);
    return nullptr;
}
void SourceRelease(eio_source *src, size_t used) {
    static_cast<Source *>(src)->at += used;
}
const eio_source_ops kReads = {"reads", SourceRead, nullptr, nullptr, nullptr};
const eio_source_ops kLends = {"lends", SourceRead, SourceLend, SourceRelease, nullptr};

struct Sink : eio_sink {
    std::string got, sizes;
    size_t turn = 0;
};

eio_err *SinkWrite(eio_sink *sink, const eio_slice *slices, size_t n, size_t *out_wrote) {
    auto *self = static_cast<Sink *>(sink);
    size_t room = static_cast<uint8_t>(self->sizes[self->turn++ % self->sizes.size()]), wrote = 0;
    if (room == 0)
        return eio_err_const(&eio_err_closed);
    CHECK(n > 0);
    for (size_t i = 0; i < n; i++) {
        CHECK(slices[i].len > 0);
        size_t len = std::min(room - wrote, slices[i].len);
        self->got += Str(eio_slice_of(slices[i].base, len));
        wrote += len;
    }
    *out_wrote = wrote;
    return nullptr;
}
const eio_sink_ops kTakes = {"takes", SinkWrite, nullptr, nullptr};

std::string Sizes(Input &in) {
    std::string sizes = in.String(6);
    return sizes.find_first_not_of('\0') == std::string::npos ? "\xff" : sizes;
}

bool MayFail(const std::string &sizes) {
    return sizes.find('\0') != std::string::npos;
}

void Copy(Input &in, Source &source) {
    Sink sink;
    sink.ops = &kTakes;
    sink.sizes = Sizes(in);
    bool simple = in.Bool();
    source.text = in.Rest();
    const eio_err_kind *kind =
        TakeKind(simple ? eio_flow_simple_copy(&source, &sink) : eio_flow_copy(&source, &sink));
    CHECK(source.text.compare(0, sink.got.size(), sink.got) == 0);
    CHECK(kind != nullptr || sink.got == source.text);
    CHECK(kind != &eio_err_timeout || MayFail(source.sizes));
    CHECK(kind != &eio_err_closed || MayFail(sink.sizes));
    CHECK(kind == nullptr || kind == &eio_err_timeout || kind == &eio_err_closed);
}

void ReadAll(Input &in, Source &source) {
    size_t max = in.Below(200);
    bool through_sink = in.Bool();
    source.text = in.Rest();
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_buffer_sink sink;
    eio_buffer_sink_init(&sink, &sb, max);
    const eio_err_kind *kind = TakeKind(through_sink ? eio_flow_copy(&source, &sink.sink)
                                                     : eio_source_read_all(&source, max, &sb));
    std::string got = Str(eio_strbuf_slice(&sb));
    eio_strbuf_free(&sb);
    CHECK(got.size() <= max && source.text.compare(0, got.size(), got) == 0);
    CHECK(kind != nullptr || got == source.text);
    CHECK(kind != &eio_err_buffer_limit_exceeded || source.text.size() > max);
    if (!MayFail(source.sizes))
        CHECK(kind == (source.text.size() > max ? &eio_err_buffer_limit_exceeded : nullptr));
}

// Through a reader, of which something was read before.
void CopyFromReader(Input &in, Source &source) {
    size_t max = 1 + in.Below(5000), first = in.Byte();
    Sink sink;
    sink.ops = &kTakes;
    sink.sizes = "\xff";
    source.text = in.Rest();
    eio_buf_read reader;
    CHECK(TakeKind(eio_buf_read_init(&reader, &source, max)) == nullptr);
    eio_slice taken = {};
    std::string all;
    if (TakeKind(eio_buf_read_take(&reader, first, &taken)) == nullptr)
        all = Str(taken);
    const eio_err_kind *kind = TakeKind(eio_flow_copy(&reader.source, &sink));
    all += sink.got;
    CHECK(source.text.compare(0, all.size(), all) == 0);
    CHECK(kind != nullptr || all == source.text);
    CHECK(kind == nullptr || MayFail(source.sizes));
    eio_buf_read_fini(&reader);
}

} // namespace

void Target(const uint8_t *data, size_t size) {
    Input in(data, size);
    uint8_t what = in.Byte();
    Source source;
    source.ops = what & 1 ? &kLends : &kReads;
    source.lent = nullptr;
    source.sizes = Sizes(in);
    switch (what >> 1 & 3) {
    case 0:
    case 1: Copy(in, source); break;
    case 2: ReadAll(in, source); break;
    default: CopyFromReader(in, source);
    }
    eio_source_fini(&source);
}

} // namespace eio_fuzz
