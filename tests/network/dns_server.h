// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_NETWORK_DNS_SERVER_H
#define EIO_TESTS_NETWORK_DNS_SERVER_H

// A name server of the test's own, on loopback: it knows one name, and answers with its addresses.

#include <string>

#include "eio/net.h"
#include "eio/switch.h"

namespace eio_test {

/// What the server knows.
struct DnsZone {
    std::string name; ///< without a final dot
    eio_ip v4;        ///< its A record
    eio_ip v6;        ///< its AAAA record
};

/// Serves `zone` over UDP by a daemon of `sw`; `*out` is where.
eio_err *StartDnsServer(eio_switch *sw, eio_net *net, const DnsZone &zone, eio_sockaddr *out);

} // namespace eio_test

#endif
