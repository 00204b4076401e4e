// SPDX-License-Identifier: ISC

// Name servers that misbehave, and forgers that answer in a server's place. Whatever comes, a
// lookup ends, with the right addresses or with a failure; a forged answer is never taken.

#include <algorithm>
#include <atomic>
#include <random>

#include "tests/resolver/fixture.h"
#include "tests/support/faults.h"

namespace eio_resolver_test {
namespace {

class BrokenServerTest : public ResolverTest {
  protected:
    /// Where what comes is an answer.
    void Ask(DnsServer &server, const NetFn &fn) { With(server, fn); }
    /// Where it may not be: the time-outs are short.
    void AskBriefly(DnsServer &server, const NetFn &fn) {
        std::vector<eio_sockaddr> servers = {server.address()};
        eio_resolver_opts opts = Opts(servers);
        opts.timeout_ns = 50 * EIO_MILLISECOND;
        With(opts, fn);
    }
};
EIO_ON_REAL_BACKENDS(BrokenServerTest);

const char kRight[] = "192.0.2.1";

Bytes RightAnswer(const DnsQuery &query) {
    DnsMessage message(query);
    return (query.type == kTypeA ? message.A(kRight) : message).Done();
}

/// The IPv4 addresses of `host`.
std::string Ipv4(eio_net *net, const std::string &host) {
    std::string text;
    EXPECT_OK(SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_sockaddr_list list = {};
        eio_err *err =
            net->ops->getaddrinfo_family(net, sw, host.c_str(), nullptr, EIO_IP_V4, &list);
        text = err != nullptr ? Lines(err, list) : "";
        for (size_t i = 0; i < list.count && err == nullptr; i += 2) {
            char buf[EIO_IP_STR_MAX];
            text += (i > 0 ? " " : "") + std::string(eio_ip_str(&list.items[i].ip, buf));
        }
        return nullptr;
    }));
    return text;
}

bool IsFailure(const std::string &text) {
    return text.rfind("failed: ", 0) == 0;
}

const char kTimedOut[] = "failed: no name server answered in time";

TEST_P(BrokenServerTest, SilenceEndsWhenAllTriesHaveTimedOut) {
    DnsServer server([](const DnsQuery &) { return DnsReply::Silence(); });
    AskBriefly(server, [&](eio_net *net, eio_switch *, const eio_env *env) {
        const int64_t start = eio_mono_clock_now(env->mono_clock);
        EXPECT_EQ(Ips(net, "www.example"), kTimedOut);
        EXPECT_GE(eio_mono_clock_now(env->mono_clock) - start, 100 * EIO_MILLISECOND);
        EXPECT_EQ(NameOf(net, "192.0.2.1:80"), kTimedOut);
    });
    EXPECT_EQ(server.Count("A www.example"), 2);
    EXPECT_EQ(server.Count("AAAA www.example"), 2);
}

TEST_P(BrokenServerTest, AnAnswerCutShortAnywhereIsNeverTakenForAWholeOne) {
    std::atomic<size_t> cut{0}, whole{1};
    DnsServer server([&](const DnsQuery &query) {
        Bytes right = RightAnswer(query);
        whole = right.size();
        return DnsReply({Bytes(right.begin(), right.begin() + static_cast<long>(std::min(
                                                                  cut.load(), right.size()))),
                         right});
    });
    AskBriefly(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        for (cut = 0; cut < whole; cut++) {
            const std::string text = Ipv4(net, "www.example");
            EXPECT_TRUE(text == kRight || IsFailure(text)) << "cut after " << cut << ": " << text;
        }
        EXPECT_GT(cut, 30u);
    });
}

TEST_P(BrokenServerTest, AnswersWithAWrongIdAreIgnored) {
    DnsServer server([&](const DnsQuery &query) {
        std::vector<Bytes> packets;
        for (int delta : {1, -1, 256, 1000, 32768})
            packets.push_back(DnsMessage(query).A("6.6.6.6").Id(delta).Done());
        if (query.name != "unanswered.example")
            packets.push_back(RightAnswer(query));
        return DnsReply(packets);
    });
    Ask(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ipv4(net, "www.example"), kRight);
    });
    AskBriefly(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ipv4(net, "unanswered.example"), kTimedOut);
    });
}

