// SPDX-License-Identifier: ISC
// epoll_echo ADDRESS [trigger=level|edge] [first=0|1]
//
// An echo server for streams on bare epoll. One epoll_wait for up to 1,024 events; what is received
// is sent at once. first=0: a connection is read once for each event (a read that fills less than
// its buffer has emptied the socket, so that holds for edges, too, see epoll(7)); first=1: it is
// read when it has just been accepted and again after every send, until there is nothing. Bytes
// that the socket doesn't take are kept, and the connection is not read until they are gone.

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/bench/common/address.h"
#include "tools/bench/common/die.h"
#include "tools/bench/common/options.h"

enum { EVENTS = 1024, BUFFER = 65536 };

/** Bytes that wait until the socket takes them; `rest` is NULL when there are none. */
struct connection {
    uint8_t *rest;
    size_t len, sent;
};

static int poller;
static int listener;
static bool edge;
static bool first;
static struct connection *connections; // by descriptor
static uint8_t buffer[BUFFER];

static void watch(int operation, int fd, uint32_t events) {
    struct epoll_event event = {.events = events | (edge ? EPOLLET : 0), .data.fd = fd};
    if (epoll_ctl(poller, operation, fd, &event) != 0)
        die_errno(errno, "epoll_ctl");
}

static void close_connection(int fd) {
    free(connections[fd].rest);
    connections[fd] = (struct connection){0};
    close(fd);
}

static void keep(int fd, const uint8_t *bytes, size_t len) {
    struct connection *self = &connections[fd];
    self->rest = malloc(len);
    if (self->rest == NULL)
        die("out of memory");
    memcpy(self->rest, bytes, len);
    self->len = len;
    self->sent = 0;
    watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
}

/** How many bytes the socket took; -1 when the connection is gone. */
static ssize_t send_some(int fd, const uint8_t *bytes, size_t len) {
    size_t sent = 0;
    while (sent < len) {
        ssize_t n = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return -1;
        sent += (size_t)n;
    }
    return (ssize_t)sent;
}

static void echo(int fd) {
    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            close_connection(fd);
            return;
        }
        ssize_t sent = send_some(fd, buffer, (size_t)got);
        if (sent < 0) {
            close_connection(fd);
            return;
        }
        if (sent < got) {
            keep(fd, buffer + sent, (size_t)(got - sent));
            return;
        }
        if (!first && (!edge || got < BUFFER))
            return;
    }
}

static void send_rest(int fd) {
    struct connection *self = &connections[fd];
    ssize_t sent = send_some(fd, self->rest + self->sent, self->len - self->sent);
    if (sent < 0) {
        close_connection(fd);
        return;
    }
    self->sent += (size_t)sent;
    if (self->sent < self->len)
        return;
    free(self->rest);
    *self = (struct connection){0};
    watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void accept_all(void) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
        if (first)
            echo(fd);
    }
}

int main(int argc, char **argv) {
    if (argc < 2)
        die("usage: epoll_echo ADDRESS [trigger=level|edge] [first=0|1]");
    const char *trigger = "level";
    unsigned try_first = 0;
    const struct option_place places[] = {
        {.key = "trigger", .text = &trigger},
        {.key = "first", .number = &try_first},
    };
    parse_options(argv + 2, places, sizeof places / sizeof *places);
    edge = strcmp(trigger, "edge") == 0;
    first = try_first != 0;
    struct address address;
    parse_address(argv[1], &address);
    raise_descriptor_limit();
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    connections = calloc(limit.rlim_cur, sizeof *connections);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (connections == NULL || poller < 0)
        die_errno(errno, "epoll_create1");
    listener = bind_socket(&address, SOCK_NONBLOCK);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    static struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                accept_all();
            else if (connections[fd].rest != NULL)
                send_rest(fd);
            else
                echo(fd);
        }
    }
}
