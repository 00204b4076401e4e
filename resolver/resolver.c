// SPDX-License-Identifier: ISC

// Where the answer to a lookup comes from, in this order: the literal itself; loopback for
// `localhost`; the hosts file; a name server. Only the last one waits. The first three run in the
// caller's fiber, in any domain, on snapshots of the files. The addresses are sorted, then each is
// given once for TCP and once for UDP, as the service has them.
//
// A lookup of one family is a query of its own for that family, so that both can be asked side by
// side. That a name has no address of the family is no error then.
//
// The resolver lies in its switch's memory. The hook runs when the daemon has ended, like every
// fiber of the switch.

#include "eio/resolver.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "eio/err_net.h"
#include "eio/fiber.h"
#include "eio/self.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/fault.h"
#include "fiber/base/list.h"
#include "resolver/dns.h"
#include "resolver/fields.h"
#include "resolver/hosts.h"
#include "resolver/index.h"
#include "resolver/literal.h"
#include "resolver/services.h"
#include "resolver/sort.h"

struct resolver {
    eio_resolver pub;
    eio_hook hook;
    eio_mono_clock *clock;
    struct eioi_file_cache *hosts, *services;
    struct eioi_dns dns;
};

/** The ports that a service has. */
struct ports {
    bool has[2]; // by TCP, UDP
    uint16_t port[2];
};

enum { TCP, UDP };
enum { TRIES_MAX = 10 };
#define TIMEOUT_MAX_NS (1800 * EIO_SECOND) // doubled TRIES_MAX times, in ms, it still is an int

static const struct eio_lookup_ops resolver_ops;

static struct resolver *self_of(eio_lookup *lookup) {
    return EIO_SELF(struct resolver, pub.lookup, lookup, &resolver_ops);
}

static eio_err *lookup_failed(const char *reason) {
    return eio_err_new(&eio_err_net_address_lookup_failed, "%s", reason);
}

static eio_err *out_of_memory(void) {
    return eio_err_const(&eio_err_out_of_memory);
}

static void snapshot_cleanup(struct eioi_snapshot **snapshot) {
    eioi_snapshot_unref(*snapshot);
}
static void answer_cleanup(struct eioi_answer **answer) {
    eioi_answer_unref(*answer);
}

static eio_err *snapshot_of(struct resolver *self, struct eioi_file_cache *file,
                            struct eioi_snapshot **out) {
    return eioi_file_cache_get(file, eio_mono_clock_now(self->clock), out);
}

// --- Services ---

static eio_err *find_ports(struct resolver *self, const char *service, struct ports *out) {
    unsigned number = 0;
    EIO_CLEANUP(snapshot_cleanup) struct eioi_snapshot *services = NULL;
    if (service == NULL || *service == '\0' ||
        eioi_field_number(eio_slice_of_str(service), UINT16_MAX, &number)) {
        *out = (struct ports){{true, true}, {(uint16_t)number, (uint16_t)number}};
        return NULL;
    }
    EIO_TRY(snapshot_of(self, self->services, &services));
    for (int i = TCP; i <= UDP; i++)
        out->has[i] = eioi_services_port(services, service, i == UDP, &out->port[i]);
    if (!out->has[TCP] && !out->has[UDP])
        return eio_err_new(&eio_err_net_address_lookup_failed, "no such service: %.64s", service);
    return NULL;
}

static eio_err *service_name(struct resolver *self, const eio_sockaddr *addr, eio_nameinfo *out) {
    EIO_CLEANUP(snapshot_cleanup) struct eioi_snapshot *services = NULL;
    EIO_TRY(snapshot_of(self, self->services, &services));
    const char *name = eioi_services_name(services, addr->port, addr->kind == EIO_UDP);
    if (name != NULL)
        (void)snprintf(out->service, sizeof out->service, "%s", name);
    else
        (void)snprintf(out->service, sizeof out->service, "%u", (unsigned)addr->port);
    return NULL;
}

// --- Addresses of a name ---

static bool is_localhost(const char *host) {
    static const char name[] = "localhost";
    size_t len = strlen(host), name_len = sizeof name - 1;
    if (len > 0 && host[len - 1] == '.')
        len--;
    if (len < name_len || !eioi_name_equal(host + len - name_len, name_len, name, name_len))
        return false;
    return len == name_len || host[len - name_len - 1] == '.';
}

