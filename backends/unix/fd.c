// SPDX-License-Identifier: ISC

// From sockets to their descriptors. A socket that isn't real, or that wraps another one and
// changes its bytes, doesn't know the interface and has none.

#include "eio/fd.h"

#include "backends/unix/rcfd.h"
#include "eio/flow_pi.h"
#include "eio/net_pi.h"

eio_fd *eio_fd_of_flow(eio_flow *flow) {
    return flow->ops->query == NULL ? NULL : flow->ops->query(flow, &eioi_iface_fd);
}

eio_fd *eio_fd_of_listener(eio_listener *listener) {
    return listener->ops->query == NULL ? NULL : listener->ops->query(listener, &eioi_iface_fd);
}

eio_fd *eio_fd_of_datagram(eio_datagram_socket *socket) {
    return socket->ops->query == NULL ? NULL : socket->ops->query(socket, &eioi_iface_fd);
}
