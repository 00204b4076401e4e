// SPDX-License-Identifier: ISC

// Addresses and their text. Two laws hold for every address `x`: parse(print(x)) is x again, and
// the text doesn't depend on libc, whose inet_ntop writes v4-compatible addresses in another way.
// Parsing is strict: what two readers could take for two addresses (leading zeros, missing parts)
// is no address. Each parser takes the text from `p` on and returns where it stopped, or NULL; who
// called it decides whether the text may go on there.
//
// A zone that consists of digits is always a number. So the name of an interface that looks like a
// number is never printed: its number is.

#include "eio/addr.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "eio/strbuf.h"
#include "fiber/base/assert.h"
#include "fiber/base/fault.h"

_Static_assert(sizeof(eio_sockaddr) <= 128, "addresses are passed by value");
_Static_assert(EIO_IP_STR_MAX >= 45 + 1 + IF_NAMESIZE,
               "an IPv6 address, %, and an interface's name");
_Static_assert(EIO_SOCKADDR_STR_MAX >= 6 + EIO_IP_STR_MAX + 6, "tcp:[ADDRESS]:65535");
_Static_assert(EIO_SOCKADDR_STR_MAX >= 5 + EIO_UNIX_PATH_MAX + 1, "unix:PATH");

enum { V6_GROUPS = 8 };

// --- Making --------------------------------------------------------------------------------------

eio_ip eio_ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
    return (eio_ip){.len = 4, .bytes = {a, b, c, d}};
}

eio_ip eio_ip_v4_loopback(void) {
    return eio_ip_v4(127, 0, 0, 1);
}

eio_ip eio_ip_v4_any(void) {
    return eio_ip_v4(0, 0, 0, 0);
}

eio_ip eio_ip_v6_loopback(void) {
    return (eio_ip){.len = 16, .bytes = {[15] = 1}};
}

eio_ip eio_ip_v6_any(void) {
    return (eio_ip){.len = 16};
}

/** Invalid_argument: `before`, `culprit` in quotes, `after`. */
static eio_err *invalid(const char *before, eio_slice culprit, const char *after) {
    EIO_CLEANUP(eio_strbuf_free) eio_strbuf quoted = EIO_STRBUF_INIT;
    eio_strbuf_add_quoted(&quoted, culprit);
    return eio_err_new(&eio_err_invalid_argument, "%s%s%s", before, eio_strbuf_str(&quoted), after);
}

eio_err *eio_ip_of_raw(eio_slice raw, eio_ip *out) {
    if (raw.len != 4 && raw.len != 16) {
        char after[48];
        snprintf(after, sizeof after, " is %zu bytes)", raw.len);
        return invalid("An IP address must be either 4 or 16 bytes long (", raw, after);
    }
    *out = (eio_ip){.len = (uint8_t)raw.len};
    memcpy(out->bytes, raw.base, raw.len);
    return NULL;
}

bool eio_ip_equal(const eio_ip *a, const eio_ip *b) {
    if (a->len != b->len || memcmp(a->bytes, b->bytes, a->len) != 0)
        return false;
    return a->len != 16 || a->scope_id == b->scope_id;
}

