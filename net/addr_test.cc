// SPDX-License-Identifier: ISC
#include "eio/addr.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/support/support.h"

extern "C" {
#include "fiber/base/fault.h"
}

using namespace eio_test;

namespace {

class AddrTest : public EioTest {};

std::string Str(const eio_ip &ip) {
    char buf[EIO_IP_STR_MAX];
    return eio_ip_str(&ip, buf);
}

std::string Str(const eio_sockaddr &addr) {
    char buf[EIO_SOCKADDR_STR_MAX];
    return eio_sockaddr_str(&addr, buf);
}

/// What `text` parses to, printed; or the error.
std::string Ip(const std::string &text) {
    eio_ip ip;
    eio_err *err = eio_ip_parse(text.c_str(), &ip);
    return err == nullptr ? Str(ip) : TakeText(err);
}

std::string Sockaddr(const std::string &text) {
    eio_sockaddr addr;
    eio_err *err = eio_sockaddr_parse(text.c_str(), &addr);
    return err == nullptr ? Str(addr) : TakeText(err);
}

bool IsIp(const std::string &text) {
    eio_ip ip;
    eio_err *err = eio_ip_parse(text.c_str(), &ip);
    bool ok = err == nullptr;
    eio_err_drop(err);
    return ok;
}

bool IsSockaddr(const std::string &text) {
    eio_sockaddr addr;
    eio_err *err = eio_sockaddr_parse(text.c_str(), &addr);
    bool ok = err == nullptr;
    eio_err_drop(err);
    return ok;
}

eio_sockaddr Unix(const std::string &path) {
    eio_sockaddr addr = {};
    EXPECT_OK(eio_sockaddr_unix(eio_slice_of(path.data(), path.size()), &addr));
    return addr;
}

/// Fails each call named `name`.
class FailCall {
  public:
    explicit FailCall(const char *name) : name_(name), hook_{Decide, this} {
        eioi_fault_hook = &hook_;
    }
    ~FailCall() { eioi_fault_hook = nullptr; }

