// SPDX-License-Identifier: ISC

// The kinds of network errors: nodes of one tree, so that a program matches as much of it as it
// means.

#include "eio/err_net.h"

const eio_err_kind eio_err_net = {&eio_err_io, "Net"};
const eio_err_kind eio_err_net_connection_reset = {&eio_err_net, "Connection_reset"};
const eio_err_kind eio_err_net_connection_failure = {&eio_err_net, "Connection_failure"};
const eio_err_kind eio_err_net_refused = {&eio_err_net_connection_failure, "Refused"};
const eio_err_kind eio_err_net_timeout = {&eio_err_net_connection_failure, "Timeout"};
const eio_err_kind eio_err_net_no_matching_addresses = {&eio_err_net_connection_failure,
                                                        "No_matching_addresses"};
const eio_err_kind eio_err_net_address_lookup_failed = {&eio_err_net, "Address_lookup_failed"};
const eio_err_kind eio_err_net_invalid_option = {&eio_err_net, "Invalid_option"};
