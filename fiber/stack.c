// SPDX-License-Identifier: ISC
// Stacks.
//
// A pool serves one size class (a power of two). It takes slots from slabs, mappings of 64 slots at
// first and of up to 1,024 later (fewer when the system refuses), reserved without being committed.
// A slot is fresh (never used), hot (on the pool's list of free stacks, pages resident, newest
// first), cold (free, pages given back), or in use.
//
// Guards: MADV_GUARD_INSTALL (Linux 6.13) makes one without a mapping of its own, so that a million
// guarded stacks are possible; before that mprotect splits the slab, and the system's limit of
// mappings per process (vm.max_map_count) ends it at about 30,000 stacks, with Stack_limit, before the
// rest of the process has none left. One call
// (process_madvise on this process, Linux 6.15) makes the guards of several slots, and another one
// their first pages, which costs less than that many calls and page faults. So that a small program
// has no pages that it doesn't use, that is done for an eighth of the slots used so far, and 64 at
// most.
//
// The tops of the stacks are staggered over the cache sets (colour): else the records and frames of
// all idle fibers would fall into the same few sets, which measured 2 to 3 times slower with 1,000
// fibers.
//
// Huge pages are refused: one touched page of a stack would make 2 MiB resident.

#include "fiber/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fiber/base/alloc.h"
#include "fiber/base/fault.h"
#include "fiber/impl.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef PIDFD_SELF_THREAD
#define PIDFD_SELF_THREAD (-10000)
#endif

enum {
    PAGE = 4096,
    SLAB_SLOTS_FIRST = 64,
    SLAB_SLOTS_MAX = 1024,
    COLOUR_STEP = 192,
    COLOUR_RANGE = 2048,
    FIBER_ALIGN = 64,
    BATCH_MAX = 64,   // slots prepared at once
    KEEP_HOT = 64,    // free stacks below this number keep their pages
    BEGINNING = 2048, // more than a new fiber's argument and first frame take
};

struct eioi_slab {
    struct eioi_slab *next;
    struct eioi_stack_pool *pool;
    char *base;
    uint32_t slots;
    uint32_t fresh;     // slots below this number have been used
    uint32_t prepared;  // slots below this number have their guards; not less than `fresh`
    uint32_t split;     // guards that are mappings of their own
    uint32_t cold_head; // first cold slot; UINT32_MAX: none
    uint32_t cold_count;
    uint32_t meta[]; // per slot: the next cold slot, or (under valgrind) the id of the stack
};

struct eioi_stack_pool {
    size_t bytes;            // of a slot
    size_t guard;            // of these, the guard
    struct eioi_slab *slabs; // newest first
    struct eioi_fiber *hot;
    size_t hot_count;
    size_t hot_min;    // least hot_count since the last trim
    size_t cold_count; // in all slabs
    size_t used;       // slots of all slabs that aren't fresh any more
    uint32_t next_slots;
    bool valgrind; // runs us; asked once, and not at each fork
};

static atomic_bool guard_by_mprotect; // MADV_GUARD_INSTALL isn't there
static atomic_size_t split_guards;    // guards that are mappings of their own, in all domains
static atomic_bool one_by_one;        // process_madvise doesn't take this process, or this advice

static size_t colour_of(const struct eioi_slab *slab, uint32_t slot) {
    size_t n = slot + ((uintptr_t)slab->base >> 22);
    return (n * COLOUR_STEP) % COLOUR_RANGE & ~(size_t)(FIBER_ALIGN - 1);
}

static struct eioi_fiber *fiber_of_slot(const struct eioi_slab *slab, uint32_t slot) {
    size_t record = (sizeof(struct eioi_fiber) + FIBER_ALIGN - 1) & ~(size_t)(FIBER_ALIGN - 1);
    char *top = slab->base + (size_t)(slot + 1) * slab->pool->bytes;
    return (struct eioi_fiber *)(void *)(top - colour_of(slab, slot) - record);
}

static uint32_t slot_of(const struct eioi_slab *slab, const struct eioi_fiber *fiber) {
    return (uint32_t)((size_t)((const char *)fiber - slab->base) / slab->pool->bytes);
}

