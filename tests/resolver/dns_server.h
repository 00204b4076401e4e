// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_RESOLVER_DNS_SERVER_H
#define EIO_TESTS_RESOLVER_DNS_SERVER_H

// A name server on loopback that says what a test wants it to say, however wrong. It runs in a
// thread of its own, on UDP and TCP with one port.
//
//     DnsServer server([](const DnsQuery &query) {
//         return query.type == kTypeA ? DnsReply(DnsMessage(query).A("192.0.2.1"))
//                                     : DnsReply::Silence();
//     });

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "eio/addr.h"

namespace eio_resolver_test {

using Bytes = std::vector<uint8_t>;

enum : uint16_t { kTypeA = 1, kTypeCname = 5, kTypePtr = 12, kTypeAaaa = 28, kTypeOpt = 41 };
enum { kFormErr = 1, kServFail = 2, kNxDomain = 3, kNotImp = 4, kRefused = 5 };

/// What came.
struct DnsQuery {
    Bytes bytes;
    std::string name; ///< "www.example"
    uint16_t type = 0;
    size_t question_end = 0; ///< where the first question ends in `bytes`
    bool tcp = false;
    bool edns = false; ///< it has an OPT record
    int number = 0;    ///< 1 is the first that this server got
};

/// Builds an answer.
class DnsMessage {
  public:
    explicit DnsMessage(const DnsQuery &query);
    DnsMessage &A(const std::string &ip);
    DnsMessage &Aaaa(const std::string &ip);
    /// An alias of the name so far; what follows is of `target`.
    DnsMessage &Cname(const std::string &target);
    DnsMessage &Ptr(const std::string &name);
    /// A record of the name so far.
    DnsMessage &Record(uint16_t type, const Bytes &data);
    DnsMessage &Rcode(int rcode);
    DnsMessage &Truncated();
    DnsMessage &Id(int delta);
    Bytes Done() const { return bytes_; }

  private:
    Bytes bytes_;
    Bytes owner_; // the name that records are of, encoded
};

/// A name in wire format.
Bytes EncodeName(const std::string &name);

/// What to do about a query.
struct DnsReply {
    std::vector<Bytes> packets; ///< sent one after the other; over TCP each behind its length
    Bytes raw;                  ///< TCP: sent as it is
    bool hold = false;          ///< not before `DnsServer::Release`
    bool reset = false;         ///< TCP: the connection is reset after that

    DnsReply() = default;
    DnsReply(const DnsMessage &message) : packets{message.Done()} {}
    DnsReply(std::vector<Bytes> all) : packets(std::move(all)) {}
    static DnsReply Silence() { return DnsReply(); }
    DnsReply Held() && {
        hold = true;
        return std::move(*this);
    }
};

class DnsServer {
  public:
    using Handler = std::function<DnsReply(const DnsQuery &)>;
    /// `handler` is called in the server's thread. Port 0: any free one.
    explicit DnsServer(Handler handler, uint16_t port = 0, const eio_ip &ip = eio_ip_v4_loopback());
    ~DnsServer();
    DnsServer(const DnsServer &) = delete;
    DnsServer &operator=(const DnsServer &) = delete;

    eio_sockaddr address() const;
    /// What was asked so far: "A www.example", over TCP "A/tcp www.example".
    std::vector<std::string> Seen();
    /// How many of these are `what`.
    int Count(const std::string &what);
    int Total() { return static_cast<int>(Seen().size()); }
    /// Sends what was held; from any thread.
    void Release();

  private:
    struct Connection {
        int fd;
        Bytes in;
    };
    struct Pending {
        DnsReply reply;
        int fd;
        Bytes to; // the sender's address; empty for TCP
    };
    void Run();
    void Accept();
    void ReadUdp();
    bool ReadTcp(Connection *connection); // false: it's over
    DnsReply Handle(const Bytes &bytes, bool tcp);
    bool Send(const Pending &pending); // false: reset
    void Drop(int fd);

    Handler handler_;
    int udp_ = -1, tcp_ = -1;
    int wake_[2] = {-1, -1};
    eio_ip ip_;
    uint16_t port_ = 0;
    int number_ = 0;
    std::vector<Connection> connections_;
    std::vector<Pending> held_;
    std::mutex mutex_; // guards the rest
    std::vector<std::string> seen_;
    bool stop_ = false, release_ = false;
    std::thread thread_;
};

/// A free port on loopback, for UDP and TCP alike, at this moment.
uint16_t FreePort();

} // namespace eio_resolver_test

#endif
