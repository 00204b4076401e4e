// SPDX-License-Identifier: ISC
#ifndef EIO_SELF_H
#define EIO_SELF_H

/*
 * The checked downcast from an embedded interface to the object around it: the ops pointer is the
 * type tag.
 *
 *     struct xor_source *self = EIO_SELF(struct xor_source, base, src, &xor_ops);
 */

#include <stddef.h>

#include "eio/macros.h"

EIO_BEGIN_DECLS

/** Stops the program when `ops` isn't `want`; used by EIO_SELF. Suspends: never. */
EIO_API void eio_self_mismatch(const char *file, int line, const char *type);

#ifndef __cplusplus
/** The `type` around `ptr`, its member `member`, whose `ops` must be `want`. */
#define EIO_SELF(type, member, ptr, want)                             \
    __extension__({                                                   \
        __typeof__(ptr) eio_self_ = (ptr);                            \
        if (__builtin_expect(eio_self_->ops != (want), 0))            \
            eio_self_mismatch(__FILE__, __LINE__, #type);             \
        (type *)(void *)((char *)eio_self_ - offsetof(type, member)); \
    })
#endif

EIO_END_DECLS

#endif
