// SPDX-License-Identifier: ISC
#include "tests/conformance/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h> // the C library's own has an older tcp_info
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "tests/support/support.h"

namespace eio_test {

namespace {

struct RawAddr {
    struct sockaddr_storage storage;
    socklen_t len;
    const struct sockaddr *get() const {
        return reinterpret_cast<const struct sockaddr *>(&storage);
    }
};

RawAddr Raw(const eio_sockaddr &addr) {
    RawAddr raw = {};
    if (addr.kind == EIO_UNIX) {
        auto *sun = reinterpret_cast<struct sockaddr_un *>(&raw.storage);
        sun->sun_family = AF_UNIX;
        memcpy(sun->sun_path, addr.unix_.path, addr.unix_.len);
        raw.len = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + addr.unix_.len);
    } else if (addr.ip.len == 4) {
        auto *sin = reinterpret_cast<struct sockaddr_in *>(&raw.storage);
        sin->sin_family = AF_INET;
        sin->sin_port = htons(addr.port);
        memcpy(&sin->sin_addr, addr.ip.bytes, 4);
        raw.len = sizeof *sin;
    } else {
        auto *sin6 = reinterpret_cast<struct sockaddr_in6 *>(&raw.storage);
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons(addr.port);
        memcpy(&sin6->sin6_addr, addr.ip.bytes, 16);
        raw.len = sizeof *sin6;
    }
    return raw;
}

} // namespace

eio_err *Listen(eio_switch *sw, const eio_env *env, bool tcp, unsigned backlog,
                eio_listener **out) {
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
    if (!tcp) // unnamed: the system gives it a name, so that it is nobody else's
        EIO_TRY(eio_sockaddr_unix(eio_slice_of("", 0), &addr));
    eio_listen_opts opts = {};
    opts.backlog = backlog;
    return eio_net_listen(&env->net->net, sw, &addr, &opts, out);
}

eio_err *TcpPair(eio_switch *sw, const eio_env *env, eio_stream_socket **a, eio_stream_socket **b) {
    return SwitchRun([&](eio_switch *sw2) -> eio_err * {
        eio_listener *listener;
        eio_sockaddr addr;
        EIO_TRY(Listen(sw2, env, true, 1, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        return Both([&] { return eio_listener_accept(listener, sw, a, nullptr); },
                    [&] { return eio_net_connect(&env->net->net, sw, &addr, nullptr, b); });
    });
}

int ConnectRaw(const eio_sockaddr &addr, int flags) {
    const RawAddr raw = Raw(addr);
    const int fd = socket(raw.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (connect(fd, raw.get(), raw.len) == 0 || errno == EINPROGRESS)
        return fd;
    EXPECT_EQ(errno, EAGAIN);
    close(fd);
    return -1;
}

int ConnectUdpRaw(int fd, const eio_sockaddr &addr) {
    const RawAddr raw = Raw(addr);
    return connect(fd, raw.get(), raw.len);
}

void SendUdpRaw(const eio_sockaddr &addr, const std::string &text) {
    const RawAddr raw = Raw(addr);
    const int fd = socket(raw.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(sendto(fd, text.data(), text.size(), 0, raw.get(), raw.len),
              static_cast<ssize_t>(text.size()));
    close(fd);
}

int NumberOf(eio_fd *fd) {
    int number = -1;
    auto use = [](void *arg, int n) -> eio_err * {
        *static_cast<int *>(arg) = n;
        return nullptr;
    };
    EXPECT_OK(eio_fd_use(fd, "test", use, &number));
    return number;
}

namespace {

/// Makes a descriptor non-blocking as long as it lives.
class NonBlocking {
  public:
    explicit NonBlocking(int fd) : fd_(fd), flags_(fcntl(fd, F_GETFL)) {
        fcntl(fd, F_SETFL, flags_ | O_NONBLOCK);
    }
    ~NonBlocking() { fcntl(fd_, F_SETFL, flags_); }
    NonBlocking(const NonBlocking &) = delete;
    NonBlocking &operator=(const NonBlocking &) = delete;

  private:
    int fd_, flags_;
};

/// Whether a TCP connection moves more bytes to its other side without anybody's doing: they are on
/// their way, or the other side has room for a packet of those that still wait here (a busy machine
/// sends them when it gets to it). False for anything else.
bool IsMoving(int fd) {
    struct tcp_info info = {};
    socklen_t len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return false;
    return info.tcpi_unacked > 0 || info.tcpi_snd_wnd >= info.tcpi_snd_mss;
}

/// Writes until there is no room. Returns whether there was some.
bool Fill(int fd) {
    static const char filler[4096] = {};
    bool wrote = false;
    NonBlocking set(fd);
    while (write(fd, filler, sizeof filler) > 0 || write(fd, filler, 1) > 0)
        wrote = true;
    return wrote;
}

} // namespace

ssize_t WriteRaw(eio_fd *fd, const std::string &text) {
    return write(NumberOf(fd), text.data(), text.size());
}

eio_err *FillRaw(const eio_env *env, eio_fd *fd) {
    const int number = NumberOf(fd);
    // Loopback moves bytes to the other side behind our back, later on a busy machine: full is what
    // stays full, with nothing moving any more. (Bytes that the other side has no room for at all
    // may stay on their way, so the patience has an end.)
    int patience = 500;
    for (int quiet = 0; quiet < 2; quiet++) {
        EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
        if (Fill(number) || (IsMoving(number) && patience-- > 0))
            quiet = -1;
    }
    return nullptr;
}

size_t DrainRaw(eio_fd *fd) {
    const int number = NumberOf(fd);
    NonBlocking set(number);
    char space[8192];
    size_t sum = 0;
    for (ssize_t n; (n = read(number, space, sizeof space)) > 0;)
        sum += static_cast<size_t>(n);
    return sum;
}

} // namespace eio_test
