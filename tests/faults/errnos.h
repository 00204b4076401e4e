// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_FAULTS_ERRNOS_H
#define EIO_TESTS_FAULTS_ERRNOS_H

// How each call that passes the seam may fail, and what may come of it.

#include <string>
#include <vector>

namespace eio_faults {

/// The errno values that `name` is made to fail with; at least one.
const std::vector<int> &ErrnosOf(const std::string &name);
/// How many times more a call may fail in a row that failed with `errnum`.
unsigned RepeatsOf(const std::string &name, int errnum);
/// "EINTR".
std::string NameOfErrno(int errnum);
/// Whether the error that prints as `text` says that `name` failed with `errnum`.
bool Explains(const std::string &text, const std::string &name, int errnum);
/// Whether it says what a failure looks like from the other end of a connection.
bool IsTheOtherSides(const std::string &text);
/// Whether such a failure (of one call, or of one and those after it) has to be the result of a
/// program that has no other way.
bool MustSurface(const std::string &name, int errnum, bool again);

} // namespace eio_faults

#endif