/** How many mappings this process may have. */
static size_t read_max_map_count(void) {
    char text[32];
    size_t count = 65530; // the system's own default
    int fd = EIOI_SYS(open, open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC));
    if (fd < 0)
        return count;
    ssize_t len = EIOI_SYS(read, read(fd, text, sizeof text - 1));
    if (len > 0) {
        text[len] = '\0';
        count = strtoul(text, NULL, 10);
    }
    close(fd); // fault: none, nothing was written
    return count;
}

/**
 * Whether two more mappings may go into a guard. A sixteenth of what the process may have is left to
 * the rest of it: where mappings run out, so do allocations and threads.
 */
static bool have_mappings(void) {
    static atomic_size_t max_map_count; // 0: not known yet
    size_t max = atomic_load_explicit(&max_map_count, memory_order_relaxed);
    if (max == 0) {
        max = read_max_map_count();
        atomic_store_explicit(&max_map_count, max, memory_order_relaxed);
    }
    return 2 * atomic_load_explicit(&split_guards, memory_order_relaxed) < max - max / 16;
}

static bool split_off_guard(struct eioi_slab *slab, char *at) {
    if (!have_mappings() || EIOI_SYS(mprotect, mprotect(at, slab->pool->guard, PROT_NONE)) != 0)
        return false;
    slab->split++;
    atomic_fetch_add_explicit(&split_guards, 1, memory_order_relaxed);
    return true;
}

static bool install_guard(struct eioi_slab *slab, char *at) {
    if (!atomic_load_explicit(&guard_by_mprotect, memory_order_relaxed)) {
        if (EIOI_SYS(madvise, madvise(at, slab->pool->guard, MADV_GUARD_INSTALL)) == 0)
            return true;
        if (errno != EINVAL)
            return false;
        atomic_store_explicit(&guard_by_mprotect, true, memory_order_relaxed);
    }
    return split_off_guard(slab, at);
}

/**
 * Gives `advice` for the `len` bytes at `first` and for those at the same place in the slots behind,
 * `n` in all; returns for how many it was taken.
 */
static uint32_t advise_slots(char *first, size_t len, size_t stride, uint32_t n, int advice) {
    struct iovec pages[BATCH_MAX];
    for (uint32_t i = 0; i < n; i++)
        pages[i] = (struct iovec){.iov_base = first + i * stride, .iov_len = len};
    long done = EIOI_SYS(process_madvise, syscall(SYS_process_madvise, PIDFD_SELF_THREAD, pages,
                                                  (size_t)n, advice, 0U));
    if (done < 0 && (errno == ENOSYS || errno == EBADF || errno == EINVAL || errno == EPERM))
        atomic_store_explicit(&one_by_one, true, memory_order_relaxed);
    return done < 0 ? 0 : (uint32_t)((size_t)done / len);
}

/** How many of the fresh slots of `slab` to prepare now. */
static uint32_t batch_of(const struct eioi_stack_pool *pool, const struct eioi_slab *slab) {
    size_t n = pool->used / 8;
    if (n > BATCH_MAX)
        n = BATCH_MAX;
    if (n > slab->slots - slab->fresh)
        n = slab->slots - slab->fresh;
    if (pool->valgrind || atomic_load_explicit(&one_by_one, memory_order_relaxed) ||
        atomic_load_explicit(&guard_by_mprotect, memory_order_relaxed))
        n = 0;
    return n > 1 ? (uint32_t)n : 1;
}

/** Makes the guard of the next fresh slot, and perhaps of some behind it. */
static bool prepare(const struct eioi_stack_pool *pool, struct eioi_slab *slab) {
    char *low = slab->base + (size_t)slab->fresh * pool->bytes;
    uint32_t n = batch_of(pool, slab);
    uint32_t done = n > 1 ? advise_slots(low, pool->guard, pool->bytes, n, MADV_GUARD_INSTALL) : 0;
    if (done > 0)
        (void)advise_slots(low + pool->bytes - PAGE, PAGE, pool->bytes, done, MADV_POPULATE_WRITE);
    else if (install_guard(slab, low))
        done = 1;
    slab->prepared = slab->fresh + done;
    return done > 0;
}