// --- Parsing IP addresses ------------------------------------------------------------------------

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/** The value of a hexadecimal digit; -1 for anything else. */
static int hex_value(char c) {
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/** A decimal number of at most `max`, without leading zeros. */
static const char *parse_decimal(const char *p, uint32_t max, uint32_t *out) {
    if (!is_digit(*p) || (p[0] == '0' && is_digit(p[1])))
        return NULL;
    uint64_t value = 0;
    for (; is_digit(*p); p++) {
        value = value * 10 + (uint64_t)(*p - '0');
        if (value > max)
            return NULL;
    }
    *out = (uint32_t)value;
    return p;
}

/** Four decimal numbers with dots between them. */
static const char *parse_v4(const char *p, uint8_t out[4]) {
    for (int i = 0; i < 4; i++) {
        uint32_t value;
        if (i > 0 && *p++ != '.')
            return NULL;
        p = parse_decimal(p, 255, &value);
        if (p == NULL)
            return NULL;
        out[i] = (uint8_t)value;
    }
    return p;
}

/** One to four hexadecimal digits, two bytes. */
static const char *parse_group(const char *p, uint8_t out[2]) {
    unsigned value = 0;
    int digits = 0;
    for (; digits < 4 && hex_value(*p) >= 0; digits++)
        value = value << 4 | (unsigned)hex_value(*p++);
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return digits > 0 ? p : NULL;
}

/**
 * Moves the groups behind the `::` to the end; `n` groups are there, `gap` of them before it (-1:
 * there was none).
 */
static bool expand_gap(uint8_t bytes[16], int n, int gap) {
    if (gap < 0)
        return n == V6_GROUPS;
    if (n == V6_GROUPS)
        return false;
    size_t tail = 2 * (size_t)(n - gap), head = 2 * (size_t)gap;
    memmove(bytes + 16 - tail, bytes + head, tail);
    memset(bytes + head, 0, 16 - tail - head);
    return true;
}

/**
 * Eight groups with colons between them, or fewer and one `::`; the last two may be a dotted quad.
 */
static const char *parse_v6(const char *p, uint8_t out[16]) {
    int n = 0, gap = -1;
    if (p[0] == ':' && p[1] == ':') {
        gap = 0;
        p += 2;
    }
    // Here a group must come; directly behind the `::` the address may also be over.
    while (n < V6_GROUPS && !(gap == n && hex_value(*p) < 0)) {
        const char *end = parse_group(p, out + 2 * (size_t)n);
        if (end != NULL && *end == '.') {
            if (n > V6_GROUPS - 2)
                return NULL;
            p = parse_v4(p, out + 2 * (size_t)n);
            n += 2;
            break;
        }
        p = end;
        n++;
        if (p == NULL || *p != ':')
            break;
        p++;
        if (n == V6_GROUPS)
            return NULL;
        if (*p == ':') {
            if (gap >= 0)
                return NULL;
            gap = n;
            p++;
        }
    }
    return p != NULL && expand_gap(out, n, gap) ? p : NULL;
}

/** Whether `text` consists of digits only. */
static bool is_number(const char *text) {
    return text[strspn(text, "0123456789")] == '\0';
}

/** The number of the zone `text`, which is the rest of the address. */
static eio_err *parse_zone(const char *text, uint32_t *out) {
    if (is_number(text)) {
        const char *end = parse_decimal(text, UINT32_MAX, out);
        if (end == NULL)
            return invalid("Not the number of an interface: ", eio_slice_of_str(text), "");
        return NULL;
    }
    int saved = errno;
    unsigned index = EIOI_FAULT(if_nametoindex) ? 0 : if_nametoindex(text);
    errno = saved;
    if (index == 0)
        return invalid("There is no interface ", eio_slice_of_str(text), "");
    *out = index;
    return NULL;
}

eio_err *eio_ip_parse(const char *text, eio_ip *out) {
    eio_ip ip = {.len = 4};
    const char *end = parse_v4(text, ip.bytes);
    if (end == NULL) {
        ip = (eio_ip){.len = 16};
        end = parse_v6(text, ip.bytes);
        if (end != NULL && end[0] == '%') {
            EIO_TRY(parse_zone(end + 1, &ip.scope_id));
            end += strlen(end);
        }
    }
    if (end == NULL || *end != '\0')
        return invalid("Not an IP address: ", eio_slice_of_str(text), "");
    *out = ip;
    return NULL;
}

// --- Printing IP addresses -----------------------------------------------------------------------

/** Text of a known bound that is being written. */
struct text {
    char *at;  // where the NUL is
    char *end; // one past the room
};

static void add(struct text *self, const char *fmt, ...) EIO_PRINTF(2, 3);

static void add(struct text *self, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    size_t room = (size_t)(self->end - self->at);
    int n = vsnprintf(self->at, room, fmt, args);
    va_end(args);
    EIO_ASSERT(n >= 0 && (size_t)n < room, "the text of an address is longer than its bound");
    self->at += n;
}

static void add_v4(struct text *text, const uint8_t *b) {
    add(text, "%d.%d.%d.%d", b[0], b[1], b[2], b[3]);
}

/**
 * The first longest run of zero groups: its start, and its length, which is 0 when no run has two.
 */
static int zero_run(const unsigned groups[V6_GROUPS], int *out_len) {
    int best = 0, best_len = 1;
    for (int i = 0; i < V6_GROUPS; i++) {
        int len = 0;
        while (i + len < V6_GROUPS && groups[i + len] == 0)
            len++;
        if (len > best_len) {
            best = i;
            best_len = len;
        }
    }
    *out_len = best_len > 1 ? best_len : 0;
    return best;
}

static void add_v6(struct text *text, const uint8_t *b) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(b, mapped, sizeof mapped) == 0) {
        add(text, "::ffff:");
        add_v4(text, b + 12);
        return;
    }
    unsigned groups[V6_GROUPS];
    for (int i = 0; i < V6_GROUPS; i++)
        groups[i] = (unsigned)b[2 * i] << 8 | b[2 * i + 1];
    int run_len, run = zero_run(groups, &run_len);
    for (int i = 0; i < V6_GROUPS;) {
        if (run_len > 0 && i == run) {
            add(text, "::");
            i += run_len;
            continue;
        }
        // A colon stands before every group but the first and the one behind the `::`.
        add(text, i == 0 || (run_len > 0 && i == run + run_len) ? "%x" : ":%x", groups[i]);
        i++;
    }
}

