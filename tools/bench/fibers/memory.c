// SPDX-License-Identifier: ISC
// What an idle fiber costs: resident memory, page tables, mappings; and the time that its first
// stack takes.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eio/fiber.h"
#include "tools/bench/fibers/rows.h"

struct usage {
    double resident, page_tables; // bytes
    double mappings;
};

/** The number behind `key` in /proc/self/status, in bytes; 0 when there is none. */
static double status_bytes(const char *key) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double bytes = 0;
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            bytes = strtod(line + strlen(key), NULL) * 1024;
    fclose(file);
    return bytes;
}

static double count_mappings(void) {
    FILE *file = fopen("/proc/self/maps", "r");
    double lines = 0;
    int c;
    if (file == NULL)
        return 0;
    while ((c = getc(file)) != EOF)
        lines += c == '\n';
    fclose(file);
    return lines;
}

static struct usage usage(void) {
    return (struct usage){.resident = status_bytes("VmRSS:"),
                          .page_tables = status_bytes("VmPTE:"),
                          .mappings = count_mappings()};
}

struct idlers {
    size_t n;
    struct usage before, with;
    int64_t ns;
};

static eio_err *idle(void *arg) {
    (void)arg;
    return eio_fiber_await_cancel();
}

static eio_err *fork_idle(void *arg, eio_switch *sw) {
    struct idlers *self = arg;
    self->before = usage();
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < self->n; i++)
        EIO_TRY(eio_fiber_fork(sw, idle, NULL, NULL));
    self->ns = measure_cpu_ns() - start;
    self->with = usage();
    return eio_err_const(&eio_err_exit);
}

eio_err *row_memory(const struct bench *bench) {
    static const size_t counts[] = {1000, 100000, 1000000};
    const size_t cases = bench->size == SIZE_SHORTEST ? 1 : bench->size == SIZE_SHORT ? 2 : 3;
    const size_t count = counts[cases - 1];
    struct idlers self = {.n = count};
    eio_err *err = eio_switch_run(fork_idle, &self);
    if (!eio_err_catch(&err, &eio_err_exit))
        return err;
    const double n = (double)count;
    const double resident = (self.with.resident - self.before.resident) / n;
    const double tables = (self.with.page_tables - self.before.page_tables) / n;
    printf("{\"row\": \"memory\", \"case\": \"%zu\", \"value\": %.1f, \"unit\": \"B\", \"n\": %zu, "
           "\"parts\": {\"resident\": %.1f, \"page tables\": %.1f}, \"mappings\": %.0f, "
           "\"create_ns\": %.0f}\n",
           count, resident + tables, count, resident, tables,
           self.with.mappings - self.before.mappings, (double)self.ns / n);
    fflush(stdout);
    return NULL;
}
