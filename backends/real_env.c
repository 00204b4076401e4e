// SPDX-License-Identifier: ISC

// Theory. Nothing here waits or asks anybody: the standard streams are looked at (what kind of
// file), the resolver reads its files when the first name is looked up. The standard streams belong
// to the first domain; the rest acts on the loop of whoever uses it.

#include "backends/real_env.h"

#include <unistd.h>

#include "backends/random.h"
#include "backends/real_clock.h"
#include "backends/unix/std_stream.h"
#include "eio/flow_pi.h"
#include "eio/resolver.h"

static eio_err *open_streams(eio_env *env, eio_switch *sw) {
    eio_stream_socket *streams[3];
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        EIO_TRY(eioi_std_stream(sw, fd, &streams[fd]));
    env->stdin_ = &streams[STDIN_FILENO]->flow.source;
    env->stdout_ = &streams[STDOUT_FILENO]->flow.sink;
    env->stderr_ = &streams[STDERR_FILENO]->flow.sink;
    return NULL;
}

eio_err *eioi_real_env_open(struct eioi_real_env *self, eio_switch *sw,
                            const struct eioi_backend *backend, const struct eioi_loop_opts *loop) {
    eio_resolver *resolver;
    eioi_random_init(&self->random);
    eioi_domain_mgr_init(&self->domain_mgr, backend->kind, loop);
    self->env = (eio_env){
        .net = &self->net,
        .clock = &eioi_real_clock,
        .mono_clock = &eioi_real_mono_clock,
        .domain_mgr = &self->domain_mgr.mgr,
        .random = &self->random,
        .backend_name = backend->ops->name,
    };
    EIO_TRY(open_streams(&self->env, sw));
    EIO_TRY(eio_resolver_create(sw, self->env.mono_clock, NULL, &resolver));
    eio_unix_net_init(&self->net, &resolver->lookup);
    return NULL;
}

void eioi_real_env_fini(struct eioi_real_env *self) {
    eio_source_fini(&self->random);
}
