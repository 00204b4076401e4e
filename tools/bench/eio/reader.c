// SPDX-License-Identifier: ISC
// reader HOW LINE_BYTES MS: splits text in memory into lines, again and again for so many
// milliseconds. HOW is eio (the buffered reader over a source in memory), getline (over
// fmemopen), fgets, or memchr (looks for the line ends in place, copies nothing: the limit). Each
// adds up the lengths, and the sum is compared, so that no line is lost or cut.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eio/eio.h"

#include "tools/bench/common/clock.h"
#include "tools/bench/common/die.h"
#include "tools/bench/common/line.h"

enum { TEXT = 4 << 20, MOST_LINE = 65536, READER = 65536 };

static uint8_t *text;
static size_t text_len;
static size_t line_count;

static void make_text(size_t line_len) {
    text = malloc(TEXT + MOST_LINE);
    if (text == NULL)
        die("out of memory");
    while (text_len < TEXT) {
        for (size_t i = 0; i + 1 < line_len; i++)
            text[text_len + i] = (uint8_t)('a' + (line_count + i) % 23);
        text[text_len + line_len - 1] = '\n';
        text_len += line_len;
        line_count++;
    }
}

static eio_err *read_by_eio(size_t *out_sum) {
    eio_string_source source;
    eio_string_source_init(&source, eio_slice_of(text, text_len));
    eio_buf_read reader;
    EIO_TRY(eio_buf_read_init(&reader, &source.source, READER));
    size_t sum = 0;
    eio_err *err;
    for (;;) {
        eio_slice line;
        err = eio_buf_read_line(&reader, &line);
        if (err != NULL)
            break;
        sum += line.len;
    }
    eio_buf_read_fini(&reader);
    if (!eio_err_catch(&err, &eio_err_end_of_file))
        return err;
    *out_sum = sum;
    return NULL;
}

static FILE *open_text(void) {
    FILE *file = fmemopen(text, text_len, "r");
    if (file == NULL)
        die("fmemopen");
    setvbuf(file, NULL, _IOFBF, READER);
    return file;
}

static size_t read_by_getline(void) {
    FILE *file = open_text();
    char *line = NULL;
    size_t room = 0, sum = 0;
    ssize_t got;
    while ((got = getline(&line, &room, file)) > 0)
        sum += (size_t)got - 1;
    free(line);
    fclose(file);
    return sum;
}

static size_t read_by_fgets(void) {
    static char line[MOST_LINE + 1];
    FILE *file = open_text();
    size_t sum = 0;
    while (fgets(line, sizeof line, file) != NULL)
        sum += strlen(line) - 1;
    fclose(file);
    return sum;
}

static size_t read_by_memchr(void) {
    size_t sum = 0;
    const uint8_t *at = text;
    const uint8_t *end = text + text_len;
    while (at < end) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        if (newline == NULL)
            break;
        sum += (size_t)(newline - at);
        at = newline + 1;
    }
    return sum;
}

struct reading {
    const char *how;
    int64_t run_ns;
    uint64_t passes;
    double cpu_seconds;
};

static eio_err *read_once(const struct reading *self) {
    size_t sum = 0;
    if (strcmp(self->how, "eio") == 0)
        EIO_TRY(read_by_eio(&sum));
    else if (strcmp(self->how, "getline") == 0)
        sum = read_by_getline();
    else if (strcmp(self->how, "fgets") == 0)
        sum = read_by_fgets();
    else
        sum = read_by_memchr();
    if (sum != text_len - line_count)
        die("%s read %zu bytes of %zu", self->how, sum, text_len - line_count);
    return NULL;
}

static eio_err *app(void *arg, const eio_env *env) {
    (void)env;
    struct reading *self = arg;
    EIO_TRY(read_once(self)); // warms up
    int64_t start = now_ns();
    int64_t cpu = process_cpu_ns();
    do {
        EIO_TRY(read_once(self));
        self->passes++;
    } while (now_ns() - start < self->run_ns);
    self->cpu_seconds = (double)(process_cpu_ns() - cpu) * 1e-9;
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4)
        die("usage: reader eio|getline|fgets|memchr LINE_BYTES MS");
    size_t line_len = strtoul(argv[2], NULL, 10);
    if (line_len < 2 || line_len > MOST_LINE)
        die("a line has 2 to %d bytes", MOST_LINE);
    make_text(line_len);
    struct reading reading = {.how = argv[1], .run_ns = (int64_t)atoi(argv[3]) * 1000000};
    eio_err *err = eio_run(NULL, app, &reading);
    char message[512];
    if (err != NULL)
        die("%s", eio_err_str(err, message, sizeof message));
    uint64_t lines = reading.passes * line_count;
    print_line(&(struct line){
        .row = "reader",
        .variant = argv[2],
        .value = (double)lines / reading.cpu_seconds,
        .unit = "1/s",
        .n = lines,
        .cpu_us = reading.cpu_seconds / (double)lines * 1e6,
    });
    return 0;
}
