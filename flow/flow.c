// SPDX-License-Identifier: ISC

// What all flows have in common: the loops around a provider's single reads and writes, the checks
// of the contract with it, and lending for sources that have no memory of their own.
//
// A source's `lent` is one of three things. NULL: no loan, and nothing kept. `&own_loan`: the
// provider has lent its own memory. Anything else: a buffer of ours, in one of the states of `enum
// lend_state`:
//
//     (none) --lend--> READING --data--> LOANED --release of all--> (none)
//                         |                | ^
//                       error          part| |lend
//                         v                v |
//                       (none)            KEPT --read of the rest--> (none)
//
// A read or a loan is the only owner of the buffer while it lasts: a close meanwhile only marks the
// buffer as doomed, and the owner frees it at its end, with what would have been kept. So after a
// close no old bytes are read: the provider is asked, and answers "closed". `eio_source_fini` frees
// in every state but READING, where the memory may be in the kernel's hands.

#include "eio/flow.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "eio/mem.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/canary.h"
#include "fiber/base/hint.h"
#include "flow/flow_pi.h"

_Static_assert(sizeof(eio_slice) == sizeof(struct iovec), "arrays of slices go to the kernel");
_Static_assert(offsetof(eio_slice, base) == offsetof(struct iovec, iov_base), "as an iovec");
_Static_assert(offsetof(eio_slice, len) == offsetof(struct iovec, iov_len), "as an iovec");
_Static_assert(sizeof(eio_buf) == sizeof(struct iovec), "arrays of buffers go to the kernel");
_Static_assert(offsetof(eio_buf, base) == offsetof(struct iovec, iov_base), "as an iovec");
_Static_assert(offsetof(eio_buf, len) == offsetof(struct iovec, iov_len), "as an iovec");

enum {
    CHUNK_BYTES = 16 * 1024, // read at once for lending and copying
    GATHER_MAX = 64,         // slices put together on the stack where an array can't go as it is
    WRITE_MAX = IOV_MAX,     // slices in one write
};

enum lend_state { LEND_KEPT, LEND_READING, LEND_LOANED };

struct eioi_lend_buf {
    size_t start, end; // bytes[start..end) are read from the source, and not yet used; not valid
                       // while READING
    enum lend_state state; // who may use the buffer
    bool doomed;           // closed meanwhile: freed when the read fails or the loan ends
    uint8_t bytes[];       // CHUNK_BYTES
};

// Marks a provider's own loan; nothing in it is used, so all threads may share it.
static struct eioi_lend_buf own_loan;

static void free_bytes(uint8_t **bytes) {
    eioi_free(*bytes);
}

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

// --- Reading -------------------------------------------------------------------------------------

static void free_lent(eio_source *src) {
    eioi_free(src->lent);
    src->lent = NULL;
}

static void check_not_lent(const eio_source *src) {
    const struct eioi_lend_buf *lent = src->lent;
    if (lent == NULL)
        return;
    EIO_ASSERT(lent != &own_loan, "%s: read while its bytes are lent", src->ops->name);
    EIO_ASSERT(lent->state != LEND_LOANED, "%s: read while its bytes are lent", src->ops->name);
    EIO_ASSERT(lent->state != LEND_READING, "%s: read by two fibers at once", src->ops->name);
}

static inline eio_err *provider_read(eio_source *src, eio_buf buf, size_t *out_got) {
    size_t got = 0;
    EIO_TRY(src->ops->single_read(src, buf, &got));
    EIO_ASSERT(got > 0, "%s: the source read nothing, and said no End_of_file", src->ops->name);
    EIO_ASSERT(got <= buf.len, "%s: the source read more than there is room for", src->ops->name);
    *out_got = got;
    return NULL;
}

static void use_kept(eio_source *src, size_t used) {
    struct eioi_lend_buf *lent = src->lent;
    lent->start += used;
    if (lent->start == lent->end || lent->doomed)
        free_lent(src);
}

static size_t read_kept(eio_source *src, eio_buf buf) {
    const struct eioi_lend_buf *lent = src->lent;
    size_t len = min_size(buf.len, lent->end - lent->start);
    memcpy(buf.base, lent->bytes + lent->start, len);
    use_kept(src, len);
    return len;
}

EIOI_INLINE eio_err *eio_source_single_read(eio_source *src, eio_buf buf, size_t *out_got) {
    EIO_ASSERT(buf.len > 0, "%s: read into an empty buffer", src->ops->name);
    check_not_lent(src);
    if (src->lent == NULL)
        return provider_read(src, buf, out_got);
    *out_got = read_kept(src, buf);
    return NULL;
}

