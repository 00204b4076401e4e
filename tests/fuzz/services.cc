// SPDX-License-Identifier: ISC
// The services file against a list that is searched from the front.

#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/lines.h"

extern "C" {
#include "resolver/services.h"
}

namespace eio_fuzz {
namespace {

struct Entry {
    std::string name;
    uint16_t port;
    bool udp, alias;
};

// 0 when it is none.
unsigned PortOf(const std::string &digits) {
    unsigned port = 0;
    for (char c : digits) {
        if (c < '0' || c > '9')
            return 0;
        port = port * 10 + static_cast<unsigned>(c - '0');
        if (port > 65535)
            return 0;
    }
    return port;
}

std::vector<Entry> ModelOf(const std::string &text) {
    std::vector<Entry> entries;
    for (const Fields &fields : FieldsOfLines(text, "#")) {
        if (fields.size() < 2)
            continue;
        size_t slash = fields[1].find('/');
        if (slash == std::string::npos)
            continue;
        std::string protocol = fields[1].substr(slash + 1);
        unsigned port = PortOf(fields[1].substr(0, slash));
        if (port == 0 || (protocol != "tcp" && protocol != "udp"))
            continue;
        for (size_t i = 0; i < fields.size(); i++)
            if (i != 1 && !HasNul(fields[i]))
                entries.push_back(
                    {fields[i], static_cast<uint16_t>(port), protocol == "udp", i > 0});
    }
    return entries;
}

void CheckName(const struct eioi_snapshot *services, const std::vector<Entry> &entries,
               const std::string &name, bool udp) {
    uint16_t port;
    bool found = eioi_services_port(services, name.c_str(), udp, &port);
    for (const Entry &entry : entries) {
        if (entry.name == name && entry.udp == udp) {
            CHECK(found && port == entry.port);
            return;
        }
    }
    CHECK(!found);
}

void CheckPort(const struct eioi_snapshot *services, const std::vector<Entry> &entries,
               uint16_t port, bool udp) {
    const char *name = eioi_services_name(services, port, udp);
    for (const Entry &entry : entries) {
        if (!entry.alias && entry.port == port && entry.udp == udp) {
            CHECK(name != nullptr && name == entry.name);
            return;
        }
    }
    CHECK(name == nullptr);
}

} // namespace

void Target(const uint8_t *data, size_t size) {
    std::string text(reinterpret_cast<const char *>(data), size);
    struct eioi_snapshot *services;
    CHECK(TakeKind(eioi_services_parse(Slice(text), &services)) == nullptr);
    std::vector<Entry> entries = ModelOf(text);
    entries.push_back({"http", 80, false, false});
    std::vector<Entry> probes = entries;
    entries.pop_back();
    for (const Entry &probe : probes) {
        for (bool udp : {false, true}) {
            CheckName(services, entries, probe.name, udp);
            CheckPort(services, entries, probe.port, udp);
        }
    }
    eioi_snapshot_unref(services);
}

} // namespace eio_fuzz
