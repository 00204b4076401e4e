// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_CONFORMANCE_OP_ROWS_H
#define EIO_TESTS_CONFORMANCE_OP_ROWS_H

// The rows' parts, one function a source file. See op.h.

#include "tests/conformance/op.h"

namespace eio_test {

/// Where a row applies: on the mock loop, on real ones.
enum Where { kMock = 1, kReal = 2, kAny = kMock | kReal };

/// A row, before it is put on backends.
struct OpKind {
    const char *name;
    Where where;
    std::function<std::unique_ptr<Op>()> make;
};

std::vector<OpKind> FlowRows();
std::vector<OpKind> NetRows();
std::vector<OpKind> MockRows();
std::vector<OpKind> FiberRows();

/// Makes an op of class `T`, each time anew.
template <class T, class... Args> std::function<std::unique_ptr<Op>()> Make(Args... args) {
    return [args...] { return std::make_unique<T>(args...); };
}

} // namespace eio_test

#endif
