// SPDX-License-Identifier: ISC

// Theory. The code under test is the library's own, compiled with -fsanitize=thread, and linked
// with this file in the place of that sanitizer's run time: so each atomic operation, and each plain
// access to memory, is a call to here, with nothing changed in the source. The threads are
// contexts of one thread; before each atomic operation it is decided which of them goes on. An
// execution is the list of these decisions, and all lists are gone through, depth first, by running
// the program again from its beginning.
//
// Reduction: two operations are dependent when they touch the same word and one of them changes it
// (two relaxed additions are not: counters). Orders that differ only in independent operations are
// one. This is the classic dynamic partial-order reduction with sleep sets (Flanagan and Godefroid,
// 2005): when an operation comes after a dependent one of another thread, and nothing orders the
// two, its thread is tried before that one, too; what was tried already and is independent of what
// was done since needn't be tried again.
//
// A thread that can't go on isn't tried: at a lock that is held, at an event that isn't set, or when
// it has yielded and nobody has changed the word that it looks at. When none can go on and not all
// have ended, that is a lost wake-up.
//
// Memory: executions are sequentially consistent, so an operation always sees the newest value. But
// what is ordered by what is reckoned as C11 does, from the orders that the source names: a plain
// access that isn't ordered after the last one of another thread to the same bytes, one of them a
// write, is reported; so is an access to memory that was freed. So a missing release or acquire is
// found when it fails to protect anything; a relaxed load that might see an old value isn't.

#include "tests/explorer/explore.h"

#include <sys/mman.h>
#include <sys/single_threaded.h>
#include <ucontext.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

extern "C" {
struct eioi_sched;
extern __thread struct eioi_sched *eioi_tls_sched;
}

