// SPDX-License-Identifier: ISC
// resolve hosts|dns AT_ONCE MS: lookups by eio for so many milliseconds, by AT_ONCE fibers. As
// tools/bench/raw/resolve.c, which is what it is compared with.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eio/eio.h"

#include "tools/bench/common/clock.h"
#include "tools/bench/common/die.h"
#include "tools/bench/common/line.h"

struct lookups {
    const eio_env *env;
    bool dns;
    size_t at_once;
    int64_t until;
    uint64_t begun;
};

static eio_err *look_up(void *arg, eio_switch *sw) {
    struct lookups *self = arg;
    char name[64];
    if (self->dns)
        snprintf(name, sizeof name, "n%d-%llu.test.", (int)getpid(),
                 (unsigned long long)self->begun);
    else
        snprintf(name, sizeof name, "peer5.test");
    self->begun++;
    eio_sockaddr_list found;
    return eio_net_getaddrinfo_stream(&self->env->net->net, sw, name, "80", &found);
}

static eio_err *look_up_many(void *arg, size_t i) {
    const struct lookups *self = arg;
    (void)i;
    while (now_ns() < self->until)
        EIO_TRY(eio_switch_run(look_up, arg));
    return NULL;
}

static eio_err *app(void *arg, const eio_env *env) {
    struct lookups *self = arg;
    self->env = env;
    return eio_fiber_for_each(self->at_once, 0, look_up_many, self);
}

int main(int argc, char **argv) {
    if (argc != 4)
        die("usage: resolve hosts|dns AT_ONCE MS");
    int64_t start = now_ns();
    int64_t cpu = process_cpu_ns();
    struct lookups lookups = {
        .dns = strcmp(argv[1], "dns") == 0,
        .at_once = strtoul(argv[2], NULL, 10),
        .until = start + (int64_t)atoi(argv[3]) * 1000000,
    };
    eio_err *err = eio_run(NULL, app, &lookups);
    char text[512];
    if (err != NULL)
        die("%s", eio_err_str(err, text, sizeof text));
    double n = (double)lookups.begun;
    print_line(&(struct line){
        .row = lookups.dns ? "resolve-dns" : "resolve-hosts",
        .variant = argv[2],
        .value = n / ((double)(now_ns() - start) * 1e-9),
        .unit = "1/s",
        .n = lookups.begun,
        .cpu_us = (double)(process_cpu_ns() - cpu) / n * 1e-3,
    });
    return 0;
}
