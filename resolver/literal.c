// SPDX-License-Identifier: ISC

// IPv4 follows inet_aton: with fewer than four parts the last one fills the rest of the address.
// IPv6 is inet_pton's. A zone is the name of an interface for link-local addresses, where only one
// can be meant, and a number for any address.

#include "resolver/literal.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fiber/base/fault.h"
#include "resolver/fields.h"

enum { V6_TEXT_MAX = 46 };

static int digit_of(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

// One part of an IPv4 address, as strtoul(3) with base 0 takes it, at most 32 bits. NULL: not a
// number.
static const char *parse_part(const char *text, uint32_t *out) {
    int base = 10;
    if (digit_of(*text) >= 10)
        return NULL;
    if (*text == '0') {
        base = 8;
        if ((text[1] == 'x' || text[1] == 'X') && digit_of(text[2]) < 16) {
            base = 16;
            text += 2;
        }
    }
    uint64_t value = 0;
    for (; digit_of(*text) < base; text++) {
        value = value * (uint64_t)base + (uint64_t)digit_of(*text);
        if (value > UINT32_MAX)
            return NULL;
    }
    *out = (uint32_t)value;
    return text;
}

static bool parse_v4(const char *text, eio_ip *out) {
    uint8_t bytes[4] = {0};
    for (unsigned i = 0; i < 4; i++) {
        uint32_t part;
        text = parse_part(text, &part);
        if (text == NULL)
            return false;
        if (*text != '.') {
            if (*text != '\0' || (i > 0 && part >> (8 * (4 - i)) != 0))
                return false;
            for (unsigned at = 4; at > i; at--, part >>= 8)
                bytes[at - 1] = (uint8_t)part;
            *out = eio_ip_v4(bytes[0], bytes[1], bytes[2], bytes[3]);
            return true;
        }
        if (part > UINT8_MAX)
            return false;
        bytes[i] = (uint8_t)part;
        text++;
    }
    return false; // a dot after the fourth part
}

static bool interface_index(const char *name, uint32_t *out) {
    struct ifreq req;
    size_t len = strlen(name);
    if (len == 0 || len >= sizeof req.ifr_name)
        return false;
    memset(&req, 0, sizeof req);
    memcpy(req.ifr_name, name, len);
    int fd = EIOI_SYS(socket, socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (fd < 0)
        return false;
    int failed = EIOI_SYS(ioctl, ioctl(fd, SIOCGIFINDEX, &req));
    close(fd); // fault: none, the number is free whatever it says
    if (failed != 0 || req.ifr_ifindex <= 0)
        return false;
    *out = (uint32_t)req.ifr_ifindex;
    return true;
}

static bool has_zones(const uint8_t bytes[16]) {
    bool link_local = bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
    bool multicast = bytes[0] == 0xff && ((bytes[1] & 0xf) == 1 || (bytes[1] & 0xf) == 2);
    return link_local || multicast;
}

static bool parse_zone(const uint8_t bytes[16], const char *zone, uint32_t *out) {
    if (has_zones(bytes) && interface_index(zone, out))
        return true;
    unsigned number;
    if (!eioi_field_number(eio_slice_of_str(zone), UINT32_MAX, &number))
        return false;
    *out = number;
    return true;
}

static bool parse_v6(const char *text, eio_ip *out) {
    char address[V6_TEXT_MAX];
    const char *zone = strchr(text, '%');
    size_t len = zone == NULL ? strlen(text) : (size_t)(zone - text);
    if (len >= sizeof address)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    eio_ip ip = {.len = 16};
    if (inet_pton(AF_INET6, address, ip.bytes) != 1)
        return false;
    if (zone != NULL && !parse_zone(ip.bytes, zone + 1, &ip.scope_id))
        return false;
    *out = ip;
    return true;
}

enum eioi_literal eioi_literal_parse(const char *text, eio_ip *out) {
    if (strpbrk(text, ":%") == NULL)
        return parse_v4(text, out) ? EIOI_LITERAL_YES : EIOI_LITERAL_NO;
    return parse_v6(text, out) ? EIOI_LITERAL_YES : EIOI_LITERAL_BAD;
}

bool eioi_literal_parse_strict(const char *text, size_t len, eio_ip *out) {
    char copy[V6_TEXT_MAX + 1 + IFNAMSIZ];
    if (len >= sizeof copy || memchr(text, '\0', len) != NULL)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (memchr(copy, ':', len) != NULL)
        return parse_v6(copy, out);
    eio_ip ip = {.len = 4};
    if (inet_pton(AF_INET, copy, ip.bytes) != 1)
        return false;
    *out = ip;
    return true;
}
