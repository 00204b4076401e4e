// SPDX-License-Identifier: ISC

#include "resolver/testing.h"

extern "C" {
#include "resolver/hosts.h"
}

namespace eio_resolver_test {
namespace {

class HostsTest : public PartTest {};

Strings Find(const Parsed &hosts, const char *name) {
    eioi_ip_list list = {};
    EXPECT_EQ(eioi_hosts_find(hosts.get(), name, &list), nullptr);
    return Take(&list);
}

std::string NameOf(const Parsed &hosts, const char *ip) {
    const eio_ip addr = Ip(ip);
    const char *name = eioi_hosts_name_of(hosts.get(), &addr);
    return name == nullptr ? "(none)" : name;
}

const char kHosts[] = "# the usual\n"
                      "127.0.0.1\tlocalhost\n"
                      "::1       localhost ip6-localhost\n"
                      "\n"
                      "10.0.0.1 server.example server # and its short name\n"
                      "10.0.0.2 Other.Example other\n"
                      "  10.0.0.3   server.example   third\r\n"
                      "10.0.0.1 again\n"
                      "10.0.0.1 server.example\n"
                      "10.0.0 short-address\n"
                      "nonsense name\n"
                      "10.0.0.5\n"
                      "fe80::1%1 zoned\n"
                      "10.0.0.6 rooted.example.\n"
                      "10.0.0.7 last";

TEST_F(HostsTest, GivesEachAddressOfANameOnceInTheOrderOfTheFile) {
    Parsed hosts(eioi_hosts_parse, kHosts);
    EXPECT_EQ(Find(hosts, "localhost"), (Strings{"127.0.0.1", "::1"}));
    EXPECT_EQ(Find(hosts, "server.example"), (Strings{"10.0.0.1", "10.0.0.3"}));
    EXPECT_EQ(Find(hosts, "server"), (Strings{"10.0.0.1"}));
    EXPECT_EQ(Find(hosts, "third"), (Strings{"10.0.0.3"}));
    EXPECT_EQ(Find(hosts, "last"), (Strings{"10.0.0.7"}));
    EXPECT_EQ(Find(hosts, "missing"), (Strings{}));
}

TEST_F(HostsTest, CaseAndAFinalDotDontMatter) {
    Parsed hosts(eioi_hosts_parse, kHosts);
    EXPECT_EQ(Find(hosts, "oTHER.eXAMPLE"), (Strings{"10.0.0.2"}));
    EXPECT_EQ(Find(hosts, "other.example."), (Strings{"10.0.0.2"}));
    EXPECT_EQ(Find(hosts, "rooted.example"), (Strings{"10.0.0.6"}));
    EXPECT_EQ(Find(hosts, "rooted.example."), (Strings{"10.0.0.6"}));
    EXPECT_EQ(Find(hosts, "other.example.."), (Strings{}));
    EXPECT_EQ(Find(hosts, "."), (Strings{}));
    EXPECT_EQ(Find(hosts, ""), (Strings{}));
}

TEST_F(HostsTest, SkipsLinesItCantRead) {
    Parsed hosts(eioi_hosts_parse, kHosts);
    EXPECT_EQ(Find(hosts, "short-address"), (Strings{}));
    EXPECT_EQ(Find(hosts, "name"), (Strings{}));
    EXPECT_EQ(Find(hosts, "and"), (Strings{})); // in a comment
}

TEST_F(HostsTest, AnAddressIsCalledByTheFirstNameOfItsFirstLine) {
    Parsed hosts(eioi_hosts_parse, kHosts);
    EXPECT_EQ(NameOf(hosts, "127.0.0.1"), "localhost");
    EXPECT_EQ(NameOf(hosts, "::1"), "localhost");
    EXPECT_EQ(NameOf(hosts, "10.0.0.1"), "server.example");
    EXPECT_EQ(NameOf(hosts, "10.0.0.2"), "Other.Example"); // as it is written
    EXPECT_EQ(NameOf(hosts, "10.0.0.5"), "(none)");
    EXPECT_EQ(NameOf(hosts, "10.0.0.9"), "(none)");
    EXPECT_EQ(NameOf(hosts, "fe80::1%1"), "zoned");
    EXPECT_EQ(NameOf(hosts, "fe80::1"), "(none)");
}

TEST_F(HostsTest, AnythingMayStandInTheFile) {
    const std::string nul("10.0.0.1 a\0b c\n10.0.0.2 d\n", 26);
    Parsed odd(eioi_hosts_parse, nul + "10.0.0.3 " + std::string(255, 'x') + " " +
                                     std::string(256, 'y') +
                                     " \xff\xfe\n\xff\n\r\n\n#\n \t \n10.0.0.4#x\n");
    EXPECT_EQ(Find(odd, "c"), (Strings{"10.0.0.1"}));
    EXPECT_EQ(Find(odd, "a"), (Strings{}));
    EXPECT_EQ(Find(odd, "d"), (Strings{"10.0.0.2"}));
    EXPECT_EQ(Find(odd, std::string(255, 'x').c_str()), (Strings{"10.0.0.3"}));
    EXPECT_EQ(Find(odd, std::string(256, 'y').c_str()), (Strings{}));
    EXPECT_EQ(Find(odd, "\xff\xfe"), (Strings{"10.0.0.3"}));
    EXPECT_EQ(NameOf(odd, "10.0.0.1"), "c"); // the first one that is a name

    Parsed empty(eioi_hosts_parse, "");
    EXPECT_EQ(Find(empty, "localhost"), (Strings{}));
    EXPECT_EQ(NameOf(empty, "::1"), "(none)");
}

TEST_F(HostsTest, FindsEachOfAHundredThousandLines) {
    std::string text;
    const int n = 100000;
    for (int i = 0; i < n; i++)
        text += "10." + std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) + "." +
                std::to_string(i % 256) + " host" + std::to_string(i) + ".example\n";
    Parsed hosts(eioi_hosts_parse, text);
    for (int i = 0; i < n; i += 37) {
        const std::string ip = "10." + std::to_string(i / 65536) + "." +
                               std::to_string(i / 256 % 256) + "." + std::to_string(i % 256);
        const std::string name = "host" + std::to_string(i) + ".example";
        ASSERT_EQ(Find(hosts, name.c_str()), (Strings{ip}));
        ASSERT_EQ(NameOf(hosts, ip.c_str()), name);
    }
}

TEST_F(HostsTest, RunningOutOfMemoryIsAnError) {
    ExpectEveryAllocationMayFail(eioi_hosts_parse, kHosts);
    Parsed hosts(eioi_hosts_parse, kHosts);
    FailNth fail("alloc", 1, ENOMEM);
    eioi_ip_list list = {};
    eio_err *err = eioi_hosts_find(hosts.get(), "localhost", &list);
    EXPECT_TRUE(eio_err_is(err, &eio_err_out_of_memory));
    eio_err_drop(err);
}

} // namespace
} // namespace eio_resolver_test
