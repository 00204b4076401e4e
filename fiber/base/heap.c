// SPDX-License-Identifier: ISC

// An implicit heap with four children to a node: no entry is later than its children. The order
// (key, number of the insertion) is total, so what comes out doesn't depend on the shape.
//
// Why not a tree of the nodes themselves, which would need no memory: each node is on the stack of
// a fiber that sleeps, on a page of its own. To compare two means a miss of the cache and one of
// the TLB, and with 100,000 sleepers that's 3 us to take out one. Here keys stand side by side, the
// four children of an entry in one cache line, which is asked for while their parents are compared;
// a node's memory is touched when it goes in and when it comes out. What moves in the tree is
// written down in `at`, by slot, and not in the node, for the same reason.
//
// An entry's `order` holds the number of its insertion and its slot, so a comparison is one of 128
// bits. When numbers run out (after 2^36 insertions into a heap that is never empty) those that are
// in are numbered anew.
//
// Invariants: entries[ROOT] to entries[ROOT + count - 1] are valid; for each of them, `at` of its
// slot is where it stands and `nodes` of its slot is its node, which knows its slot. Slots are
// counted from 1. Every slot up to `used` is in an entry or on the list of free slots.

#include "fiber/base/heap.h"

#include <stdlib.h>
#include <string.h>

#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/canary.h"

// With the root in the last quarter of a cache line the children of each entry have one line.
enum { ROOT = 3, LINE = 64, SLOT_BITS = 28, LEAST = 64 };
#define SLOT_MASK ((UINT64_C(1) << SLOT_BITS) - 1)
#define SEQ_MAX (UINT64_MAX >> SLOT_BITS)

_Static_assert(LINE == 4 * sizeof(struct eioi_heap_entry), "four children have a cache line");

__extension__ typedef __int128 rank;

static inline rank rank_of(const struct eioi_heap_entry *entry) {
    return (rank)entry->key * ((rank)1 << 64) + (rank)entry->order;
}

static inline bool before(const struct eioi_heap_entry *a, const struct eioi_heap_entry *b) {
    return rank_of(a) < rank_of(b);
}

static inline uint32_t slot_of(const struct eioi_heap_entry *entry) {
    return (uint32_t)(entry->order & SLOT_MASK);
}

static inline size_t parent_of(size_t i) {
    return i / 4 + 2;
}

static inline size_t children_of(size_t i) {
    return 4 * (i - 2);
}

static inline void place(struct eioi_heap *self, size_t i, struct eioi_heap_entry entry) {
    self->entries[i] = entry;
    self->at[slot_of(&entry)] = (uint32_t)i;
}

/** `entry` goes to `i`, or from there towards the root. */
static void rise(struct eioi_heap *self, size_t i, struct eioi_heap_entry entry) {
    while (i != ROOT && before(&entry, &self->entries[parent_of(i)])) {
        place(self, i, self->entries[parent_of(i)]);
        i = parent_of(i);
    }
    place(self, i, entry);
}

/** The earliest of the entries from `first` on, at most four; the last one is before `end`. */
static inline size_t earliest(const struct eioi_heap_entry *entries, size_t first, size_t end) {
    if (first + 4 <= end) { // without branches: which one it is can't be guessed
        size_t a = first + before(&entries[first + 1], &entries[first]);
        size_t b = first + 2 + before(&entries[first + 3], &entries[first + 2]);
        return before(&entries[b], &entries[a]) ? b : a;
    }
    size_t best = first;
    for (size_t i = first + 1; i < end; i++)
        if (before(&entries[i], &entries[best]))
            best = i;
    return best;
}

/** `entry` goes to `i`, or from there towards the leaves. */
static void sink(struct eioi_heap *self, size_t i, struct eioi_heap_entry entry) {
    const struct eioi_heap_entry *entries = self->entries;
    const size_t end = ROOT + (size_t)self->count - (EIOI_CANARY(heap_off_by_one) ? 1 : 0);
    for (size_t first = children_of(i); first < end; first = children_of(i)) {
        const size_t below = children_of(first);
        if (below < end) // of one of these four lines the next turn has need
            for (size_t k = 0; k < 16; k += 4)
                __builtin_prefetch(&entries[below + k]);
        size_t best = earliest(entries, first, end);
        if (!before(&entries[best], &entry))
            break;
        place(self, i, entries[best]);
        i = best;
    }
    place(self, i, entry);
}

/** The entry at `i` goes; the last one fills the gap. */
static void take_out(struct eioi_heap *self, size_t i) {
    const uint32_t slot = slot_of(&self->entries[i]);
    self->at[slot] = self->free_slot;
    self->free_slot = slot;
    self->count--;
    const size_t last = ROOT + (size_t)self->count;
    if (i == last)
        return;
    const struct eioi_heap_entry entry = self->entries[last];
    if (i != ROOT && before(&entry, &self->entries[parent_of(i)]))
        rise(self, i, entry);
    else
        sink(self, i, entry);
}

