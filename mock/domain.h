// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_DOMAIN_H
#define EIO_MOCK_DOMAIN_H

/*
 * Domains that are no threads: what would run in another domain runs in the calling fiber, in the
 * one mock loop, so the order of everything is fixed. Each fake domain has a number, 1, 2, 3, ...
 * in the order of the calls.
 *
 *     static eio_err *test(void *arg, eio_domain_mgr *mgr) {
 *         eio_traceln("here");                            // +[0] here
 *         return eio_domain_run(mgr, there, NULL);        // +[1] there
 *     }
 *     EIO_TRY(eio_mock_domain_mgr_run(test, NULL));
 */

#include "eio/cancel.h"
#include "eio/domain.h"
#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

/**
 * A manager of fake domains. It prints nothing by itself: see `eio_mock_with_domain_tracing`.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     the running mock loop; outside of one, the caller, who destroys it.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_domain_mgr_create(eio_domain_mgr **out);
/** Frees a manager of fake domains; NULL is fine. Suspends: never. */
EIO_API void eio_mock_domain_mgr_destroy(eio_domain_mgr *self);

/**
 * Runs `fn(arg)` as fake domain 0, with `[ID] ` in front of what it and what it forks or runs in
 * fake domains print.
 *
 * Suspends:  as `fn` does.
 * Errors:    those of `fn`; Out_of_memory.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_with_domain_tracing(eio_call_fn *fn, void *arg);

/** A test with a manager of fake domains. */
typedef eio_err *eio_mock_domain_mgr_fn(void *arg, eio_domain_mgr *mgr);
/**
 * Runs `fn(arg, mgr)` with a manager that lives until then, as fake domain 0, with `[ID] ` in front
 * of what is printed.
 *
 * Suspends:  as `fn` does.
 * Errors:    those of `fn`; Out_of_memory.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_domain_mgr_run(eio_mock_domain_mgr_fn *fn, void *arg);

EIO_END_DECLS

#endif
