// SPDX-License-Identifier: ISC

// Theory. Each loop has a record for each descriptor number, with two questions in it: is a system
// call worth while (`readable`, `writable`), and who waits.
//
// Our own descriptors are registered once, edge-triggered, and stay so: after that a wait costs no
// system call. The flags start as true (the first call is tried), become false when a call would
// have blocked, and true again by an event. That loses nothing: what becomes ready after the call
// that would have blocked makes a new edge. A read of a TCP socket that got less than it asked for
// has emptied it, so it counts as one that would have blocked, unless an event said that something
// other than data is there (end, error, urgent data), which makes no second edge.
//
// Writing is registered when a write would have blocked for the first time. An event that nobody
// waits for only sets the flag; many in a row (a descriptor that was handed on, a listener that
// other domains serve, a Unix socket whose buffer keeps emptying) take the registration back, and
// the next wait renews it.
//
// Numbers are used again. An eio_fd has a serial number, unique in the process; a record with
// another one starts anew. Closing took the old registration away, or it didn't (the file lives on
// elsewhere): therefore ADD falls back to MOD and MOD to ADD, and events carry a generation. A
// foreign descriptor may be closed and reopened between two waits without a word, so nothing is
// believed of it: each wait registers it again, for one event. What closing takes away by itself is
// taken back before a descriptor is handed over: whoever gets it may keep it open for ever, and this
// loop would be woken by what is no business of its own.
//
// Lines. Operations are served first in, first out: the first of a line is woken by an event (or has
// it dealt with in the loop, when it copies), stays first until it has got what it waits for, and
// passes the turn on if there may be more. Whoever comes while a line exists joins it. Invariant: the
// first of a line has its turn, or the flag is false. Watchers take nothing away: all are woken.

#include "backends/epoll/poll.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>

#include "backends/epoll/stream.h"
#include "backends/unix/low_level.h"
#include "eio/fiber.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/canary.h"
#include "fiber/base/fault.h"
#include "fiber/base/hint.h"

_Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT, "poll's and epoll's bits are the same");

#define READ_EVENTS EIOI_POLL_READ_EVENTS
#define ENDED ((uint32_t)(EPOLLHUP | EPOLLERR))

// The table

static struct eioi_polled *new_chunk(void) {
    struct eioi_polled *chunk;
    void *block = eioi_zalloc(EIOI_POLLED_CHUNK * sizeof *chunk + _Alignof(struct eioi_polled));
    if (block == NULL)
        return NULL;
    chunk = (void *)((char *)block + -(uintptr_t)block % _Alignof(struct eioi_polled));
    chunk->block = block;
    for (size_t i = 0; i < EIOI_POLLED_CHUNK; i++) {
        eioi_list_init(&chunk[i].readers);
        eioi_list_init(&chunk[i].writers);
        eioi_list_init(&chunk[i].watchers);
    }
    return chunk;
}

static bool grow(struct eioi_poll_table *self, size_t need) {
    size_t count = self->count * 2 > need ? self->count * 2 : need;
    struct eioi_polled **chunks = eioi_realloc(self->chunks, count * sizeof *chunks);
    if (chunks == NULL)
        return false;
    for (size_t i = self->count; i < count; i++)
        chunks[i] = NULL;
    self->chunks = chunks;
    self->count = count;
    return true;
}

static __attribute__((noinline)) struct eioi_polled *first_record_of(struct eioi_poll_table *self,
                                                                     size_t chunk, size_t place) {
    if (chunk >= self->count && !grow(self, chunk + 1))
        return NULL;
    self->chunks[chunk] = new_chunk();
    return self->chunks[chunk] == NULL ? NULL : &self->chunks[chunk][place];
}

static inline struct eioi_polled *record_of(struct eioi_poll_table *self, int fd) {
    size_t chunk = (size_t)fd / EIOI_POLLED_CHUNK;
    size_t place = (size_t)fd % EIOI_POLLED_CHUNK;
    if (__builtin_expect(chunk >= self->count || self->chunks[chunk] == NULL, 0))
        return first_record_of(self, chunk, place);
    return &self->chunks[chunk][place];
}

