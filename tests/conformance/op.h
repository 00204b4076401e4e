// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_CONFORMANCE_OP_H
#define EIO_TESTS_CONFORMANCE_OP_H

// Each call of the API that suspends, as a row: how to make it wait, and how to let it end. What
// must hold for all of them is tested once, in cancel_test.cc and close_test.cc, over every row and
// backend.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "eio/env.h"
#include "tests/support/support.h"

namespace eio_test {

/// One call. Made, used and destroyed inside a loop; what it opens belongs to the switch of
/// `SetUp`.
class Op {
  public:
    virtual ~Op() = default;
    /// Makes everything, so that `Run` would wait.
    virtual eio_err *SetUp(eio_switch *sw, const eio_env *env) = 0;
    /// The call itself. Each success uses up one `Complete`.
    virtual eio_err *Run() = 0;
    /// Lets one `Run` end, a later one too if none waits. Doesn't suspend.
    virtual void Complete() = 0;
    /// Whether `Complete` does anything: some things only time or a cancel ends.
    virtual bool CanComplete() const { return true; }
    /// Whether each success can be counted against a Complete: nothing lost, nothing twice.
    virtual bool Counts() const { return true; }
    /// Whether it can be closed under those who wait, and how.
    virtual bool CanClose() const { return false; }
    virtual void Close() {}
    /// What a call after the close is called in its error.
    virtual const char *Name() const { return ""; }
    /// What it fails with when the world outside makes it fail; NULL: nothing does, but closing and
    /// cancelling.
    virtual const eio_err_kind *FailsWith() const { return nullptr; }
    /// Makes `Run` fail, one that waits or (where `FailsAtOnce`) the next one. Doesn't suspend.
    virtual void Fail() {}
    /// Whether a call after `Fail` fails, too.
    virtual bool FailsAtOnce() const { return true; }
    /// Not a call to the backend: what is there is had without a turn, and a cancelled fiber waits
    /// for one turn.
    virtual bool InMemory() const { return false; }
    /// Gives back what no switch owns.
    virtual void TearDown() {}
};

/// A row.
struct OpRow {
    std::string name;
    std::string backend; // "mock", "uring", "epoll"
    std::function<std::unique_ptr<Op>()> make;
};

/// All rows, each on every backend that it applies to.
std::vector<OpRow> OpRows();

inline std::string NameOfRow(const ::testing::TestParamInfo<OpRow> &info) {
    return info.param.backend + "_" + info.param.name;
}
inline void PrintTo(const OpRow &row, std::ostream *os) {
    *os << row.backend << " " << row.name;
}

} // namespace eio_test

#endif
