// SPDX-License-Identifier: ISC
// Addresses as people type them: literals as they are, names through the resolver.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/eio/commands.h"

enum { HOST_MAX = 256, PORT_MAX = 65535 };

/** What an ADDR says. */
struct address {
    bool literal;        // else a name
    eio_sockaddr addr;   // valid if literal
    char host[HOST_MAX]; // valid if not: the name
    const char *service; // and the rest of the text: a port or a service
};

/** Whether a stream socket can have it: a path's name, and no port of UDP's. */
static bool is_stream_address(const eio_sockaddr *addr) {
    const eio_unix_addr *path = &addr->unix_;
    if (addr->kind == EIO_UNIX)
        return path->len > (path->len > 0 && path->path[0] == '\0' ? 1 : 0);
    return addr->kind == EIO_TCP;
}

static bool is_service(const char *text) {
    if (text[strspn(text, "0123456789")] != '\0')
        return true; // a name
    return *text != '\0' && strtoul(text, NULL, 10) <= PORT_MAX;
}

/** A name and a service around the last colon. */
static bool split_name(const char *text, struct address *out) {
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !is_service(colon + 1))
        return false;
    // Around an IPv6 address there are brackets; without them its last group would be taken for a
    // port.
    bool brackets = colon - text > 1 && text[0] == '[' && colon[-1] == ']';
    const char *start = brackets ? text + 1 : text;
    size_t len = (size_t)((brackets ? colon - 1 : colon) - start);
    if (len == 0 || len >= sizeof out->host || strcspn(start, brackets ? "[]" : ":[]") < len)
        return false;
    memcpy(out->host, start, len);
    out->host[len] = '\0';
    out->service = colon + 1;
    return true;
}

static bool parse_address(const char *text, struct address *out) {
    eio_err *err = eio_sockaddr_parse(text, &out->addr);
    out->literal = err == NULL;
    eio_err_drop(err);
    if (out->literal)
        return is_stream_address(&out->addr);
    // What isn't an address may be a name with a port; a path is neither, nor is what names a
    // protocol.
    static const char *const prefixes[] = {"unix:", "tcp:", "udp:"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
            return false;
    return split_name(text, out);
}

bool is_address(const char *text) {
    struct address address;
    return parse_address(text, &address);
}

static eio_err *look_up(const eio_env *env, eio_switch *sw, const struct address *address,
                        eio_sockaddr_list *out) {
    if (!address->literal)
        return eio_net_getaddrinfo_stream(&env->net->net, sw, address->host, address->service, out);
    eio_sockaddr *item;
    EIO_TRY(EIO_SWITCH_NEW(sw, &item));
    *item = address->addr;
    *out = (eio_sockaddr_list){.items = item, .count = 1};
    return NULL;
}

static eio_err *not_an_address(const char *text) {
    return eio_err_new(&eio_err_invalid_argument, "'%s' is no address", text);
}

eio_err *find_addresses(const eio_env *env, eio_switch *sw, const char *text,
                        eio_sockaddr_list *out) {
    struct address address;
    if (!parse_address(text, &address))
        return not_an_address(text);
    return look_up(env, sw, &address, out);
}

eio_err *connect_to(const eio_env *env, eio_switch *sw, const char *text, eio_stream_socket **out) {
    struct address address;
    if (!parse_address(text, &address))
        return not_an_address(text);
    eio_sockaddr_list list;
    EIO_TRY(look_up(env, sw, &address, &list));
    eio_err *err = eio_err_const(&eio_err_net_no_matching_addresses);
    for (size_t i = 0; i < list.count; i++) {
        eio_err_drop(err);
        err = eio_net_connect(&env->net->net, sw, &list.items[i], NULL, out);
        if (err == NULL || !eio_err_is(err, &eio_err_io))
            return err;
    }
    // The error names the last address, which is the text itself when that is no name.
    return address.literal ? err : eio_err_add_context(err, "connecting to %s", text);
}

eio_err *listen_on(const eio_env *env, eio_switch *sw, const char *text, eio_listener **out) {
    eio_sockaddr_list list;
    EIO_TRY(find_addresses(env, sw, text, &list));
    if (list.count == 0)
        return eio_err_const(&eio_err_net_no_matching_addresses);
    const struct eio_listen_opts opts = {.backlog = 1024, .reuse_addr = true};
    EIO_TRY(eio_net_listen(&env->net->net, sw, &list.items[0], &opts, out));
    eio_sockaddr addr;
    EIO_TRY(eio_listener_addr(*out, &addr));
    char name[EIO_SOCKADDR_STR_MAX];
    fprintf(stderr, "listening on %s (%s)\n", eio_sockaddr_str(&addr, name), env->backend_name);
    return NULL;
}
