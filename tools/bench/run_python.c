// SPDX-License-Identifier: ISC
// Runs python3 with this program's arguments. Newer Bazels have no rule of their own for a Python
// program, and one that only hands over is less than a dependency.

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
    (void)argc;
    char python[] = "python3";
    argv[0] = python;
    execvp(python, argv);
    perror(python);
    return 2;
}
