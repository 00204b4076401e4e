// SPDX-License-Identifier: ISC

// Theory. `users` counts the shares: operations under way, and short holds. Three things end a
// descriptor's life, in any order: it is marked closing (close or remove), its users go to zero,
// its owner orphans it. Whoever makes "closing and no users" true takes the number out of the
// struct (`released`), once; whoever makes "orphan and no users" true frees the struct. Both are
// decided in one locked section, and what was decided there is carried out after it on copies, so
// that nobody touches the struct when another domain may already have freed it.
//
// Close asks every listed operation to end, and the engine those that it knows (of one domain always,
// and not listed: two lines of memory less in each). Of those on the list, one of this domain is
// asked at once. One of another domain is taken off the list and gets a message; its fiber, which may
// be finishing at that very moment, can't leave before the message has arrived, since the message is
// in its frame: it drains its domain's inbox until then. So the message always finds its operation
// alive, and the operation's domain with it.

#include "backends/unix/rcfd.h"

#include <sched.h>
#include <unistd.h>

#include "backends/unix/bound_path.h"
#include "backends/unix/low_level.h"
#include "backends/unix/splice.h"
#include "backends/unix/unix_flow.h"
#include "eio/flow_pi.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/canary.h"
#include "fiber/base/hint.h"

const eio_iface eioi_iface_fd = {"fd"};

static void fd_lock(eio_fd *self) {
    if (self->flags & EIOI_FD_SHARED)
        eioi_spin_lock(&self->lock);
}

static void fd_unlock(eio_fd *self) {
    if (self->flags & EIOI_FD_SHARED)
        eioi_spin_unlock(&self->lock);
}

eio_err *eioi_err_closed(const char *op) {
    return eio_err_new(&eio_err_closed, "%s: file descriptor used after calling close!", op);
}

void eioi_close_number(int fd) {
    // Linux gives the number free whatever close(2) returns, so there is nothing to repeat and
    // nothing to report.
    if (EIOI_CANARY(skip_close))
        return;
    (void)close(fd); // fault: none, see above
}

void eioi_fd_init(struct eio_fd *self, unsigned flags) {
    *self = (struct eio_fd){.fd = -1,
                            .flags = (uint8_t)flags,
                            .closing = true,
                            .released = true,
                            .home = eioi_domain_id()};
    eioi_list_init(&self->inflight);
}

void eioi_fd_open(struct eio_fd *self, int fd) {
    EIO_ASSERT(self->released && self->users == 0, "a descriptor is opened once");
    self->fd = fd;
    self->closing = self->released = false;
}

/** What a locked section has decided must be done after it. */
struct verdict {
    int close_fd;                // -1: nothing to close
    unsigned flags;              // of the descriptor to close
    struct eioi_waiter *remover; // to be woken; NULL: nobody
    bool dead;                   // to be freed
};

/** Locked, after `users`, `closing` or `orphan` have changed. */
static struct verdict judge(eio_fd *self) {
    struct verdict v = {.close_fd = -1, .flags = self->flags};
    if (self->removing && self->users == 1) { // the remover's own share
        v.remover = self->remover;
        self->removing = false;
    }
    if (self->users > 0 && !(EIOI_CANARY(close_in_use) && self->closing))
        return v;
    if (self->closing && !self->released) {
        v.close_fd = self->fd;
        self->released = true;
        self->fd = -1;
    }
    v.dead = self->orphan;
    return v;
}

static void close_descriptor(int fd, unsigned flags) {
    // A peer by TCP can't tell when exactly we close, and nobody waits for the port of a
    // connection. A listener's port, or the error that a Unix peer gets for its next write, may be
    // wanted at once.
    const unsigned may_linger = EIOI_FD_LINGER_CLOSE | EIOI_FD_STREAM;
    if (flags & EIOI_FD_KEEP_OPEN)
        return;
    if ((flags & may_linger) == may_linger && eioi_sched_current() != NULL) {
        const struct eioi_io_ops *ops = eioi_backend_ops_current()->io_ops;
        if (ops != NULL && ops->close_later != NULL) {
            ops->close_later(eioi_backend(), fd);
            return;
        }
    }
    eioi_close_number(fd);
}

/** Not locked. `self` may be gone already, unless `v.dead`. */
static void carry_out(eio_fd *self, struct verdict v) {
    if (v.close_fd >= 0)
        close_descriptor(v.close_fd, v.flags);
    if (v.remover != NULL)
        eioi_wake_any(v.remover, NULL);
    if (!v.dead)
        return;
    if (v.flags & EIOI_FD_STREAM)
        eioi_stream_fini(self);
    if (self->engine != NULL)
        self->engine->ops->orphan(self->engine);
    eioi_free(self);
}

