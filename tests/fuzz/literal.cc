// SPDX-License-Identifier: ISC
// Addresses where a name could stand: what counts as one, and as which, is what the C library's
// getaddrinfo(3) says when it may look nothing up.

#include <netdb.h>
#include <netinet/in.h>

#include <cstring>

#include "tests/fuzz/fuzz.h"

extern "C" {
#include "resolver/literal.h"
}

namespace eio_fuzz {
namespace {

bool OfLibc(const std::string &text, eio_ip *out) {
    addrinfo hints = {}, *list;
    hints.ai_flags = AI_NUMERICHOST;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(text.c_str(), nullptr, &hints, &list) != 0)
        return false;
    *out = {};
    if (list->ai_family == AF_INET) {
        sockaddr_in v4;
        memcpy(&v4, list->ai_addr, sizeof v4);
        out->len = 4;
        memcpy(out->bytes, &v4.sin_addr, 4);
    } else {
        sockaddr_in6 v6;
        memcpy(&v6, list->ai_addr, sizeof v6);
        out->len = 16;
        memcpy(out->bytes, &v6.sin6_addr, 16);
        out->scope_id = v6.sin6_scope_id;
    }
    freeaddrinfo(list);
    return true;
}

} // namespace

void Target(const uint8_t *data, size_t size) {
    std::string text(reinterpret_cast<const char *>(data), size);
    eio_ip strict;
    bool is_strict = eioi_literal_parse_strict(text.data(), text.size(), &strict);
    if (text.find('\0') != std::string::npos) {
        CHECK(!is_strict);
        text = text.c_str();
        is_strict = eioi_literal_parse_strict(text.data(), text.size(), &strict);
    }
    eio_ip ours, theirs;
    enum eioi_literal what = eioi_literal_parse(text.c_str(), &ours);
    CHECK(!is_strict || what == EIOI_LITERAL_YES);
    CHECK(!is_strict || strict.len == 16 || strict.len == 4);
    CHECK((what == EIOI_LITERAL_BAD) ==
          (what != EIOI_LITERAL_YES && text.find_first_of(":%") != std::string::npos));
    if (text.empty())
        return;
    CHECK(OfLibc(text, &theirs) == (what == EIOI_LITERAL_YES));
    CHECK(what != EIOI_LITERAL_YES || eio_ip_equal(&ours, &theirs));
}

} // namespace eio_fuzz
