// SPDX-License-Identifier: ISC

// The destination rules 1 (unreachable last), 2 (same scope as the source), 5 (same label), 6
// (precedence), 8 (smaller scope), 9 (longest common prefix with the source, IPv6 only, at most a
// /64) and 10 (as they came). Rules 3, 4 and 7 need to know whether an address is deprecated, a
// home address, or tunnelled, which a socket can't tell. Rule 9 is left out for IPv4, where it
// would undo the order in which a server spreads its load.
//
// The source is found by connecting a UDP socket, which sends nothing: the kernel looks the route
// up. One socket of each family is used again and again; disconnecting it in between lets the
// kernel choose anew.

#include "resolver/sort.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/base/alloc.h"
#include "fiber/base/fault.h"

enum { SCOPE_LINK_LOCAL = 2, SCOPE_SITE_LOCAL = 5, SCOPE_GLOBAL = 14, PREFIX_MAX = 64 };

struct policy {
    uint8_t prefix[16];
    uint8_t bits;
    uint8_t precedence, label;
};

// RFC 6724, section 2.1, the longest prefix first.
static const struct policy policies[] = {
    {{[15] = 1}, 128, 50, 0},                // ::1
    {{[10] = 0xff, [11] = 0xff}, 96, 35, 4}, // IPv4
    {{0}, 96, 1, 3},                         // IPv4-compatible
    {{0x20, 0x01}, 32, 5, 5},                // Teredo
    {{0x20, 0x02}, 16, 30, 2},               // 6to4
    {{0x3f, 0xfe}, 16, 1, 12},               // 6bone
    {{0xfe, 0xc0}, 10, 1, 11},               // site-local
    {{0xfc}, 7, 3, 13},                      // unique local
    {{0}, 0, 40, 1},                         // everything else
};

// What the rules look at.
struct candidate {
    eio_ip ip;
    bool reachable, same_scope, same_label;
    uint8_t precedence, scope, prefix; // `prefix`: bits in common with the source; 0 for IPv4
};

static void mapped(const eio_ip *ip, uint8_t out[16]) {
    if (ip->len == 16) {
        memcpy(out, ip->bytes, 16);
        return;
    }
    memset(out, 0, 10);
    out[10] = out[11] = 0xff;
    memcpy(out + 12, ip->bytes, 4);
}

static unsigned common_bits(const uint8_t a[16], const uint8_t b[16], unsigned max) {
    unsigned bits = 0;
    while (bits < max && ((a[bits / 8] ^ b[bits / 8]) & 0x80 >> bits % 8) == 0)
        bits++;
    return bits;
}

static const struct policy *policy_of(const uint8_t addr[16]) {
    const struct policy *it = policies;
    while (common_bits(addr, it->prefix, it->bits) < it->bits)
        it++;
    return it;
}

