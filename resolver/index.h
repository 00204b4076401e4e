// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_INDEX_H
#define EIO_RESOLVER_INDEX_H

// A hash index over the entries 0 to n - 1 of an array, built once: chains of entry numbers.
// Entries are added from the last to the first, so that each chain comes in the order of the array
// (that of the lines of a file).

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fiber/base/alloc.h"

#define EIOI_INDEX_END UINT32_MAX

struct eioi_index {
    uint32_t *buckets; // mask + 1 of them; the first entry of each chain, or EIOI_INDEX_END
    uint32_t *next;    // by entry: the one after it in its chain
    uint32_t mask;
};

/** An empty index for `n` entries; false when there is no memory. */
static inline bool eioi_index_init(struct eioi_index *self, size_t n) {
    uint32_t size = 8;
    while (size < n)
        size *= 2;
    self->mask = size - 1;
    self->buckets = eioi_alloc(size * sizeof *self->buckets);
    self->next = eioi_alloc(n * sizeof *self->next);
    if (self->buckets == NULL || self->next == NULL)
        return false;
    for (uint32_t i = 0; i < size; i++)
        self->buckets[i] = EIOI_INDEX_END;
    return true;
}

static inline void eioi_index_fini(struct eioi_index *self) {
    eioi_free(self->buckets);
    eioi_free(self->next);
}

static inline void eioi_index_add(struct eioi_index *self, size_t i, uint32_t hash) {
    self->next[i] = self->buckets[hash & self->mask];
    self->buckets[hash & self->mask] = (uint32_t)i;
}

/** The first entry whose hash may be `hash`; go on with `self->next[i]` until EIOI_INDEX_END. */
static inline uint32_t eioi_index_first(const struct eioi_index *self, uint32_t hash) {
    return self->buckets[hash & self->mask];
}

/** FNV-1a of `len` bytes, going on from `seed` (0 to begin with). */
static inline uint32_t eioi_hash_bytes(const void *base, size_t len, uint32_t seed) {
    const uint8_t *bytes = base;
    uint32_t hash = seed ^ 2166136261U;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 16777619U;
    return hash ^ hash >> 15;
}

/** A to Z as a to z, whatever the locale. */
static inline char eioi_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/** As `eioi_hash_bytes`, without regard to case. */
static inline uint32_t eioi_hash_name(const char *name, size_t len) {
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)eioi_lower(name[i])) * 16777619U;
    return hash ^ hash >> 15;
}

/** Whether two names are the same but for case. */
static inline bool eioi_name_equal(const char *a, size_t a_len, const char *b, size_t b_len) {
    if (a_len != b_len)
        return false;
    for (size_t i = 0; i < a_len; i++)
        if (eioi_lower(a[i]) != eioi_lower(b[i]))
            return false;
    return true;
}

#endif