  private:
    static int Decide(void *arg, const char *name) {
        return strcmp(name, static_cast<FailCall *>(arg)->name_) == 0 ? EMFILE : 0;
    }
    const char *name_;
    struct eioi_fault_hook hook_;
};

// --- IP addresses --------------------------------------------------------------------------------

TEST_F(AddrTest, WellKnownAddressesPrintInTheShortestForm) {
    EXPECT_EQ(Str(eio_ip_v4_loopback()), "127.0.0.1");
    EXPECT_EQ(Str(eio_ip_v4_any()), "0.0.0.0");
    EXPECT_EQ(Str(eio_ip_v6_loopback()), "::1");
    EXPECT_EQ(Str(eio_ip_v6_any()), "::");
    EXPECT_EQ(Str(eio_ip_v4(1, 20, 255, 0)), "1.20.255.0");
}

TEST_F(AddrTest, OfRawTakesFourOrSixteenBytesInNetworkOrder) {
    eio_ip ip;
    EXPECT_OK(eio_ip_of_raw(eio_slice_of("\x01\x02\x03\x04", 4), &ip));
    EXPECT_EQ(Str(ip), "1.2.3.4");
    EXPECT_OK(eio_ip_of_raw(eio_slice_of("\x20\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x09", 16), &ip));
    EXPECT_EQ(Str(ip), "2001::9");
}

TEST_F(AddrTest, OfRawRefusesAnyOtherLength) {
    eio_ip ip = eio_ip_v4(9, 9, 9, 9);
    EXPECT_ERR_TEXT(eio_ip_of_raw(eio_slice_of("abc\x7f\"", 5), &ip),
                    "Invalid_argument(\"An IP address must be either 4 or 16 bytes long "
                    "(\\\"abc\\\\127\\\\\\\"\\\" is 5 bytes)\")");
    EXPECT_ERR(eio_ip_of_raw(eio_slice_of("", 0), &ip), &eio_err_invalid_argument);
    EXPECT_EQ(Str(ip), "9.9.9.9");
}

TEST_F(AddrTest, V6PrintsTheFirstLongestRunOfZeroGroupsAsTwoColons) {
    const struct {
        const char *text, *printed;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"1234:5678:9abc:def0:fedc:ba98:7654:3210", "1234:5678:9abc:def0:fedc:ba98:7654:3210"},
        {"::1", "::1"},
        {"::", "::"},
        {"0:0:0:0:0:0:0:0", "::"},
        {"ab::", "ab::"},
        {"::ffff:192.168.1.3", "::ffff:192.168.1.3"},
        {"::FFFF:C0A8:0103", "::ffff:192.168.1.3"},
        {"::ffff:0:0", "::ffff:0.0.0.0"},
        {"::1.2.3.4", "::102:304"},
        {"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
        {"::fffe:1.2.3.4", "::fffe:102:304"},
        {"0:0:0:0:1:ffff:1:2", "::1:ffff:1:2"},
        {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
        {"4:1:0:0:2:0:0:3", "4:1::2:0:0:3"},
        {"1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"},
        {"0:0:1:0:0:0:0:0", "0:0:1::"},
        {"0:1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"},
        {"0:0:2:3:4:5:6:7", "::2:3:4:5:6:7"},
        {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a"},
        {"1::2:3:4:5:7.8.9.10", "1:0:2:3:4:5:708:90a"},
        {"000a:000B::0c", "a:b::c"},
    };
    for (const auto &c : cases)
        EXPECT_EQ(Ip(c.text), c.printed) << c.text;
}

TEST_F(AddrTest, ParsingIsStrict) {
    const char *const bad[] = {
        "",
        "1",
        "1.2.3",
        "127.1",
        "1.2.3.4.5",
        "1.2.3.",
        ".1.2.3",
        "1..2.3",
        "256.1.1.1",
        "1.2.3.4 ",
        " 1.2.3.4",
        "01.2.3.4",
        "1.2.3.04",
        "1.2.3.0x4",
        "+1.2.3.4",
        "-1.2.3.4",
        "4294967296.1.1.1",
        "1.2.3.4%lo",
        ":",
        ":::",
        "1",
        "1:",
        ":1",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8:",
        "1:2:3:4:5:6:7:8::",
        "1::2:3:4:5:6:7:8",
        "::1:2:3:4:5:6:7:8",
        "1::2::3",
        "1:::2",
        "12345::",
        "g::",
        "::1.2.3",
        "::1.2.3.4.5",
        "::1.2.3.4:5",
        "1.2.3.4::",
        "1:2:3:4:5:6:7:1.2.3.4",
        "1:2:3:4:5:1.2.3.4",
        "::01.2.3.4",
        "::256.2.3.4",
        "[::1]",
        "::1 ",
        "::1]",
        "fe80::1%",
        "fe80::1%4294967296",
        "fe80::1%01",
        "fe80::1%-1",
        "fe80::1%1 ",
        "::%no-such-interface",
        "0x7f000001",
    };
    for (const char *text : bad)
        EXPECT_FALSE(IsIp(text)) << "'" << text << "'";
    EXPECT_EQ(Ip("a\"b"), "Invalid_argument(\"Not an IP address: \\\"a\\\\\\\"b\\\"\")");
}

TEST_F(AddrTest, AFailedParseLeavesTheResultAlone) {
    eio_ip ip = eio_ip_v4(9, 8, 7, 6);
    EXPECT_ERR(eio_ip_parse("1.2.3", &ip), &eio_err_invalid_argument);
    EXPECT_ERR(eio_ip_parse("fe80::1%no-such-interface", &ip), &eio_err_invalid_argument);
    EXPECT_EQ(Str(ip), "9.8.7.6");
    eio_sockaddr addr = eio_sockaddr_tcp(ip, 5);
    EXPECT_ERR(eio_sockaddr_parse("1.2.3.4", &addr), &eio_err_invalid_argument);
    EXPECT_EQ(Str(addr), "tcp:9.8.7.6:5");
}

TEST_F(AddrTest, EqualMeansSameBytesAndSameZone) {
    eio_ip a = eio_ip_v6_loopback(), b = a;
    EXPECT_TRUE(eio_ip_equal(&a, &b));
    b.scope_id = 3;
    EXPECT_FALSE(eio_ip_equal(&a, &b));
    b = a;
    b.bytes[0] = 1;
    EXPECT_FALSE(eio_ip_equal(&a, &b));
    a = eio_ip_v4_any();
    b = eio_ip_v6_any();
    EXPECT_FALSE(eio_ip_equal(&a, &b));
    // What lies behind the fourth byte of an IPv4 address is nothing.
    b = a;
    b.bytes[7] = 1;
    b.scope_id = 4;
    EXPECT_TRUE(eio_ip_equal(&a, &b));
}

// --- Zones ---------------------------------------------------------------------------------------

TEST_F(AddrTest, AZoneIsAnInterfaceByNameOrNumber) {
    unsigned lo = if_nametoindex("lo");
    if (lo == 0)
        GTEST_SKIP() << "there is no interface named lo";
    eio_ip ip;
    EXPECT_OK(eio_ip_parse("fe80::1%lo", &ip));
    EXPECT_EQ(ip.scope_id, lo);
    EXPECT_EQ(Str(ip), "fe80::1%lo");
    EXPECT_OK(eio_ip_parse(("fe80::1%" + std::to_string(lo)).c_str(), &ip));
    EXPECT_EQ(ip.scope_id, lo);
    EXPECT_EQ(Str(ip), "fe80::1%lo");
}

TEST_F(AddrTest, AZoneWithoutAnInterfacePrintsItsNumber) {
    EXPECT_EQ(Ip("fe80::1%4294967295"), "fe80::1%4294967295");
    EXPECT_EQ(Ip("fe80::1%0"), "fe80::1");
    EXPECT_EQ(Ip("fe80::1%no-such-if"),
              "Invalid_argument(\"There is no interface \\\"no-such-if\\\"\")");
}

TEST_F(AddrTest, AZonePrintsItsNumberWhenTheSystemCannotTellTheName) {
    eio_ip ip = eio_ip_v6_loopback();
    ip.scope_id = 1;
    FailCall fail("if_indextoname");
    errno = 77;
    EXPECT_EQ(Str(ip), "::1%1");
    EXPECT_EQ(errno, 77);
}

// --- Round trips ---------------------------------------------------------------------------------

/// An address with many zero groups and other special ones in it.
eio_ip RandomIp(std::mt19937 &rng) {
    eio_ip ip = {};
    if (rng() % 4 == 0)
        return eio_ip_v4(uint8_t(rng()), uint8_t(rng()), uint8_t(rng()), uint8_t(rng()));
    ip.len = 16;
    static const unsigned special[] = {0, 0, 0, 0, 1, 0xffff, 0xfe80, 0x0a0b};
    for (int i = 0; i < 8; i++) {
        unsigned group = rng() % 5 == 0 ? rng() & 0xffff : special[rng() % 8];
        ip.bytes[2 * i] = uint8_t(group >> 8);
        ip.bytes[2 * i + 1] = uint8_t(group);
    }
    if (rng() % 2 == 0)
        ip.scope_id = rng() % 2 == 0 ? uint32_t(rng()) : uint32_t(rng() % 4);
    return ip;
}

TEST_F(AddrTest, ParsingWhatWasPrintedGivesTheSameAddress) {
    std::mt19937 rng(1);
    for (int i = 0; i < 5000; i++) {
        eio_ip ip = RandomIp(rng), again;
        eio_err *err = eio_ip_parse(Str(ip).c_str(), &again);
        ASSERT_TRUE(IsOk(err)) << Str(ip);
        ASSERT_TRUE(eio_ip_equal(&ip, &again)) << Str(ip);
        uint16_t port = uint16_t(rng());
        eio_sockaddr addr =
            rng() % 2 == 0 ? eio_sockaddr_tcp(ip, port) : eio_sockaddr_udp(ip, port);
        eio_sockaddr addr_again;
        err = eio_sockaddr_parse(Str(addr).c_str(), &addr_again);
        ASSERT_TRUE(IsOk(err)) << Str(addr);
        ASSERT_TRUE(eio_sockaddr_equal(&addr, &addr_again)) << Str(addr);
    }
}

TEST_F(AddrTest, PrintsAsLibcDoesWhereverLibcKeepsToTheRfc) {
    std::mt19937 rng(2);
    for (int i = 0; i < 100000; i++) {
        eio_ip ip = RandomIp(rng);
        ip.scope_id = 0;
        char libc[INET6_ADDRSTRLEN];
        ASSERT_NE(inet_ntop(ip.len == 4 ? AF_INET : AF_INET6, ip.bytes, libc, sizeof libc),
                  nullptr);
        bool quad =
            ip.len == 16 && strchr(libc, '.') != nullptr && strncmp(libc, "::ffff:", 7) != 0;
        if (quad)
            continue;
        ASSERT_EQ(Str(ip), libc);
    }
}

/// Something close to an address.
std::string RandomText(std::mt19937 &rng) {
    static const char *const parts[] = {
        ":",  "::", ".",   "0",    "1",    "ff",   "1.2.3.4", "ffff", "00a",
        "12", "8:", ":9:", "256.", "fe80", "1:2:", "0.",      "x",    "3:4:5:"};
    eio_ip ip = RandomIp(rng);
    ip.scope_id = 0;
    std::string text = rng() % 2 == 0 ? Str(ip) : "";
    for (auto n = rng() % 6; n > 0; n--)
        text.insert(rng() % (text.size() + 1), parts[rng() % (sizeof parts / sizeof *parts)]);
    if (!text.empty() && rng() % 2 == 0)
        text.erase(rng() % text.size(), 1);
    return text;
}

TEST_F(AddrTest, AcceptsWhatLibcAccepts) {
    std::mt19937 rng(3);
    int accepted = 0;
    for (int i = 0; i < 200000; i++) {
        std::string text = RandomText(rng);
        uint8_t bytes[16];
        int len = inet_pton(AF_INET, text.c_str(), bytes) == 1    ? 4
                  : inet_pton(AF_INET6, text.c_str(), bytes) == 1 ? 16
                                                                  : 0;
        eio_ip ip;
        eio_err *err = eio_ip_parse(text.c_str(), &ip);
        ASSERT_EQ(err == nullptr, len != 0) << "'" << text << "'";
        eio_err_drop(err);
        if (len == 0)
            continue;
        accepted++;
        ASSERT_EQ(ip.len, len) << text;
        ASSERT_EQ(memcmp(ip.bytes, bytes, size_t(len)), 0) << text;
    }
    EXPECT_GT(accepted, 20000);
}

// --- Socket addresses ----------------------------------------------------------------------------

TEST_F(AddrTest, SocketAddressesPrintWithTheirProtocolAndPort) {
    EXPECT_EQ(Str(eio_sockaddr_tcp(eio_ip_v4_loopback(), 8080)), "tcp:127.0.0.1:8080");
    EXPECT_EQ(Str(eio_sockaddr_tcp(eio_ip_v6_loopback(), 8080)), "tcp:[::1]:8080");
    EXPECT_EQ(Str(eio_sockaddr_udp(eio_ip_v4_any(), 0)), "udp:0.0.0.0:0");
    EXPECT_EQ(Str(eio_sockaddr_udp(eio_ip_v6_any(), 65535)), "udp:[::]:65535");
    EXPECT_EQ(Str(Unix("/tmp/x")), "unix:/tmp/x");
    EXPECT_EQ(Str(Unix("")), "unix:");
    EXPECT_EQ(Str(Unix(std::string("\0abc", 4))), "unix:@abc");
    EXPECT_EQ(Str(Unix(std::string("\0a\0c", 4))), "unix:@a@c");
}

TEST_F(AddrTest, TheLongestAddressesFitTheirBuffers) {
    EXPECT_EQ(Str(Unix(std::string(EIO_UNIX_PATH_MAX, 'x'))),
              "unix:" + std::string(EIO_UNIX_PATH_MAX, 'x'));
    eio_ip ip = {};
    ip.len = 16;
    memset(ip.bytes, 0xff, 16);
    ip.scope_id = UINT32_MAX;
    EXPECT_EQ(Str(eio_sockaddr_tcp(ip, 65535)),
              "tcp:[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
}

TEST_F(AddrTest, SocketAddressesParse) {
    EXPECT_EQ(Sockaddr("1.2.3.4:80"), "tcp:1.2.3.4:80");
    EXPECT_EQ(Sockaddr("tcp:1.2.3.4:80"), "tcp:1.2.3.4:80");
    EXPECT_EQ(Sockaddr("udp:1.2.3.4:0"), "udp:1.2.3.4:0");
    EXPECT_EQ(Sockaddr("[::1]:65535"), "tcp:[::1]:65535");
    EXPECT_EQ(Sockaddr("udp:[fe80::1%4294967295]:53"), "udp:[fe80::1%4294967295]:53");
    EXPECT_EQ(Sockaddr("unix:/a b/c"), "unix:/a b/c");
    EXPECT_EQ(Sockaddr("unix:"), "unix:");
    EXPECT_EQ(Sockaddr("unix:@abc"), "unix:@abc");
    EXPECT_EQ(Sockaddr("unix:@"), "unix:@");
    EXPECT_EQ(Sockaddr("unix:1.2.3.4:80"), "unix:1.2.3.4:80");
}

TEST_F(AddrTest, AnAbstractNameStartsWithNul) {
    eio_sockaddr addr;
    EXPECT_OK(eio_sockaddr_parse("unix:@abc", &addr));
    EXPECT_EQ(std::string(addr.unix_.path, addr.unix_.len), std::string("\0abc", 4));
    EXPECT_OK(eio_sockaddr_parse("unix:@", &addr));
    EXPECT_EQ(addr.unix_.len, 1);
    EXPECT_OK(eio_sockaddr_parse("unix:", &addr));
    EXPECT_EQ(addr.unix_.len, 0);
}

TEST_F(AddrTest, SocketAddressesAreParsedStrictly) {
    const char *const bad[] = {
        "",
        "1.2.3.4",
        "1.2.3.4:",
        ":80",
        "1.2.3.4:80 ",
        "1.2.3.4:080",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4:65536",
        "1.2.3.4:http",
        "::1",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[::1]:",
        "[::1:80",
        "::1]:80",
        "[1.2.3.4]:80",
        "[]:80",
        "tcp:",
        "tcp:[::1]",
        "udp:1.2.3.4",
        "sctp:1.2.3.4:5",
        "tcp:unix:/x",
        "tcp::80",
        "TCP:1.2.3.4:5",
        "[[::1]]:80",
        "tcp:tcp:1.2.3.4:5",
        "localhost:80",
    };
    for (const char *text : bad)
        EXPECT_FALSE(IsSockaddr(text)) << "'" << text << "'";
    EXPECT_FALSE(IsSockaddr(std::string(200, '1') + ":80"));
    EXPECT_FALSE(IsSockaddr("[" + std::string(200, ':') + "]:80"));
}

TEST_F(AddrTest, AUnixAddressHasABoundAndNoNulInItsPath) {
    std::string longest(EIO_UNIX_PATH_MAX, 'x'), longer(EIO_UNIX_PATH_MAX + 1, 'x');
    EXPECT_TRUE(IsSockaddr("unix:" + longest));
    EXPECT_FALSE(IsSockaddr("unix:" + longer));
    EXPECT_TRUE(IsSockaddr("unix:@" + longest.substr(1)));
    EXPECT_FALSE(IsSockaddr("unix:@" + longer.substr(1)));
    EXPECT_FALSE(IsSockaddr("unix:@" + std::string(500, 'y')));
    eio_sockaddr addr;
    EXPECT_ERR_TEXT(
        eio_sockaddr_unix(eio_slice_of_str(longer.c_str()), &addr),
        "Invalid_argument(\"The address of a Unix socket has at most 107 bytes, this has 108\")");
    EXPECT_ERR(eio_sockaddr_unix(eio_slice_of("a\0b", 3), &addr), &eio_err_invalid_argument);
    EXPECT_OK(eio_sockaddr_unix(eio_slice_of("\0\0b", 3), &addr));
}

TEST_F(AddrTest, TcpAndUdpWithTheSameNumbersAreDifferent) {
    eio_sockaddr tcp = eio_sockaddr_tcp(eio_ip_v4_any(), 5),
                 udp = eio_sockaddr_udp(eio_ip_v4_any(), 5);
    eio_sockaddr other = eio_sockaddr_tcp(eio_ip_v4_any(), 6), unix_addr = Unix("/a"),
                 abstract = Unix("");
    EXPECT_TRUE(eio_sockaddr_equal(&tcp, &tcp));
    EXPECT_FALSE(eio_sockaddr_equal(&tcp, &udp));
    EXPECT_FALSE(eio_sockaddr_equal(&tcp, &other));
    EXPECT_FALSE(eio_sockaddr_equal(&tcp, &unix_addr));
    EXPECT_TRUE(eio_sockaddr_equal(&unix_addr, &unix_addr));
    EXPECT_FALSE(eio_sockaddr_equal(&unix_addr, &abstract));
}

} // namespace