TEST_P(BrokenServerTest, AnswersToAnotherQuestionAreIgnored) {
    DnsServer server([&](const DnsQuery &query) {
        DnsQuery name = query, type = query;
        name.bytes[13] = static_cast<uint8_t>(name.bytes[13] ^ 1);
        type.bytes[type.question_end - 3] = kTypeAaaa;
        std::vector<Bytes> packets = {DnsMessage(name).A("6.6.6.6").Done(),
                                      DnsMessage(type).A("6.6.6.6").Done()};
        if (query.name != "unanswered.example")
            packets.push_back(RightAnswer(query));
        return DnsReply(packets);
    });
    Ask(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ipv4(net, "www.example"), kRight);
    });
    AskBriefly(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ipv4(net, "unanswered.example"), kTimedOut);
    });
}

TEST_P(BrokenServerTest, AnAnswerToNoQuestionIsNeverTaken) {
    DnsServer server([](const DnsQuery &query) {
        Bytes bytes = DnsMessage(query).A("6.6.6.6").Done();
        bytes[5] = 0; // the count of questions
        return DnsReply({bytes, RightAnswer(query)});
    });
    AskBriefly(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        const std::string text = Ipv4(net, "www.example");
        EXPECT_TRUE(text == kRight || IsFailure(text)) << text;
    });
}

TEST_P(BrokenServerTest, RecordsOfOtherNamesAreNotTaken) {
    DnsServer server([](const DnsQuery &query) {
        DnsMessage message(query);
        // An alias leads elsewhere; the address that follows is of the name that was asked.
        Bytes bytes = message.Cname("elsewhere.example").A(kRight).Done();
        return DnsReply({bytes});
    });
    Ask(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ipv4(net, "www.example"), kRight);
    });
}

TEST_P(BrokenServerTest, CompressionThatLeadsNowhereEnds) {
    std::atomic<int> kind{0};
    DnsServer server([&](const DnsQuery &query) {
        Bytes bytes = DnsMessage(query).A(kRight).Done();
        const size_t owner = query.question_end;
        const size_t targets[] = {owner,        owner + 2,        0x3fff,
                                  bytes.size(), bytes.size() - 1, owner + 12};
        const size_t target = targets[kind];
        bytes[owner] = static_cast<uint8_t>(0xc0 | target >> 8);
        bytes[owner + 1] = static_cast<uint8_t>(target);
        if (kind == 5) { // two pointers that lead to each other
            bytes[owner + 12] = static_cast<uint8_t>(0xc0 | owner >> 8);
            bytes[owner + 13] = static_cast<uint8_t>(owner);
        }
        return DnsReply({bytes});
    });
    AskBriefly(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        for (kind = 0; kind < 6; kind++) {
            const std::string text = Ipv4(net, "www.example");
            EXPECT_TRUE(text.empty() || IsFailure(text)) << kind << ": " << text;
        }
    });
}

TEST_P(BrokenServerTest, LengthsAndCountsThatLieEnd) {
    std::atomic<int> kind{0};
    DnsServer server([&](const DnsQuery &query) {
        Bytes bytes = DnsMessage(query).A(kRight).Done();
        const size_t record = query.question_end;
        switch (kind) {
        case 0: bytes[6] = bytes[7] = 0xff; break;                     // answers
        case 1: bytes[8] = bytes[9] = 0xff; break;                     // authorities
        case 2: bytes[10] = bytes[11] = 0xff; break;                   // additional records
        case 3: bytes[record + 10] = bytes[record + 11] = 0xff; break; // the data's length
        case 4: bytes[record + 11] = 3; break;
        case 5: bytes[record + 11] = 5; break;
        case 6: bytes[record + 11] = 0; break;
        case 7: bytes = DnsMessage(query).Record(kTypeA, Bytes(3, 6)).Done(); break;
        case 8: bytes = DnsMessage(query).Record(kTypeA, {192, 0, 2, 1, 6, 6}).Done(); break;
        case 9: bytes = DnsMessage(query).Record(kTypeCname, Bytes(200, 6)).Done(); break;
        case 10: bytes = DnsMessage(query).Record(kTypeCname, {}).Done(); break;
        case 11: bytes[12] = 63; break; // the question's first label
        default: break;
        }
        return DnsReply({bytes});
    });
    AskBriefly(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        for (kind = 0; kind < 12; kind++) {
            const std::string text = Ipv4(net, "www.example");
            EXPECT_TRUE(text == kRight || text.empty() || IsFailure(text)) << kind << ": " << text;
        }
    });
}

