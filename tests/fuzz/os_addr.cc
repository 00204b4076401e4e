// SPDX-License-Identifier: ISC
// Addresses as the system gives them: any bytes, any length. What is made of them can be given back,
// and is then the same address.

#include <cstring>

#include "backends/unix/sockaddr.h"
#include "tests/fuzz/fuzz.h"

namespace eio_fuzz {

void Target(const uint8_t *data, size_t size) {
    Input in(data, size);
    // One byte more than there is room for: the kernel counts what it had to cut off, too.
    socklen_t len = static_cast<socklen_t>(in.Below(sizeof(sockaddr_storage) + 2));
    eio_sockaddr_kind kind = in.Bool() ? EIO_UDP : EIO_TCP;
    static const sa_family_t families[] = {AF_UNIX, AF_INET, AF_INET6};
    size_t family = in.Below(4);
    struct sockaddr_storage storage = {};
    std::string bytes = in.Bytes(sizeof storage);
    memcpy(&storage, bytes.data(), bytes.size());
    if (family < 3)
        storage.ss_family = families[family];
    eio_sockaddr addr;
    if (TakeKind(eioi_sockaddr_of_os(&storage, len, kind, &addr)) != nullptr)
        return;
    CHECK(addr.kind == kind || addr.kind == EIO_UNIX);
    char text[EIO_SOCKADDR_STR_MAX];
    CHECK(strlen(eio_sockaddr_str(&addr, text)) < sizeof text);
    struct eioi_os_addr os = {};
    CHECK(TakeKind(eioi_sockaddr_to_os(&addr, &os)) == nullptr);
    CHECK(os.len <= sizeof os.storage);
    CHECK(os.storage.ss_family == eioi_sockaddr_family(&addr));
    eio_sockaddr again;
    CHECK(TakeKind(eioi_sockaddr_of_os(&os.storage, os.len, kind, &again)) == nullptr);
    CHECK(eio_sockaddr_equal(&addr, &again));
}

} // namespace eio_fuzz
