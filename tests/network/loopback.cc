// SPDX-License-Identifier: ISC
#include "tests/network/loopback.h"

#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

namespace eio_test {
namespace {

bool BringUpLoopback() {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    ifreq request = {};
    snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
    bool up = ioctl(fd, SIOCGIFFLAGS, &request) == 0;
    if (up) {
        request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP | IFF_RUNNING);
        up = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    }
    close(fd);
    return up;
}

/// Gives every IPv4 address a route, through the loopback. Nothing is sent there: routes decide how
/// addresses are sorted.
bool AddIPv4Route() {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    rtentry route = {};
    char dev[] = "lo";
    route.rt_dst.sa_family = route.rt_genmask.sa_family = AF_INET;
    route.rt_dev = dev;
    route.rt_flags = RTF_UP;
    const bool added = ioctl(fd, SIOCADDRT, &route) == 0;
    close(fd);
    return added;
}

bool has_ipv4_route_only;

bool OnlyLoopbackIsThere() {
    struct if_nameindex *all = if_nameindex();
    bool only = all != nullptr;
    for (struct if_nameindex *it = all; it != nullptr && it->if_index != 0; it++)
        only = only && strcmp(it->if_name, "lo") == 0;
    if_freenameindex(all);
    return only;
}

/// Reading is enough to lock by, so whoever made the file, any user may. One that is there is opened
/// without O_CREAT, which systems with fs.protected_regular refuse for others' files.
int OpenLock(const char *path) {
    int fd = -1;
    for (int tries = 0; tries < 100 && fd < 0; tries++) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    return fd;
}

} // namespace

void OwnLoopback::SetUp() {
    const bool own = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    if (own) {
        ASSERT_TRUE(BringUpLoopback()) << strerror(errno);
        has_ipv4_route_only = AddIPv4Route();
    } else if (!OnlyLoopbackIsThere()) {
        lock_ = OpenLock("/tmp/eio-network-tests.lock");
        ASSERT_GE(lock_, 0) << strerror(errno);
        ASSERT_EQ(flock(lock_, LOCK_EX), 0) << strerror(errno);
    }
    snprintf(folder_, sizeof folder_, "/tmp/eio-network-XXXXXX");
    ASSERT_NE(mkdtemp(folder_), nullptr) << strerror(errno);
    ASSERT_EQ(chdir(folder_), 0) << strerror(errno);
}

bool OwnLoopback::HasIPv4RouteOnly() {
    return has_ipv4_route_only;
}

bool OwnLoopback::AddLinkLocal() {
    // The kernel's struct in6_ifreq; its header doesn't go with the C library's.
    struct {
        in6_addr addr;
        uint32_t prefix_len;
        int index;
    } request = {};
    request.addr.s6_addr[0] = 0xfe;
    request.addr.s6_addr[1] = 0x80;
    request.addr.s6_addr[15] = 1;
    request.prefix_len = 64;
    request.index = static_cast<int>(if_nametoindex("lo"));
    const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool usable = ioctl(fd, SIOCSIFADDR, &request) == 0 || errno == EEXIST;
    if (usable) {
        // The kernel makes it usable a little later, by a thread of its own.
        sockaddr_in6 addr = {};
        addr.sin6_family = AF_INET6;
        addr.sin6_addr = request.addr;
        addr.sin6_scope_id = static_cast<uint32_t>(request.index);
        usable = false;
        for (int tries = 0; tries < 5000 && !usable; tries++) {
            usable = bind(fd, reinterpret_cast<sockaddr *>(&addr), sizeof addr) == 0;
            if (!usable)
                usleep(1000);
        }
    }
    close(fd);
    return usable;
}

void OwnLoopback::TearDown() {
    if (folder_[0] != '\0') {
        std::error_code ignored;
        std::filesystem::current_path("/", ignored);
        std::filesystem::remove_all(folder_, ignored);
    }
    if (lock_ >= 0)
        close(lock_);
}

static ::testing::Environment *const own_loopback =
    ::testing::AddGlobalTestEnvironment(new OwnLoopback);

} // namespace eio_test
