// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_MACRO_PROBE_H
#define EIO_FIBER_MACRO_PROBE_H

// What only C can write, for fiber_test and switch_test: the macros with statement expressions.

#include "eio/err.h"
#include "eio/macros.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/**
 * Forks two fibers with EIO_FORK, changes the original values meanwhile; the fibers trace their
 * arguments late.
 */
EIO_MUST_USE eio_err *probe_fork_by_value(eio_switch *sw);
/** EIO_SWITCH_NEW of an object that should be all zeros; Failure when it isn't. */
EIO_MUST_USE eio_err *probe_switch_new(eio_switch *sw);

EIO_END_DECLS

#endif
