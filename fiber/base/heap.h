// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_HEAP_H
#define EIO_BASE_HEAP_H

// A heap of deadlines: equal deadlines come out in the order in which they went in. Insertion is
// O(1) where deadlines come in no order or each later than the last, O(log n) else, as removal is.
// A node lives in the frame of the fiber that waits; what is compared lives in the heap's own
// arrays. Room is made beforehand, by `eioi_heap_reserve`, so an insertion can't fail.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

enum { EIOI_HEAP_POP_MOST = 16 }; // nodes that one call takes out

struct eioi_heap_node {
    uint32_t slot; // its number in the heap; 0: in none
};

struct eioi_heap_entry {
    int64_t key;    // deadline, ns
    uint64_t order; // number of the insertion, breaks ties; its low bits are the node's slot
};

/** All zeros is an empty heap without room. */
struct eioi_heap {
    struct eioi_heap_entry *entries; // a tree, see heap.c
    struct eioi_heap_node **nodes;   // by slot
    uint32_t *at;      // by slot: where in `entries`; of a free slot: the next free one
    void *block;       // what the arrays were allocated as
    uint32_t capacity; // how many nodes there is room for
    uint32_t count;
    uint32_t used;      // slots up to this one have been given out; valid in `nodes` and `at`
    uint32_t free_slot; // the first of those that are free again; 0: none
    uint64_t next_seq;
};

/** Makes room for `n` nodes in all. Errors: Out_of_memory. */
EIO_MUST_USE eio_err *eioi_heap_reserve(struct eioi_heap *self, size_t n);
/** Frees the heap's memory. Nodes still in it stay behind as they are. */
void eioi_heap_fini(struct eioi_heap *self);
/** Inserts `node` with `key`; `node` must not be in a heap, and there must be room. */
void eioi_heap_insert(struct eioi_heap *self, struct eioi_heap_node *node, int64_t key);
/** Removes `node`; nothing happens when it is not in a heap. */
void eioi_heap_remove(struct eioi_heap *self, struct eioi_heap_node *node);
/**
 * Removes the nodes whose keys are `limit` or less, in their order, at most `most` (and
 * EIOI_HEAP_POP_MOST) of them, and returns how many these were. Several at a time cost less than
 * one by one.
 */
size_t eioi_heap_pop(struct eioi_heap *self, int64_t limit, struct eioi_heap_node *out[],
                     size_t most);
/** The key of the earliest node; INT64_MAX when there is none. */
int64_t eioi_heap_first_key(const struct eioi_heap *self);

EIO_END_DECLS

#endif