namespace explorer {
namespace {

enum class Kind : uint8_t { kNone, kLoad, kStore, kAdd, kChange, kLock, kUnlock, kWait };
enum : int { kRelaxed = 0, kAcquire = 2, kRelease = 3, kAcqRel = 4, kSeqCst = 5 };

struct Access {
    Access() = default;
    Access(Kind what, const void *where, size_t bytes) : kind(what), addr(where), size(bytes) {}
    Kind kind = Kind::kNone;
    const void *addr = nullptr;
    size_t size = 0;
};

struct Clock {
    uint32_t &operator[](int i) { return at[i]; }
    uint32_t operator[](int i) const { return at[i]; }
    uint32_t at[kThreadsMax] = {};
};

void Join(Clock *a, const Clock &b) {
    for (int i = 0; i < kThreadsMax; i++)
        (*a)[i] = std::max((*a)[i], b[i]);
}

struct Thread {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    const std::function<void()> *fn = nullptr;
    eioi_sched *tls = nullptr;
    bool ended = false;
    Access next;                  // what it is about to do
    bool yielded = false;         // and hasn't looked at anything since
    const void *looked = nullptr; // where it looked last, and what it saw
    uint64_t saw = 0;
    Clock steps;  // the steps (by their number plus 1) that come before its next one
    Clock memory; // as C11 orders
};

/// A point of the current execution, before one operation.
struct State {
    uint8_t enabled = 0, backtrack = 0, done = 0, sleep = 0;
    int chosen = -1;
    Access next[kThreadsMax];
};

/// One word of atomics.
struct Word {
    // As `Thread::steps`: of the operations that change it, of all, of all but additions.
    Clock changes{}, accesses{}, no_additions{};
    Clock released{}; // as `Thread::memory`
};

/// Eight bytes of plain memory.
struct Shadow {
    uint64_t key = 0;
    uint32_t generation = 0;
    int8_t writer = -1;
    uint8_t write_mask = 0;
    uint8_t read_mask[kThreadsMax] = {};
    uint32_t wrote = 0;
    uint32_t reads[kThreadsMax] = {};
    bool freed = false;
};

constexpr size_t kShadowSize = 1 << 17;
constexpr size_t kArenaSize = 4 << 20;
constexpr size_t kStackSize = 256 * 1024;

struct Engine {
    Thread threads[kThreadsMax];
    int count = 0;    // of them
    int current = -1; // -1: not in an execution
    ucontext_t home;
    std::vector<State> states;
    size_t depth = 0;
    bool reduced = true, cut = false, free_run = false;
    std::string failure;
    std::string notes[kThreadsMax];                   // of each thread
    std::vector<std::pair<const void *, Word>> words; // few: searched from the newest on
    std::vector<int> order;                           // threads, step by step
    std::vector<Access> steps;
    std::unique_ptr<Shadow[]> shadow{new Shadow[kShadowSize]};
    uint32_t generation = 0;
    std::unique_ptr<char[]> arena{new char[kArenaSize]};
    size_t arena_used = 0;
    std::vector<std::pair<void *, size_t>> unmapped;
};

Engine *engine() {
    static Engine the;
    return &the;
}

bool Exploring() {
    return engine()->current >= 0;
}

uint64_t ValueAt(const Access &access) {
    uint64_t value = 0;
    memcpy(&value, access.addr, access.size);
    return value;
}

bool Changes(Kind kind) {
    return kind != Kind::kLoad;
}

bool Dependent(const Access &a, const Access &b) {
    if (a.kind == Kind::kNone || b.kind == Kind::kNone || a.addr != b.addr)
        return false;
    if (a.kind == Kind::kAdd && b.kind == Kind::kAdd)
        return false;
    return Changes(a.kind) || Changes(b.kind);
}

/// Whether the later one could have come first: a lock can't be taken before it was given back.
bool MayBeSwapped(const Access &earlier, const Access &later) {
    return Dependent(earlier, later) &&
           !(earlier.kind == Kind::kUnlock && later.kind == Kind::kLock) &&
           !(earlier.kind == Kind::kLock && later.kind == Kind::kUnlock);
}

bool Enabled(const Thread &t) {
    if (t.ended)
        return false;
    switch (t.next.kind) {
    case Kind::kLock: return ValueAt(t.next) == 0;
    case Kind::kWait: return ValueAt(t.next) != 0;
    case Kind::kLoad: return !t.yielded || t.looked != t.next.addr || ValueAt(t.next) != t.saw;
    default: return true;
    }
}

uint8_t EnabledMask() {
    uint8_t mask = 0;
    for (int i = 0; i < engine()->count; i++)
        if (Enabled(engine()->threads[i]))
            mask |= static_cast<uint8_t>(1 << i);
    return mask;
}

const char *NameOf(Kind kind) {
    static const char *const names[] = {"starts", "load", "store",  "add",
                                        "change", "lock", "unlock", "wait"};
    return names[static_cast<int>(kind)];
}

std::string Order() {
    std::string text = "; order:";
    for (size_t i = 0; i < engine()->order.size(); i++)
        text += " " + std::to_string(engine()->order[i]) + NameOf(engine()->steps[i].kind)[0];
    return text;
}

/// Leaves the execution as it is, for good.
void Leave() {
    engine()->current = -1;
    setcontext(&engine()->home);
    abort();
}

Word *WordAt(const void *addr) {
    auto &words = engine()->words;
    for (size_t i = words.size(); i-- > 0;)
        if (words[i].first == addr)
            return &words[i].second;
    words.emplace_back(addr, Word{});
    return &words.back().second;
}

int FirstOf(uint8_t mask) {
    return mask == 0 ? -1 : __builtin_ctz(mask);
}

/// Who goes on from here; -1: all have ended.
int Choose(int self) {
    Engine *e = engine();
    uint8_t enabled = EnabledMask();
    if (enabled == 0) {
        for (int i = 0; i < e->count; i++)
            if (!e->threads[i].ended && e->failure.empty())
                e->failure = "thread " + std::to_string(i) + " waits for ever (" +
                             NameOf(e->threads[i].next.kind) + ")" + Order();
        return -1;
    }
    if (e->free_run)
        return FirstOf(enabled);
    bool fresh = e->depth == e->states.size();
    if (fresh) {
        State state;
        if (e->depth > 0) {
            const State &before = e->states[e->depth - 1];
            const Access &did = before.next[before.chosen];
            uint8_t asleep = before.sleep | before.done;
            for (int i = 0; i < e->count; i++)
                if ((asleep >> i & 1) && i != before.chosen && !Dependent(before.next[i], did) &&
                    e->reduced)
                    state.sleep |= static_cast<uint8_t>(1 << i);
        }
        e->states.push_back(state);
    }
    State &state = e->states[e->depth];
    state.enabled = enabled;
    for (int i = 0; i < e->count; i++)
        state.next[i] = e->threads[i].ended ? Access{} : e->threads[i].next;
    if (fresh) {
        uint8_t awake = enabled & static_cast<uint8_t>(~state.sleep);
        if (awake == 0) { // as an earlier execution from here on
            e->states.pop_back();
            e->free_run = e->cut = true;
            return FirstOf(enabled);
        }
        state.chosen = self >= 0 && (awake >> self & 1) ? self : FirstOf(awake);
        state.backtrack = e->reduced ? static_cast<uint8_t>(1 << state.chosen) : awake;
    }
    e->depth++;
    return state.chosen;
}

/// The operation of `t` takes place now: who should have been tried before whom?
void Account(int id) {
    Engine *e = engine();
    Thread *t = &e->threads[id];
    const Access did = t->next;
    size_t at = e->steps.size();
    if (!e->free_run)
        for (size_t i = at; i-- > 0;) {
            if (e->order[i] == id || !MayBeSwapped(e->steps[i], did))
                continue;
            if (i + 1 <= t->steps[e->order[i]])
                break; // something orders them
            State &state = e->states[i];
            state.backtrack |=
                state.enabled >> id & 1 ? static_cast<uint8_t>(1 << id) : state.enabled;
            break;
        }
    if (did.kind != Kind::kNone) {
        Word *word = WordAt(did.addr);
        Join(&t->steps, did.kind == Kind::kAdd ? word->no_additions
                        : Changes(did.kind)    ? word->accesses
                                               : word->changes);
        t->steps[id] = static_cast<uint32_t>(at + 1);
        Join(&word->accesses, t->steps);
        if (did.kind != Kind::kAdd)
            Join(&word->no_additions, t->steps);
        if (Changes(did.kind))
            Join(&word->changes, t->steps);
    }
    e->order.push_back(id);
    e->steps.push_back(did);
}

void SwitchTo(int from, int to) {
    Engine *e = engine();
    e->current = to;
    if (from == to)
        return;
    if (from >= 0)
        e->threads[from].tls = eioi_tls_sched;
    if (to < 0) {
        e->current = -1;
        setcontext(&e->home);
        abort();
    }
    eioi_tls_sched = e->threads[to].tls;
    if (from >= 0 && !e->threads[from].ended)
        swapcontext(&e->threads[from].context, &e->threads[to].context);
    else
        setcontext(&e->threads[to].context);
}

/// Before an operation of the running thread: others may go first. It takes place at the return.
void Point(Kind kind, const void *addr, size_t size) {
    Engine *e = engine();
    int id = e->current;
    Thread *t = &e->threads[id];
    t->next = Access(kind, addr, size);
    int saved = errno;
    SwitchTo(id, Choose(id));
    errno = saved;
    Account(id);
    if (kind == Kind::kLoad) {
        t->looked = addr;
        t->saw = ValueAt(t->next);
    }
    t->yielded = false;
}

// --- C11's order ---------------------------------------------------------------------------------

bool Acquires(int order) {
    return order == kAcquire || order == kAcqRel || order == kSeqCst || order == 1;
}
bool Releases(int order) {
    return order == kRelease || order == kAcqRel || order == kSeqCst;
}

/// An atomic operation: `reads` what was released there, and `writes`; both: a read-modify-write.
void Synchronize(const void *addr, int order, bool reads, bool writes) {
    Engine *e = engine();
    Thread *t = &e->threads[e->current];
    Word *word = WordAt(addr);
    if (reads && Acquires(order))
        Join(&t->memory, word->released);
    if (!writes)
        return;
    if (!reads) // a store of its own; else what was released before still is
        word->released = {};
    if (Releases(order)) {
        Join(&word->released, t->memory);
        t->memory[e->current]++;
    }
}

Shadow *ShadowAt(uint64_t key) {
    Engine *e = engine();
    size_t at = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 47;
    for (size_t tries = 0; tries < kShadowSize; tries++, at = (at + 1) % kShadowSize) {
        Shadow *shadow = &e->shadow[at];
        if (shadow->generation != e->generation) {
            *shadow = Shadow{};
            shadow->key = key;
            shadow->generation = e->generation;
        }
        if (shadow->key == key)
            return shadow;
    }
    abort();
}

void RaceAt(const void *addr, const char *what) {
    char text[128];
    snprintf(text, sizeof text, "%s at %p, by thread %d", what, addr, engine()->current);
    Fail(text);
}

void PlainPart(const void *addr, uint64_t key, uint8_t mask, bool write) {
    Engine *e = engine();
    int id = e->current;
    Thread *t = &e->threads[id];
    Shadow *s = ShadowAt(key);
    if (s->freed)
        RaceAt(addr, "memory is used after it was freed");
    if (s->writer >= 0 && s->writer != id && (s->write_mask & mask) &&
        s->wrote > t->memory[s->writer])
        RaceAt(addr,
               write ? "two writes without an order" : "a read that no write is ordered before");
    if (write) {
        for (int i = 0; i < kThreadsMax; i++)
            if (i != id && (s->read_mask[i] & mask) && s->reads[i] > t->memory[i])
                RaceAt(addr, "a write that no read is ordered before");
        s->writer = static_cast<int8_t>(id);
        s->write_mask = mask;
        s->wrote = t->memory[id];
    } else {
        s->read_mask[id] |= mask;
        s->reads[id] = t->memory[id];
    }
}

/// Of what is a thread's own there is one each; here all have the same one, and the switch from one
/// to another exchanges what matters.
bool IsThreadLocal(uintptr_t addr) {
    constexpr uintptr_t kNear = 4096;
    return addr - reinterpret_cast<uintptr_t>(&eioi_tls_sched) + kNear < 2 * kNear;
}

void Plain(const void *addr, size_t size, bool write) {
    auto from = reinterpret_cast<uintptr_t>(addr);
    if (!Exploring() || IsThreadLocal(from))
        return;
    for (uintptr_t at = from; at < from + size; at = (at | 7) + 1) {
        uintptr_t end = std::min<uintptr_t>(from + size, (at | 7) + 1);
        auto mask = static_cast<uint8_t>(((1U << (end - at)) - 1) << (at & 7));
        PlainPart(addr, at >> 3, mask, write);
    }
}

// --- Executions ----------------------------------------------------------------------------------

void Main(int id) {
    Engine *e = engine();
    Account(id); // its start
    (*e->threads[id].fn)();
    e->threads[id].ended = true;
    SwitchTo(id, Choose(-1));
}

void Begin(const std::vector<std::function<void()>> &fns) {
    Engine *e = engine();
    const int count = static_cast<int>(fns.size());
    e->generation++;
    e->depth = 0;
    e->cut = e->free_run = false;
    e->arena_used = 0;
    for (std::string &notes : e->notes)
        notes.clear();
    e->words.clear();
    e->order.clear();
    e->steps.clear();
    e->count = count;
    for (int i = 0; i < count; i++) {
        Thread *t = &e->threads[i];
        if (t->stack == nullptr)
            t->stack.reset(new char[kStackSize]);
        t->fn = &fns[static_cast<size_t>(i)];
        t->tls = nullptr;
        t->ended = t->yielded = false;
        t->looked = nullptr;
        t->next = {};
        t->steps = {};
        t->memory = {};
        t->memory[i] = 1;
        getcontext(&t->context);
        t->context.uc_stack.ss_sp = t->stack.get();
        t->context.uc_stack.ss_size = kStackSize;
        t->context.uc_link = nullptr;
        makecontext(&t->context, reinterpret_cast<void (*)()>(Main), 1, i);
    }
}

void RunOnce() {
    Engine *e = engine();
    volatile bool back = false;
    getcontext(&e->home);
    if (!back) {
        back = true;
        SwitchTo(-1, Choose(-1));
    }
    e->current = -1;
    eioi_tls_sched = nullptr;
    for (auto &mapping : e->unmapped)
        munmap(mapping.first, mapping.second);
    e->unmapped.clear();
}

/// To the next order that has to be tried; false: there is none.
bool Advance() {
    Engine *e = engine();
    while (!e->states.empty()) {
        State &state = e->states.back();
        state.done |= static_cast<uint8_t>(1 << state.chosen);
        auto left =
            static_cast<uint8_t>(state.backtrack & state.enabled & ~state.done & ~state.sleep);
        if (left != 0) {
            state.chosen = FirstOf(left);
            return true;
        }
        e->states.pop_back();
    }
    return false;
}

} // namespace

void Explorer::Run(std::vector<std::function<void()>> threads, std::function<void()> before,
                   std::function<void()> after) {
    Engine *e = engine();
    __libc_single_threaded = 0; // as far as the library can tell, there are several
    e->states.clear();
    e->failure.clear();
    e->reduced = reduced;
    do {
        before();
        Begin(threads);
        RunOnce();
        depth = std::max<uint64_t>(depth, e->steps.size());
        if (e->cut)
            cut++;
        else
            executions++;
        if (e->failure.empty())
            after();
        std::string outcome;
        for (const std::string &notes : e->notes)
            outcome += notes;
        outcomes.insert(outcome);
        failure = e->failure;
        if (!failure.empty() || executions == executions_max)
            return;
    } while (Advance());
    complete = true;
}

void Note(const std::string &what) {
    engine()->notes[engine()->current] += what;
}

void Fail(const std::string &why) {
    Engine *e = engine();
    if (e->failure.empty())
        e->failure = why + Order();
    if (Exploring())
        Leave();
}

void Event::Set() {
    if (Exploring()) {
        Point(Kind::kChange, &set, sizeof set);
        Synchronize(&set, kAcqRel, true, true);
    }
    set = true;
}

void Event::Wait() {
    Point(Kind::kWait, &set, sizeof set);
    Synchronize(&set, kAcqRel, true, true);
    set = false;
}

} // namespace explorer

