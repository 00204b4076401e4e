// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_NETWORK_SEED_H
#define EIO_TESTS_NETWORK_SEED_H

// The definitions that the seed's transcripts share, under the names that they have there.

#include <string>

#include "eio/flow.h"
#include "eio/mem.h"
#include "eio/net.h"
#include "eio/server.h"
#include "tests/support/support.h"

namespace seed {

using namespace eio_test;

inline const eio_err_kind graceful_shutdown_kind = {nullptr, "Graceful_shutdown"};
inline eio_err *Graceful_shutdown() {
    return eio_err_const(&graceful_shutdown_kind);
}

inline eio_sockaddr Addr() {
    return eio_sockaddr_tcp(eio_ip_v4_loopback(), 8081);
}
inline eio_sockaddr Addr6() {
    return eio_sockaddr_tcp(eio_ip_v6_loopback(), 8081);
}

/// `~reuse_addr:true ~backlog:5`
inline eio_listen_opts ReuseAddr() {
    eio_listen_opts opts = {};
    opts.backlog = 5;
    opts.reuse_addr = true;
    return opts;
}

/// As OCaml prints a string with %S.
inline std::string Quoted(const std::string &text) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_strbuf_add_quoted(&sb, eio_slice_of(text.data(), text.size()));
    std::string quoted = eio_strbuf_str(&sb);
    eio_strbuf_free(&sb);
    return quoted;
}

eio_err *read_all(eio_flow *flow, std::string *out);
eio_err *run_client(eio_switch *sw, eio_net *net, const eio_sockaddr &addr);
eio_err *run_server(eio_switch *sw, eio_listener *socket);
/// `run_server` and `run_client` on `addr`, then Graceful_shutdown.
eio_err *test_address(eio_net *net, eio_switch *sw, const eio_sockaddr &addr);
/// `Server` beside a client that then raises Graceful_shutdown.
eio_err *client_cancels_server(eio_switch *sw, eio_net *net, eio_listener *server,
                               const eio_sockaddr &addr);
/// The handler of `~on_error:raise`'s transcripts that must not run.
eio_err *assert_false(void *arg, eio_flow *flow, const eio_sockaddr *peer);

} // namespace seed

#endif
