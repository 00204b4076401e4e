// SPDX-License-Identifier: ISC
// Every server and client of the benchmarks makes its sockets here, so that no competitor has
// another backlog or Nagle's algorithm on.

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/bench/common/address.h"
#include "tools/bench/common/die.h"

enum { BACKLOG = 4096 };

static void parse_port(const char *text, int type, struct address *out) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || port > USHRT_MAX)
        die("'%s' isn't a port", text);
    struct sockaddr_in in = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    memcpy(&out->storage, &in, sizeof in);
    out->len = sizeof in;
    out->type = type;
}

static void parse_path(const char *path, struct address *out) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof un.sun_path)
        die("'%s' is too long for a socket's path", path);
    memcpy(un.sun_path, path, len);
    memcpy(&out->storage, &un, sizeof un);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    out->type = SOCK_STREAM;
}

void parse_address(const char *text, struct address *out) {
    *out = (struct address){0};
    if (strncmp(text, "tcp:", 4) == 0)
        parse_port(text + 4, SOCK_STREAM, out);
    else if (strncmp(text, "udp:", 4) == 0)
        parse_port(text + 4, SOCK_DGRAM, out);
    else if (strncmp(text, "unix:", 5) == 0)
        parse_path(text + 5, out);
    else
        die("'%s' is no address: tcp:PORT, udp:PORT or unix:PATH", text);
}

const struct sockaddr *sockaddr_of(const struct address *self) {
    return (const struct sockaddr *)&self->storage;
}

int open_socket(const struct address *self, int flags) {
    int fd = socket(self->storage.ss_family, self->type | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        return -1;
    const int on = 1;
    if (self->storage.ss_family == AF_INET && self->type == SOCK_STREAM &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int bind_socket(const struct address *self, int flags) {
    int fd = open_socket(self, flags);
    if (fd < 0)
        die_errno(errno, "making a socket");
    const int on = 1;
    if (self->storage.ss_family == AF_INET &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        die_errno(errno, "SO_REUSEADDR");
    if (bind(fd, sockaddr_of(self), self->len) != 0)
        die_errno(errno, "bind");
    if (self->type == SOCK_STREAM && listen(fd, BACKLOG) != 0)
        die_errno(errno, "listen");
    return fd;
}

void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        die_errno(errno, "RLIMIT_NOFILE");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die_errno(errno, "RLIMIT_NOFILE");
}