static void add_zone(struct text *text, uint32_t scope_id) {
    char name[IF_NAMESIZE];
    int saved = errno;
    if (!EIOI_FAULT(if_indextoname) && if_indextoname(scope_id, name) != NULL && !is_number(name))
        add(text, "%%%s", name);
    else
        add(text, "%%%u", scope_id);
    errno = saved;
}

static void add_ip(struct text *text, const eio_ip *ip) {
    EIO_ASSERT(ip->len == 4 || ip->len == 16, "an IP address has 4 or 16 bytes, this has %d",
               ip->len);
    if (ip->len == 4) {
        add_v4(text, ip->bytes);
        return;
    }
    add_v6(text, ip->bytes);
    if (ip->scope_id != 0)
        add_zone(text, ip->scope_id);
}

const char *eio_ip_str(const eio_ip *ip, char buf[EIO_IP_STR_MAX]) {
    struct text text = {.at = buf, .end = buf + EIO_IP_STR_MAX};
    add_ip(&text, ip);
    return buf;
}

// --- Socket addresses ----------------------------------------------------------------------------

eio_sockaddr eio_sockaddr_tcp(eio_ip ip, uint16_t port) {
    return (eio_sockaddr){.kind = EIO_TCP, .port = port, .ip = ip};
}

eio_sockaddr eio_sockaddr_udp(eio_ip ip, uint16_t port) {
    return (eio_sockaddr){.kind = EIO_UDP, .port = port, .ip = ip};
}

eio_err *eio_sockaddr_unix(eio_slice path, eio_sockaddr *out) {
    if (path.len > EIO_UNIX_PATH_MAX)
        return eio_err_new(&eio_err_invalid_argument,
                           "The address of a Unix socket has at most %d bytes, this has %zu",
                           EIO_UNIX_PATH_MAX, path.len);
    if (path.len > 0 && path.base[0] != '\0' && memchr(path.base, '\0', path.len) != NULL)
        return invalid("A path can't have a NUL byte in it: ", path, "");
    eio_sockaddr addr = {.kind = EIO_UNIX};
    addr.unix_.len = (uint8_t)path.len;
    if (path.len > 0)
        memcpy(addr.unix_.path, path.base, path.len);
    *out = addr;
    return NULL;
}