static bool wanted(enum eioi_question_kind kind, const eio_ip *ip) {
    return kind == EIOI_ASK_ADDRESSES || (ip->len == 4) == (kind == EIOI_ASK_V4);
}

static eio_err *add_ip(struct eioi_ip_list *out, enum eioi_question_kind kind, eio_ip ip) {
    return !wanted(kind, &ip) || eioi_ip_list_add(out, &ip) ? NULL : out_of_memory();
}

static eio_err *add_loopback(struct eioi_ip_list *out, enum eioi_question_kind kind) {
    EIO_TRY(add_ip(out, kind, eio_ip_v6_loopback()));
    EIO_TRY(add_ip(out, kind, eio_ip_v4_loopback()));
    eioi_sort_ips(out->items, out->count);
    return NULL;
}

static eio_err *add_from_hosts(struct resolver *self, const char *host,
                               enum eioi_question_kind kind, struct eioi_ip_list *out,
                               bool *out_found) {
    EIO_CLEANUP(snapshot_cleanup) struct eioi_snapshot *hosts = NULL;
    EIO_CLEANUP(eioi_ip_list_free) struct eioi_ip_list all = {0};
    EIO_TRY(snapshot_of(self, self->hosts, &hosts));
    EIO_TRY(eioi_hosts_find(hosts, host, &all));
    for (size_t i = 0; i < all.count; i++)
        EIO_TRY(add_ip(out, kind, all.items[i]));
    eioi_sort_ips(out->items, out->count);
    *out_found = all.count > 0;
    return NULL;
}

static eio_err *of_outcome(const struct eioi_answer *answer, bool empty_is_fine) {
    switch (answer->outcome) {
    case EIOI_ANSWERED: return NULL;
    case EIOI_NO_SUCH_NAME: return lookup_failed("no such name (NXDOMAIN)");
    case EIOI_NO_DATA: return empty_is_fine ? NULL : lookup_failed("the name has no address");
    case EIOI_NO_ANSWER: return lookup_failed(answer->reason);
    case EIOI_NO_MEMORY:
    default: return out_of_memory();
    }
}

static eio_err *add_from_dns(struct resolver *self, const char *host, enum eioi_question_kind kind,
                             struct eioi_ip_list *out) {
    struct eioi_question question = {.kind = kind};
    EIO_CLEANUP(answer_cleanup) struct eioi_answer *answer = NULL;
    size_t len = strlen(host);
    if (len > EIOI_NAME_MAX)
        return lookup_failed("the name is too long");
    memcpy(question.name, host, len + 1);
    EIO_TRY(eioi_dns_ask(&self->dns, &question, &answer));
    EIO_TRY(of_outcome(answer, kind != EIOI_ASK_ADDRESSES));
    for (size_t i = 0; i < answer->ips.count; i++)
        EIO_TRY(add_ip(out, kind, answer->ips.items[i]));
    return NULL;
}

static eio_err *find_ips(struct resolver *self, const char *host, enum eioi_question_kind kind,
                         struct eioi_ip_list *out) {
    eio_ip ip;
    bool found = false;
    enum eioi_literal literal = eioi_literal_parse(host, &ip);
    if (literal == EIOI_LITERAL_BAD)
        return lookup_failed("not an address");
    if (literal == EIOI_LITERAL_YES)
        return add_ip(out, kind, ip);
    if (is_localhost(host))
        return add_loopback(out, kind);
    EIO_TRY(add_from_hosts(self, host, kind, out, &found));
    return found ? NULL : add_from_dns(self, host, kind, out);
}

static eio_err *expand(eio_switch *sw, const struct eioi_ip_list *ips, const struct ports *ports,
                       eio_sockaddr_list *out) {
    void *items = NULL;
    size_t n = 0;
    if (ips->count > 0)
        EIO_TRY(eio_switch_alloc(sw, 2 * ips->count * sizeof(eio_sockaddr), &items));
    eio_sockaddr *addrs = items;
    for (size_t i = 0; i < ips->count; i++) {
        if (ports->has[TCP])
            addrs[n++] = eio_sockaddr_tcp(ips->items[i], ports->port[TCP]);
        if (ports->has[UDP])
            addrs[n++] = eio_sockaddr_udp(ips->items[i], ports->port[UDP]);
    }
    *out = (eio_sockaddr_list){addrs, n};
    return NULL;
}

