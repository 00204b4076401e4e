// SPDX-License-Identifier: ISC
#ifndef EIO_TOOLS_EIO_COMMANDS_H
#define EIO_TOOLS_EIO_COMMANDS_H

// The commands of the eio program. Each is the main fiber's function; its options are its argument.

#include <stdbool.h>

#include "eio/eio.h"

/** What the command line asked for. Strings are those of argv. */
struct options {
    const char *addr;    // echo, connect: ADDR; proxy: LISTEN
    const char *target;  // proxy: TARGET
    const char *host;    // resolve: HOST, or ADDR with --reverse
    const char *service; // resolve: SERVICE, or NULL
    bool reverse;        // resolve: --reverse
    int domains;         // echo: --domains, 1 at least
    int max_connections; // echo, proxy: --max-connections; 0: no limit
};

/** A command line that makes sense. */
struct command_line {
    eio_main_fn *command; // NULL: to print the help
    struct options options;
};
/** Reads it, and moves options in `argv` to the front; NULL, or what is wrong with it. */
const char *parse_command_line(int argc, char **argv, struct command_line *out);

eio_main_fn demo_command, echo_command, connect_command, proxy_command, resolve_command;

/**
 * Whether `text` is an ADDR: `HOST:PORT`, `[V6]:PORT`, `unix:PATH`, `unix:@ABSTRACT`. A port may be
 * a service's name.
 */
bool is_address(const char *text);
/** The addresses that an ADDR stands for, a name looked up. */
EIO_MUST_USE eio_err *find_addresses(const eio_env *env, eio_switch *sw, const char *text,
                                     eio_sockaddr_list *out);
/** Connects to the first of the addresses of `text` that answers. */
EIO_MUST_USE eio_err *connect_to(const eio_env *env, eio_switch *sw, const char *text,
                                 eio_stream_socket **out);
/** Listens on the first of the addresses of `text`, and says so on stderr. */
EIO_MUST_USE eio_err *listen_on(const eio_env *env, eio_switch *sw, const char *text,
                                eio_listener **out);
/**
 * Runs a server until a signal: the first SIGINT or SIGTERM stops accepting and lets the
 * connections finish, the second ends it at once.
 */
EIO_MUST_USE eio_err *serve_until_signal(const eio_env *env, eio_listener *listener,
                                         eio_connection_fn *handler, void *arg,
                                         const struct options *options);

#endif
