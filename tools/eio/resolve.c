// SPDX-License-Identifier: ISC
// eio resolve HOST [SERVICE]: prints the addresses of a name, a line each; --reverse ADDR: the name
// of an address.

#include <stdio.h>

#include "tools/eio/commands.h"

struct resolve {
    const struct options *options;
    const eio_env *env;
};

static eio_err *print_line(const eio_env *env, const char *text) {
    EIO_TRY(eio_flow_copy_string(text, env->stdout_));
    return eio_flow_copy_string("\n", env->stdout_);
}

static eio_err *run_forward(struct resolve *self, eio_switch *sw) {
    eio_sockaddr_list list;
    EIO_TRY(eio_net_getaddrinfo(&self->env->net->net, sw, self->options->host,
                                self->options->service, &list));
    for (size_t i = 0; i < list.count; i++) {
        char text[EIO_SOCKADDR_STR_MAX];
        EIO_TRY(print_line(self->env, eio_sockaddr_str(&list.items[i], text)));
    }
    return NULL;
}

static eio_err *run_reverse(struct resolve *self) {
    eio_sockaddr addr;
    eio_ip ip;
    eio_err *err = eio_ip_parse(self->options->host, &ip);
    if (err == NULL) {
        addr = eio_sockaddr_tcp(ip, 0);
    } else {
        eio_err_drop(err);
        EIO_TRY(eio_sockaddr_parse(self->options->host, &addr));
    }
    eio_nameinfo info;
    EIO_TRY(eio_net_getnameinfo(&self->env->net->net, &addr, &info));
    char line[sizeof info.host + sizeof info.service + 2];
    snprintf(line, sizeof line, "%s %s", info.host, info.service);
    return print_line(self->env, line);
}

static eio_err *run(void *arg, eio_switch *sw) {
    struct resolve *self = arg;
    return self->options->reverse ? run_reverse(self) : run_forward(self, sw);
}

eio_err *resolve_command(void *arg, const eio_env *env) {
    return eio_switch_run(run, &(struct resolve){.options = arg, .env = env});
}
