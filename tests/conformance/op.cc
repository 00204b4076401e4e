// SPDX-License-Identifier: ISC
#include "tests/conformance/op.h"

#include "tests/conformance/op_rows.h"

namespace eio_test {

std::vector<OpRow> OpRows() {
    std::vector<OpRow> rows;
    for (const auto &kinds : {FlowRows(), NetRows(), MockRows(), FiberRows()}) {
        for (const OpKind &kind : kinds) {
            if (kind.where & kMock)
                rows.push_back({kind.name, "mock", kind.make});
            if (kind.where & kReal) {
                rows.push_back({kind.name, "uring", kind.make});
                rows.push_back({kind.name, "epoll", kind.make});
            }
        }
    }
    return rows;
}

} // namespace eio_test