TEST_P(BrokenServerTest, AnEmptyDatagramIsNoEnd) {
    DnsServer server([](const DnsQuery &query) { return DnsReply({{}, {}, RightAnswer(query)}); });
    Ask(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ipv4(net, "www.example"), kRight);
    });
    EXPECT_EQ(server.Total(), 1) << "an empty datagram was taken for the end of the connection";
}

TEST_P(BrokenServerTest, AnAnswerThatComesAHundredTimesIsTakenOnce) {
    DnsServer server([](const DnsQuery &query) {
        return DnsReply(std::vector<Bytes>(100, RightAnswer(query)));
    });
    Ask(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        for (int i = 0; i < 20; i++)
            EXPECT_EQ(Ipv4(net, "n" + std::to_string(i) + ".example"), kRight);
    });
}

TEST_P(BrokenServerTest, ADatagramLongerThanAgreedIsAskedForOverTcp) {
    DnsServer server([](const DnsQuery &query) {
        DnsMessage message(query);
        for (int i = 0; i < 200; i++)
            message.A(kRight);
        return message;
    });
    Ask(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ipv4(net, "www.example"), kRight);
    });
}

TEST_P(BrokenServerTest, AServerWithoutEdnsIsAskedWithoutIt) {
    std::atomic<int> with{0}, without{0};
    DnsServer server([&](const DnsQuery &query) {
        (query.edns ? with : without)++;
        return query.edns ? DnsReply(DnsMessage(query).Rcode(kFormErr))
                          : DnsReply({RightAnswer(query)});
    });
    Ask(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ipv4(net, "www.example"), kRight);
    });
    EXPECT_EQ(with, 1);
    EXPECT_EQ(without, 1);
}

TEST_P(BrokenServerTest, ATcpConnectionThatIsResetHalfWayIsMadeAnew) {
    std::atomic<int> resets{0};
    DnsServer server([&](const DnsQuery &query) {
        Bytes right = RightAnswer(query);
        if (!query.tcp)
            return DnsReply(DnsMessage(query).Truncated());
        DnsReply reply({right});
        if (++resets <= 1) { // the length, and half of the answer
            reply.packets.clear();
            reply.raw = {0, static_cast<uint8_t>(right.size())};
            reply.raw.insert(reply.raw.end(), right.begin(),
                             right.begin() + static_cast<long>(right.size() / 2));
            reply.reset = true;
        }
        return reply;
    });
    std::vector<eio_sockaddr> servers = {server.address()};
    eio_resolver_opts opts = Opts(servers);
    opts.tries = 5;
    opts.timeout_ns = 300 * EIO_MILLISECOND; // c-ares 1.34.8 notices only then
    Faults calls;
    With(opts, [&](eio_net *net, eio_switch *, const eio_env *) {
        EXPECT_EQ(Ipv4(net, "www.example"), kRight);
    });
    EXPECT_GE(server.Count("A/tcp www.example"), 2);
    EXPECT_LT(calls.Count("recvfrom"), 40) << "the end of a connection is read again and again";
}

