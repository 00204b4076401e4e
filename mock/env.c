// SPDX-License-Identifier: ISC

// A whole environment out of mocks of the running loop; they live as long as it does.

#include "mock/env.h"

#include "eio/mock/domain.h"
#include "eio/mock/flow.h"
#include "eio/mock/net.h"
#include "eio/mock/random.h"

eio_err *eioi_mock_env_init(eio_env *out, eio_mock_clock *clock, uint64_t seed) {
    eio_mock_net *net;
    eio_mock_flow *in, *outgoing, *errors;
    eio_domain_mgr *domain_mgr;
    eio_source *random;
    EIO_TRY(eio_mock_net_create("mock-net", &net));
    EIO_TRY(eio_mock_flow_create("stdin", &in));
    EIO_TRY(eio_mock_flow_create("stdout", &outgoing));
    EIO_TRY(eio_mock_flow_create("stderr", &errors));
    EIO_TRY(eio_mock_domain_mgr_create(&domain_mgr));
    EIO_TRY(eio_mock_random_create(seed, &random));
    *out = (eio_env){
        .net = &net->unix_net,
        .clock = &clock->clock,
        .mono_clock = &clock->mono,
        .stdin_ = &in->flow.source,
        .stdout_ = &outgoing->flow.sink,
        .stderr_ = &errors->flow.sink,
        .domain_mgr = domain_mgr,
        .random = random,
        .backend_name = "mock",
    };
    return NULL;
}
