// SPDX-License-Identifier: ISC
#ifndef EIO_ENV_H
#define EIO_ENV_H

/*
 * What a program gets from the world outside. A program may copy it and replace a member; libraries
 * take the members that they use, never the whole.
 *
 *     static eio_err *app(void *arg, const eio_env *env) {
 *         return eio_net_with_tcp_connect(&env->net->net, "example.com", "http", NULL, fetch, arg);
 *     }
 */

#include "eio/clock.h"
#include "eio/domain.h"
#include "eio/flow.h"
#include "eio/macros.h"
#include "eio/unix_net.h"

EIO_BEGIN_DECLS

/** The environment. Everything in it lives as long as the loop. */
typedef struct eio_env {
    eio_unix_net *net;          /**< sockets and names */
    eio_clock *clock;           /**< the wall clock */
    eio_mono_clock *mono_clock; /**< the clock to wait by */
    eio_source *stdin_;         /**< standard input */
    eio_sink *stdout_;          /**< standard output */
    eio_sink *stderr_;          /**< standard error */
    eio_domain_mgr *domain_mgr; /**< more domains */
    eio_source *random;         /**< secure random bytes (getrandom(2)); never ends */
    const char *backend_name;   /**< "io_uring", "epoll" */
} eio_env;

EIO_END_DECLS

#endif