// --- What the compiler calls ---------------------------------------------------------------------

using namespace explorer;

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void **, void *) {}
void *__tsan_get_current_fiber() {
    return nullptr;
}
void *__tsan_create_fiber(unsigned) {
    static char one;
    return &one;
}
void __tsan_destroy_fiber(void *) {}
void __tsan_switch_to_fiber(void *, unsigned) {}
void __tsan_acquire(void *) {}
void __tsan_release(void *) {}

#define PLAIN(size)                              \
    void __tsan_read##size(void *p) {            \
        Plain(p, size, false);                   \
    }                                            \
    void __tsan_write##size(void *p) {           \
        Plain(p, size, true);                    \
    }                                            \
    void __tsan_unaligned_read##size(void *p) {  \
        Plain(p, size, false);                   \
    }                                            \
    void __tsan_unaligned_write##size(void *p) { \
        Plain(p, size, true);                    \
    }                                            \
    void __tsan_volatile_read##size(void *p) {   \
        Plain(p, size, false);                   \
    }                                            \
    void __tsan_volatile_write##size(void *p) {  \
        Plain(p, size, true);                    \
    }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)
void __tsan_read_range(void *p, size_t n) {
    Plain(p, n, false);
}
void __tsan_write_range(void *p, size_t n) {
    Plain(p, n, true);
}
void *__tsan_memcpy(void *d, const void *s, size_t n) {
    Plain(s, n, false);
    Plain(d, n, true);
    return memcpy(d, s, n);
}
void *__tsan_memset(void *d, int c, size_t n) {
    Plain(d, n, true);
    return memset(d, c, n);
}
void *__tsan_memmove(void *d, const void *s, size_t n) {
    Plain(s, n, false);
    Plain(d, n, true);
    return memmove(d, s, n);
}
void __tsan_atomic_thread_fence(int) {
    abort(); // the library has none; one that comes in has to be thought about here, too
}