/** Locked; not after it. A share was given back. */
static __attribute__((noinline)) void judge_and_carry_out(eio_fd *self) {
    struct verdict v = judge(self);
    fd_unlock(self);
    carry_out(self, v);
}

/** Locked, with a share; it isn't locked after it, and may be gone. */
static inline void give_share_back(eio_fd *self) {
    self->users--;
    if (__builtin_expect(self->closing, 0))
        judge_and_carry_out(self);
    else // there is nothing to judge
        fd_unlock(self);
}

static void assert_home(const eio_fd *self, const char *op) {
    EIO_ASSERT((self->flags & EIOI_FD_SHARED) || self->home == eioi_domain_id(),
               "%s: a stream socket belongs to the domain that opened it; to move it, take its "
               "descriptor out with "
               "eio_fd_remove and import it there",
               op);
}

static void begin_role(eio_fd *self, enum eioi_fd_role role) {
    if (role == EIOI_FD_READS) {
        EIO_ASSERT(!self->reading, "two fibers read one flow at a time");
        self->reading = true;
    } else if (role == EIOI_FD_WRITES) {
        EIO_ASSERT(!self->writing, "two fibers write one flow at a time");
        self->writing = true;
    }
}

static void end_role(eio_fd *self, enum eioi_fd_role role) {
    if (role == EIOI_FD_READS)
        self->reading = false;
    else if (role == EIOI_FD_WRITES)
        self->writing = false;
}

/** Never inlined: the descriptors that most is done with are of one domain, and open. */
static __attribute__((noinline)) eio_err *lock_if_open(eio_fd *self, const char *op) {
    assert_home(self, op);
    fd_lock(self);
    if (!self->closing)
        return NULL;
    fd_unlock(self);
    return eioi_err_closed(op);
}

/** Unlocked when it is closing; else locked, with a share more. */
static inline eio_err *take_share(eio_fd *self, const char *op, enum eioi_fd_role role) {
    if (__builtin_expect(
            (self->flags & EIOI_FD_SHARED) || self->closing || self->home != eioi_domain_id(), 0))
        EIO_TRY(lock_if_open(self, op));
    self->users++;
    begin_role(self, role);
    return NULL;
}

static void close_message_run(struct eioi_message *msg) {
    struct eioi_inflight *self = EIOI_CONTAINER_OF(msg, struct eioi_inflight, close_message);
    self->closed = true;
    self->message_sent = false; // only this thread reads it from now on
    self->on_close(self);
}

/** Locked. */
static inline void put_on_list(eio_fd *self, struct eioi_inflight *inflight) {
    inflight->sched = eioi_sched_current();
    inflight->close_message.run = close_message_run;
    inflight->message_sent = inflight->closed = false;
    eioi_list_push_tail(&self->inflight, &inflight->node);
}

eio_err *eioi_fd_enter(eio_fd *self, const char *op, struct eioi_inflight *inflight) {
    EIO_TRY(take_share(self, op, inflight->role));
    put_on_list(self, inflight);
    fd_unlock(self);
    return NULL;
}

EIOI_INLINE eio_err *eioi_fd_begin(eio_fd *self, const char *op, enum eioi_fd_role role) {
    EIO_TRY(take_share(self, op, role));
    fd_unlock(self);
    return NULL;
}

EIOI_INLINE void eioi_fd_end(eio_fd *self, enum eioi_fd_role role) {
    fd_lock(self);
    end_role(self, role);
    EIO_ASSERT(self->users > 0, "an operation ends once");
    give_share_back(self);
}

bool eioi_fd_list(eio_fd *self, struct eioi_inflight *inflight) {
    fd_lock(self);
    bool open = !self->closing;
    if (open)
        put_on_list(self, inflight);
    fd_unlock(self);
    return open;
}

void eioi_fd_stay(eio_fd *self, struct eioi_inflight *inflight) {
    fd_lock(self);
    EIO_ASSERT(!self->interrupted, "an operation that goes on wasn't asked to end");
    put_on_list(self, inflight);
    fd_unlock(self);
}

void eioi_fd_leave(eio_fd *self, struct eioi_inflight *inflight) {
    fd_lock(self);
    while (inflight->message_sent) {
        fd_unlock(self);
        eioi_drain_messages();
        sched_yield(); // the closer is between marking and posting
        fd_lock(self);
    }
    eioi_list_unlink(&inflight->node);
    end_role(self, inflight->role);
    EIO_ASSERT(self->users > 0, "an operation leaves a descriptor that it entered");
    give_share_back(self);
}

void eioi_fd_read_on(eio_fd *self) {
    assert_home(self, "read");
    if (self->reads != EIOI_FD_READ_SINGLY)
        self->reads = EIOI_FD_READ_ON;
}

eio_err *eioi_fd_hold(eio_fd *self, const char *op, int *out_fd) {
    EIO_TRY(take_share(self, op, EIOI_FD_ANY));
    *out_fd = self->fd;
    fd_unlock(self);
    return NULL;
}

