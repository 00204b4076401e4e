// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_HEAP_H
#define EIO_BASE_HEAP_H

// An intrusive pairing heap of deadlines: equal deadlines come out in the order in which they went
// in. Insertion is O(1), removal O(log n) amortised, and nothing is allocated: a node lives in the
// frame of the fiber that waits.

#include <stdbool.h>
#include <stdint.h>

#include "eio/macros.h"

EIO_BEGIN_DECLS

struct eioi_heap_node {
    int64_t key;                            // deadline, ns
    uint64_t seq;                           // order of insertion, breaks ties
    struct eioi_heap_node *child, *sibling; // first child; next sibling
    struct eioi_heap_node
        *prev;   // previous sibling, or the parent of a first child; NULL at the root
    bool linked; // in a heap
};

struct eioi_heap {
    struct eioi_heap_node *root; // NULL when empty
    uint64_t next_seq;
    uint64_t count;
};

/** Inserts `node` with `key`; `node` must not be in a heap. */
void eioi_heap_insert(struct eioi_heap *self, struct eioi_heap_node *node, int64_t key);
/** Removes `node`; nothing happens when it is not in a heap. */
void eioi_heap_remove(struct eioi_heap *self, struct eioi_heap_node *node);
/** The earliest node, or NULL. */
static inline struct eioi_heap_node *eioi_heap_min(const struct eioi_heap *self) {
    return self->root;
}

EIO_END_DECLS

#endif
