// SPDX-License-Identifier: ISC
// The generic side of domain managers: the implementers (threads, fakes) do the work.

#include "eio/domain.h"

eio_err *eio_domain_run(eio_domain_mgr *self, eio_call_fn *fn, void *arg) {
    return self->ops->run(self, fn, arg);
}