void eioi_poll_table_free(struct eioi_poll_table *self) {
    for (size_t i = 0; i < self->count; i++)
        if (self->chunks[i] != NULL)
            eioi_free(self->chunks[i]->block);
    eioi_free(self->chunks);
    *self = (struct eioi_poll_table){0};
}

// Registration

static int control(struct eioi_epoll *self, int op, int fd, const struct eioi_polled *polled,
                   uint32_t events) {
    struct epoll_event event = {
        .events = events,
        .data.u64 = (uint64_t)polled->generation << 32 | (uint32_t)fd,
    };
    return EIOI_SYS(epoll_ctl, epoll_ctl(self->epoll_fd, op, fd, &event)) == 0 ? 0 : errno;
}

static int register_for(struct eioi_epoll *self, int fd, struct eioi_polled *polled,
                        uint32_t events) {
    int errnum =
        control(self, polled->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, polled, events);
    if (errnum == ENOENT && polled->registered)
        errnum = control(self, EPOLL_CTL_ADD, fd, polled, events);
    else if (errnum == EEXIST && !polled->registered)
        errnum = control(self, EPOLL_CTL_MOD, fd, polled, events);
    if (errnum != 0)
        return errnum;
    polled->registered = true;
    polled->interest = events;
    return 0;
}

int eioi_poll_arm(struct eioi_epoll *self, int fd, struct eioi_polled *polled, uint32_t want) {
    if (eioi_poll_is_armed(polled, want))
        return 0;
    if (EIOI_CANARY(forget_rearm) && polled->registered)
        return 0;
    polled->doubtful = false;
    return register_for(self, fd, polled, polled->interest | eioi_poll_events(want));
}

/** What all those who wait wait for. */
static uint32_t wanted(const struct eioi_polled *polled) {
    uint32_t events = (eioi_list_empty(&polled->readers) ? 0u : (uint32_t)EPOLLIN) |
                      (eioi_list_empty(&polled->writers) ? 0u : (uint32_t)EPOLLOUT);
    EIOI_LIST_EACH (it, &polled->watchers)
        events |= EIOI_CONTAINER_OF(it, struct eioi_poll_wait, waiter.node)->events;
    return events;
}

/**
 * Events of `direction` have come again and again, and nobody wants them: no more of them until
 * somebody does.
 */
static void give_up(struct eioi_epoll *self, int fd, struct eioi_polled *polled,
                    uint32_t direction) {
    uint32_t keep = polled->interest & ~direction;
    if ((keep & (EPOLLIN | EPOLLOUT)) != 0) {
        (void)register_for(self, fd, polled, keep); // if it fails they go on coming
    } else {
        (void)control(self, EPOLL_CTL_DEL, fd, polled, 0); // one that is gone already is as good
        polled->registered = false;
        polled->interest = 0;
    }
    // No edge will tell any more.
    if (direction & EPOLLIN)
        polled->readable = true;
    else
        polled->writable = true;
}

static uint64_t serial_of(eio_fd *fd) {
    static _Atomic uint64_t last;
    uint64_t serial = atomic_load_explicit(&fd->serial, memory_order_relaxed);
    if (__builtin_expect(serial != 0, 1))
        return serial;
    uint64_t fresh = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
    // Another domain may be first, if the descriptor is a shared one: then its number counts.
    return atomic_compare_exchange_strong(&fd->serial, &serial, fresh) ? fresh : serial;
}

static void start_anew(struct eioi_epoll *self, int fd, struct eioi_polled *polled,
                       uint64_t serial) {
    polled->serial = serial;
    polled->generation++;
    polled->interest = 0;
    polled->kind = EIOI_POLLED_NEW;
    polled->idle_in = polled->idle_out = 0;
    polled->registered = false;
    polled->readable = polled->writable = true;
    polled->greedy = false;
    polled->no_nowait = false;
    polled->nonblock = false;
    polled->copies = false; // its fiber is served by the next event
    // Only where two eio_fds have one number does anybody wait: their events must go on coming.
    uint32_t events = wanted(polled);
    if (events != 0)
        (void)eioi_poll_arm(self, fd, polled, events);
}

