// SPDX-License-Identifier: ISC
#ifndef EIO_BACKENDS_DOMAIN_MGR_H
#define EIO_BACKENDS_DOMAIN_MGR_H

// Real domains: each function gets a thread with a loop of its own, on the same kind of backend.
// Usable from any domain.

#include "backends/choice.h"
#include "eio/domain.h"
#include "fiber/sched.h"

struct eioi_domain_mgr {
    eio_domain_mgr mgr;
    enum eioi_backend_kind kind; // of the loops that it makes
    struct eioi_loop_opts loop;
};

void eioi_domain_mgr_init(struct eioi_domain_mgr *self, enum eioi_backend_kind kind,
                          const struct eioi_loop_opts *loop);

#endif
