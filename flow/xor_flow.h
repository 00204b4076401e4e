// SPDX-License-Identifier: ISC
#ifndef EIO_FLOW_XOR_FLOW_H
#define EIO_FLOW_XOR_FLOW_H

// An example of a flow around another, which the tests use: every byte that passes is combined with
// a key. It shows all that a wrapper has to do: forward reads, writes and shutdown, own what it
// wraps, and give back the buffer that the library lends for it. It must not forward `query`:
// whoever wrote to the raw descriptor would write bytes that aren't combined.

#include <stdint.h>

#include "eio/flow.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

struct xor_flow {
    eio_flow base;
    eio_flow *raw; // what is wrapped
    uint8_t key;
    eio_hook hook; // attached by xor_flow_create
};

/** Wraps `raw` in the caller's memory; end with `eio_flow_free`, which closes `raw`. */
void xor_flow_init(struct xor_flow *self, eio_flow *raw, uint8_t key);
/** Wraps `raw` until `sw` ends. */
EIO_MUST_USE eio_err *xor_flow_create(eio_switch *sw, eio_flow *raw, uint8_t key, eio_flow **out);

EIO_END_DECLS

#endif
