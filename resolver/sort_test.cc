// SPDX-License-Identifier: ISC

#include <algorithm>
#include <map>

#include "resolver/testing.h"

extern "C" {
#include "resolver/sort.h"
}

namespace eio_resolver_test {
namespace {

class SortTest : public PartTest {};

/// Source addresses by destination; a destination that isn't in it can't be reached.
using Sources = std::map<std::string, std::string>;

bool SourceOf(void *arg, const eio_ip *dst, eio_ip *out) {
    const auto *sources = static_cast<const Sources *>(arg);
    const auto it = sources->find(Text(*dst));
    if (it == sources->end())
        return false;
    *out = Ip(it->second.c_str());
    return true;
}

Strings Sorted(const Strings &ips, Sources sources) {
    std::vector<eio_ip> list;
    for (const auto &ip : ips)
        list.push_back(Ip(ip.c_str()));
    eioi_sort_ips_by(list.data(), list.size(), SourceOf, &sources);
    Strings out;
    for (const auto &ip : list)
        out.push_back(Text(ip));
    return out;
}

// The examples of RFC 6724, section 10.2, each with both orders of arrival.
TEST_F(SortTest, TheExamplesOfTheRfcComeOutAsItSays) {
    const struct {
        const char *why;
        Sources sources;
        Strings expected;
    } cases[] = {
        {"prefer matching scope",
         {{"2001:db8:1::1", "2001:db8:1::2"}, {"198.51.100.121", "169.254.13.78"}},
         {"2001:db8:1::1", "198.51.100.121"}},
        {"prefer matching scope, IPv4",
         {{"198.51.100.121", "198.51.100.117"}, {"2001:db8:1::1", "fe80::1"}},
         {"198.51.100.121", "2001:db8:1::1"}},
        {"prefer higher precedence",
         {{"2001:db8:1::1", "2001:db8:1::2"}, {"10.1.2.3", "10.1.2.4"}},
         {"2001:db8:1::1", "10.1.2.3"}},
        {"prefer smaller scope",
         {{"fe80::1", "fe80::2"}, {"2001:db8:1::1", "2001:db8:1::2"}},
         {"fe80::1", "2001:db8:1::1"}},
        {"prefer matching label",
         {{"2002:c633:6401::1", "2002:c633:6401::2"}, {"2001:db8:1::1", "2002:c633:6401::2"}},
         {"2002:c633:6401::1", "2001:db8:1::1"}},
        {"prefer higher precedence",
         {{"2001:db8:1::1", "2001:db8:1::2"}, {"2002:c633:6401::1", "2002:c633:6401::2"}},
         {"2001:db8:1::1", "2002:c633:6401::1"}},
    };
    for (const auto &it : cases) {
        Strings reversed(it.expected.rbegin(), it.expected.rend());
        EXPECT_EQ(Sorted(it.expected, it.sources), it.expected) << it.why;
        EXPECT_EQ(Sorted(reversed, it.sources), it.expected) << it.why;
    }
}

TEST_F(SortTest, UnreachableOnesComeLast) {
    EXPECT_EQ(Sorted({"2001:db8::1", "10.0.0.1"}, {{"10.0.0.1", "10.0.0.2"}}),
              (Strings{"10.0.0.1", "2001:db8::1"}));
    EXPECT_EQ(Sorted({"10.0.0.1", "2001:db8::1"}, {}), (Strings{"2001:db8::1", "10.0.0.1"}));
}

TEST_F(SortTest, LoopbackV6ComesBeforeV4) {
    EXPECT_EQ(Sorted({"127.0.0.1", "::1"}, {{"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}}),
              (Strings{"::1", "127.0.0.1"}));
    EXPECT_EQ(Sorted({"::1", "127.0.0.1"}, {{"127.0.0.1", "127.0.0.1"}}),
              (Strings{"127.0.0.1", "::1"}));
}

TEST_F(SortTest, UniqueLocalAddressesFollowGlobalIPv4) {
    EXPECT_EQ(Sorted({"fd00::1", "192.0.2.1", "2001:db8::1"}, {{"fd00::1", "fd00::2"},
                                                               {"192.0.2.1", "192.0.2.2"},
                                                               {"2001:db8::1", "2001:db8::2"}}),
              (Strings{"2001:db8::1", "192.0.2.1", "fd00::1"}));
}

TEST_F(SortTest, TheLongestCommonPrefixCountsForIPv6Only) {
    EXPECT_EQ(Sorted({"2001:db8:ffff::1", "2001:db8:1::1"},
                     {{"2001:db8:ffff::1", "2001:db8:1::9"}, {"2001:db8:1::1", "2001:db8:1::9"}}),
              (Strings{"2001:db8:1::1", "2001:db8:ffff::1"}));
    // ... but not beyond the network's 64 bits
    EXPECT_EQ(Sorted({"2001:db8::1:0:0:2", "2001:db8::9"},
                     {{"2001:db8::1:0:0:2", "2001:db8::8"}, {"2001:db8::9", "2001:db8::8"}}),
              (Strings{"2001:db8::1:0:0:2", "2001:db8::9"}));
    EXPECT_EQ(Sorted({"203.0.113.1", "192.0.2.1"},
                     {{"203.0.113.1", "192.0.2.9"}, {"192.0.2.1", "192.0.2.9"}}),
              (Strings{"203.0.113.1", "192.0.2.1"}));
}

TEST_F(SortTest, EqualsKeepTheirOrder) {
    Strings ips;
    Sources sources;
    for (int i = 0; i < 300; i++) {
        ips.push_back("10.0." + std::to_string(i % 7) + "." + std::to_string(i % 251));
        sources[ips.back()] = "10.9.9.9";
    }
    EXPECT_EQ(Sorted(ips, sources), ips);
}

TEST_F(SortTest, AnyNumberIsSorted) {
    for (int n = 0; n <= 40; n++) {
        Strings ips, v6, v4;
        Sources sources;
        for (int i = 0; i < n; i++) {
            const bool is_v6 = i * 7 % 3 == 0;
            ips.push_back((is_v6 ? "2001:db8::" : "10.0.0.") + std::to_string(i + 1));
            ips.back() = Text(Ip(ips.back().c_str()));
            sources[ips.back()] = is_v6 ? "2001:db8::ffff" : "10.0.0.254";
            (is_v6 ? v6 : v4).push_back(ips.back());
        }
        v6.insert(v6.end(), v4.begin(), v4.end());
        EXPECT_EQ(Sorted(ips, sources), v6) << n;
    }
}

TEST_F(SortTest, WithoutMemoryTheOrderStays) {
    FailNth fail("alloc", 1, ENOMEM);
    EXPECT_EQ(Sorted({"10.0.0.1", "2001:db8::1"}, {}), (Strings{"10.0.0.1", "2001:db8::1"}));
    EXPECT_TRUE(fail.failed());
}

Strings SystemSorted(const Strings &ips) {
    std::vector<eio_ip> list;
    for (const auto &ip : ips)
        list.push_back(Ip(ip.c_str()));
    eioi_sort_ips(list.data(), list.size());
    Strings out;
    for (const auto &ip : list)
        out.push_back(Text(ip));
    return out;
}

TEST_F(SortTest, TheSystemsSourcesAreAskedForEachAddressAnew) {
    // 127.0.0.x is reached from 127.0.0.1 whatever was asked before; a broadcast address isn't
    // reached by a plain socket at all.
    EXPECT_EQ(SystemSorted({"255.255.255.255", "127.0.0.1", "127.0.0.2"}),
              (Strings{"127.0.0.1", "127.0.0.2", "255.255.255.255"}));
}

TEST_F(SortTest, EveryCallToTheSystemMayFail) {
    for (const char *call : {"socket", "connect", "getsockname"}) {
        for (int nth = 1; nth <= 4; nth++) {
            FailNth fail(call, nth, EMFILE);
            Strings sorted = SystemSorted({"127.0.0.1", "127.0.0.2", "127.0.0.3"});
            std::sort(sorted.begin(), sorted.end());
            EXPECT_EQ(sorted, (Strings{"127.0.0.1", "127.0.0.2", "127.0.0.3"})) << call << nth;
        }
    }
}

} // namespace
} // namespace eio_resolver_test
