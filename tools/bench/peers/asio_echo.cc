// SPDX-License-Identifier: ISC
// asio_echo ADDRESS callbacks|fibers: an echo server on Boost.Asio, in one thread; by callbacks, or
// by stackful coroutines (boost::asio::spawn). ADDRESS is tcp:PORT, udp:PORT or unix:PATH.

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio.hpp>
#include <boost/asio/spawn.hpp>

namespace asio = boost::asio;
using Error = boost::system::error_code;

namespace {

constexpr std::size_t kBuffer = 16384;
constexpr std::size_t kDatagram = 65536;
constexpr int kBacklog = 4096;

void SetNoDelay(asio::ip::tcp::socket &socket) {
    Error ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
}
void SetNoDelay(asio::local::stream_protocol::socket &) {}

template <typename Protocol>
class Session : public std::enable_shared_from_this<Session<Protocol>> {
  public:
    explicit Session(typename Protocol::socket socket) : socket_(std::move(socket)) {}

    void Read() {
        auto self = this->shared_from_this();
        socket_.async_read_some(asio::buffer(bytes_), [self](Error error, std::size_t got) {
            if (!error)
                self->Write(got);
        });
    }

  private:
    void Write(std::size_t len) {
        auto self = this->shared_from_this();
        asio::async_write(socket_, asio::buffer(bytes_, len), [self](Error error, std::size_t) {
            if (!error)
                self->Read();
        });
    }

    typename Protocol::socket socket_;
    std::array<char, kBuffer> bytes_;
};

template <typename Protocol> void Accept(typename Protocol::acceptor &acceptor) {
    acceptor.async_accept([&acceptor](Error error, typename Protocol::socket socket) {
        if (!error) {
            SetNoDelay(socket);
            std::make_shared<Session<Protocol>>(std::move(socket))->Read();
        }
        Accept<Protocol>(acceptor);
    });
}

template <typename Socket> void Echo(Socket socket, asio::yield_context yield) {
    auto bytes = std::make_unique<std::array<char, kBuffer>>();
    for (;;) {
        Error error;
        std::size_t got = socket.async_read_some(asio::buffer(*bytes), yield[error]);
        if (error)
            return;
        asio::async_write(socket, asio::buffer(*bytes, got), yield[error]);
        if (error)
            return;
    }
}

template <typename Protocol>
void Serve(asio::io_context &io, typename Protocol::acceptor &acceptor, asio::yield_context yield) {
    for (;;) {
        Error error;
        typename Protocol::socket socket(io);
        acceptor.async_accept(socket, yield[error]);
        if (error)
            continue;
        SetNoDelay(socket);
        asio::spawn(
            io,
            [socket = std::move(socket)](asio::yield_context inner) mutable {
                Echo(std::move(socket), inner);
            },
            asio::detached);
    }
}

template <typename Protocol>
int Run(const typename Protocol::endpoint &endpoint, bool reuse, bool fibers) {
    asio::io_context io(1);
    typename Protocol::acceptor acceptor(io);
    acceptor.open(endpoint.protocol());
    if (reuse)
        acceptor.set_option(asio::socket_base::reuse_address(true));
    acceptor.bind(endpoint);
    acceptor.listen(kBacklog);
    if (fibers)
        asio::spawn(
            io, [&](asio::yield_context yield) { Serve<Protocol>(io, acceptor, yield); },
            asio::detached);
    else
        Accept<Protocol>(acceptor);
    io.run();
    return 0;
}

/// Receives datagrams and sends each back, one after the other.
class Datagrams {
  public:
    explicit Datagrams(asio::ip::udp::socket &socket) : socket_(socket) {}

    void Receive() {
        socket_.async_receive_from(
            asio::buffer(bytes_), from_,
            [this](Error error, std::size_t got) { error ? Receive() : Send(got); });
    }

    void Loop(asio::yield_context yield) {
        for (;;) {
            Error error;
            std::size_t got = socket_.async_receive_from(asio::buffer(bytes_), from_, yield[error]);
            if (!error)
                socket_.async_send_to(asio::buffer(bytes_, got), from_, yield[error]);
        }
    }

  private:
    void Send(std::size_t len) {
        socket_.async_send_to(asio::buffer(bytes_, len), from_,
                              [this](Error, std::size_t) { Receive(); });
    }

    asio::ip::udp::socket &socket_;
    asio::ip::udp::endpoint from_;
    std::array<char, kDatagram> bytes_;
};

int RunDatagrams(const asio::ip::udp::endpoint &endpoint, bool fibers) {
    asio::io_context io(1);
    asio::ip::udp::socket socket(io, endpoint);
    auto server = std::make_unique<Datagrams>(socket);
    if (fibers)
        asio::spawn(
            io, [&](asio::yield_context yield) { server->Loop(yield); }, asio::detached);
    else
        server->Receive();
    io.run();
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    const bool fibers = std::strcmp(argv[2], "fibers") == 0;
    const std::string address = argv[1];
    if (address.rfind("unix:", 0) == 0)
        return Run<asio::local::stream_protocol>(
            asio::local::stream_protocol::endpoint(address.substr(5)), false, fibers);
    const auto port = static_cast<unsigned short>(std::atoi(address.c_str() + 4));
    if (address.rfind("udp:", 0) == 0)
        return RunDatagrams(asio::ip::udp::endpoint(asio::ip::address_v4::loopback(), port),
                            fibers);
    return Run<asio::ip::tcp>(asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), port), true,
                              fibers);
}
