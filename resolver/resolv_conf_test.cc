// SPDX-License-Identifier: ISC

#include "resolver/testing.h"

extern "C" {
#include "fiber/base/list.h"
#include "resolver/resolv_conf.h"
}

namespace eio_resolver_test {
namespace {

class ResolvConfTest : public PartTest {};

/// What was understood, in one line.
std::string Conf(const std::string &text) {
    Parsed parsed(eioi_resolv_conf_parse, text);
    const auto *conf = EIOI_CONTAINER_OF(parsed.get(), eioi_resolv_conf, snapshot);
    std::string out;
    for (unsigned i = 0; i < conf->server_count; i++)
        out += Text(conf->servers[i]) + " ";
    out += conf->has_search ? "search" : "";
    for (unsigned i = 0; i < conf->search_count; i++)
        out += std::string(" ") + conf->search[i];
    out += " ndots:" + std::to_string(conf->ndots) + " timeout:" + std::to_string(conf->timeout_s) +
           " attempts:" + std::to_string(conf->tries);
    out += conf->rotate ? " rotate" : "";
    out += conf->use_tcp ? " use-vc" : "";
    return out;
}

TEST_F(ResolvConfTest, TheDefaultsAreTheCLibrarys) {
    EXPECT_EQ(Conf(""), " ndots:1 timeout:5 attempts:2");
    EXPECT_EQ(Conf("# nothing\n; here\n"), " ndots:1 timeout:5 attempts:2");
}

TEST_F(ResolvConfTest, ReadsServersSearchAndOptions) {
    EXPECT_EQ(
        Conf("nameserver 10.0.0.1\n"
             "nameserver ::1 # two\n"
             "search example.com example.net\n"
             "options ndots:2 timeout:3 attempts:4 rotate use-vc edns0\n"),
        "10.0.0.1 ::1 search example.com example.net ndots:2 timeout:3 attempts:4 rotate use-vc");
}

TEST_F(ResolvConfTest, AServerMayHaveAZone) {
    EXPECT_EQ(Conf("nameserver fe80::1%1\n").substr(0, 8), "fe80::1%");
}

TEST_F(ResolvConfTest, TheLastOfSearchAndDomainWins) {
    EXPECT_EQ(Conf("search a b\ndomain c d\n"), "search c ndots:1 timeout:5 attempts:2");
    EXPECT_EQ(Conf("domain c\nsearch a b\n"), "search a b ndots:1 timeout:5 attempts:2");
    EXPECT_EQ(Conf("domain c\nsearch .\n"), "search ndots:1 timeout:5 attempts:2");
    EXPECT_EQ(Conf("search a. b..\n"), "search a b ndots:1 timeout:5 attempts:2");
}

TEST_F(ResolvConfTest, NumbersAreCutToTheirLimits) {
    EXPECT_EQ(Conf("options ndots:99 timeout:99 attempts:99\n"), " ndots:15 timeout:30 attempts:5");
    EXPECT_EQ(Conf("options ndots:0 timeout:0 attempts:0\n"), " ndots:0 timeout:1 attempts:1");
    EXPECT_EQ(Conf("options ndots: timeout:x attempts:-1 ndots\n"),
              " ndots:1 timeout:5 attempts:2");
}

TEST_F(ResolvConfTest, WhatIsntUnderstoodIsSkipped) {
    EXPECT_EQ(Conf("nameserver\nnameserver 1.2.3\nnameserver example.com\nnameservers 1.2.3.4\n"
                   "sortlist 130.155.160.0\nfamily inet4\n\xff\n"),
              " ndots:1 timeout:5 attempts:2");
}

TEST_F(ResolvConfTest, KeepsTheFirstOfTooMany) {
    std::string text, expected;
    for (int i = 1; i <= 20; i++) {
        text += "nameserver 10.0.0." + std::to_string(i) + "\n";
        expected += i <= EIOI_SERVERS_MAX ? "10.0.0." + std::to_string(i) + " " : "";
    }
    text += "search";
    expected += "search";
    for (int i = 1; i <= 30; i++) {
        text += " d" + std::to_string(i);
        expected += i <= EIOI_SEARCH_MAX ? " d" + std::to_string(i) : "";
    }
    EXPECT_EQ(Conf(text), expected + " ndots:1 timeout:5 attempts:2");
    EXPECT_EQ(Conf("search " + std::string(254, 'x') + " y"),
              "search y ndots:1 timeout:5 attempts:2");
}

TEST_F(ResolvConfTest, RunningOutOfMemoryIsAnError) {
    ExpectEveryAllocationMayFail(eioi_resolv_conf_parse, "search a b\ndomain c\nnameserver ::1\n");
}

} // namespace
} // namespace eio_resolver_test
