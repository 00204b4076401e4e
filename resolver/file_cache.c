// SPDX-License-Identifier: ISC

// Who finds the moment for a look passed moves that moment on and looks; others use what is there
// meanwhile. At the very first use there is nothing yet, so several domains may read the file at
// once; the last one's snapshot stays. The lock is held for a few instructions only: stat, read and
// parse happen outside it.
//
// The stamp is taken from the open descriptor before the read. A file that changes while it is read
// gets another stamp by that, and is read again at the next look.

#include "resolver/file_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eio/clock.h"
#include "eio/err_net.h"
#include "fiber/base/alloc.h"
#include "fiber/base/fault.h"
#include "fiber/base/spin.h"

static const off_t size_max = 64 << 20; // a hosts file of a million lines has 30 MiB

/** What tells one content of a file from another. All zero: the file isn't there. */
struct stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
};

struct eioi_file_cache {
    char *path; // owned
    eioi_snapshot_parse_fn *parse;
    struct eioi_spin lock;          // guards the rest
    int64_t next_look_ns;           // when the file is looked at again
    struct stamp stamp;             // of `snapshot`
    struct eioi_snapshot *snapshot; // NULL until it was first read
};

eio_err *eioi_file_cache_create(const char *path, eioi_snapshot_parse_fn *parse,
                                struct eioi_file_cache **out) {
    size_t size = strlen(path) + 1;
    struct eioi_file_cache *self = eioi_alloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    *self = (struct eioi_file_cache){.parse = parse, .lock = EIOI_SPIN_INIT};
    self->path = eioi_alloc(size);
    if (self->path == NULL) {
        eioi_file_cache_destroy(self);
        return eio_err_const(&eio_err_out_of_memory);
    }
    memcpy(self->path, path, size);
    *out = self;
    return NULL;
}

void eioi_file_cache_destroy(struct eioi_file_cache *self) {
    if (self == NULL)
        return;
    eioi_snapshot_unref(self->snapshot);
    eioi_free(self->path);
    eioi_free(self);
}

static eio_err *cant_read(const struct eioi_file_cache *self, int errnum) {
    if (errnum == ENOMEM)
        return eio_err_const(&eio_err_out_of_memory);
    return eio_err_new(&eio_err_net_address_lookup_failed, "can't read %s: %s", self->path,
                       strerror(errnum));
}

static bool is_missing(int errnum) {
    return errnum == ENOENT || errnum == ENOTDIR || errnum == EACCES || errnum == EPERM ||
           errnum == ELOOP || errnum == ENAMETOOLONG;
}

static struct stamp stamp_of(const struct stat *st) {
    struct stamp stamp;
    memset(&stamp, 0, sizeof stamp); // padding too: stamps are compared as bytes
    stamp.dev = st->st_dev;
    stamp.ino = st->st_ino;
    stamp.size = st->st_size;
    stamp.mtime = st->st_mtim;
    stamp.ctime = st->st_ctim;
    return stamp;
}

// Fills `text` from `fd`, up to `size` bytes; sets `*len` to what there was. Returns an errno
// value.
static int read_all(int fd, uint8_t *text, size_t size, size_t *len) {
    *len = 0;
    while (*len < size) {
        size_t want = EIOI_LIMIT(short_read, size - *len);
        ssize_t got = EIOI_SYS(read, read(fd, text + *len, want));
        if (got < 0 && errno != EINTR)
            return errno;
        if (got == 0)
            break;
        if (got > 0)
            *len += (size_t)got;
    }
    return 0;
}

static eio_err *parse_fd(struct eioi_file_cache *self, int fd, struct stamp *stamp,
                         struct eioi_snapshot **out) {
    struct stat st;
    size_t len = 0;
    if (EIOI_SYS(fstat, fstat(fd, &st)) != 0)
        return cant_read(self, errno);
    *stamp = stamp_of(&st);
    if (!S_ISREG(st.st_mode))
        return self->parse(eio_slice_of(NULL, 0), out);
    if (st.st_size > size_max)
        return cant_read(self, EFBIG);
    uint8_t *text = eioi_alloc((size_t)st.st_size);
    if (text == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    int errnum = read_all(fd, text, (size_t)st.st_size, &len);
    eio_err *err =
        errnum != 0 ? cant_read(self, errnum) : self->parse(eio_slice_of(text, len), out);
    eioi_free(text);
    return err;
}

static eio_err *load(struct eioi_file_cache *self, struct stamp *stamp,
                     struct eioi_snapshot **out) {
    int fd = EIOI_SYS(open, open(self->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (fd < 0 && !is_missing(errno))
        return cant_read(self, errno);
    if (fd < 0) {
        memset(stamp, 0, sizeof *stamp);
        return self->parse(eio_slice_of(NULL, 0), out);
    }
    eio_err *err = parse_fd(self, fd, stamp, out);
    close(fd); // fault: none, the number is free whatever it says
    return err;
}

// Whether the file is still the one that `stamp` was taken from.
static bool is_unchanged(const struct eioi_file_cache *self, const struct stamp *stamp) {
    struct stat st;
    struct stamp now;
    if (EIOI_SYS(stat, stat(self->path, &st)) == 0)
        now = stamp_of(&st);
    else
        memset(&now, 0, sizeof now);
    return memcmp(&now, stamp, sizeof now) == 0;
}

// Puts what was read in the place of what was there, and returns that.
static struct eioi_snapshot *replace(struct eioi_file_cache *self, struct eioi_snapshot *fresh,
                                     const struct stamp *stamp) {
    eioi_snapshot_ref(fresh);
    eioi_spin_lock(&self->lock);
    struct eioi_snapshot *old = self->snapshot;
    self->snapshot = fresh;
    self->stamp = *stamp;
    eioi_spin_unlock(&self->lock);
    return old;
}

eio_err *eioi_file_cache_get(struct eioi_file_cache *self, int64_t now_ns,
                             struct eioi_snapshot **out) {
    eioi_spin_lock(&self->lock);
    struct eioi_snapshot *known = self->snapshot;
    struct stamp stamp = self->stamp;
    bool due = known == NULL || now_ns >= self->next_look_ns;
    if (due)
        self->next_look_ns = now_ns + EIO_SECOND;
    if (known != NULL)
        eioi_snapshot_ref(known);
    eioi_spin_unlock(&self->lock);

    if (known != NULL && (!due || is_unchanged(self, &stamp))) {
        *out = known;
        return NULL;
    }
    struct eioi_snapshot *fresh;
    eio_err *err = load(self, &stamp, &fresh);
    if (err != NULL && known != NULL) {
        eio_err_drop(err);
        *out = known;
        return NULL;
    }
    EIO_TRY(err);
    eioi_snapshot_unref(known);
    eioi_snapshot_unref(replace(self, fresh, &stamp));
    *out = fresh;
    return NULL;
}
