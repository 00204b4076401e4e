// SPDX-License-Identifier: ISC
#ifndef EIO_DOMAIN_H
#define EIO_DOMAIN_H

/*
 * Domains: threads with a loop of their own. A domain manager runs functions in them.
 *
 *     EIO_TRY(eio_domain_run(env->domain_mgr, crunch, &job));   // this fiber waits, others go on
 */

#include "eio/cancel.h"
#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

typedef struct eio_domain_mgr eio_domain_mgr;

/** For implementers of domain managers. */
struct eio_domain_mgr_ops {
    const char *name;
    eio_err *(*run)(eio_domain_mgr *self, eio_call_fn *fn, void *arg);
};

/** Makes domains. */
struct eio_domain_mgr {
    const struct eio_domain_mgr_ops *ops;
};

/**
 * Runs `fn(arg)` as the main fiber of a new domain and waits for its result. When the caller is
 * cancelled, so is `fn`, which is waited for all the same.
 *
 * Suspends:  until `fn` has ended.
 * Errors:    those of `fn`; Out_of_memory, Io (no thread, no loop) when it couldn't be started;
 *            Cancelled.
 * Owner:     `arg` is borrowed by the other domain until the call returns: what it names is used by
 *            that thread.
 */
EIO_API EIO_MUST_USE eio_err *eio_domain_run(eio_domain_mgr *self, eio_call_fn *fn, void *arg);

EIO_END_DECLS

#endif
