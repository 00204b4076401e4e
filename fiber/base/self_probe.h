// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_SELF_PROBE_H
#define EIO_BASE_SELF_PROBE_H

// EIO_SELF is a macro for C only; self_test.cc uses it through here.

#include <stdbool.h>

#include "eio/macros.h"

EIO_BEGIN_DECLS

/** Whether the downcast from a member that isn't the first finds the object around it. */
bool self_probe_finds_object(void);
/** How often a downcast evaluates the pointer that it is given. */
int self_probe_evaluations(void);
/** Asks for a type that the object hasn't got. */
void self_probe_mismatch(void);

EIO_END_DECLS

#endif
