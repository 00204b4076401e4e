// SPDX-License-Identifier: ISC
// The hosts file against a list that is searched from the front.

#include <cctype>
#include <cstring>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/lines.h"

extern "C" {
#include "resolver/hosts.h"
#include "resolver/literal.h"
}

namespace eio_fuzz {
namespace {

struct Entry {
    eio_ip ip;
    std::string name;
    bool canonical;
};

std::string WithoutFinalDot(std::string name) {
    if (name.size() > 1 && name.back() == '.')
        name.pop_back();
    return name;
}

std::string Lower(std::string name) {
    for (char &c : name)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c + ('a' - 'A'));
    return name;
}

std::vector<Entry> ModelOf(const std::string &text) {
    std::vector<Entry> entries;
    for (const Fields &fields : FieldsOfLines(text, "#")) {
        eio_ip ip;
        if (fields.empty() || !eioi_literal_parse_strict(fields[0].data(), fields[0].size(), &ip))
            continue;
        bool canonical = true;
        for (size_t i = 1; i < fields.size(); i++) {
            std::string name = WithoutFinalDot(fields[i]);
            if (name.size() > 255 || HasNul(name))
                continue;
            entries.push_back({ip, name, canonical});
            canonical = false;
        }
    }
    return entries;
}

std::vector<eio_ip> Find(const std::vector<Entry> &entries, const std::string &name) {
    std::vector<eio_ip> found;
    for (const Entry &entry : entries) {
        if (Lower(entry.name) != Lower(WithoutFinalDot(name)))
            continue;
        bool is_new = true;
        for (const eio_ip &ip : found)
            is_new = is_new && !eio_ip_equal(&ip, &entry.ip);
        if (is_new)
            found.push_back(entry.ip);
    }
    return found;
}

void CheckName(const struct eioi_snapshot *hosts, const std::vector<Entry> &entries,
               const std::string &name) {
    struct eioi_ip_list list = {};
    CHECK(TakeKind(eioi_hosts_find(hosts, name.c_str(), &list)) == nullptr);
    std::vector<eio_ip> expected = Find(entries, name);
    CHECK(list.count == expected.size());
    for (size_t i = 0; i < list.count; i++)
        CHECK(eio_ip_equal(&list.items[i], &expected[i]));
    eioi_ip_list_free(&list);
}

void CheckAddress(const struct eioi_snapshot *hosts, const std::vector<Entry> &entries,
                  const eio_ip &ip) {
    const char *name = eioi_hosts_name_of(hosts, &ip);
    for (const Entry &entry : entries) {
        if (entry.canonical && eio_ip_equal(&entry.ip, &ip)) {
            CHECK(name != nullptr && name == entry.name);
            return;
        }
    }
    CHECK(name == nullptr);
}

} // namespace

void Target(const uint8_t *data, size_t size) {
    std::string text(reinterpret_cast<const char *>(data), size);
    struct eioi_snapshot *hosts;
    CHECK(TakeKind(eioi_hosts_parse(Slice(text), &hosts)) == nullptr);
    std::vector<Entry> entries = ModelOf(text);
    for (const Entry &entry : entries) {
        CheckName(hosts, entries, entry.name);
        CheckName(hosts, entries, Lower(entry.name) + ".");
        CheckAddress(hosts, entries, entry.ip);
    }
    CheckName(hosts, entries, "");
    CheckName(hosts, entries, "localhost");
    CheckAddress(hosts, entries, eio_ip_v4_loopback());
    CheckAddress(hosts, entries, eio_ip_v6_any());
    eioi_snapshot_unref(hosts);
}

} // namespace eio_fuzz
