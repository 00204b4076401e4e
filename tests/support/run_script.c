// SPDX-License-Identifier: ISC
// A test that is a shell script: `run_script SCRIPT ARG...`. Bazel 9 has no rule for those of its
// own, and one program is less than a dependency. The script's exit status is the test's; 77 means
// that it was skipped, and it has said why.

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77 };

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s SCRIPT ARG...\n", argv[0]);
        return 2;
    }
    char shell[] = "/bin/sh";
    char *args[64] = {shell};
    if (argc > 62) {
        fprintf(stderr, "too many arguments\n");
        return 2;
    }
    memcpy(args + 1, argv + 1, (size_t)(argc - 1) * sizeof *argv);
    pid_t child = fork();
    if (child == 0) {
        execv(shell, args);
        perror(shell);
        _exit(2);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("running the script");
        return 2;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        return 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