/** `text` is what follows `unix:`. */
static eio_err *parse_unix(const char *text, eio_sockaddr *out) {
    size_t len = strlen(text);
    if (text[0] != '@' || len > EIO_UNIX_PATH_MAX)
        return eio_sockaddr_unix(eio_slice_of(text, len), out);
    char path[EIO_UNIX_PATH_MAX] = "";
    memcpy(path + 1, text + 1, len - 1);
    return eio_sockaddr_unix(eio_slice_of(path, len), out);
}

/** Splits `text` into the address, its brackets taken off, and the port. */
static bool split_port(const char *text, char host[EIO_IP_STR_MAX], uint32_t *out_port) {
    bool brackets = text[0] == '[';
    const char *end = strrchr(text, brackets ? ']' : ':');
    if (end == NULL)
        return false;
    const char *colon = brackets ? end + 1 : end;
    size_t skip = brackets ? 1 : 0, len = (size_t)(end - text) - skip;
    if (*colon != ':' || len >= EIO_IP_STR_MAX)
        return false;
    memcpy(host, text + skip, len);
    host[len] = '\0';
    const char *rest = parse_decimal(colon + 1, UINT16_MAX, out_port);
    return rest != NULL && *rest == '\0';
}

eio_err *eio_sockaddr_parse(const char *text, eio_sockaddr *out) {
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out);
    bool udp = strncmp(text, "udp:", 4) == 0;
    const char *p = udp || strncmp(text, "tcp:", 4) == 0 ? text + 4 : text;
    char host[EIO_IP_STR_MAX];
    uint32_t port;
    eio_ip ip;
    if (!split_port(p, host, &port))
        return invalid("Not a socket address: ", eio_slice_of_str(text), "");
    EIO_TRY(eio_ip_parse(host, &ip));
    if ((p[0] == '[') != (ip.len == 16))
        return invalid(
            "Brackets belong around an IPv6 address, and only there: ", eio_slice_of_str(text), "");
    *out = udp ? eio_sockaddr_udp(ip, (uint16_t)port) : eio_sockaddr_tcp(ip, (uint16_t)port);
    return NULL;
}

static void add_unix(struct text *text, const eio_unix_addr *addr) {
    EIO_ASSERT(addr->len <= EIO_UNIX_PATH_MAX, "the address of a Unix socket is too long");
    add(text, "unix:");
    for (size_t i = 0; i < addr->len; i++)
        add(text, "%c", addr->path[i] == '\0' ? '@' : addr->path[i]);
}

const char *eio_sockaddr_str(const eio_sockaddr *addr, char buf[EIO_SOCKADDR_STR_MAX]) {
    struct text text = {.at = buf, .end = buf + EIO_SOCKADDR_STR_MAX};
    if (addr->kind == EIO_UNIX) {
        add_unix(&text, &addr->unix_);
        return buf;
    }
    EIO_ASSERT(addr->kind == EIO_TCP || addr->kind == EIO_UDP,
               "not a socket address: its kind is %d", (int)addr->kind);
    bool brackets = addr->ip.len == 16;
    add(&text, "%s:%s", addr->kind == EIO_TCP ? "tcp" : "udp", brackets ? "[" : "");
    add_ip(&text, &addr->ip);
    add(&text, "%s:%u", brackets ? "]" : "", (unsigned)addr->port);
    return buf;
}

bool eio_sockaddr_equal(const eio_sockaddr *a, const eio_sockaddr *b) {
    if (a->kind != b->kind)
        return false;
    if (a->kind == EIO_UNIX)
        return a->unix_.len == b->unix_.len &&
               memcmp(a->unix_.path, b->unix_.path, a->unix_.len) == 0;
    return a->port == b->port && eio_ip_equal(&a->ip, &b->ip);
}
