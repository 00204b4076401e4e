// SPDX-License-Identifier: ISC

// Theory. A path is removed only when the file there is the one that our own bind(2) made, which
// its device and inode number tell: another server may have taken the path over meanwhile, and a
// relative path may mean another directory now. A socket's file is removed once, when the socket
// closes, before its descriptor does: so there is no moment at which the path is there and nobody
// of ours listens, and an inode number that the kernel gave to someone else can't match, since the
// bound socket itself keeps the inode alive until then.

#include "backends/unix/bound_path.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/unix/low_level.h"
#include "fiber/base/alloc.h"
#include "fiber/base/fault.h"

struct eioi_bound_path {
    bool made; // the below are valid, and the file is ours
    dev_t dev;
    ino_t ino;
    char path[EIO_UNIX_PATH_MAX + 1];
};

bool eioi_addr_is_path(const eio_sockaddr *addr) {
    return addr->kind == EIO_UNIX && addr->unix_.len > 0 && addr->unix_.path[0] != '\0';
}

static void copy_path(char out[EIO_UNIX_PATH_MAX + 1], const eio_unix_addr *addr) {
    size_t len = addr->len < EIO_UNIX_PATH_MAX ? addr->len : EIO_UNIX_PATH_MAX;
    memcpy(out, addr->path, len);
    out[len] = '\0';
}

eio_err *eioi_remove_stale_socket(const eio_sockaddr *addr) {
    char path[EIO_UNIX_PATH_MAX + 1];
    struct stat st;
    copy_path(path, &addr->unix_);
    if (EIOI_SYS(lstat, lstat(path, &st)) != 0)
        return errno == ENOENT ? NULL : eioi_err_of_errno(errno, "lstat");
    if (!S_ISSOCK(st.st_mode))
        return NULL; // bind(2) will say that the address is in use
    if (EIOI_SYS(unlink, unlink(path)) != 0 && errno != ENOENT)
        return eioi_err_of_errno(errno, "unlink");
    return NULL;
}

eio_err *eioi_bound_path_new(const eio_sockaddr *addr, struct eioi_bound_path **out) {
    struct eioi_bound_path *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    copy_path(self->path, &addr->unix_);
    *out = self;
    return NULL;
}

eio_err *eioi_bound_path_made(struct eioi_bound_path *self) {
    struct stat st;
    if (EIOI_SYS(lstat, lstat(self->path, &st)) != 0) {
        int errnum = errno;
        (void)unlink(self->path); // fault: none, see below
        return eioi_err_of_errno(errnum, "lstat");
    }
    self->dev = st.st_dev;
    self->ino = st.st_ino;
    self->made = true;
    return NULL;
}

eio_err *eioi_bound_path_chmod(struct eioi_bound_path *self, unsigned mode) {
    if (EIOI_SYS(chmod, chmod(self->path, (mode_t)mode)) != 0)
        return eioi_err_of_errno(errno, "chmod");
    return NULL;
}

void eioi_bound_path_remove(struct eioi_bound_path *self) {
    struct stat st;
    if (self == NULL)
        return;
    // A failure (nobody can be told, and the usual one is that the file is gone already) leaves the
    // file.
    if (self->made && EIOI_SYS(lstat_closing, lstat(self->path, &st)) == 0 &&
        st.st_dev == self->dev && st.st_ino == self->ino)
        (void)EIOI_SYS(unlink_closing, unlink(self->path));
    eioi_free(self);
}

void eioi_bound_path_forget(struct eioi_bound_path *self) {
    eioi_free(self);
}
