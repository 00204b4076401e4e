// SPDX-License-Identifier: ISC
#ifndef EIO_FLOW_PI_H
#define EIO_FLOW_PI_H

/*
 * For those who implement flows: the ops tables. The ops pointer is the type tag, `EIO_SELF` is the
 * downcast.
 *
 *     struct xor_source { eio_source base; eio_source *raw; uint8_t key; };
 *     static const struct eio_source_ops xor_ops;
 *     static eio_err *xor_single_read(eio_source *src, eio_buf buf, size_t *out_got) {
 *         struct xor_source *self = EIO_SELF(struct xor_source, base, src, &xor_ops);
 *         ...
 *
 * A source without a `lend` of its own calls `eio_source_fini` when it goes away (in its release
 * hook and in its `free`): a loan that was never given back is held by the library until then.
 */

#include <stddef.h>

#include "eio/flow.h"
#include "eio/self.h"

EIO_BEGIN_DECLS

/** An interface that an object may have beyond its ops; compared by address. */
typedef struct eio_iface {
    const char *name; /**< for people */
} eio_iface;

/** What a source provides. */
struct eio_source_ops {
    const char *name; /**< for messages */
    /** Reads 1 to `buf.len` bytes, or returns End_of_file; 0 bytes is a defect (asserted). */
    eio_err *(*single_read)(eio_source *self, eio_buf buf, size_t *out_got);
    /**
     * Optional, `lend` and `release` both or none (default: the library lends from a buffer that it
     * keeps): lends at least one byte of own memory. One loan at a time is seen to.
     */
    eio_err *(*lend)(eio_source *self, eio_slice *out);
    /** Ends the loan: `used` bytes of it are read, the rest comes again. */
    void (*release)(eio_source *self, size_t used);
    /**
     * Optional (default: none): the implementation of `iface`, or NULL. A source that changes bytes
     * must not forward.
     */
    void *(*query)(eio_source *self, const eio_iface *iface);
};

/** What a sink provides. */
struct eio_sink_ops {
    const char *name; /**< for messages */
    /** Writes at least one byte of 1 to IOV_MAX slices, of which none is empty. */
    eio_err *(*single_write)(eio_sink *self, const eio_slice *slices, size_t n, size_t *out_wrote);
    /** Optional (default: `eio_flow_simple_copy`): reads `src` to its end, which is no error. */
    eio_err *(*copy_from)(eio_sink *self, eio_source *src);
    /** Optional (default: none): the implementation of `iface`, or NULL. */
    void *(*query)(eio_sink *self, const eio_iface *iface);
};

/** What a flow provides beyond its two ends. */
struct eio_flow_ops {
    const char *name; /**< for messages */
    eio_err *(*shutdown)(eio_flow *self, eio_shutdown how);
    /** Idempotent; never suspends. */
    void (*close)(eio_flow *self);
    /** Closes, detaches from its switch, frees. Never suspends. */
    void (*free)(eio_flow *self);
    /** Optional (default: none): the implementation of `iface`, or NULL. */
    void *(*query)(eio_flow *self, const eio_iface *iface);
};

/**
 * The default of `copy_from`, for sinks that have a better way for some sources only: writes what
 * `src` lends, or reads by the 16 KiB from a source that has nothing of its own to lend.
 *
 * Suspends:  until the end of `src`.
 * Errors:    those of reading (but End_of_file) and writing; Out_of_memory.
 */
EIO_API EIO_MUST_USE eio_err *eio_flow_simple_copy(eio_source *src, eio_sink *dst);
/**
 * Frees the buffer that the library may keep for lending, with what is in it; to be called when a
 * source goes away. No fiber may be reading it (asserted). Again is fine.
 *
 * Suspends:  never.
 */
EIO_API void eio_source_fini(eio_source *src);
/**
 * For a sink's `copy_from` that is of the source's provider: the provider's own loan, which
 * `eio_source_lend` has given out (asserted), is ended by the provider itself.
 *
 * Suspends:  never.
 */
EIO_API void eio_source_loan_ended(eio_source *src);

EIO_END_DECLS

#endif
