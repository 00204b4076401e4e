// SPDX-License-Identifier: ISC

// Later lines win over earlier ones (`search` and `domain` are the same thing), except
// `nameserver`, which adds. Numbers beyond the C library's limits are cut to these. What isn't
// understood is skipped.

#include "resolver/resolv_conf.h"

#include <string.h>

#include "fiber/base/alloc.h"
#include "fiber/base/list.h"
#include "resolver/fields.h"
#include "resolver/literal.h"

enum { NDOTS_MAX = 15, TIMEOUT_MAX_S = 30, TRIES_MAX = 5 };

static void drop_search(struct eioi_resolv_conf *self) {
    for (unsigned i = 0; i < self->search_count; i++)
        eioi_free(self->search[i]);
    self->search_count = 0;
}

static void conf_free(struct eioi_snapshot *snapshot) {
    struct eioi_resolv_conf *self = EIOI_CONTAINER_OF(snapshot, struct eioi_resolv_conf, snapshot);
    drop_search(self);
    eioi_free(self);
}

static bool parse_search(struct eioi_resolv_conf *self, eio_slice line, unsigned max) {
    eio_slice field;
    drop_search(self);
    self->has_search = true;
    while (self->search_count < max && eioi_next_field(&line, &field)) {
        while (field.len > 0 && field.base[field.len - 1] == '.')
            field.len--; // "." alone: the name as it is, which is tried anyway
        if (field.len == 0 || field.len > EIOI_SEARCH_DOMAIN_MAX ||
            memchr(field.base, '\0', field.len) != NULL)
            continue;
        char *domain = eioi_alloc(field.len + 1);
        if (domain == NULL)
            return false;
        memcpy(domain, field.base, field.len);
        domain[field.len] = '\0';
        self->search[self->search_count++] = domain;
    }
    return true;
}

static void parse_nameserver(struct eioi_resolv_conf *self, eio_slice line) {
    eio_slice field;
    if (self->server_count < EIOI_SERVERS_MAX && eioi_next_field(&line, &field) &&
        eioi_literal_parse_strict((const char *)field.base, field.len,
                                  &self->servers[self->server_count]))
        self->server_count++;
}

static void parse_number(eio_slice option, const char *name, unsigned max, unsigned *out) {
    size_t len = strlen(name);
    unsigned value;
    if (option.len <= len || memcmp(option.base, name, len) != 0)
        return;
    if (eioi_field_number(eio_slice_drop(option, len), 1000000, &value))
        *out = value < max ? value : max;
}

static void parse_options(struct eioi_resolv_conf *self, eio_slice line) {
    eio_slice option;
    while (eioi_next_field(&line, &option)) {
        parse_number(option, "ndots:", NDOTS_MAX, &self->ndots);
        parse_number(option, "timeout:", TIMEOUT_MAX_S, &self->timeout_s);
        parse_number(option, "attempts:", TRIES_MAX, &self->tries);
        if (eioi_field_is(option, "rotate"))
            self->rotate = true;
        if (eioi_field_is(option, "use-vc"))
            self->use_tcp = true;
    }
    if (self->timeout_s == 0)
        self->timeout_s = 1;
    if (self->tries == 0)
        self->tries = 1;
}

static bool parse_line(struct eioi_resolv_conf *self, eio_slice line) {
    eio_slice keyword;
    if (!eioi_next_field(&line, &keyword))
        return true;
    if (eioi_field_is(keyword, "nameserver"))
        parse_nameserver(self, line);
    else if (eioi_field_is(keyword, "options"))
        parse_options(self, line);
    else if (eioi_field_is(keyword, "search"))
        return parse_search(self, line, EIOI_SEARCH_MAX);
    else if (eioi_field_is(keyword, "domain"))
        return parse_search(self, line, 1);
    return true;
}

eio_err *eioi_resolv_conf_parse(eio_slice text, struct eioi_snapshot **out) {
    eio_slice line;
    struct eioi_resolv_conf *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eioi_snapshot_init(&self->snapshot, conf_free);
    self->ndots = 1;
    self->timeout_s = 5;
    self->tries = 2;
    bool ok = true;
    while (ok && eioi_next_line(&text, "#;", &line))
        ok = parse_line(self, line);
    if (!ok) {
        conf_free(&self->snapshot);
        return eio_err_const(&eio_err_out_of_memory);
    }
    *out = &self->snapshot;
    return NULL;
}