static eio_err *slab_new(struct eioi_sched *s, struct eioi_stack_pool *pool) {
    for (uint32_t slots = pool->next_slots;; slots /= 2) {
        size_t len = (size_t)slots * pool->bytes;
        void *base = EIOI_SYS_PTR(mmap, mmap(NULL, len, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (base == MAP_FAILED) {
            if (slots > 1)
                continue;
            return eio_err_const(&eio_err_stack_limit);
        }
        struct eioi_slab *slab = eioi_zalloc(sizeof *slab + slots * sizeof slab->meta[0]);
        eio_err *err = slab == NULL ? eio_err_const(&eio_err_out_of_memory)
                                    : eioi_heap_reserve(&s->timers, s->stacks + slots);
        if (err != NULL) {
            eioi_free(slab);
            munmap(base, len); // fault: none, it was made a moment ago
            return err;
        }
        s->stacks += slots;
        // A kernel without huge pages refuses, and needs none of it.
        (void)madvise(base, len, MADV_NOHUGEPAGE); // fault: none, see above
        slab->pool = pool;
        slab->base = base;
        slab->slots = slots;
        slab->cold_head = UINT32_MAX;
        slab->next = pool->slabs;
        pool->slabs = slab;
        if (pool->next_slots < SLAB_SLOTS_MAX && len * 2 <= (size_t)64 << 20)
            pool->next_slots *= 2;
        return NULL;
    }
}

static void tell_tools_new(struct eioi_slab *slab, uint32_t slot, struct eioi_fiber *fiber) {
    char *low = slab->base + (size_t)slot * slab->pool->bytes;
#ifdef EIOI_TSAN
    fiber->tsan_fiber = __tsan_create_fiber(0);
#endif
#ifdef EIOI_ASAN
    fiber->asan_bottom = low + slab->pool->guard;
    fiber->asan_size = (size_t)((char *)fiber - (low + slab->pool->guard));
#endif
#ifdef EIOI_VALGRIND
    slab->meta[slot] =
        (uint32_t)VALGRIND_STACK_REGISTER(low + slab->pool->guard, low + slab->pool->bytes);
#endif
    (void)low;
    (void)slab;
    (void)slot;
    (void)fiber;
}

static void tell_tools_gone(struct eioi_slab *slab, uint32_t slot) {
#ifdef EIOI_TSAN
    __tsan_destroy_fiber(fiber_of_slot(slab, slot)->tsan_fiber);
#endif
#ifdef EIOI_VALGRIND
    VALGRIND_STACK_DEREGISTER(slab->meta[slot]);
#endif
    (void)slab;
    (void)slot;
}

static eio_err *take_fresh(struct eioi_sched *s, struct eioi_stack_pool *pool,
                           struct eioi_fiber **out) {
    if (pool->slabs == NULL || pool->slabs->fresh == pool->slabs->slots)
        EIO_TRY(slab_new(s, pool));
    struct eioi_slab *slab = pool->slabs;
    uint32_t slot = slab->fresh;
    if (slot == slab->prepared && !prepare(pool, slab))
        return eio_err_const(&eio_err_stack_limit);
    slab->fresh++;
    pool->used++;
    struct eioi_fiber *fiber = fiber_of_slot(slab, slot);
    fiber->slab = slab;
    tell_tools_new(slab, slot, fiber);
    *out = fiber;
    return NULL;
}

static struct eioi_fiber *take_cold(struct eioi_stack_pool *pool) {
    for (struct eioi_slab *slab = pool->slabs; slab != NULL; slab = slab->next) {
        if (slab->cold_head == UINT32_MAX)
            continue;
        uint32_t slot = slab->cold_head;
        slab->cold_head = slab->meta[slot];
        slab->cold_count--;
        pool->cold_count--;
        struct eioi_fiber *fiber = fiber_of_slot(slab, slot);
        fiber->slab = slab;
        tell_tools_new(slab, slot, fiber);
        return fiber;
    }
    return NULL;
}

/** The least class whose stacks have `bytes` bytes; EIOI_STACK_CLASSES or more: there is none. */
static inline unsigned class_of(size_t bytes) {
    if (bytes <= (size_t)1 << EIOI_STACK_MIN_SHIFT)
        return 0;
    return 64 - EIOI_STACK_MIN_SHIFT - (unsigned)__builtin_clzll(bytes - 1);
}

/** What is asked for (0: a page) in whole pages, at most half of a slot. */
static size_t guard_of(size_t asked, size_t slot_bytes) {
    if (asked > slot_bytes / 2)
        return slot_bytes / 2;
    return asked == 0 ? (size_t)PAGE : (asked + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static eio_err *pool_new(unsigned class, size_t guard_bytes, struct eioi_stack_pool **out) {
    struct eioi_stack_pool *pool = eioi_zalloc(sizeof *pool);
    if (pool == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    pool->bytes = (size_t)1 << (EIOI_STACK_MIN_SHIFT + class);
    pool->guard = guard_of(guard_bytes, pool->bytes);
#ifdef EIOI_VALGRIND
    pool->valgrind = RUNNING_ON_VALGRIND != 0;
#endif
    pool->next_slots = SLAB_SLOTS_FIRST;
    while (pool->next_slots > 1 && pool->next_slots * pool->bytes > (size_t)64 << 20)
        pool->next_slots /= 2;
    *out = pool;
    return NULL;
}

/** A stack that isn't hot. */
static __attribute__((noinline)) eio_err *get_slowly(struct eioi_sched *s, size_t bytes,
                                                     struct eioi_fiber **out) {
    unsigned class = class_of(bytes);
    if (class >= EIOI_STACK_CLASSES)
        return eio_err_new(&eio_err_invalid_argument,
                           "stack_bytes: %zu is more than a stack can have", bytes);
    if (s->pools[class] == NULL)
        EIO_TRY(pool_new(class, s->guard_bytes, &s->pools[class]));
    struct eioi_stack_pool *pool = s->pools[class];
    if (pool->cold_count == 0)
        return take_fresh(s, pool, out);
    *out = take_cold(pool);
    return NULL;
}

/** The newest of the hot stacks; NULL when there is none, or no pool. */
static inline struct eioi_fiber *take_hot(struct eioi_stack_pool *pool) {
    if (pool == NULL || pool->hot == NULL)
        return NULL;
    struct eioi_fiber *fiber = pool->hot;
    pool->hot = fiber->next;
    pool->hot_count--;
    if (pool->hot_count < pool->hot_min)
        pool->hot_min = pool->hot_count;
    return fiber;
}

eio_err *eioi_stack_get(struct eioi_sched *s, size_t bytes, struct eioi_fiber **out) {
    unsigned class = class_of(bytes);
    struct eioi_fiber *fiber = class < EIOI_STACK_CLASSES ? take_hot(s->pools[class]) : NULL;
    if (__builtin_expect(fiber == NULL, 0))
        EIO_TRY(get_slowly(s, bytes, &fiber));
#ifdef EIOI_ASAN
    __asan_unpoison_memory_region(fiber->asan_bottom,
                                  fiber->asan_size); // frames that were left for good
#endif
#ifdef EIOI_VALGRIND
    // Below the place where the last fiber ended; the next one's argument may go there.
    if (__builtin_expect(fiber->slab->pool->valgrind, 0))
        VALGRIND_MAKE_MEM_UNDEFINED((char *)fiber - BEGINNING, BEGINNING);
#endif
    *out = fiber;
    return NULL;
}

void eioi_stack_put(struct eioi_sched *s, struct eioi_fiber *fiber) {
    struct eioi_stack_pool *pool = fiber->slab->pool;
    fiber->next = pool->hot;
    pool->hot = fiber;
    pool->hot_count++;
    (void)s;
}

bool eioi_stack_has_idle(const struct eioi_sched *s) {
    for (unsigned class = 0; class < EIOI_STACK_CLASSES; class ++)
        if (s->pools[class] != NULL && s->pools[class]->hot_count > KEEP_HOT)
            return true;
    return false;
}

static void make_cold(struct eioi_stack_pool *pool, struct eioi_fiber *fiber) {
    struct eioi_slab *slab = fiber->slab;
    uint32_t slot = slot_of(slab, fiber);
    char *low = slab->base + (size_t)slot * pool->bytes;
    tell_tools_gone(slab, slot);
    // Refused: the pages stay, and work.
    // fault: none, see above
    (void)madvise(low + pool->guard, pool->bytes - pool->guard, MADV_DONTNEED);
    slab->meta[slot] = slab->cold_head;
    slab->cold_head = slot;
    slab->cold_count++;
    pool->cold_count++;
}

/**
 * Of the free stacks, those at the end of the list that no take has reached since the last trim.
 */
static void pool_trim(struct eioi_stack_pool *pool) {
    size_t keep =
        pool->hot_count - (pool->hot_min < pool->hot_count ? pool->hot_min : pool->hot_count);
    if (keep < KEEP_HOT)
        keep = KEEP_HOT;
    if (keep < pool->hot_count) {
        struct eioi_fiber *last = pool->hot;
        for (size_t i = 1; i < keep; i++)
            last = last->next;
        struct eioi_fiber *fiber = last->next;
        last->next = NULL;
        pool->hot_count = keep;
        while (fiber != NULL) {
            struct eioi_fiber *next = fiber->next;
            make_cold(pool, fiber);
            fiber = next;
        }
    }
    pool->hot_min = pool->hot_count;
}

void eioi_stack_trim(struct eioi_sched *s) {
    for (unsigned class = 0; class < EIOI_STACK_CLASSES; class ++)
        if (s->pools[class] != NULL)
            pool_trim(s->pools[class]);
}

void eioi_stack_destroy_all(struct eioi_sched *s) {
    for (unsigned class = 0; class < EIOI_STACK_CLASSES; class ++) {
        struct eioi_stack_pool *pool = s->pools[class];
        if (pool == NULL)
            continue;
#if defined(EIOI_TSAN) || defined(EIOI_VALGRIND)
        for (struct eioi_fiber *f = pool->hot, *next; f != NULL; f = next) {
            next = f->next;
            tell_tools_gone(f->slab, slot_of(f->slab, f));
        }
#endif
        while (pool->slabs != NULL) {
            struct eioi_slab *slab = pool->slabs;
            pool->slabs = slab->next;
#ifdef EIOI_ASAN
            __asan_unpoison_memory_region(slab->base, (size_t)slab->slots * pool->bytes);
#endif
            // fault: none, there is nobody to tell, and nothing else to do
            munmap(slab->base, (size_t)slab->slots * pool->bytes);
            atomic_fetch_sub_explicit(&split_guards, slab->split, memory_order_relaxed);
            eioi_free(slab);
        }
        eioi_free(pool);
        s->pools[class] = NULL;
    }
}

void eioi_stack_bounds(const struct eioi_fiber *fiber, char **out_low, char **out_high) {
    const struct eioi_slab *slab = fiber->slab;
    *out_low = slab->base + (size_t)slot_of(slab, fiber) * slab->pool->bytes + slab->pool->guard;
    *out_high = slab->base + (size_t)(slot_of(slab, fiber) + 1) * slab->pool->bytes;
}

bool eioi_stack_describe_fault(const void *addr, char *buf, size_t len) {
    struct eioi_sched *s = eioi_tls_sched;
    if (s == NULL)
        return false;
    for (unsigned class = 0; class < EIOI_STACK_CLASSES; class ++) {
        const struct eioi_stack_pool *pool = s->pools[class];
        if (pool == NULL)
            continue;
        for (const struct eioi_slab *slab = pool->slabs; slab != NULL; slab = slab->next) {
            const char *at = addr;
            if (at < slab->base || at >= slab->base + (size_t)slab->fresh * pool->bytes)
                continue;
            uint32_t slot = (uint32_t)((size_t)(at - slab->base) / pool->bytes);
            if (at >= slab->base + (size_t)slot * pool->bytes + pool->guard)
                return false;
            const struct eioi_fiber *f = fiber_of_slot(slab, slot);
            snprintf(buf, len, "eio: fiber %llu '%s' overflowed its stack of %zu KiB\n",
                     (unsigned long long)f->id, f->name, pool->bytes / 1024);
            return true;
        }
    }
    return false;
}
