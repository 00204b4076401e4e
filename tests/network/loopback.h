// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_NETWORK_LOOPBACK_H
#define EIO_TESTS_NETWORK_LOOPBACK_H

// A loopback of the test's own. The seed's transcripts print fixed ports, so copies of these tests
// must not share them.

#include <gtest/gtest.h>

namespace eio_test {

/// Before any test: moves into a network namespace of its own; where that isn't allowed, and the
/// process can see other interfaces than a loopback (so it isn't in somebody else's sandbox), waits
/// for a lock that copies of the test share. Then moves into a fresh folder, so that Unix sockets
/// can have short, relative names.
class OwnLoopback : public ::testing::Environment {
  public:
    void SetUp() override;
    void TearDown() override;
    /// Whether IPv4 addresses beyond the loopback have a route (through it), and IPv6 ones don't.
    static bool HasIPv4RouteOnly();
    /// Gives the loopback the link-local address fe80::1; false where the system doesn't let it.
    static bool AddLinkLocal();

  private:
    int lock_ = -1;
    char folder_[64] = "";
};

} // namespace eio_test

#endif