static uint8_t scope_of(const eio_ip *ip) {
    static const uint8_t loopback[16] = {[15] = 1};
    const uint8_t *b = ip->bytes;
    if (ip->len == 4)
        return b[0] == 127 || (b[0] == 169 && b[1] == 254) ? SCOPE_LINK_LOCAL : SCOPE_GLOBAL;
    if (b[0] == 0xff)
        return b[1] & 0xf;
    if ((b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || memcmp(b, loopback, sizeof loopback) == 0)
        return SCOPE_LINK_LOCAL;
    return b[0] == 0xfe && (b[1] & 0xc0) == 0xc0 ? SCOPE_SITE_LOCAL : SCOPE_GLOBAL;
}

static void candidate_init(struct candidate *self, const eio_ip *ip, eioi_source_fn *source,
                           void *arg) {
    uint8_t addr[16], from[16];
    eio_ip src;
    mapped(ip, addr);
    const struct policy *policy = policy_of(addr);
    *self = (struct candidate){.ip = *ip, .precedence = policy->precedence, .scope = scope_of(ip)};
    self->reachable = source(arg, ip, &src);
    if (!self->reachable)
        return;
    mapped(&src, from);
    self->same_scope = scope_of(&src) == self->scope;
    self->same_label = policy_of(from)->label == policy->label;
    if (ip->len == 16)
        self->prefix = (uint8_t)common_bits(addr, from, PREFIX_MAX);
}

// Whether `b` is better than `a`, which came first.
static bool swapped(const struct candidate *a, const struct candidate *b) {
    if (a->reachable != b->reachable)
        return b->reachable;
    if (a->same_scope != b->same_scope)
        return b->same_scope;
    if (a->same_label != b->same_label)
        return b->same_label;
    if (a->precedence != b->precedence)
        return b->precedence > a->precedence;
    if (a->scope != b->scope)
        return b->scope < a->scope;
    return a->ip.len == b->ip.len && b->prefix > a->prefix;
}

// Merges the sorted runs [at, mid) and [mid, end) of `from` into `to`.
static void merge(const struct candidate *from, struct candidate *to, size_t at, size_t mid,
                  size_t end) {
    size_t left = at, right = mid;
    while (at < end) {
        bool take_right = left == mid || (right < end && swapped(&from[left], &from[right]));
        to[at++] = take_right ? from[right++] : from[left++];
    }
}

void eioi_sort_ips_by(eio_ip *ips, size_t n, eioi_source_fn *source, void *arg) {
    if (n < 2)
        return;
    struct candidate *from = eioi_alloc(2 * n * sizeof *from);
    if (from == NULL)
        return;
    struct candidate *const block = from;
    struct candidate *to = from + n;
    for (size_t i = 0; i < n; i++)
        candidate_init(&from[i], &ips[i], source, arg);
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t at = 0; at < n; at += 2 * run) {
            size_t mid = at + run < n ? at + run : n;
            merge(from, to, at, mid, mid + run < n ? mid + run : n);
        }
        struct candidate *sorted = to;
        to = from;
        from = sorted;
    }
    for (size_t i = 0; i < n; i++)
        ips[i] = from[i].ip;
    eioi_free(block);
}

struct probes {
    int v4, v6; // -1: not opened yet
};

union any_sockaddr {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t destination(const eio_ip *ip, union any_sockaddr *out) {
    memset(out, 0, sizeof *out);
    if (ip->len == 4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(53); // any but 0
        memcpy(&out->v4.sin_addr, ip->bytes, 4);
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(53);
    out->v6.sin6_scope_id = ip->scope_id;
    memcpy(&out->v6.sin6_addr, ip->bytes, 16);
    return sizeof out->v6;
}

static bool probe(void *arg, const eio_ip *dst, eio_ip *out) {
    struct probes *self = arg;
    int *fd = dst->len == 4 ? &self->v4 : &self->v6;
    union any_sockaddr addr;
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (*fd < 0)
        *fd = EIOI_SYS(socket, socket(dst->len == 4 ? AF_INET : AF_INET6,
                                      SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    else if (EIOI_SYS(connect, connect(*fd, &nobody, sizeof nobody)) != 0)
        return false;
    socklen_t len = destination(dst, &addr);
    if (*fd < 0 || EIOI_SYS(connect, connect(*fd, &addr.sa, len)) != 0)
        return false;
    len = sizeof addr;
    if (EIOI_SYS(getsockname, getsockname(*fd, &addr.sa, &len)) != 0)
        return false;
    *out = (eio_ip){.len = dst->len};
    if (dst->len == 4)
        memcpy(out->bytes, &addr.v4.sin_addr, 4);
    else
        memcpy(out->bytes, &addr.v6.sin6_addr, 16);
    return true;
}

void eioi_sort_ips(eio_ip *ips, size_t n) {
    struct probes probes = {-1, -1};
    eioi_sort_ips_by(ips, n, probe, &probes);
    if (probes.v4 >= 0)
        close(probes.v4); // fault: none, the number is free whatever it says
    if (probes.v6 >= 0)
        close(probes.v6); // fault: none, as above
}
