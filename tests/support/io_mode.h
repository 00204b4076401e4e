// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_SUPPORT_IO_MODE_H
#define EIO_TESTS_SUPPORT_IO_MODE_H

// The tests once more, on a system that is as slow as it may be. By the environment variable
// EIO_TEST_IO, which only tests read:
//
//     bazel test --test_env=EIO_TEST_IO=short ...    each read and write is of one byte
//     bazel test --test_env=EIO_TEST_IO=late ...     each wait ends late, and some for nothing

namespace eio_test {

/// Starts the mode that the environment asks for, if it does: at the start of a test, since one that
/// injects faults of its own ends it.
void StartIoMode();

} // namespace eio_test

#endif
