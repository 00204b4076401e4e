// SPDX-License-Identifier: ISC
// resolv.conf against a plain reading of it.

#include <cstring>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/lines.h"

extern "C" {
#include "fiber/base/list.h"
#include "resolver/literal.h"
#include "resolver/resolv_conf.h"
}

namespace eio_fuzz {
namespace {

struct Model {
    std::vector<eio_ip> servers;
    Fields search;
    bool has_search = false;
    unsigned ndots = 1, timeout_s = 5, tries = 2;
    bool rotate = false, use_tcp = false;
};

void Number(const std::string &option, const std::string &name, unsigned max, unsigned *out) {
    if (option.size() <= name.size() || option.compare(0, name.size(), name) != 0)
        return;
    uint64_t value = 0;
    for (char c : option.substr(name.size())) {
        if (c < '0' || c > '9')
            return;
        value = value * 10 + static_cast<unsigned>(c - '0');
        if (value > 1000000)
            return;
    }
    *out = static_cast<unsigned>(std::min<uint64_t>(value, max));
}

Model ModelOf(const std::string &text) {
    Model model;
    for (const Fields &fields : FieldsOfLines(text, "#;")) {
        if (fields.empty())
            continue;
        if (fields[0] == "nameserver" && fields.size() > 1) {
            eio_ip ip;
            if (model.servers.size() < EIOI_SERVERS_MAX &&
                eioi_literal_parse_strict(fields[1].data(), fields[1].size(), &ip))
                model.servers.push_back(ip);
        } else if (fields[0] == "search" || fields[0] == "domain") {
            model.search.clear();
            model.has_search = true;
            for (size_t i = 1; i < fields.size(); i++) {
                std::string domain = fields[i];
                while (!domain.empty() && domain.back() == '.')
                    domain.pop_back();
                size_t max = fields[0] == "search" ? EIOI_SEARCH_MAX : 1;
                if (!domain.empty() && domain.size() <= EIOI_SEARCH_DOMAIN_MAX && !HasNul(domain) &&
                    model.search.size() < max)
                    model.search.push_back(domain);
            }
        } else if (fields[0] == "options") {
            for (size_t i = 1; i < fields.size(); i++) {
                Number(fields[i], "ndots:", 15, &model.ndots);
                Number(fields[i], "timeout:", 30, &model.timeout_s);
                Number(fields[i], "attempts:", 5, &model.tries);
                model.rotate = model.rotate || fields[i] == "rotate";
                model.use_tcp = model.use_tcp || fields[i] == "use-vc";
            }
            model.timeout_s = std::max(model.timeout_s, 1U);
            model.tries = std::max(model.tries, 1U);
        }
    }
    return model;
}

} // namespace

void Target(const uint8_t *data, size_t size) {
    std::string text(reinterpret_cast<const char *>(data), size);
    struct eioi_snapshot *snapshot;
    CHECK(TakeKind(eioi_resolv_conf_parse(Slice(text), &snapshot)) == nullptr);
    const auto *conf = EIOI_CONTAINER_OF(snapshot, struct eioi_resolv_conf, snapshot);
    Model model = ModelOf(text);
    CHECK(conf->server_count == model.servers.size());
    for (unsigned i = 0; i < conf->server_count; i++)
        CHECK(eio_ip_equal(&conf->servers[i], &model.servers[i]));
    CHECK(conf->has_search == model.has_search);
    CHECK(conf->search_count == model.search.size());
    for (unsigned i = 0; i < conf->search_count; i++)
        CHECK(conf->search[i] == model.search[i]);
    CHECK(conf->ndots == model.ndots);
    CHECK(conf->timeout_s == model.timeout_s);
    CHECK(conf->tries == model.tries);
    CHECK(conf->rotate == model.rotate);
    CHECK(conf->use_tcp == model.use_tcp);
    eioi_snapshot_unref(snapshot);
}

} // namespace eio_fuzz