static int compare(const void *a, const void *b) {
    return before(b, a) - before(a, b);
}

/** Numbers what is in the heap anew. What is in order is a heap, too. */
static void renumber(struct eioi_heap *self) {
    struct eioi_heap_entry *first = self->entries + ROOT;
    qsort(first, self->count, sizeof *first, compare);
    for (uint32_t i = 0; i < self->count; i++) {
        first[i].order = (uint64_t)i << SLOT_BITS | slot_of(&first[i]);
        self->at[slot_of(&first[i])] = ROOT + i;
    }
    self->next_seq = self->count;
}

static uint64_t new_seq(struct eioi_heap *self) {
    if (__builtin_expect(self->next_seq > SEQ_MAX, 0))
        renumber(self);
    return self->next_seq++;
}

static uint32_t new_slot(struct eioi_heap *self) {
    const uint32_t slot = self->free_slot;
    if (slot == 0)
        return ++self->used;
    self->free_slot = self->at[slot];
    return slot;
}

eio_err *eioi_heap_reserve(struct eioi_heap *self, size_t n) {
    if (n <= self->capacity)
        return NULL;
    const size_t twice = 2 * (size_t)self->capacity;
    size_t capacity = n > twice ? n : twice;
    if (capacity < LEAST)
        capacity = LEAST;
    if (capacity >= SLOT_MASK)
        capacity = SLOT_MASK - 1;
    if (n > capacity)
        return eio_err_const(&eio_err_out_of_memory);
    struct eioi_heap grown = *self;
    const size_t entries_bytes = (ROOT + capacity) * sizeof grown.entries[0];
    const size_t nodes_bytes = (capacity + 1) * sizeof grown.nodes[0];
    const size_t at_bytes = (capacity + 1) * sizeof grown.at[0];
    char *block = eioi_alloc(LINE + entries_bytes + nodes_bytes + at_bytes);
    if (block == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    grown.block = block;
    block += -(uintptr_t)block % LINE;
    grown.entries = (void *)block;
    grown.nodes = (void *)(block + entries_bytes);
    grown.at = (void *)(block + entries_bytes + nodes_bytes);
    grown.capacity = (uint32_t)capacity;
    if (self->block != NULL) {
        const size_t used = (size_t)self->used + 1;
        memcpy(grown.entries, self->entries, (ROOT + (size_t)self->count) * sizeof *self->entries);
        memcpy(grown.nodes, self->nodes, used * sizeof self->nodes[0]);
        memcpy(grown.at, self->at, used * sizeof self->at[0]);
        eioi_free(self->block);
    }
    *self = grown;
    return NULL;
}

void eioi_heap_fini(struct eioi_heap *self) {
    eioi_free(self->block);
    *self = (struct eioi_heap){0};
}

void eioi_heap_insert(struct eioi_heap *self, struct eioi_heap_node *node, int64_t key) {
    EIO_ASSERT(node->slot == 0, "the node is in a heap already");
    EIO_ASSERT(self->count < self->capacity, "no room was made in a heap of %u", self->capacity);
    const uint64_t seq = new_seq(self);
    node->slot = new_slot(self);
    self->nodes[node->slot] = node;
    const struct eioi_heap_entry entry = {.key = key, .order = seq << SLOT_BITS | node->slot};
    rise(self, ROOT + (size_t)self->count++, entry);
}

void eioi_heap_remove(struct eioi_heap *self, struct eioi_heap_node *node) {
    if (node->slot == 0)
        return;
    EIO_ASSERT(node->slot <= self->used && self->nodes[node->slot] == node,
               "the node is in another heap");
    take_out(self, self->at[node->slot]);
    self->nodes[node->slot] = NULL;
    node->slot = 0;
}

size_t eioi_heap_pop(struct eioi_heap *self, int64_t limit, struct eioi_heap_node *out[],
                     size_t most) {
    uint32_t slots[EIOI_HEAP_POP_MOST];
    size_t n = 0;
    if (most > EIOI_HEAP_POP_MOST)
        most = EIOI_HEAP_POP_MOST;
    for (; n < most && self->count > 0 && self->entries[ROOT].key <= limit; n++) {
        slots[n] = slot_of(&self->entries[ROOT]);
        take_out(self, ROOT);
    }
    // Each of these is a miss, which the processor waits for together when they stand together.
    for (size_t i = 0; i < n; i++) {
        out[i] = self->nodes[slots[i]];
        self->nodes[slots[i]] = NULL;
        __builtin_prefetch(out[i], 1);
    }
    for (size_t i = 0; i < n; i++)
        out[i]->slot = 0;
    return n;
}

int64_t eioi_heap_first_key(const struct eioi_heap *self) {
    return self->count == 0 ? INT64_MAX : self->entries[ROOT].key;
}
