// SPDX-License-Identifier: ISC

// A snapshot holds a copy of every name, one after the other, and an entry for each name of each
// line; two indexes find entries by name and by address. A line counts as a whole: an address, then
// its names, the first being the one that the address is called by. Lines whose address can't be
// read are skipped.

#include "resolver/hosts.h"

#include <string.h>

#include "fiber/base/alloc.h"
#include "fiber/base/list.h"
#include "resolver/fields.h"
#include "resolver/index.h"
#include "resolver/literal.h"

enum { NAME_MAX_BYTES = 255 };

struct entry {
    eio_ip ip;
    uint32_t name;  // offset in `names`
    uint8_t len;    // of the name
    bool canonical; // the first name of its line
};

struct hosts {
    struct eioi_snapshot snapshot;
    struct eioi_index by_name, by_ip;
    struct entry *entries; // `count` of them, in the order of the file
    char *names;           // each with a NUL behind it
    uint32_t count;
};

static void hosts_free(struct eioi_snapshot *snapshot) {
    struct hosts *self = EIOI_CONTAINER_OF(snapshot, struct hosts, snapshot);
    eioi_index_fini(&self->by_name);
    eioi_index_fini(&self->by_ip);
    eioi_free(self->entries);
    eioi_free(self->names);
    eioi_free(self);
}

static uint32_t hash_ip(const eio_ip *ip) {
    return eioi_hash_bytes(ip->bytes, ip->len, ip->len);
}

static uint32_t hash_entry_name(const struct hosts *self, const struct entry *entry) {
    return eioi_hash_name(self->names + entry->name, entry->len);
}

static void without_final_dot(const char *name, size_t *len) {
    if (*len > 1 && name[*len - 1] == '.')
        --*len;
}

static bool add_entry(struct hosts *self, const struct entry *entry) {
    if ((self->count & (self->count - 1)) == 0) { // a power of two: full
        size_t cap = self->count == 0 ? 1 : (size_t)self->count * 2;
        struct entry *entries = eioi_realloc(self->entries, cap * sizeof *entries);
        if (entries == NULL)
            return false;
        self->entries = entries;
    }
    self->entries[self->count++] = *entry;
    return true;
}

static bool parse_line(struct hosts *self, eio_slice line, uint32_t *names_len) {
    eio_slice field;
    struct entry entry = {.canonical = true};
    if (!eioi_next_field(&line, &field) ||
        !eioi_literal_parse_strict((const char *)field.base, field.len, &entry.ip))
        return true;
    while (eioi_next_field(&line, &field)) {
        size_t len = field.len;
        without_final_dot((const char *)field.base, &len);
        if (len > NAME_MAX_BYTES || memchr(field.base, '\0', len) != NULL)
            continue;
        entry.name = *names_len;
        entry.len = (uint8_t)len;
        if (!add_entry(self, &entry))
            return false;
        memcpy(self->names + entry.name, field.base, len);
        self->names[entry.name + len] = '\0';
        *names_len += (uint32_t)len + 1;
        entry.canonical = false;
    }
    return true;
}

static bool build_indexes(struct hosts *self) {
    if (!eioi_index_init(&self->by_name, self->count) ||
        !eioi_index_init(&self->by_ip, self->count))
        return false;
    for (uint32_t i = self->count; i-- > 0;) {
        eioi_index_add(&self->by_name, i, hash_entry_name(self, &self->entries[i]));
        eioi_index_add(&self->by_ip, i, hash_ip(&self->entries[i].ip));
    }
    return true;
}

eio_err *eioi_hosts_parse(eio_slice text, struct eioi_snapshot **out) {
    uint32_t names_len = 0;
    eio_slice line;
    struct hosts *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eioi_snapshot_init(&self->snapshot, hosts_free);
    self->names = eioi_alloc(text.len + 1); // each name is followed by a blank at least
    bool ok = self->names != NULL;
    while (ok && eioi_next_line(&text, "#", &line))
        ok = parse_line(self, line, &names_len);
    if (!ok || !build_indexes(self)) {
        hosts_free(&self->snapshot);
        return eio_err_const(&eio_err_out_of_memory);
    }
    *out = &self->snapshot;
    return NULL;
}

eio_err *eioi_hosts_find(const struct eioi_snapshot *hosts, const char *name,
                         struct eioi_ip_list *out) {
    const struct hosts *self = EIOI_CONTAINER_OF(hosts, const struct hosts, snapshot);
    size_t len = strlen(name);
    without_final_dot(name, &len);
    uint32_t i = eioi_index_first(&self->by_name, eioi_hash_name(name, len));
    for (; i != EIOI_INDEX_END; i = self->by_name.next[i]) {
        const struct entry *entry = &self->entries[i];
        if (eioi_name_equal(self->names + entry->name, entry->len, name, len) &&
            !eioi_ip_list_add(out, &entry->ip))
            return eio_err_const(&eio_err_out_of_memory);
    }
    return NULL;
}

const char *eioi_hosts_name_of(const struct eioi_snapshot *hosts, const eio_ip *ip) {
    const struct hosts *self = EIOI_CONTAINER_OF(hosts, const struct hosts, snapshot);
    uint32_t i = eioi_index_first(&self->by_ip, hash_ip(ip));
    for (; i != EIOI_INDEX_END; i = self->by_ip.next[i]) {
        const struct entry *entry = &self->entries[i];
        if (entry->canonical && eio_ip_equal(&entry->ip, ip))
            return self->names + entry->name;
    }
    return NULL;
}
