// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_CONNECTION_H
#define EIO_MOCK_CONNECTION_H

// How mock networks and listeners put what they give out into the caller's switch. Each does
// nothing for a socket that is not a mock: whoever made that gave it an owner.

#include <stdbool.h>

#include "eio/net.h"
#include "eio/switch.h"

/** Has a flow closed at the end of `sw`; `until_closed`: not when it was closed before. */
EIO_MUST_USE eio_err *eioi_mock_connection_attach(eio_stream_socket *socket, eio_switch *sw,
                                                  bool until_closed);
/** Has a listener closed at the end of `sw`, once more if it was closed before. */
EIO_MUST_USE eio_err *eioi_mock_listener_attach(eio_listener *listener, eio_switch *sw);
/** Has a datagram socket closed at the end of `sw`, once more if it was closed before. */
EIO_MUST_USE eio_err *eioi_mock_datagram_attach(eio_datagram_socket *socket, eio_switch *sw);

#endif
