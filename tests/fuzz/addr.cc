// SPDX-License-Identifier: ISC
// Addresses: what is printed can be parsed, and is the same address; what is parsed is what the C
// library's own parser makes of it.

#include "eio/addr.h"

#include <arpa/inet.h>

#include <cstring>

#include "tests/fuzz/fuzz.h"

namespace eio_fuzz {
namespace {

std::string Text(const eio_sockaddr &addr) {
    char buf[EIO_SOCKADDR_STR_MAX];
    return eio_sockaddr_str(&addr, buf);
}

// Whether parsing its text must give the address back: two kinds of Unix address share texts.
bool HasTextOfItsOwn(const eio_sockaddr &addr) {
    if (addr.kind != EIO_UNIX || addr.unix_.len == 0)
        return true;
    std::string path(addr.unix_.path, addr.unix_.len);
    return path[0] != '@' && path.find('\0', 1) == std::string::npos;
}

void CheckPrintThenParse(const eio_sockaddr &addr) {
    std::string text = Text(addr);
    CHECK(text.size() < EIO_SOCKADDR_STR_MAX);
    if (!HasTextOfItsOwn(addr))
        return;
    eio_sockaddr again;
    CHECK(TakeKind(eio_sockaddr_parse(text.c_str(), &again)) == nullptr);
    CHECK(eio_sockaddr_equal(&addr, &again));
    CHECK(Text(again) == text);
}

void CheckSockaddrText(const std::string &text) {
    eio_sockaddr addr, untouched;
    memset(&addr, 0x5a, sizeof addr);
    memcpy(&untouched, &addr, sizeof addr);
    const eio_err_kind *kind = TakeKind(eio_sockaddr_parse(text.c_str(), &addr));
    if (kind == nullptr) {
        CheckPrintThenParse(addr);
    } else {
        CHECK(kind == &eio_err_invalid_argument);
        CHECK(memcmp(&addr, &untouched, sizeof addr) == 0);
    }
}

// The two families' text, without zones: inet_pton(3) is as strict as we are.
void CheckIpText(const std::string &text) {
    eio_ip ip;
    const eio_err_kind *kind = TakeKind(eio_ip_parse(text.c_str(), &ip));
    CHECK(kind == nullptr || kind == &eio_err_invalid_argument);
    std::string plain = text.substr(0, text.find('%'));
    uint8_t bytes[16];
    uint8_t len = 0;
    if (inet_pton(AF_INET, plain.c_str(), bytes) == 1)
        len = 4;
    else if (inet_pton(AF_INET6, plain.c_str(), bytes) == 1)
        len = 16;
    if (kind != nullptr) {
        CHECK(len == 0 || plain != text);
        return;
    }
    CHECK(ip.len == len && memcmp(ip.bytes, bytes, len) == 0);
    CHECK(plain == text || len == 16);
    char buf[EIO_IP_STR_MAX];
    eio_ip again;
    CHECK(TakeKind(eio_ip_parse(eio_ip_str(&ip, buf), &again)) == nullptr);
    CHECK(eio_ip_equal(&ip, &again));
}

void CheckOfBytes(Input &in) {
    uint8_t what = in.Byte();
    eio_sockaddr addr;
    if (what % 4 == 0) {
        std::string path = in.Rest();
        const eio_err_kind *kind = TakeKind(eio_sockaddr_unix(Slice(path), &addr));
        bool has_nul = !path.empty() && path[0] != '\0' && path.find('\0') != std::string::npos;
        CHECK((kind != nullptr) == (path.size() > EIO_UNIX_PATH_MAX || has_nul));
        if (kind != nullptr)
            return;
        CHECK(std::string(addr.unix_.path, addr.unix_.len) == path);
    } else {
        uint16_t port = static_cast<uint16_t>(in.Number(2));
        uint32_t zone = what % 4 == 1 ? static_cast<uint32_t>(in.Number(4)) : 0;
        eio_ip ip;
        std::string raw = in.Rest();
        const eio_err_kind *kind = TakeKind(eio_ip_of_raw(Slice(raw), &ip));
        CHECK((kind == nullptr) == (raw.size() == 4 || raw.size() == 16));
        if (kind != nullptr)
            return;
        ip.scope_id = ip.len == 16 ? zone : 0;
        addr = what & 4 ? eio_sockaddr_udp(ip, port) : eio_sockaddr_tcp(ip, port);
    }
    CheckPrintThenParse(addr);
}

} // namespace

void Target(const uint8_t *data, size_t size) {
    Input in(data, size);
    if (in.Bool()) {
        CheckOfBytes(in);
        return;
    }
    std::string text = in.Rest();
    text = text.c_str();
    CheckSockaddrText(text);
    CheckIpText(text);
}

} // namespace eio_fuzz