struct eioi_polled *eioi_poll_of(struct eioi_epoll *self, eio_fd *fd) {
    struct eioi_polled *polled = record_of(&self->table, fd->fd);
    uint64_t serial = serial_of(fd);
    if (polled != NULL && polled->serial != serial)
        start_anew(self, fd->fd, polled, serial);
    return polled;
}

void eioi_poll_forget(void *backend, eio_fd *fd) {
    struct eioi_epoll *self = backend;
    size_t chunk = (size_t)fd->fd / EIOI_POLLED_CHUNK;
    if (fd->fd < 0 || chunk >= self->table.count || self->table.chunks[chunk] == NULL)
        return;
    struct eioi_polled *polled = &self->table.chunks[chunk][(size_t)fd->fd % EIOI_POLLED_CHUNK];
    if (polled->serial != atomic_load_explicit(&fd->serial, memory_order_relaxed) ||
        !polled->registered)
        return;
    (void)control(self, EPOLL_CTL_DEL, fd->fd, polled, 0);
    start_anew(self, fd->fd, polled, 0);
}

// Events

bool eioi_poll_serve(struct eioi_list *line) {
    if (eioi_list_empty(line))
        return false;
    struct eioi_poll_wait *first =
        EIOI_CONTAINER_OF(line->next, struct eioi_poll_wait, waiter.node);
    if (!first->served) {
        first->served = true;
        eioi_wake(&first->waiter, NULL);
    }
    return true;
}

static bool wake_watchers(struct eioi_polled *polled, uint32_t events) {
    bool any = false;
    EIOI_LIST_EACH (it, &polled->watchers) {
        struct eioi_poll_wait *wait = EIOI_CONTAINER_OF(it, struct eioi_poll_wait, waiter.node);
        if ((events & (wait->events | ENDED)) == 0)
            continue;
        eioi_list_unlink(it);
        eioi_wake(&wait->waiter, NULL);
        any = true;
    }
    polled->watched = !eioi_list_empty(&polled->watchers);
    return any;
}

static void took_in(struct eioi_epoll *self, int fd, struct eioi_polled *polled, bool taken) {
    polled->idle_in = taken ? 0 : (uint8_t)(polled->idle_in + 1);
    if (polled->idle_in == EIOI_POLLED_IDLE_MAX) {
        polled->idle_in = 0;
        give_up(self, fd, polled, READ_EVENTS);
    }
}

static void took_out(struct eioi_epoll *self, int fd, struct eioi_polled *polled, bool taken) {
    polled->idle_out = taken ? 0 : (uint8_t)(polled->idle_out + 1);
    if (polled->idle_out == EIOI_POLLED_IDLE_MAX) {
        polled->idle_out = 0;
        give_up(self, fd, polled, EPOLLOUT);
    }
}

static inline int fd_of(const struct epoll_event *event) {
    return (int)(uint32_t)event->data.u64;
}

/** Not of `wake_fd`, which has none. */
static inline struct eioi_polled *polled_of(const struct eioi_epoll *self, int fd) {
    return &self->table.chunks[fd / EIOI_POLLED_CHUNK][fd % EIOI_POLLED_CHUNK];
}

static void dispatch(struct eioi_epoll *self, const struct epoll_event *event) {
    int fd = fd_of(event);
    uint32_t events = event->events;
    struct eioi_polled *polled = polled_of(self, fd);
    if (polled->generation != event->data.u64 >> 32)
        return;
    bool foreign = polled->serial == 0;
    if (foreign)
        polled->interest = 0; // it was for one event
    bool in = false;
    bool out = false;
    if (events & (EPOLLOUT | ENDED)) {
        polled->writable = true;
        out = eioi_poll_serve(&polled->writers);
    }
    if (events & (READ_EVENTS | ENDED)) {
        polled->readable = true;
        polled->greedy |= (events & ((READ_EVENTS & ~(uint32_t)EPOLLIN) | ENDED)) != 0;
        in = true;
        if (polled->copies)
            eioi_stream_go_round(self, polled, fd);
        else
            in = eioi_poll_serve(&polled->readers);
    }
    if (polled->watched)
        in = out = wake_watchers(polled, events) || in || out;
    if (foreign) {
        uint32_t rest = wanted(polled);
        if (rest != 0)
            (void)register_for(self, fd, polled, rest | EPOLLONESHOT);
        return;
    }
    if (events & READ_EVENTS)
        took_in(self, fd, polled, in);
    else if (events & EPOLLOUT)
        took_out(self, fd, polled, out); // beside an event to read it only says that it's still so
}