static eio_err *look_up(struct resolver *self, eio_switch *sw, const char *host,
                        const char *service, enum eioi_question_kind kind, eio_sockaddr_list *out) {
    struct ports ports;
    EIO_CLEANUP(eioi_ip_list_free) struct eioi_ip_list ips = {0};
    bool no_host = host == NULL || *host == '\0';
    EIO_TRY(eio_fiber_check());
    if (no_host && (service == NULL || *service == '\0'))
        return lookup_failed("neither a name nor a service");
    EIO_TRY(find_ports(self, service, &ports));
    EIO_TRY(no_host ? add_loopback(&ips, kind) : find_ips(self, host, kind, &ips));
    return expand(sw, &ips, &ports, out);
}

static eio_err *resolver_getaddrinfo(eio_lookup *lookup, eio_switch *sw, const char *host,
                                     const char *service, eio_sockaddr_list *out) {
    return look_up(self_of(lookup), sw, host, service, EIOI_ASK_ADDRESSES, out);
}

static eio_err *resolver_getaddrinfo_family(eio_lookup *lookup, eio_switch *sw, const char *host,
                                            const char *service, eio_ip_family family,
                                            eio_sockaddr_list *out) {
    enum eioi_question_kind kind = family == EIO_IP_V4 ? EIOI_ASK_V4 : EIOI_ASK_V6;
    return look_up(self_of(lookup), sw, host, service, kind, out);
}

// --- The name of an address ---

// What is asked for: an IPv4 address in IPv6 form is that IPv4 address.
static eio_ip unmapped(const eio_ip *ip) {
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    if (ip->len == 16 && memcmp(ip->bytes, prefix, sizeof prefix) == 0)
        return eio_ip_v4(ip->bytes[12], ip->bytes[13], ip->bytes[14], ip->bytes[15]);
    eio_ip plain = *ip;
    return plain;
}

static bool is_loopback(const eio_ip *ip) {
    const eio_ip v6 = eio_ip_v6_loopback();
    return ip->len == 4 ? ip->bytes[0] == 127 : eio_ip_equal(ip, &v6);
}

static eio_err *name_from_dns(struct resolver *self, const eio_ip *ip, eio_nameinfo *out) {
    struct eioi_question question = {.kind = EIOI_ASK_NAME, .ip = *ip};
    EIO_CLEANUP(answer_cleanup) struct eioi_answer *answer = NULL;
    EIO_TRY(eioi_dns_ask(&self->dns, &question, &answer));
    if (answer->outcome == EIOI_NO_SUCH_NAME)
        return NULL;
    EIO_TRY(of_outcome(answer, /* empty_is_fine= */ true));
    if (answer->outcome == EIOI_ANSWERED)
        (void)snprintf(out->host, sizeof out->host, "%s", answer->name);
    return NULL;
}

static eio_err *host_name(struct resolver *self, const eio_ip *addr, eio_nameinfo *out) {
    char numeric[EIO_IP_STR_MAX];
    EIO_CLEANUP(snapshot_cleanup) struct eioi_snapshot *hosts = NULL;
    const eio_ip ip = unmapped(addr);
    EIO_TRY(snapshot_of(self, self->hosts, &hosts));
    const char *name = eioi_hosts_name_of(hosts, &ip);
    if (name == NULL && is_loopback(&ip))
        name = "localhost"; // no server knows better, and none need know that we ask
    (void)snprintf(out->host, sizeof out->host, "%s",
                   name != NULL ? name : eio_ip_str(addr, numeric));
    return name != NULL ? NULL : name_from_dns(self, &ip, out);
}

static eio_err *unix_name(const eio_unix_addr *addr, eio_nameinfo *out) {
    if (EIOI_SYS(gethostname, gethostname(out->host, sizeof out->host)) != 0)
        return lookup_failed("this machine's name can't be had");
    out->host[sizeof out->host - 1] = '\0';
    for (size_t i = 0; i < addr->len; i++)
        out->service[i] = addr->path[i] != '\0' ? addr->path[i] : '@';
    out->service[addr->len] = '\0';
    return NULL;
}

static eio_err *resolver_getnameinfo(eio_lookup *lookup, const eio_sockaddr *addr,
                                     eio_nameinfo *out) {
    struct resolver *self = self_of(lookup);
    eio_nameinfo info;
    EIO_TRY(eio_fiber_check());
    if (addr->kind == EIO_UNIX) {
        EIO_TRY(unix_name(&addr->unix_, &info));
    } else {
        EIO_TRY(service_name(self, addr, &info));
        EIO_TRY(host_name(self, &addr->ip, &info));
    }
    *out = info;
    return NULL;
}

