// SPDX-License-Identifier: ISC

#include "resolver/testing.h"

extern "C" {
#include "resolver/services.h"
}

namespace eio_resolver_test {
namespace {

class ServicesTest : public PartTest {};

const char kServices[] = "# name port/protocol aliases # comment\n"
                         "http\t\t80/tcp\t\twww\t# WorldWideWeb HTTP\n"
                         "https 443/tcp\n"
                         "https 443/udp # HTTP/3\n"
                         "tftp 69/udp\n"
                         "exec 512/tcp\n"
                         "biff 512/udp comsat\n"
                         "domain 53/tcp nameserver dns\n"
                         "domain 53/udp nameserver\n"
                         "second 80/tcp\n"
                         "http 8080/tcp\n"
                         "sctp-thing 9/sctp\n"
                         "bad port/tcp\n"
                         "bad 70000/tcp\n"
                         "bad 0/tcp\n"
                         "bad /tcp\n"
                         "bad 12\n"
                         "bad 12/\n"
                         "bad 12/TCP\n"
                         "bad\n"
                         "max 65535/udp last";

/// "TCP/UDP", each the port or "-".
std::string Ports(const Parsed &services, const char *name) {
    std::string text;
    for (bool udp : {false, true}) {
        uint16_t port = 0;
        const bool found = eioi_services_port(services.get(), name, udp, &port);
        text += (udp ? "/" : "") + (found ? std::to_string(port) : "-");
    }
    return text;
}

std::string Name(const Parsed &services, uint16_t port, bool udp) {
    const char *name = eioi_services_name(services.get(), port, udp);
    return name == nullptr ? "(none)" : name;
}

TEST_F(ServicesTest, PortsArePerProtocol) {
    Parsed services(eioi_services_parse, kServices);
    EXPECT_EQ(Ports(services, "http"), "80/-");
    EXPECT_EQ(Ports(services, "https"), "443/443");
    EXPECT_EQ(Ports(services, "tftp"), "-/69");
    EXPECT_EQ(Ports(services, "domain"), "53/53");
    EXPECT_EQ(Ports(services, "missing"), "-/-");
    EXPECT_EQ(Ports(services, ""), "-/-");
}

TEST_F(ServicesTest, AliasesAreNamesToo) {
    Parsed services(eioi_services_parse, kServices);
    EXPECT_EQ(Ports(services, "www"), "80/-");
    EXPECT_EQ(Ports(services, "nameserver"), "53/53");
    EXPECT_EQ(Ports(services, "dns"), "53/-");
    EXPECT_EQ(Ports(services, "last"), "-/65535");
    EXPECT_EQ(Ports(services, "WorldWideWeb"), "-/-"); // in a comment
}

TEST_F(ServicesTest, CaseMatters) {
    Parsed services(eioi_services_parse, kServices);
    EXPECT_EQ(Ports(services, "HTTP"), "-/-");
}

TEST_F(ServicesTest, LinesThatMakeNoSenseAreSkipped) {
    Parsed services(eioi_services_parse, kServices);
    EXPECT_EQ(Ports(services, "bad"), "-/-");
    EXPECT_EQ(Ports(services, "sctp-thing"), "-/-");
    Parsed empty(eioi_services_parse, "");
    EXPECT_EQ(Ports(empty, "http"), "-/-");
    Parsed nul(eioi_services_parse, std::string("a\0b 7/tcp c\nd 8/tcp\n", 20));
    EXPECT_EQ(Ports(nul, "a"), "-/-");
    EXPECT_EQ(Ports(nul, "c"), "7/-");
    EXPECT_EQ(Ports(nul, "d"), "8/-");
}

TEST_F(ServicesTest, APortIsCalledByTheFirstLineOfItsProtocol) {
    Parsed services(eioi_services_parse, kServices);
    EXPECT_EQ(Name(services, 80, false), "http");
    EXPECT_EQ(Name(services, 80, true), "(none)");
    EXPECT_EQ(Name(services, 512, false), "exec");
    EXPECT_EQ(Name(services, 512, true), "biff");
    EXPECT_EQ(Name(services, 8080, false), "http");
    EXPECT_EQ(Name(services, 65535, true), "max");
    EXPECT_EQ(Name(services, 1, false), "(none)");
}

TEST_F(ServicesTest, RunningOutOfMemoryIsAnError) {
    ExpectEveryAllocationMayFail(eioi_services_parse, kServices);
}

} // namespace
} // namespace eio_resolver_test
