// SPDX-License-Identifier: ISC
#ifndef EIO_EIO_H
#define EIO_EIO_H

/*
 * Everything that a program needs, in one line; `//:eio` is the target behind it. Implementers of
 * flows and networks include `eio/flow_pi.h` and `eio/net_pi.h`, tests `eio/mock/...`, beside it.
 *
 *     #include "eio/eio.h"
 *     static eio_err *app(void *arg, const eio_env *env) { ... }
 *     int main(void) { return eio_main(app, NULL); }
 */

#include "eio/addr.h"
#include "eio/await_fd.h"
#include "eio/buf_read.h"
#include "eio/buf_write.h"
#include "eio/cancel.h"
#include "eio/clock.h"
#include "eio/condition.h"
#include "eio/connect_any.h"
#include "eio/domain.h"
#include "eio/env.h"
#include "eio/err.h"
#include "eio/err_kinds.h"
#include "eio/err_net.h"
#include "eio/fd.h"
#include "eio/fiber.h"
#include "eio/flow.h"
#include "eio/macros.h"
#include "eio/main.h"
#include "eio/mem.h"
#include "eio/mutex.h"
#include "eio/net.h"
#include "eio/promise.h"
#include "eio/resolver.h"
#include "eio/self.h"
#include "eio/semaphore.h"
#include "eio/server.h"
#include "eio/signal.h"
#include "eio/slice.h"
#include "eio/strbuf.h"
#include "eio/stream.h"
#include "eio/switch.h"
#include "eio/trace.h"
#include "eio/unix_net.h"

#endif