eio_err *eio_source_read_exact(eio_source *src, eio_buf buf) {
    while (buf.len > 0) {
        size_t got;
        EIO_TRY(eio_source_single_read(src, buf, &got));
        buf = eio_buf_drop(buf, got);
    }
    return NULL;
}

static inline eio_err *lend_own(eio_source *src, eio_slice *out) {
    eio_slice loan = {NULL, 0};
    EIO_TRY(src->ops->lend(src, &loan));
    EIO_ASSERT(loan.len > 0, "%s: the source lent nothing, and said no End_of_file",
               src->ops->name);
    EIO_ASSERT(src->lent == NULL, "%s: lent twice", src->ops->name);
    src->lent = &own_loan;
    *out = loan;
    return NULL;
}

static eio_err *fill_lent(eio_source *src) {
    struct eioi_lend_buf *lent = eioi_alloc(sizeof *lent + CHUNK_BYTES);
    if (lent == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    *lent = (struct eioi_lend_buf){.state = LEND_READING};
    src->lent = lent;
    eio_err *err = provider_read(src, eio_buf_of(lent->bytes, CHUNK_BYTES), &lent->end);
    EIO_ASSERT(src->lent == lent, "%s: its buffer changed under a read", src->ops->name);
    if (err != NULL)
        free_lent(src);
    return err;
}

EIOI_INLINE eio_err *eio_source_lend(eio_source *src, eio_slice *out) {
    check_not_lent(src);
    if (src->ops->lend != NULL)
        return lend_own(src, out);
    if (src->lent == NULL)
        EIO_TRY(fill_lent(src));
    struct eioi_lend_buf *lent = src->lent;
    lent->state = LEND_LOANED;
    *out = eio_slice_of(lent->bytes + lent->start, lent->end - lent->start);
    return NULL;
}

EIOI_INLINE void eio_source_release(eio_source *src, size_t used) {
    struct eioi_lend_buf *lent = src->lent;
    EIO_ASSERT(lent != NULL, "%s: release without a loan", src->ops->name);
    if (lent == &own_loan) {
        src->lent = NULL;
        src->ops->release(src, used);
        return;
    }
    EIO_ASSERT(lent->state == LEND_LOANED, "%s: release without a loan", src->ops->name);
    EIO_ASSERT(used <= lent->end - lent->start, "%s: release of more than was lent",
               src->ops->name);
    lent->state = LEND_KEPT;
    use_kept(src, used);
}

void eio_source_loan_ended(eio_source *src) {
    EIO_ASSERT(src->lent == &own_loan, "%s: a loan that there isn't has ended", src->ops->name);
    src->lent = NULL;
}

// What was kept is not to be read any more.
static void forget_kept(eio_source *src) {
    struct eioi_lend_buf *lent = src->lent;
    if (lent == NULL || lent == &own_loan)
        return;
    if (lent->state == LEND_KEPT)
        free_lent(src);
    else
        lent->doomed = true;
}

void eio_source_fini(eio_source *src) {
    struct eioi_lend_buf *lent = src->lent;
    if (lent == NULL)
        return;
    if (lent == &own_loan) {
        src->lent = NULL;
        return;
    }
    EIO_ASSERT(lent->state != LEND_READING, "%s: freed while a fiber reads it", src->ops->name);
    free_lent(src);
}

// --- Writing -------------------------------------------------------------------------------------

// `slices` are 1 to WRITE_MAX, none empty.
static eio_err *provider_write(eio_sink *sink, const eio_slice *slices, size_t n,
                               size_t *out_wrote) {
    size_t offered = 0;
    for (size_t i = 0; i < n; i++)
        offered += slices[i].len;
    size_t wrote = 0;
    EIO_TRY(sink->ops->single_write(sink, slices, n, &wrote));
    EIO_ASSERT(wrote > 0, "%s: the sink wrote nothing, and said no error", sink->ops->name);
    EIO_ASSERT(wrote <= offered, "%s: the sink wrote more than there is", sink->ops->name);
    *out_wrote = wrote;
    return NULL;
}

// How many slices, from the first on, can go to a provider as they are.
static size_t run_length(const eio_slice *slices, size_t n) {
    size_t max = min_size(n, WRITE_MAX);
    size_t i = 0;
    while (i < max && slices[i].len > 0)
        i++;
    return i;
}

eio_err *eio_sink_single_write(eio_sink *sink, const eio_slice *slices, size_t n,
                               size_t *out_wrote) {
    size_t first = 0;
    while (first < n && slices[first].len == 0)
        first++;
    EIO_ASSERT(first < n, "%s: a single write of no bytes", sink->ops->name);
    return provider_write(sink, slices + first, run_length(slices + first, n - first), out_wrote);
}

EIOI_INLINE eio_err *eio_sink_write(eio_sink *sink, eio_slice bytes) {
    while (bytes.len > 0) {
        size_t wrote;
        EIO_TRY(provider_write(sink, &bytes, 1, &wrote));
        if (EIOI_CANARY(short_write))
            wrote = bytes.len;
        bytes = eio_slice_drop(bytes, wrote);
    }
    return NULL;
}

// How far a gathered write has come. Settled: `i == n`, or there are bytes left in slice `i`.
struct progress {
    const eio_slice *slices;
    size_t n;
    size_t i;    // slice to go on with
    size_t done; // bytes of it written already
};

static void settle(struct progress *at) {
    while (at->i < at->n && at->done == at->slices[at->i].len) {
        at->i++;
        at->done = 0;
    }
}

static void advance(struct progress *at, size_t wrote) {
    while (wrote > 0) {
        size_t step = min_size(wrote, at->slices[at->i].len - at->done);
        at->done += step;
        wrote -= step;
        settle(at);
    }
}

// Collects what comes next into `window`, without empty slices.
static size_t gather(const struct progress *at, eio_slice *window) {
    size_t count = 0;
    size_t done = at->done;
    for (size_t i = at->i; i < at->n && count < GATHER_MAX; i++) {
        eio_slice rest = eio_slice_drop(at->slices[i], done);
        done = 0;
        if (rest.len > 0)
            window[count++] = rest;
    }
    return count;
}

eio_err *eio_sink_writev(eio_sink *sink, const eio_slice *slices, size_t n) {
    struct progress at = {.slices = slices, .n = n};
    settle(&at);
    while (at.i < n) {
        eio_slice window[GATHER_MAX];
        const eio_slice *run = slices + at.i;
        size_t count = at.done == 0 ? run_length(run, n - at.i) : 0;
        // As it is, if nothing is in the way or enough comes before it; the stack is small.
        if (count < n - at.i && count < GATHER_MAX) {
            run = window;
            count = gather(&at, window);
        }
        size_t wrote;
        EIO_TRY(provider_write(sink, run, count, &wrote));
        advance(&at, wrote);
    }
    return NULL;
}

// --- Copying -------------------------------------------------------------------------------------

static eio_err *copy_lent(eio_source *src, eio_sink *dst) {
    for (;;) {
        eio_slice loan;
        eio_err *err = eio_source_lend(src, &loan);
        if (eio_err_catch(&err, &eio_err_end_of_file))
            return NULL;
        EIO_TRY(err);
        err = eio_sink_write(dst, loan);
        eio_source_release(src, loan.len);
        EIO_TRY(err);
    }
}

// One buffer for the whole copy, where a loan for each round would allocate one each time.
static eio_err *copy_read(eio_source *src, eio_sink *dst) {
    uint8_t *chunk EIO_CLEANUP(free_bytes) = eioi_alloc(CHUNK_BYTES);
    if (chunk == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    for (;;) {
        size_t got = 0;
        eio_err *err = eio_source_single_read(src, eio_buf_of(chunk, CHUNK_BYTES), &got);
        if (eio_err_catch(&err, &eio_err_end_of_file))
            return NULL;
        EIO_TRY(err);
        EIO_TRY(eio_sink_write(dst, eio_slice_of(chunk, got)));
    }
}

eio_err *eio_flow_simple_copy(eio_source *src, eio_sink *dst) {
    return src->ops->lend != NULL ? copy_lent(src, dst) : copy_read(src, dst);
}

eio_err *eio_flow_copy(eio_source *src, eio_sink *dst) {
    return dst->ops->copy_from != NULL ? dst->ops->copy_from(dst, src)
                                       : eio_flow_simple_copy(src, dst);
}

eio_err *eio_flow_copy_string(const char *str, eio_sink *dst) {
    if (str[0] == '\0')
        return NULL;
    eio_string_source text;
    eio_string_source_init(&text, eio_slice_of_str(str));
    return eio_flow_copy(&text.source, dst);
}

eio_err *eio_source_read_all(eio_source *src, size_t max_bytes, eio_strbuf *out) {
    eio_buffer_sink sink;
    eio_buffer_sink_init(&sink, out, max_bytes);
    return eio_flow_copy(src, &sink.sink);
}

// --- Flows ---------------------------------------------------------------------------------------

eio_err *eio_flow_shutdown(eio_flow *flow, eio_shutdown how) {
    return flow->ops->shutdown(flow, how);
}

void eio_flow_close(eio_flow *flow) {
    if (flow == NULL)
        return;
    flow->ops->close(flow);
    forget_kept(&flow->source);
}

void eio_flow_free(eio_flow *flow) {
    if (flow == NULL)
        return;
    eio_source_fini(&flow->source);
    flow->ops->free(flow);
}