static const struct eio_lookup_ops resolver_ops = {
    .name = "resolver",
    .getaddrinfo = resolver_getaddrinfo,
    .getnameinfo = resolver_getnameinfo,
    .getaddrinfo_family = resolver_getaddrinfo_family,
};

// --- Making one ---

static eio_err *invalid(const char *what) {
    return eio_err_new(&eio_err_invalid_argument, "%s", what);
}

static eio_err *copy_servers(const struct eio_resolver_opts *opts, struct eioi_dns_opts *out) {
    if (opts->server_count > EIOI_SERVERS_MAX)
        return invalid("server_count");
    for (size_t i = 0; i < opts->server_count; i++) {
        const eio_sockaddr *server = &opts->servers[i];
        if (server->kind == EIO_UNIX)
            return invalid("servers");
        out->servers[out->server_count++] = (struct eioi_server){server->ip, server->port};
    }
    return NULL;
}

static eio_err *copy_search(const struct eio_resolver_opts *opts, struct eioi_dns_opts *out) {
    if (opts->search_count > EIOI_SEARCH_MAX)
        return invalid("search_count");
    for (size_t i = 0; i < opts->search_count; i++) {
        size_t size = strlen(opts->search[i]) + 1;
        if (size == 1 || size > EIOI_SEARCH_DOMAIN_MAX + 1)
            return invalid("search");
        char *copy = eioi_alloc(size);
        if (copy == NULL)
            return out_of_memory();
        memcpy(copy, opts->search[i], size);
        out->search[out->search_count++] = copy;
    }
    return NULL;
}

static eio_err *copy_numbers(const struct eio_resolver_opts *opts, struct eioi_dns_opts *out) {
    if (opts->timeout_ns < 0 || opts->timeout_ns > TIMEOUT_MAX_NS)
        return invalid("timeout_ns");
    if (opts->tries > TRIES_MAX)
        return invalid("tries");
    if (opts->ndots > INT_MAX)
        return invalid("ndots");
    out->timeout_ms = (int)((opts->timeout_ns + EIO_MILLISECOND - 1) / EIO_MILLISECOND);
    out->tries = opts->tries;
    out->ndots = opts->ndots;
    out->no_search = opts->no_search;
    out->rotate = opts->rotate;
    out->use_tcp = opts->use_tcp;
    return NULL;
}

static const char *path_or(const char *path, const char *standard) {
    return path != NULL ? path : standard;
}

static eio_err *resolver_init(struct resolver *self, eio_switch *sw,
                              const struct eio_resolver_opts *opts) {
    EIO_TRY(copy_servers(opts, &self->dns.opts));
    EIO_TRY(copy_search(opts, &self->dns.opts));
    EIO_TRY(copy_numbers(opts, &self->dns.opts));
    EIO_TRY(eioi_file_cache_create(path_or(opts->hosts_path, "/etc/hosts"), eioi_hosts_parse,
                                   &self->hosts));
    EIO_TRY(eioi_file_cache_create(path_or(opts->services_path, "/etc/services"),
                                   eioi_services_parse, &self->services));
    EIO_TRY(eioi_dns_init(&self->dns, self->clock,
                          path_or(opts->resolv_conf_path, "/etc/resolv.conf")));
    return eioi_dns_start(&self->dns, sw);
}

static eio_err *resolver_release(eio_hook *hook) {
    struct resolver *self = EIOI_CONTAINER_OF(hook, struct resolver, hook);
    eioi_dns_fini(&self->dns);
    eioi_file_cache_destroy(self->services);
    eioi_file_cache_destroy(self->hosts);
    return NULL;
}

eio_err *eio_resolver_create(eio_switch *sw, eio_mono_clock *clock,
                             const struct eio_resolver_opts *opts, eio_resolver **out) {
    static const struct eio_resolver_opts defaults = {0};
    struct resolver *self = NULL;
    EIO_ASSERT(clock != NULL, "a resolver needs a clock");
    EIO_TRY(EIO_SWITCH_NEW(sw, &self));
    self->pub.lookup.ops = &resolver_ops;
    self->clock = clock;
    eio_switch_attach(sw, &self->hook, resolver_release);
    EIO_TRY(resolver_init(self, sw, opts != NULL ? opts : &defaults));
    *out = &self->pub;
    return NULL;
}
