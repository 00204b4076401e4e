// SPDX-License-Identifier: ISC
// KEY=VALUE rather than letters: the driver's tables name the variants with these very words.

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/common/die.h"
#include "tools/bench/common/options.h"

static unsigned parse_number(const char *option, const char *text) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value > UINT_MAX || *text == '-')
        die("'%s' isn't a number", option);
    return (unsigned)value;
}

static void store(const char *option, const struct option_place *places, size_t n) {
    const char *equals = strchr(option, '=');
    size_t len = equals == NULL ? 0 : (size_t)(equals - option);
    for (size_t i = 0; i < n && equals != NULL; i++) {
        if (strlen(places[i].key) != len || memcmp(places[i].key, option, len) != 0)
            continue;
        if (places[i].number != NULL)
            *places[i].number = parse_number(option, equals + 1);
        else
            *places[i].text = equals + 1;
        return;
    }
    die("unknown option '%s'", option);
}

void parse_options(char **argv, const struct option_place *places, size_t n) {
    for (; *argv != NULL; argv++)
        store(*argv, places, n);
}
