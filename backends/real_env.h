// SPDX-License-Identifier: ISC
#ifndef EIO_BACKENDS_REAL_ENV_H
#define EIO_BACKENDS_REAL_ENV_H

// The environment of a real loop.

#include "backends/choice.h"
#include "backends/domain_mgr.h"
#include "eio/env.h"
#include "eio/switch.h"

/** An environment and what it points to. In the frame of the loop's main fiber. */
struct eioi_real_env {
    eio_env env;
    eio_unix_net net;
    eio_source random;
    struct eioi_domain_mgr domain_mgr;
};

/** Fills it for the running loop; what it opens belongs to `sw`. */
EIO_MUST_USE eio_err *eioi_real_env_open(struct eioi_real_env *self, eio_switch *sw,
                                         const struct eioi_backend *backend,
                                         const struct eioi_loop_opts *loop);
/** Gives back what doesn't belong to the switch. */
void eioi_real_env_fini(struct eioi_real_env *self);

#endif
