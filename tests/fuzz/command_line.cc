// SPDX-License-Identifier: ISC
// The eio program's command line, an argument a line; and its addresses, on a network that only
// notes which names are looked up.

#include <cstdlib>
#include <cstring>
#include <vector>

#include "eio/mock/backend.h"
#include "eio/net_pi.h"
#include "tests/fuzz/fuzz.h"

extern "C" {
#include "tools/eio/commands.h"
}

namespace eio_fuzz {
namespace {

constexpr int kCountMax = 1000000;

// The network, and what it was asked for.
eio_unix_net net;
int lookups;
std::string host, service;

eio_err *LookUp(eio_net *, eio_switch *sw, const char *name, const char *port,
                eio_sockaddr_list *out) {
    void *items;
    EIO_TRY(eio_switch_alloc(sw, 2 * sizeof *out->items, &items));
    *out = {static_cast<eio_sockaddr *>(items), 2};
    out->items[0] = eio_sockaddr_udp(eio_ip_v4_loopback(), 1);
    out->items[1] = eio_sockaddr_tcp(eio_ip_v4_loopback(), 2);
    lookups++;
    host = name;
    service = port;
    return nullptr;
}

// A literal is what it says; else it is a name and a service around the last colon, and brackets
// around the name are none of it.
eio_err *CheckAddress(void *arg, eio_switch *sw) {
    std::string text = static_cast<const char *>(arg);
    eio_env env = {};
    env.net = &net;
    lookups = 0;
    eio_sockaddr_list list;
    const eio_err_kind *kind = TakeKind(find_addresses(&env, sw, text.c_str(), &list));
    eio_sockaddr addr;
    if (TakeKind(eio_sockaddr_parse(text.c_str(), &addr)) == nullptr) {
        bool stream = addr.kind != EIO_UDP && text != "unix:" && text != "unix:@";
        CHECK(is_address(text.c_str()) == stream);
        CHECK((kind == nullptr) == stream && lookups == 0);
        if (!stream)
            return nullptr;
        CHECK(list.count == 1 && eio_sockaddr_equal(&list.items[0], &addr));
        return nullptr;
    }
    size_t colon = text.rfind(':');
    bool prefixed = text.compare(0, 5, "unix:") == 0 || text.compare(0, 4, "tcp:") == 0 ||
                    text.compare(0, 4, "udp:") == 0;
    std::string name = colon == std::string::npos ? "" : text.substr(0, colon);
    std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
    bool brackets = name.size() > 1 && name.front() == '[' && name.back() == ']';
    if (brackets)
        name = name.substr(1, name.size() - 2);
    bool number = port.find_first_not_of("0123456789") == std::string::npos;
    bool good = !prefixed && !name.empty() && name.size() < 256 && !port.empty() &&
                name.find_first_of(brackets ? "[]" : ":[]") == std::string::npos &&
                (!number || strtoul(port.c_str(), nullptr, 10) <= 65535);
    CHECK(is_address(text.c_str()) == good);
    CHECK(kind == (good ? nullptr : &eio_err_invalid_argument) && lookups == (good ? 1 : 0));
    if (!good)
        return nullptr;
    CHECK(host == name && service == port);
    CHECK(list.count == 1 && list.items[0].kind == EIO_TCP);
    return nullptr;
}

eio_err *CheckAddressInSwitch(void *arg) {
    return eio_switch_run(CheckAddress, arg);
}

bool IsAmong(const char *text, const std::vector<char *> &argv) {
    for (const char *arg : argv)
        if (arg == text)
            return true;
    return false;
}

} // namespace

void Target(const uint8_t *data, size_t size) {
    static const struct eio_net_ops ops = {"noting", nullptr, nullptr, nullptr,
                                           LookUp,   nullptr, nullptr};
    net = {};
    net.net.ops = &ops;
    std::vector<std::string> args = {"eio"};
    std::string line;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && data[i] != '\n' && data[i] != '\0') {
            line += static_cast<char>(data[i]);
        } else {
            args.push_back(line);
            line.clear();
        }
    }
    if (size == 0)
        args.resize(1);
    std::vector<char *> argv;
    for (std::string &arg : args)
        argv.push_back(&arg[0]);
    argv.push_back(nullptr);
    int argc = static_cast<int>(args.size());
    struct command_line parsed, again;
    const char *complaint = parse_command_line(argc, argv.data(), &parsed);
    // In the order in which it leaves argv the line means the same.
    CHECK(parse_command_line(argc, argv.data(), &again) == complaint);
    if (complaint != nullptr)
        return;
    const struct options &options = parsed.options;
    CHECK(again.command == parsed.command && again.options.addr == options.addr &&
          again.options.target == options.target && again.options.reverse == options.reverse);
    if (parsed.command == nullptr)
        return;
    CHECK(options.domains >= 1 && options.domains <= kCountMax);
    CHECK(options.max_connections >= 0 && options.max_connections <= kCountMax);
    CHECK((options.addr == nullptr) == (parsed.command == demo_command));
    CHECK((parsed.command == demo_command) == (argc == 1));
    for (const char *text : {options.addr, options.target, options.host, options.service}) {
        CHECK(text == nullptr || IsAmong(text, argv));
        if (text != nullptr)
            CHECK(TakeKind(eio_mock_run(CheckAddressInSwitch, const_cast<char *>(text))) ==
                  nullptr);
    }
}

} // namespace eio_fuzz
