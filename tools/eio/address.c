// SPDX-License-Identifier: ISC
// Addresses as people type them: literals as they are, names through the resolver.

#include <stdio.h>
#include <string.h>

#include "tools/eio/commands.h"

static eio_err *look_up(const eio_env *env, eio_switch *sw, const char *text,
                        eio_sockaddr_list *out) {
    const char *colon = strrchr(text, ':');
    bool brackets = colon != NULL && colon - text > 1 && text[0] == '[' && colon[-1] == ']';
    const char *start = brackets ? text + 1 : text;
    const char *end = brackets ? colon - 1 : colon;
    if (colon == NULL || start == end || colon[1] == '\0')
        return eio_err_new(&eio_err_invalid_argument,
                           "'%s' is no address: HOST:PORT, [V6]:PORT, unix:PATH or unix:@ABSTRACT",
                           text);
    char host[256];
    size_t len = (size_t)(end - start);
    if (len >= sizeof host)
        return eio_err_new(&eio_err_invalid_argument, "the host name in '%s' is too long", text);
    memcpy(host, start, len);
    host[len] = '\0';
    return eio_net_getaddrinfo_stream(&env->net->net, sw, host, colon + 1, out);
}

eio_err *find_addresses(const eio_env *env, eio_switch *sw, const char *text,
                        eio_sockaddr_list *out) {
    eio_sockaddr addr;
    eio_err *err = eio_sockaddr_parse(text, &addr);
    // What isn't an address may be a name with a port; a path is neither.
    if (strncmp(text, "unix:", 5) != 0 && eio_err_catch(&err, &eio_err_invalid_argument))
        return look_up(env, sw, text, out);
    EIO_TRY(err);
    eio_sockaddr *item;
    EIO_TRY(EIO_SWITCH_NEW(sw, &item));
    *item = addr;
    *out = (eio_sockaddr_list){.items = item, .count = 1};
    return NULL;
}

eio_err *connect_to(const eio_env *env, eio_switch *sw, const char *text, eio_stream_socket **out) {
    eio_sockaddr_list list;
    EIO_TRY(find_addresses(env, sw, text, &list));
    eio_err *err = eio_err_const(&eio_err_net_no_matching_addresses);
    for (size_t i = 0; i < list.count; i++) {
        eio_err_drop(err);
        err = eio_net_connect(&env->net->net, sw, &list.items[i], NULL, out);
        if (err == NULL || !eio_err_is(err, &eio_err_io))
            return err;
    }
    EIO_TRY_CTX(err, "connecting to %s", text);
    return NULL;
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
