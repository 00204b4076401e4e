// SPDX-License-Identifier: ISC
// The eio program: a small set of network tools, and the library's main demonstration.

#include <stdio.h>

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

int main(int argc, char **argv) {
    struct command_line line;
    const char *complaint = parse_command_line(argc, argv, &line);
    if (complaint != NULL) {
        fprintf(stderr, "eio: %s\n%s", complaint, help);
        return BAD_USAGE;
    }
    if (line.command == NULL) {
        fputs(help, stdout);
        return 0;
    }
    return eio_main(line.command, &line.options);
}