#define ATOMIC(bits)                                                                               \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *p, int order) {       \
        if (Exploring()) {                                                                         \
            Point(Kind::kLoad, const_cast<uint##bits##_t *>(p), bits / 8);                         \
            Synchronize(const_cast<uint##bits##_t *>(p), order, true, false);                      \
        }                                                                                          \
        return *p;                                                                                 \
    }                                                                                              \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *p, uint##bits##_t v, int order) {    \
        if (Exploring()) {                                                                         \
            Point((bits) == 8 && v == 0 ? Kind::kUnlock : Kind::kStore,                            \
                  const_cast<uint##bits##_t *>(p), bits / 8);                                      \
            Synchronize(const_cast<uint##bits##_t *>(p), order, false, true);                      \
        }                                                                                          \
        *p = v;                                                                                    \
    }                                                                                              \
    uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t *p, uint##bits##_t v,    \
                                                  int order) {                                     \
        if (Exploring()) {                                                                         \
            Point((bits) == 8 ? Kind::kLock : Kind::kChange, const_cast<uint##bits##_t *>(p),      \
                  bits / 8);                                                                       \
            Synchronize(const_cast<uint##bits##_t *>(p), order, true, true);                       \
        }                                                                                          \
        uint##bits##_t old = *p;                                                                   \
        *p = v;                                                                                    \
        return old;                                                                                \
    }                                                                                              \
    static uint##bits##_t Add##bits(volatile uint##bits##_t *p, uint##bits##_t v, int order) {     \
        if (Exploring()) {                                                                         \
            Point(order == kRelaxed ? Kind::kAdd : Kind::kChange, const_cast<uint##bits##_t *>(p), \
                  bits / 8);                                                                       \
            Synchronize(const_cast<uint##bits##_t *>(p), order, true, true);                       \
        }                                                                                          \
        uint##bits##_t old = *p;                                                                   \
        *p = static_cast<uint##bits##_t>(old + v);                                                 \
        return old;                                                                                \
    }                                                                                              \
    uint##bits##_t __tsan_atomic##bits##_fetch_add(volatile uint##bits##_t *p, uint##bits##_t v,   \
                                                   int order) {                                    \
        return Add##bits(p, v, order);                                                             \
    }                                                                                              \
    uint##bits##_t __tsan_atomic##bits##_fetch_sub(volatile uint##bits##_t *p, uint##bits##_t v,   \
                                                   int order) {                                    \
        return Add##bits(p, static_cast<uint##bits##_t>(0 - v), order);                            \
    }                                                                                              \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                     \
        volatile uint##bits##_t *p, uint##bits##_t expected, uint##bits##_t v, int order,          \
        int failing) {                                                                             \
        if (Exploring())                                                                           \
            Point(Kind::kChange, const_cast<uint##bits##_t *>(p), bits / 8);                       \
        uint##bits##_t old = *p;                                                                   \
        bool same = old == expected;                                                               \
        if (Exploring())                                                                           \
            Synchronize(const_cast<uint##bits##_t *>(p), same ? order : failing, true, same);      \
        if (same)                                                                                  \
            *p = v;                                                                                \
        return old;                                                                                \
    }                                                                                              \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile uint##bits##_t *p,                  \
                                                      uint##bits##_t *expected, uint##bits##_t v,  \
                                                      int order, int failing) {                    \
        uint##bits##_t old =                                                                       \
            __tsan_atomic##bits##_compare_exchange_val(p, *expected, v, order, failing);           \
        bool same = old == *expected;                                                              \
        *expected = old;                                                                           \
        return same;                                                                               \
    }                                                                                              \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile uint##bits##_t *p,                    \
                                                    uint##bits##_t *expected, uint##bits##_t v,    \
                                                    int order, int failing) {                      \
        return __tsan_atomic##bits##_compare_exchange_strong(p, expected, v, order, failing);      \
    }
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

