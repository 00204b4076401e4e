// SPDX-License-Identifier: ISC

// As hosts.c: an entry for each name and alias of each line, found by name and protocol, or by port
// and protocol. Names of services are compared with regard to case, as getservbyname(3) does. Other
// protocols than TCP and UDP are skipped.

#include "resolver/services.h"

#include <string.h>

#include "fiber/base/alloc.h"
#include "fiber/base/list.h"
#include "resolver/fields.h"
#include "resolver/index.h"

struct entry {
    uint32_t name; // offset in `names`
    uint16_t port;
    bool udp;
    bool alias; // not the first name of its line
};

struct services {
    struct eioi_snapshot snapshot;
    struct eioi_index by_name, by_port;
    struct entry *entries; // `count` of them, in the order of the file
    char *names;           // each with a NUL behind it
    uint32_t count;
};

static void services_free(struct eioi_snapshot *snapshot) {
    struct services *self = EIOI_CONTAINER_OF(snapshot, struct services, snapshot);
    eioi_index_fini(&self->by_name);
    eioi_index_fini(&self->by_port);
    eioi_free(self->entries);
    eioi_free(self->names);
    eioi_free(self);
}

static uint32_t hash_service(const char *name) {
    return eioi_hash_bytes(name, strlen(name), 0);
}
static uint32_t hash_port(uint16_t port) {
    return eioi_hash_bytes(&port, sizeof port, 0);
}

static bool parse_port(eio_slice field, struct entry *out) {
    unsigned port;
    const uint8_t *slash = memchr(field.base, '/', field.len);
    if (slash == NULL)
        return false;
    size_t digits = (size_t)(slash - field.base);
    eio_slice protocol = eio_slice_drop(field, digits + 1);
    if (!eioi_field_number(eio_slice_of(field.base, digits), UINT16_MAX, &port) || port == 0)
        return false;
    out->port = (uint16_t)port;
    out->udp = eioi_field_is(protocol, "udp");
    return out->udp || eioi_field_is(protocol, "tcp");
}

static bool add_name(struct services *self, eio_slice name, struct entry *entry,
                     uint32_t *names_len) {
    if (memchr(name.base, '\0', name.len) != NULL)
        return true;
    if ((self->count & (self->count - 1)) == 0) { // a power of two: full
        size_t cap = self->count == 0 ? 1 : (size_t)self->count * 2;
        struct entry *entries = eioi_realloc(self->entries, cap * sizeof *entries);
        if (entries == NULL)
            return false;
        self->entries = entries;
    }
    entry->name = *names_len;
    memcpy(self->names + entry->name, name.base, name.len);
    self->names[entry->name + name.len] = '\0';
    *names_len += (uint32_t)name.len + 1;
    self->entries[self->count++] = *entry;
    return true;
}

static bool parse_line(struct services *self, eio_slice line, uint32_t *names_len) {
    eio_slice name, port;
    struct entry entry = {0};
    if (!eioi_next_field(&line, &name) || !eioi_next_field(&line, &port) ||
        !parse_port(port, &entry))
        return true;
    do {
        if (!add_name(self, name, &entry, names_len))
            return false;
        entry.alias = true;
    } while (eioi_next_field(&line, &name));
    return true;
}

static bool build_indexes(struct services *self) {
    if (!eioi_index_init(&self->by_name, self->count) ||
        !eioi_index_init(&self->by_port, self->count))
        return false;
    for (uint32_t i = self->count; i-- > 0;) {
        eioi_index_add(&self->by_name, i, hash_service(self->names + self->entries[i].name));
        eioi_index_add(&self->by_port, i, hash_port(self->entries[i].port));
    }
    return true;
}

eio_err *eioi_services_parse(eio_slice text, struct eioi_snapshot **out) {
    uint32_t names_len = 0;
    eio_slice line;
    struct services *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eioi_snapshot_init(&self->snapshot, services_free);
    self->names = eioi_alloc(text.len + 1); // each name is followed by a blank at least
    bool ok = self->names != NULL;
    while (ok && eioi_next_line(&text, "#", &line))
        ok = parse_line(self, line, &names_len);
    if (!ok || !build_indexes(self)) {
        services_free(&self->snapshot);
        return eio_err_const(&eio_err_out_of_memory);
    }
    *out = &self->snapshot;
    return NULL;
}

bool eioi_services_port(const struct eioi_snapshot *services, const char *name, bool udp,
                        uint16_t *out) {
    const struct services *self = EIOI_CONTAINER_OF(services, const struct services, snapshot);
    uint32_t i = eioi_index_first(&self->by_name, hash_service(name));
    for (; i != EIOI_INDEX_END; i = self->by_name.next[i]) {
        const struct entry *entry = &self->entries[i];
        if (entry->udp == udp && strcmp(self->names + entry->name, name) == 0) {
            *out = entry->port;
            return true;
        }
    }
    return false;
}

const char *eioi_services_name(const struct eioi_snapshot *services, uint16_t port, bool udp) {
    const struct services *self = EIOI_CONTAINER_OF(services, const struct services, snapshot);
    uint32_t i = eioi_index_first(&self->by_port, hash_port(port));
    for (; i != EIOI_INDEX_END; i = self->by_port.next[i]) {
        const struct entry *entry = &self->entries[i];
        if (!entry->alias && entry->udp == udp && entry->port == port)
            return self->names + entry->name;
    }
    return NULL;
}
