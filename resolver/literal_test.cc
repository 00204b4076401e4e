// SPDX-License-Identifier: ISC

#include <netdb.h>
#include <netinet/in.h>

#include <cstring>

#include "resolver/testing.h"

extern "C" {
#include "resolver/literal.h"
}

namespace eio_resolver_test {
namespace {

class LiteralTest : public PartTest {};

std::string Parse(const std::string &text) {
    eio_ip ip;
    switch (eioi_literal_parse(text.c_str(), &ip)) {
    case EIOI_LITERAL_NO: return "a name";
    case EIOI_LITERAL_BAD: return "bad";
    case EIOI_LITERAL_YES: break;
    }
    eio_ip plain = ip;
    plain.scope_id = 0; // printed by ourselves: the zone's name would depend on the machine
    return Text(plain) + (ip.scope_id != 0 ? "%" + std::to_string(ip.scope_id) : "");
}

std::string ParseWithLibc(const std::string &text) {
    addrinfo hints = {}, *res = nullptr;
    hints.ai_flags = AI_NUMERICHOST;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(text.c_str(), nullptr, &hints, &res) != 0)
        return strpbrk(text.c_str(), ":%") == nullptr ? "a name" : "bad";
    eio_ip ip = {};
    unsigned scope = 0;
    if (res->ai_family == AF_INET) {
        sockaddr_in v4;
        memcpy(&v4, res->ai_addr, sizeof v4);
        ip.len = 4;
        memcpy(ip.bytes, &v4.sin_addr, 4);
    } else {
        sockaddr_in6 v6;
        memcpy(&v6, res->ai_addr, sizeof v6);
        ip.len = 16;
        memcpy(ip.bytes, &v6.sin6_addr, 16);
        scope = v6.sin6_scope_id;
    }
    freeaddrinfo(res);
    return Text(ip) + (scope != 0 ? "%" + std::to_string(scope) : "");
}

const char *const kTexts[] = {
    // four, three, two parts, one
    "127.0.0.1",
    "1.2.3.4",
    "0.0.0.0",
    "255.255.255.255",
    "127.1",
    "127.0.1",
    "127.65536",
    "1.2.65535",
    "1.16777215",
    "2130706433",
    "4294967295",
    "0",
    "1",
    // bases
    "0x7f.1",
    "0x7f000001",
    "0X7F.0.0.1",
    "0177.0.0.01",
    "017700000001",
    "1.0x2.03.4",
    "0xffffffff",
    "00",
    "0x0",
    "1.2.3.0xFf",
    // not quite
    "256.1.1.1",
    "1.256.1.1",
    "1.2.3.256",
    "1.2.65536",
    "1.16777216",
    "4294967296",
    "1.2.3.4.5",
    "1.2.3.4.",
    "1.2.3.",
    ".1.2.3",
    "1..2",
    "",
    " ",
    " 1.2.3.4",
    "1.2.3.4 ",
    "1.2.3.4x",
    "08",
    "09.1",
    "0x",
    "0x.1",
    "0xg",
    "1.2.3.-4",
    "+1.2.3.4",
    "-1",
    "1e3",
    "1.2.3.4/8",
    "0b1",
    "1,2",
    "99999999999999999999",
    "0x100000000",
    "040000000000",
    "a",
    "localhost",
    "x.1",
    "1.x",
    // IPv6
    "::",
    "::1",
    "1::",
    "fe80::1",
    "2001:db8::1",
    "1:2:3:4:5:6:7:8",
    "::ffff:1.2.3.4",
    "::1.2.3.4",
    "64:ff9b::1.2.3.4",
    "ABCD::ef01",
    "1:2:3:4:5:6:1.2.3.4",
    // not quite
    ":",
    ":::",
    "1:2",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "::g",
    "::1 ",
    " ::1",
    "[::1]",
    "::127.1",
    "::1.2.3",
    "1::2::3",
    "::1/64",
    "::ffff:1.2.3.256",
    "00001::",
    // zones
    "fe80::1%lo",
    "fe80::1%1",
    "fe80::1%0",
    "fe80::1%4294967295",
    "fe80::1%4294967296",
    "fe80::1%",
    "fe80::1%nosuchinterface",
    "fe80::1%abcdefghijklmnopq",
    "::1%1",
    "::1%lo",
    "2001:db8::1%7",
    "ff02::1%lo",
    "ff01::1%lo",
    "ff05::1%lo",
    "ff05::1%3",
    "1.2.3.4%lo",
    "1.2.3.4%1",
    "fe80::1%1%1",
    "fe80::1%-1",
    "fe80::1% 1",
    "fe80::1%1x",
    "%lo",
    "a%lo",
};

TEST_F(LiteralTest, IsWhatTheCLibraryTakes) {
    for (const char *text : kTexts)
        EXPECT_EQ(Parse(text), ParseWithLibc(text)) << '"' << text << '"';
}

TEST_F(LiteralTest, ReadsEachForm) {
    EXPECT_EQ(Parse("127.1"), "127.0.0.1");
    EXPECT_EQ(Parse("1.2.65535"), "1.2.255.255");
    EXPECT_EQ(Parse("0x7f000001"), "127.0.0.1");
    EXPECT_EQ(Parse("010.0.0.1"), "8.0.0.1");
    EXPECT_EQ(Parse("::ffff:1.2.3.4"), "::ffff:1.2.3.4");
    EXPECT_EQ(Parse("fe80::1%7"), "fe80::1%7");
    EXPECT_EQ(Parse("localhost"), "a name");
    EXPECT_EQ(Parse("1.2.3.4.5"), "a name");
    EXPECT_EQ(Parse("::g"), "bad");
    EXPECT_EQ(Parse("fe80::1%nosuchinterface"), "bad");
    EXPECT_EQ(Parse(std::string(5000, ':')), "bad");
    EXPECT_EQ(Parse(std::string(5000, '1')), "a name");
}

std::string ParseStrict(const std::string &text) {
    eio_ip ip;
    return eioi_literal_parse_strict(text.data(), text.size(), &ip) ? Text(ip) : "no";
}

TEST_F(LiteralTest, FilesHaveTheStrictForm) {
    EXPECT_EQ(ParseStrict("127.0.0.1"), "127.0.0.1");
    EXPECT_EQ(ParseStrict("::1"), "::1");
    EXPECT_EQ(ParseStrict("127.1"), "no");
    EXPECT_EQ(ParseStrict("0x7f.0.0.1"), "no");
    EXPECT_EQ(ParseStrict("127.0.0.1x"), "no");
    EXPECT_EQ(ParseStrict("127.0.0.256"), "no");
    EXPECT_EQ(ParseStrict("example"), "no");
    EXPECT_EQ(ParseStrict(""), "no");
    EXPECT_EQ(ParseStrict("::1%"), "no");
    EXPECT_EQ(ParseStrict(std::string(200, '1')), "no");
    EXPECT_EQ(ParseStrict(std::string("1.2.3.4\0.5", 10)), "no");
    EXPECT_EQ(ParseStrict(std::string("::1\0", 4)), "no");
}

TEST_F(LiteralTest, AZoneThatCantBeLookedUpIsBad) {
    for (const char *call : {"socket", "ioctl"}) {
        FailNth fail(call, 1, EMFILE);
        EXPECT_EQ(Parse("fe80::1%lo"), "bad") << call;
        EXPECT_TRUE(fail.failed());
    }
}

} // namespace
} // namespace eio_resolver_test
