// SPDX-License-Identifier: ISC

// The kinds of errors that need no other module: constant nodes, each naming the one above it.
// Their addresses are their identity, and bit 0 of an address is free (see err.c), so a kind needs
// no registration and no number.

#include <stddef.h>

#include "eio/err_kinds.h"

const eio_err_kind eio_err_io = {NULL, "Eio.Io"};
const eio_err_kind eio_err_x = {&eio_err_io, NULL};
const eio_err_kind eio_err_multiple_io = {&eio_err_io, "Multiple_io"};
const eio_err_kind eio_err_not_available = {&eio_err_io, "Not_available"};
const eio_err_kind eio_err_fs = {&eio_err_io, "Fs"};
const eio_err_kind eio_err_fs_not_found = {&eio_err_fs, "Not_found"};
const eio_err_kind eio_err_fs_already_exists = {&eio_err_fs, "Already_exists"};
const eio_err_kind eio_err_fs_permission_denied = {&eio_err_fs, "Permission_denied"};
const eio_err_kind eio_err_fs_file_too_large = {&eio_err_fs, "File_too_large"};

const eio_err_kind eio_err_cancelled = {NULL, "Cancelled"};
const eio_err_kind eio_err_multiple = {NULL, "Multiple"};

const eio_err_kind eio_err_end_of_file = {NULL, "End_of_file"};
const eio_err_kind eio_err_out_of_memory = {NULL, "Out_of_memory"};
const eio_err_kind eio_err_stack_limit = {NULL, "Stack_limit"};
const eio_err_kind eio_err_failure_kind = {NULL, "Failure"};
const eio_err_kind eio_err_invalid_argument = {NULL, "Invalid_argument"};
const eio_err_kind eio_err_closed = {&eio_err_invalid_argument, "Invalid_argument"};
const eio_err_kind eio_err_timeout = {NULL, "Eio__Time.Timeout"};
const eio_err_kind eio_err_exit = {NULL, "Stdlib.Exit"};
const eio_err_kind eio_err_not_first = {NULL, "Eio__core__Fiber.Not_first"};
const eio_err_kind eio_err_not_found = {NULL, "Not_found"};
const eio_err_kind eio_err_deadlock_detected = {NULL, "Eio_mock__Backend.Deadlock_detected"};