/**
 * The system calls of one copy put out of the cache what the next ones need: it's on its way in
 * meanwhile.
 */
static inline void look_ahead(const struct eioi_epoll *self, int i, int count) {
    if (i + 2 < count && fd_of(&self->events[i + 2]) != self->wake_fd) {
        const struct eioi_polled *polled = polled_of(self, fd_of(&self->events[i + 2]));
        __builtin_prefetch(polled, 1);
        __builtin_prefetch(&polled->copy, 1);
    }
    if (i + 1 < count && fd_of(&self->events[i + 1]) != self->wake_fd) {
        const struct eioi_polled *polled = polled_of(self, fd_of(&self->events[i + 1]));
        if (polled->copies) {
            __builtin_prefetch(polled->copy.from);
            __builtin_prefetch(polled->copy.to);
        } else if (!eioi_list_empty(&polled->readers)) {
            __builtin_prefetch(polled->readers.next, 1);
        }
    }
}

void eioi_poll_dispatch(struct eioi_epoll *self, int count) {
    for (int i = 0; i < count; i++) {
        look_ahead(self, i, count);
        if (fd_of(&self->events[i]) != self->wake_fd)
            dispatch(self, &self->events[i]);
    }
}

EIOI_INLINE void eioi_poll_take_turn(void) {
    eio_err_drop(eio_fiber_yield());
}

// Foreign descriptors

static void watcher_cancel(struct eioi_waiter *w, eio_err *reason) {
    eioi_list_unlink(&w->node);
    eioi_wake(w, eio_err_ref(reason));
}

/** Asks for an event; the kernel looks at once whether it is there already. */
static int watch(struct eioi_epoll *self, int fd, struct eioi_polled *polled) {
    if (polled->serial != 0) {
        // One of our own, as far as we know: its registration must stay what it is.
        uint32_t events = polled->interest | wanted(polled) | EPOLLET;
        int errnum = control(self, EPOLL_CTL_MOD, fd, polled, events);
        if (errnum == 0) {
            polled->registered = true;
            polled->interest = events;
        }
        if (errnum != ENOENT)
            return errnum;
        // It isn't registered: closed meanwhile, and the number is somebody else's; or ours, and
        // never waited for.
        polled->serial = 0;
        polled->registered = false;
    }
    polled->generation++;
    return register_for(self, fd, polled, wanted(polled) | EPOLLONESHOT);
}

eio_err *eioi_epoll_await_fd(void *backend, int fd, short events) {
    struct eioi_epoll *self = backend;
    struct eioi_poll_wait wait = {.events = (uint32_t)events & (EPOLLIN | EPOLLOUT)};
    EIO_TRY(eio_fiber_check());
    if (fd < 0)
        return eioi_err_of_errno(EBADF, "poll");
    struct eioi_polled *polled = record_of(&self->table, fd);
    if (polled == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eioi_waiter_init(&wait.waiter, "a foreign descriptor");
    wait.waiter.what_arg = fd;
    eioi_list_push_tail(&polled->watchers, &wait.waiter.node);
    polled->watched = true;
    int errnum = watch(self, fd, polled);
    if (errnum == 0)
        return eioi_wait(&wait.waiter, watcher_cancel);
    eioi_list_unlink(&wait.waiter.node);
    eioi_poll_take_turn();
    // A regular file, which is always ready.
    return errnum == EPERM ? NULL : eioi_err_of_errno(errnum, "poll");
}