void eioi_fd_unhold(eio_fd *self) {
    eioi_fd_end(self, EIOI_FD_ANY);
}

/** Locked. Operations of this domain are asked to end; those of others go to `remote`. */
static void interrupt(eio_fd *self, struct eioi_list *remote) {
    self->interrupted = true;
    EIOI_LIST_EACH (it, &self->inflight) {
        struct eioi_inflight *inflight = EIOI_CONTAINER_OF(it, struct eioi_inflight, node);
        if (inflight->sched == eioi_sched_current()) {
            inflight->closed = true;
            inflight->on_close(inflight);
        } else {
            inflight->message_sent = true;
            eioi_list_unlink(it);
            eioi_list_push_tail(remote, it);
        }
    }
}

static void post_all(struct eioi_list *remote) {
    struct eioi_list *it;
    while ((it = eioi_list_pop_head(remote)) != NULL) {
        struct eioi_inflight *inflight = EIOI_CONTAINER_OF(it, struct eioi_inflight, node);
        eioi_post(inflight->sched, &inflight->close_message);
    }
}

/** Locked: no new operations from now on. The path, if there is one, is the caller's to remove. */
static struct eioi_bound_path *start_closing(eio_fd *self) {
    struct eioi_bound_path *path = self->path;
    self->closing = true;
    self->path = NULL;
    return path;
}

void eioi_fd_close(eio_fd *self) {
    struct eioi_list remote;
    eioi_list_init(&remote);
    struct eioi_bound_path *path = NULL;
    assert_home(self, "close");
    fd_lock(self);
    bool first = !self->closing;
    if (first) {
        path = start_closing(self);
        self->users++; // ours: the file goes before the descriptor
    }
    if (!self->released && !self->interrupted)
        interrupt(self, &remote);
    fd_unlock(self);
    post_all(&remote);
    if (self->engine != NULL)
        self->engine->ops->close(self->engine);
    if (!first)
        return;
    eioi_bound_path_remove(path);
    eioi_fd_unhold(self);
}

void eioi_fd_orphan(struct eio_fd *self) {
    fd_lock(self);
    EIO_ASSERT(self->closing, "a socket is closed before it is freed");
    self->orphan = true;
    struct verdict v = judge(self);
    fd_unlock(self);
    carry_out(self, v);
}

eio_err *eio_fd_remove(eio_fd *self, int *out_fd) {
    struct eioi_waiter w;
    eioi_sched_require(__func__);
    assert_home(self, __func__);
    eioi_waiter_init(&w, "descriptor to be unused");
    fd_lock(self);
    if (self->closing) {
        fd_unlock(self);
        return eioi_err_closed("remove");
    }
    struct eioi_bound_path *path = start_closing(self);
    int fd = self->fd;
    bool wait = self->users > 0;
    if (wait) {
        self->removing = true;
        self->remover = &w;
    }
    self->users++; // ours, so that neither the number nor the struct goes meanwhile
    fd_unlock(self);
    if (self->engine != NULL)
        self->engine->ops->disarm(self->engine);
    eioi_bound_path_forget(path);
    if (wait)
        eio_err_drop(eioi_wait(&w, NULL));
    const struct eioi_io_ops *ops = eioi_backend_ops_current()->io_ops;
    if (ops->forget != NULL)
        ops->forget(eioi_backend(), self);
    eioi_splice_forget(self);
    fd_lock(self);
    self->released = true;
    self->fd = -1;
    fd_unlock(self);
    eioi_fd_unhold(self);
    *out_fd = fd;
    return NULL;
}

void eioi_fd_begin_raw(eio_fd *self, const char *op) {
    EIO_ASSERT(self->raw_users < EIOI_FD_RAW_USERS_MAX, "%s: too many at once", op);
    self->raw_users++;
    if (self->engine != NULL)
        self->engine->ops->await_disarmed(self->engine);
}

void eioi_fd_end_raw(eio_fd *self) {
    self->raw_users--;
}

eio_err *eio_fd_use(eio_fd *self, const char *op, eio_fd_use_fn *fn, void *arg) {
    int fd = -1;
    EIO_TRY(eioi_fd_hold(self, op, &fd));
    if (self->flags & EIOI_FD_STREAM)
        eioi_fd_begin_raw(self, op);
    eio_err *err = fn(arg, fd);
    if (self->flags & EIOI_FD_STREAM)
        eioi_fd_end_raw(self);
    eioi_fd_unhold(self);
    return err;
}

bool eio_fd_is_open(const eio_fd *self) {
    eio_fd *mutable_self = (eio_fd *)(uintptr_t)self;
    fd_lock(mutable_self);
    bool open = !self->closing;
    fd_unlock(mutable_self);
    return open;
}