TEST_P(BrokenServerTest, ATcpConnectionThatIsAlwaysResetIsAFailure) {
    std::atomic<size_t> sent{0};
    DnsServer server([&](const DnsQuery &query) {
        Bytes right = RightAnswer(query);
        if (!query.tcp)
            return DnsReply(DnsMessage(query).Truncated());
        DnsReply reply;
        reply.raw = {0, static_cast<uint8_t>(right.size())};
        reply.raw.insert(reply.raw.end(), right.begin(), right.end() - 1);
        reply.raw.resize(std::min(sent.load(), reply.raw.size()));
        reply.reset = true;
        return reply;
    });
    AskBriefly(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        for (size_t n : {0U, 1U, 2U, 3U, 14U, 1000U}) {
            sent = n;
            const std::string text = Ipv4(net, "www.example");
            EXPECT_TRUE(IsFailure(text)) << n << ": " << text;
        }
    });
}

TEST_P(BrokenServerTest, LengthsOverTcpThatLieEnd) {
    std::atomic<int> kind{0};
    DnsServer server([&](const DnsQuery &query) {
        Bytes right = RightAnswer(query);
        if (!query.tcp)
            return DnsReply(DnsMessage(query).Truncated());
        DnsReply reply;
        switch (kind) {
        case 0: reply.raw = {0, 0}; break;
        case 1: reply.raw = {0, 5, 1, 2, 3, 4, 5}; break;
        case 2: reply.raw = {0xff, 0xff, 1, 2, 3}; break;
        case 3: reply.raw = {0}; break;
        case 4: reply.raw = Bytes(70000, 0xc0); break;
        default: reply.packets = {Bytes(12, 0), right}; break;
        }
        return reply;
    });
    AskBriefly(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        for (kind = 0; kind < 6; kind++) {
            const std::string text = Ipv4(net, "www.example");
            EXPECT_TRUE(text == kRight || IsFailure(text)) << kind << ": " << text;
        }
    });
}

TEST_P(BrokenServerTest, NamesOfAddressesThatMakeNoSenseAreNumbers) {
    std::atomic<int> kind{0};
    const std::vector<Bytes> data = {{},
                                     {0},
                                     {0xc0},
                                     {0xc0, 0xff},
                                     {3, 'a', '\n', 'b', 0},
                                     {5, 'a', 'b'},
                                     Bytes(255, 63),
                                     {1, 0, 0},
                                     {4, '<', 'x', '/', '>', 0}};
    DnsServer server([&](const DnsQuery &query) {
        return DnsReply(DnsMessage(query).Record(kTypePtr, data[static_cast<size_t>(kind.load())]));
    });
    AskBriefly(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        for (kind = 0; static_cast<size_t>(kind) < data.size(); kind++) {
            const std::string text = NameOf(net, "192.0.2.1:80");
            EXPECT_TRUE(text == "192.0.2.1 http" || text == kTimedOut) << kind << ": " << text;
        }
    });
}

TEST_P(BrokenServerTest, NoiseEnds) {
    std::mt19937 random(20261122);
    DnsServer server([&](const DnsQuery &query) { // its thread is the only one to use `random`
        DnsMessage message(query);
        message.Cname("alias.example").A(kRight).A("192.0.2.2").Ptr("name.example");
        Bytes bytes = message.Done();
        for (int n = static_cast<int>(random() % 6); n >= 0; n--)
            bytes[2 + random() % (bytes.size() - 2)] = static_cast<uint8_t>(random());
        if (random() % 4 == 0)
            bytes.resize(random() % bytes.size());
        return DnsReply({bytes, RightAnswer(query)});
    });
    AskBriefly(server, [&](eio_net *net, eio_switch *, const eio_env *) {
        int failures = 0;
        EXPECT_OK(ForEach(600, 20, [&](size_t i) -> eio_err * {
            failures += IsFailure(Ipv4(net, "n" + std::to_string(i) + ".example"));
            failures +=
                IsFailure(NameOf(net, ("10.0.0." + std::to_string(i % 256) + ":80").c_str()));
            return nullptr;
        }));
        EXPECT_LT(failures, 1200);
    });
}

} // namespace
} // namespace eio_resolver_test
