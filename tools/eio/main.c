// SPDX-License-Identifier: ISC
// The eio program: a small set of network tools, and the library's main demonstration.

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/eio/commands.h"

static const char help[] =
    "usage: eio [COMMAND ...]\n"
    "\n"
    "  eio                       demonstration: 100 clients and an echo server on loopback\n"
    "  eio echo ADDR             sends back what comes, until SIGINT or SIGTERM\n"
    "      --domains N           serves with N threads (1)\n"
    "      --max-connections N   at most N connections at a time (no limit)\n"
    "  eio connect ADDR          joins standard input and output to a connection\n"
    "  eio proxy LISTEN TARGET   forwards each connection to TARGET\n"
    "      --max-connections N   at most N connections at a time (no limit)\n"
    "  eio resolve HOST [SERVICE]\n"
    "  eio resolve --reverse ADDR\n"
    "\n"
    "ADDR, LISTEN, TARGET: HOST:PORT, [V6]:PORT, unix:PATH or unix:@ABSTRACT; port 0 listens on "
    "any free port.\n"
    "A server's first signal lets its connections finish, a second one stops it.\n"
    "EIO_BACKEND=uring or EIO_BACKEND=epoll picks the backend.\n";

enum { BAD_USAGE = 2 };

static _Noreturn void usage(const char *complaint) {
    fprintf(stderr, "eio: %s\n%s", complaint, help);
    exit(BAD_USAGE);
}

static int parse_count(const char *text, long min) {
    char *end;
    long n = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || n < min || n > 1000000)
        usage("an option's number is out of range");
    return (int)n;
}

struct command {
    const char *name;
    eio_main_fn *run;
    int min_args, max_args;
    bool takes_domains, takes_max, takes_reverse;
};

static const struct command commands[] = {
    {.name = "echo",
     .run = echo_command,
     .min_args = 1,
     .max_args = 1,
     .takes_domains = true,
     .takes_max = true},
    {.name = "connect", .run = connect_command, .min_args = 1, .max_args = 1},
    {.name = "proxy", .run = proxy_command, .min_args = 2, .max_args = 2, .takes_max = true},
    {.name = "resolve",
     .run = resolve_command,
     .min_args = 1,
     .max_args = 2,
     .takes_reverse = true},
};

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/** Reads the command's options; what is left of argv are its arguments. */
static void parse_options(const struct command *command, int argc, char **argv,
                          struct options *out) {
    static const struct option longs[] = {
        {"domains", required_argument, NULL, 'd'},
        {"max-connections", required_argument, NULL, 'm'},
        {"reverse", no_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
        if (c == 'h') {
            fputs(help, stdout);
            exit(0);
        } else if (c == 'd' && command->takes_domains) {
            out->domains = parse_count(optarg, 1);
        } else if (c == 'm' && command->takes_max) {
            out->max_connections = parse_count(optarg, 1);
        } else if (c == 'r' && command->takes_reverse) {
            out->reverse = true;
        } else {
            usage("unknown option");
        }
    }
}

int main(int argc, char **argv) {
    struct options options = {.domains = 1};
    if (argc == 1)
        return eio_main(demo_command, &options);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(help, stdout);
        return 0;
    }
    const struct command *command = find_command(argv[1]);
    if (command == NULL)
        usage("unknown command");
    parse_options(command, argc - 1, argv + 1, &options);
    char **args = argv + 1 + optind;
    int count = argc - 1 - optind;
    int max_args = options.reverse ? 1 : command->max_args;
    if (count < command->min_args || count > max_args)
        usage(count < command->min_args ? "an argument is missing" : "too many arguments");
    options.addr = options.host = args[0];
    options.target = options.service = count > 1 ? args[1] : NULL;
    return eio_main(command->run, &options);
}
