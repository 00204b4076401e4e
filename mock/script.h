// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_SCRIPT_H
#define EIO_MOCK_SCRIPT_H

// What the mocks have in common around their handlers.

#include "eio/err.h"
#include "eio/mock/action.h"
#include "eio/strbuf.h"

/**
 * A handler without a script whose calls fail with Failure `Mock NAME handler not configured`, NAME
 * being without its "on_".
 */
void eioi_mock_handler_init_failing(eio_mock_handler *self, const char *label, const char *name);
/** Failure: the action was to give a thing of that kind, and gave none. */
EIO_MUST_USE eio_err *eioi_mock_gave_no(const eio_mock_handler *self, const char *thing);
/** Appends `; LABEL: HANDLER: N left` when N isn't 0. */
void eioi_mock_report_unused(const eio_mock_handler *self, eio_strbuf *out);

#endif