// What the code under test calls instead of the C library's (`explored` in BUILD).

/// Memory that isn't given out again in the same execution, so that its use after free is seen.
void *explored_malloc(size_t size) {
    Engine *e = engine();
    if (!Exploring())
        return malloc(size);
    size = (size + 15) & ~static_cast<size_t>(15);
    if (e->arena_used + size + 16 > kArenaSize)
        return nullptr;
    char *at = e->arena.get() + e->arena_used;
    e->arena_used += size + 16;
    memcpy(at, &size, sizeof size);
    return at + 16;
}
void explored_free(void *p) {
    Engine *e = engine();
    if (p == nullptr)
        return;
    char *at = static_cast<char *>(p);
    if (at < e->arena.get() || at >= e->arena.get() + kArenaSize) {
        free(p);
        return;
    }
    size_t size;
    memcpy(&size, at - 16, sizeof size);
    Plain(p, size, true);
    if (Exploring())
        for (size_t i = 0; i < size; i += 8)
            ShadowAt(reinterpret_cast<uintptr_t>(at + i) >> 3)->freed = true;
}
void *explored_calloc(size_t n, size_t size) {
    void *p = explored_malloc(n * size);
    return p == nullptr ? nullptr : memset(p, 0, n * size);
}
void *explored_realloc(void *p, size_t size) {
    if (!Exploring())
        return realloc(p, size);
    void *moved = explored_malloc(size);
    if (moved == nullptr || p == nullptr)
        return moved;
    size_t old;
    memcpy(&old, static_cast<char *>(p) - 16, sizeof old);
    memcpy(moved, p, std::min(old, size));
    explored_free(p);
    return moved;
}
/// The addresses stay taken until the execution has ended, for the same reason.
int explored_munmap(void *p, size_t size) {
    if (!Exploring())
        return munmap(p, size);
    engine()->unmapped.emplace_back(p, size);
    return 0;
}
int explored_yield() {
    if (Exploring())
        engine()->threads[engine()->current].yielded = true;
    return 0;
}
}
