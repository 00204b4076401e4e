// SPDX-License-Identifier: ISC
// The command line. Reading it does nothing else: what is wrong is returned as a sentence, so that
// any command line can be tried in a test.

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tools/eio/commands.h"

enum { COUNT_MAX = 1000000 };

struct command {
    const char *name;
    eio_main_fn *run;
    int min_args, max_args;
    bool takes_addresses; // its arguments are ADDRs
    bool takes_domains, takes_max, takes_reverse;
};

static const struct command commands[] = {
    {.name = "echo",
     .run = echo_command,
     .min_args = 1,
     .max_args = 1,
     .takes_addresses = true,
     .takes_domains = true,
     .takes_max = true},
    {.name = "connect",
     .run = connect_command,
     .min_args = 1,
     .max_args = 1,
     .takes_addresses = true},
    {.name = "proxy",
     .run = proxy_command,
     .min_args = 2,
     .max_args = 2,
     .takes_addresses = true,
     .takes_max = true},
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

/** A number from 1 to COUNT_MAX; 0 for anything else. */
static int parse_count(const char *text) {
    char *end;
    if (*text < '0' || *text > '9') // strtol would take blanks and signs
        return 0;
    long n = strtol(text, &end, 10);
    return *end == '\0' && n <= COUNT_MAX ? (int)n : 0;
}

/** Reads one of the command's options; what is wrong with it, or NULL. */
static const char *take_option(const struct command *command, int option, struct options *out) {
    int *count = NULL;
    if (option == 'd' && command->takes_domains)
        count = &out->domains;
    else if (option == 'm' && command->takes_max)
        count = &out->max_connections;
    else if (option == 'r' && command->takes_reverse)
        out->reverse = true;
    else
        return "unknown option";
    if (count == NULL)
        return NULL;
    *count = parse_count(optarg);
    return *count > 0 ? NULL : "an option's number is out of range";
}

/** Reads the command's options; what is left of argv, from `optind` on, are its arguments. */
static const char *parse_options(const struct command *command, int argc, char **argv,
                                 struct options *out, bool *out_help) {
    static const struct option longs[] = {
        {"domains", required_argument, NULL, 'd'},
        {"max-connections", required_argument, NULL, 'm'},
        {"reverse", no_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    opterr = 0;
    optind = 0; // from the start, whatever was read before
    for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
        if (c == 'h') {
            *out_help = true;
            return NULL;
        }
        const char *complaint = take_option(command, c, out);
        if (complaint != NULL)
            return complaint;
    }
    return NULL;
}

const char *parse_command_line(int argc, char **argv, struct command_line *out) {
    *out = (struct command_line){.options.domains = 1};
    struct options *options = &out->options;
    if (argc <= 1) {
        out->command = demo_command;
        return NULL;
    }
    bool help = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
    if (help)
        return NULL;
    const struct command *command = find_command(argv[1]);
    if (command == NULL)
        return "unknown command";
    const char *complaint = parse_options(command, argc - 1, argv + 1, options, &help);
    if (complaint != NULL || help)
        return complaint;
    char **args = argv + 1 + optind;
    int count = argc - 1 - optind;
    if (count < command->min_args)
        return "an argument is missing";
    if (count > (options->reverse ? 1 : command->max_args))
        return "too many arguments";
    for (int i = 0; i < count; i++)
        if (command->takes_addresses && !is_address(args[i]))
            return "an argument is no address";
    options->addr = options->host = args[0];
    options->target = options->service = count > 1 ? args[1] : NULL;
    out->command = command->run;
    return NULL;
}
