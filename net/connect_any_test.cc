// SPDX-License-Identifier: ISC
#include "eio/connect_any.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "eio/mock/flow.h"
#include "eio/mock/net.h"
#include "eio/net_pi.h"
#include "net/testing.h"
#include "tests/support/mock_run.h"

using namespace eio_test;

namespace {

/// What becomes of an attempt.
enum class Fate {
    kOk,
    kRefused,
    kFailure,  // not an Io error
    kStubborn, // succeeds even if it is cancelled
    kBroken,   // fails even if it is cancelled
};

/// The address that stands for port `port`: IPv6 if that is even, else IPv4.
eio_sockaddr Addr(uint16_t port) {
    return eio_sockaddr_tcp(port % 2 == 0 ? eio_ip_v6_loopback() : eio_ip_v4_loopback(), port);
}

/// A network in which each address answers after its time, in its way, and so does each lookup. It
/// traces attempts, and what is cancelled; connections are mock flows named after their port.
class FakeNet {
  public:
    explicit FakeNet(eio_mono_clock *clock) : clock_(clock) {
        outer_.net.ops = &Together();
        outer_.self = this;
    }
    eio_net *Net() { return &outer_.net; }

    /// The next address of the one lookup, or of its family's.
    void Add(uint16_t port, Fate fate, int64_t ms) { plans_.push_back({Addr(port), fate, ms}); }
    /// Adds an address of another kind to the lookup.
    void AddOther(eio_sockaddr addr) { plans_.push_back({addr, Fate::kFailure, 0}); }
    /// The lookup, or both, fail with `err`.
    void FailLookup(eio_err *err) { lookup_err_[0] = lookup_err_[1] = err; }
    void FailLookup(eio_ip_family family, eio_err *err) {
        lookup_err_[family == EIO_IP_V6 ? 0 : 1] = err;
    }
    /// Lookups are asked for each family, and take so long.
    void Split(int64_t v6_ms, int64_t v4_ms) {
        outer_.net.ops = &Apart();
        lookup_ms_[0] = v6_ms;
        lookup_ms_[1] = v4_ms;
    }
    ~FakeNet() {
        eio_err_drop(lookup_err_[0]);
        if (lookup_err_[1] != lookup_err_[0])
            eio_err_drop(lookup_err_[1]);
    }
    int lookups = 0;

  private:
    struct Plan {
        eio_sockaddr addr;
        Fate fate;
        int64_t ms;
    };
    struct Outer {
        eio_net net = {};
        FakeNet *self = nullptr;
    };

    static FakeNet *Of(eio_net *net) { return reinterpret_cast<Outer *>(net)->self; }

    static const eio_net_ops &Together() {
        static const eio_net_ops ops = [] {
            eio_net_ops made = {};
            made.name = "fake";
            made.connect = Connect;
            made.getaddrinfo = GetAddrInfo;
            return made;
        }();
        return ops;
    }
    static const eio_net_ops &Apart() {
        static const eio_net_ops ops = [] {
            eio_net_ops made = Together();
            made.getaddrinfo_family = GetAddrInfoFamily;
            return made;
        }();
        return ops;
    }

    eio_err *Wait(const char *what, int64_t ms, bool stubborn) {
        auto sleep = [&] { return eio_mono_clock_sleep(clock_, ms * EIO_MILLISECOND); };
        if (ms == 0)
            return nullptr;
        eio_err *err = stubborn ? Protect(sleep) : sleep();
        if (err != nullptr)
            eio_traceln("%s: cancelled", what);
        return err;
    }

    static eio_err *Connect(eio_net *net, eio_switch *sw, const eio_sockaddr *addr,
                            const eio_connect_opts *, eio_stream_socket **out) {
        FakeNet *self = Of(net);
        auto plan = std::find_if(self->plans_.begin(), self->plans_.end(), [&](const Plan &it) {
            return eio_sockaddr_equal(&it.addr, addr);
        });
        const std::string name = "conn" + std::to_string(addr->port);
        char text[EIO_SOCKADDR_STR_MAX];
        eio_traceln("%s: connect to %s", name.c_str(), eio_sockaddr_str(addr, text));
        EIO_TRY(self->Wait(name.c_str(), plan->ms,
                           plan->fate == Fate::kStubborn || plan->fate == Fate::kBroken));
        switch (plan->fate) {
        case Fate::kRefused:
        case Fate::kBroken: return eio_err_os(&eio_err_net_refused, ECONNREFUSED, "connect");
        case Fate::kFailure: return eio_err_failure("%s is broken", name.c_str());
        default: break;
        }
        eio_mock_flow *flow;
        EIO_TRY(eio_mock_flow_create(name.c_str(), &flow));
        EIO_TRY(eio_mock_flow_attach_to_switch(flow, sw));
        *out = &flow->socket;
        return nullptr;
    }

    /// The addresses of family `len` bytes (0: both).
    eio_err *Answer(eio_switch *sw, size_t len, eio_sockaddr_list *out) {
        void *items;
        EIO_TRY(eio_switch_alloc(sw, plans_.size() * sizeof(eio_sockaddr) + 1, &items));
        out->items = static_cast<eio_sockaddr *>(items);
        out->count = 0;
        for (const Plan &plan : plans_)
            if (len == 0 || plan.addr.ip.len == len)
                out->items[out->count++] = plan.addr;
        return nullptr;
    }
    static eio_err *GetAddrInfo(eio_net *net, eio_switch *sw, const char *host, const char *service,
                                eio_sockaddr_list *out) {
        FakeNet *self = Of(net);
        self->lookups++;
        eio_traceln("lookup of %s %s", host, service);
        EIO_TRY(eio_err_ref(self->lookup_err_[0]));
        return self->Answer(sw, 0, out);
    }
    static eio_err *GetAddrInfoFamily(eio_net *net, eio_switch *sw, const char *host, const char *,
                                      eio_ip_family family, eio_sockaddr_list *out) {
        FakeNet *self = Of(net);
        int i = family == EIO_IP_V6 ? 0 : 1;
        eio_traceln("lookup of %s for IPv%d", host, static_cast<int>(family));
        EIO_TRY(self->Wait(family == EIO_IP_V6 ? "AAAA" : "A", self->lookup_ms_[i], false));
        EIO_TRY(eio_err_ref(self->lookup_err_[i]));
        eio_traceln("answer for IPv%d", static_cast<int>(family));
        return self->Answer(sw, family == EIO_IP_V6 ? 16 : 4, out);
    }

    Outer outer_;
    eio_mono_clock *clock_;
    std::vector<Plan> plans_;
    eio_err *lookup_err_[2] = {};
    int64_t lookup_ms_[2] = {};
};

eio_err *Use(void *, eio_flow *flow) {
    return eio_flow_copy_string("hello", &flow->sink);
}

class ConnectAnyTest : public EioTest {
  protected:
    /// Sets a network up with `setup(net)`, connects to host:http, and uses the connection.
    template <class F> eio_err *Eval(F setup, eio_connected_fn *use = Use) {
        return EvalMockFull([&](eio_switch *, const eio_env *env) -> eio_err * {
            FakeNet net(env->mono_clock);
            setup(net);
            if (timeout_ms_ > 0)
                opts_.timeout = eio_timeout_ns(env->mono_clock, timeout_ms_ * EIO_MILLISECOND);
            if (happy_)
                opts_.happy_clock = env->mono_clock;
            return eio_net_with_tcp_connect(net.Net(), "host", "http", &opts_, use, nullptr);
        });
    }
    template <class F> void Run(F setup, eio_connected_fn *use = Use) {
        PrintResult(Eval(setup, use));
    }

    int64_t timeout_ms_ = 0;
    bool happy_ = false;
    eio_tcp_connect_opts opts_ = {};
};

class HappyEyeballsTest : public ConnectAnyTest {
  protected:
    HappyEyeballsTest() { happy_ = true; }
};

eio_err *NoSuchHost() {
    return eio_err_new(&eio_err_net_address_lookup_failed, "no such host");
}

// --- One address after another -------------------------------------------------------------------

TEST_F(ConnectAnyTest, TheFirstThatAnswersIsUsedAndClosed) {
    Run([](FakeNet &net) {
        net.Add(1, Fate::kRefused, 0);
        net.Add(2, Fate::kOk, 0);
        net.Add(3, Fate::kOk, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn1: connect to tcp:127.0.0.1:1
      +conn2: connect to tcp:[::1]:2
      +conn2: wrote "hello"
      +conn2: closed
      - : unit = ()
    )");
}

TEST_F(ConnectAnyTest, ErrorsOfUsingItAreNotErrorsOfConnecting) {
    Run([](FakeNet &net) { net.Add(1, Fate::kOk, 0); },
        [](void *, eio_flow *) {
            return eio_err_os(&eio_err_net_connection_reset, ECONNRESET, "read");
        });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn1: connect to tcp:127.0.0.1:1
      +conn1: closed
      Exception: Eio.Io Net Connection_reset _
    )");
}

TEST_F(ConnectAnyTest, OnlyTcpAddressesAreTried) {
    Run([](FakeNet &net) {
        eio_sockaddr path;
        EXPECT_OK(eio_sockaddr_unix(eio_slice_of_str("/x"), &path));
        net.AddOther(path);
        net.AddOther(eio_sockaddr_udp(eio_ip_v4_loopback(), 9));
        net.Add(1, Fate::kOk, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn1: connect to tcp:127.0.0.1:1
      +conn1: wrote "hello"
      +conn1: closed
      - : unit = ()
    )");
}

TEST_F(ConnectAnyTest, AFailedLookupHasBothLines) {
    Run([](FakeNet &net) { net.FailLookup(NoSuchHost()); });
    EXPECT_TRACE(R"(
      +lookup of host http
      Exception:
      Eio.Io Net Address_lookup_failed no such host,
        looking up "host",
        connecting to "host":http
    )");
}

TEST_F(ConnectAnyTest, NothingToTryIsNoMatchingAddresses) {
    Run([](FakeNet &) {});
    EXPECT_TRACE(R"(
      +lookup of host http
      Exception:
      Eio.Io Net Connection_failure No_matching_addresses,
        connecting to "host":http
    )");
}

TEST_F(ConnectAnyTest, AnErrorThatIsNotIoEndsTheCallAtOnce) {
    Run([](FakeNet &net) {
        net.Add(1, Fate::kFailure, 0);
        net.Add(2, Fate::kOk, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn1: connect to tcp:127.0.0.1:1
      Exception: Failure "conn1 is broken".
    )");
}

TEST_F(ConnectAnyTest, TheLastAttemptsErrorIsTheResult) {
    Run([](FakeNet &net) {
        net.Add(1, Fate::kRefused, 0);
        net.Add(2, Fate::kRefused, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn1: connect to tcp:127.0.0.1:1
      +conn2: connect to tcp:[::1]:2
      Exception:
      Eio.Io Net Connection_failure Refused _,
        connecting to tcp:[::1]:2,
        connecting to "host":http
    )");
}

TEST_F(ConnectAnyTest, EachAttemptHasTheWholeTimeout) {
    timeout_ms_ = 1000;
    Run([](FakeNet &net) {
        net.Add(1, Fate::kOk, 5000);
        net.Add(2, Fate::kOk, 900);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn1: connect to tcp:127.0.0.1:1
      +mock time is now 1
      +conn1: cancelled
      +conn2: connect to tcp:[::1]:2
      +mock time is now 1.9
      +conn2: wrote "hello"
      +conn2: closed
      - : unit = ()
    )");
}

TEST_F(ConnectAnyTest, ATimeoutOfTheLastAttemptIsAConnectionFailure) {
    timeout_ms_ = 1000;
    Run([](FakeNet &net) {
        net.Add(1, Fate::kRefused, 0);
        net.Add(2, Fate::kOk, 5000);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn1: connect to tcp:127.0.0.1:1
      +conn2: connect to tcp:[::1]:2
      +mock time is now 1
      +conn2: cancelled
      Exception: Eio.Io Net Connection_failure Timeout,
        connecting to "host":http
    )");
}

TEST_F(ConnectAnyTest, AConnectionThatComesAfterItsTimeoutIsClosed) {
    timeout_ms_ = 1000;
    Run([](FakeNet &net) {
        net.Add(1, Fate::kStubborn, 3000);
        net.Add(2, Fate::kOk, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn1: connect to tcp:127.0.0.1:1
      +mock time is now 1
      +mock time is now 3
      +conn1: closed
      +conn2: connect to tcp:[::1]:2
      +conn2: wrote "hello"
      +conn2: closed
      - : unit = ()
    )");
}

TEST_F(ConnectAnyTest, AnAttemptThatFailsAfterItsTimeoutMakesWayForTheNext) {
    timeout_ms_ = 1000;
    Run([](FakeNet &net) {
        net.Add(1, Fate::kBroken, 3000);
        net.Add(2, Fate::kBroken, 3000);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn1: connect to tcp:127.0.0.1:1
      +mock time is now 1
      +mock time is now 3
      +conn2: connect to tcp:[::1]:2
      +mock time is now 4
      +mock time is now 6
      Exception: Eio.Io Net Connection_failure Timeout,
        connecting to "host":http
    )");
}

TEST_F(ConnectAnyTest, ACancelledCallIsCancelled) {
    RunMockFull([&](eio_switch *, const eio_env *env) -> eio_err * {
        FakeNet net(env->mono_clock);
        net.Add(1, Fate::kOk, 5000);
        net.Add(2, Fate::kOk, 0);
        return Both(
            [&] {
                return eio_net_with_tcp_connect(net.Net(), "host", "http", nullptr, Use, nullptr);
            },
            [] { return eio_err_failure("enough"); });
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn1: connect to tcp:127.0.0.1:1
      +conn1: cancelled
      Exception: Failure "enough".
    )");
}

// --- Happy Eyeballs: attempts --------------------------------------------------------------------

TEST_F(HappyEyeballsTest, FamiliesAlternateStartingWithThePreferredOne) {
    Run([](FakeNet &net) {
        for (uint16_t port : std::vector<uint16_t>{2, 4, 6, 1, 3})
            net.Add(port, Fate::kRefused, 10);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.01
      +conn1: connect to tcp:127.0.0.1:1
      +mock time is now 0.02
      +conn4: connect to tcp:[::1]:4
      +mock time is now 0.03
      +conn3: connect to tcp:127.0.0.1:3
      +mock time is now 0.04
      +conn6: connect to tcp:[::1]:6
      +mock time is now 0.05
      Exception:
      Eio.Io Multiple_io
      - Net Connection_failure Refused _, connecting to tcp:[::1]:2
      - Net Connection_failure Refused _, connecting to tcp:127.0.0.1:1
      - Net Connection_failure Refused _, connecting to tcp:[::1]:4
      - Net Connection_failure Refused _, connecting to tcp:127.0.0.1:3
      - Net Connection_failure Refused _, connecting to tcp:[::1]:6,
        connecting to "host":http
    )");
}

TEST_F(HappyEyeballsTest, TheFirstAddressSaysWhichFamilyIsPreferred) {
    Run([](FakeNet &net) {
        for (uint16_t port : std::vector<uint16_t>{1, 3, 2})
            net.Add(port, port == 3 ? Fate::kOk : Fate::kRefused, 10);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn1: connect to tcp:127.0.0.1:1
      +mock time is now 0.01
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.02
      +conn3: connect to tcp:127.0.0.1:3
      +mock time is now 0.03
      +conn3: wrote "hello"
      +conn3: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, AnAttemptThatAnswersInTimeIsTheOnlyOne) {
    Run([](FakeNet &net) {
        net.Add(2, Fate::kOk, 249);
        net.Add(1, Fate::kOk, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.249
      +conn2: wrote "hello"
      +conn2: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, ASlowAttemptGetsCompanyAndTheLoserIsCancelledBeforeUse) {
    Run([](FakeNet &net) {
        net.Add(2, Fate::kOk, 60000);
        net.Add(1, Fate::kOk, 30);
        net.Add(3, Fate::kOk, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.25
      +conn1: connect to tcp:127.0.0.1:1
      +mock time is now 0.28
      +conn2: cancelled
      +conn1: wrote "hello"
      +conn1: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, ALoserThatConnectsAllTheSameIsClosedBeforeUse) {
    Run([](FakeNet &net) {
        net.Add(2, Fate::kStubborn, 400);
        net.Add(1, Fate::kOk, 30);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.25
      +conn1: connect to tcp:127.0.0.1:1
      +mock time is now 0.28
      +mock time is now 0.4
      +conn2: closed
      +conn1: wrote "hello"
      +conn1: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, AnEarlierAttemptMayStillWin) {
    Run([](FakeNet &net) {
        net.Add(2, Fate::kOk, 300);
        net.Add(1, Fate::kOk, 60000);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.25
      +conn1: connect to tcp:127.0.0.1:1
      +mock time is now 0.3
      +conn1: cancelled
      +conn2: wrote "hello"
      +conn2: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, AFailureStartsTheNextAttemptAtOnce) {
    Run([](FakeNet &net) {
        net.Add(2, Fate::kOk, 60000);
        net.Add(1, Fate::kRefused, 20); // begins at 250 ms, fails at 270 ms
        net.Add(4, Fate::kRefused, 0);
        net.Add(3, Fate::kOk, 10);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.25
      +conn1: connect to tcp:127.0.0.1:1
      +mock time is now 0.27
      +conn4: connect to tcp:[::1]:4
      +conn3: connect to tcp:127.0.0.1:3
      +mock time is now 0.28
      +conn2: cancelled
      +conn3: wrote "hello"
      +conn3: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, TheDelayIsAnOption) {
    opts_.attempt_delay_ns = 1000 * EIO_MILLISECOND;
    Run([](FakeNet &net) {
        net.Add(2, Fate::kOk, 60000);
        net.Add(1, Fate::kOk, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn2: connect to tcp:[::1]:2
      +mock time is now 1
      +conn1: connect to tcp:127.0.0.1:1
      +conn2: cancelled
      +conn1: wrote "hello"
      +conn1: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, WhenAllFailEachFailureIsListedInOrder) {
    timeout_ms_ = 1000;
    Run([](FakeNet &net) {
        net.Add(2, Fate::kOk, 60000);
        net.Add(1, Fate::kRefused, 0);
        net.Add(4, Fate::kOk, 60000);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.25
      +conn1: connect to tcp:127.0.0.1:1
      +conn4: connect to tcp:[::1]:4
      +mock time is now 0.5
      +mock time is now 1
      +conn2: cancelled
      +mock time is now 1.25
      +conn4: cancelled
      Exception:
      Eio.Io Multiple_io
      - Net Connection_failure Timeout, connecting to tcp:[::1]:2
      - Net Connection_failure Refused _, connecting to tcp:127.0.0.1:1
      - Net Connection_failure Timeout, connecting to tcp:[::1]:4,
        connecting to "host":http
    )");
}

TEST_F(HappyEyeballsTest, ASingleFailureStandsAlone) {
    Run([](FakeNet &net) { net.Add(2, Fate::kRefused, 0); });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn2: connect to tcp:[::1]:2
      Exception:
      Eio.Io Net Connection_failure Refused _,
        connecting to tcp:[::1]:2,
        connecting to "host":http
    )");
}

TEST_F(HappyEyeballsTest, AnErrorThatIsNotIoEndsTheRace) {
    Run([](FakeNet &net) {
        net.Add(2, Fate::kOk, 60000);
        net.Add(1, Fate::kFailure, 10);
        net.Add(4, Fate::kOk, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.25
      +conn1: connect to tcp:127.0.0.1:1
      +mock time is now 0.26
      +conn2: cancelled
      Exception: Failure "conn1 is broken".
    )");
}

TEST_F(HappyEyeballsTest, ACancelledRaceCancelsEveryAttempt) {
    RunMockFull([&](eio_switch *, const eio_env *env) -> eio_err * {
        FakeNet net(env->mono_clock);
        net.Add(2, Fate::kOk, 60000);
        net.Add(1, Fate::kStubborn, 60000);
        opts_.happy_clock = env->mono_clock;
        return Both(
            [&] {
                return eio_net_with_tcp_connect(net.Net(), "host", "http", &opts_, Use, nullptr);
            },
            [&]() -> eio_err * {
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_SECOND));
                return eio_err_failure("enough");
            });
    });
    EXPECT_TRACE(R"(
      +lookup of host http
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.25
      +conn1: connect to tcp:127.0.0.1:1
      +mock time is now 0.5
      +mock time is now 1
      +conn2: cancelled
      +mock time is now 60.25
      +conn1: closed
      Exception: Failure "enough".
    )");
}

// --- Happy Eyeballs: lookups ---------------------------------------------------------------------

TEST_F(HappyEyeballsTest, NothingToTryIsNoMatchingAddresses) {
    Run([](FakeNet &) {});
    EXPECT_TRACE(R"(
      +lookup of host http
      Exception:
      Eio.Io Net Connection_failure No_matching_addresses,
        connecting to "host":http
    )");
}

TEST_F(HappyEyeballsTest, WhenAaaaComesFirstNobodyWaitsForA) {
    Run([](FakeNet &net) {
        net.Split(10, 60000);
        net.Add(1, Fate::kOk, 0);
        net.Add(2, Fate::kOk, 20);
    });
    EXPECT_TRACE(R"(
      +lookup of host for IPv6
      +lookup of host for IPv4
      +mock time is now 0.01
      +answer for IPv6
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.03
      +A: cancelled
      +conn2: wrote "hello"
      +conn2: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, WhenAComesFirstAaaaGetsAMoment) {
    Run([](FakeNet &net) {
        net.Split(55, 10);
        net.Add(1, Fate::kOk, 0);
        net.Add(2, Fate::kOk, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host for IPv6
      +lookup of host for IPv4
      +mock time is now 0.01
      +answer for IPv4
      +mock time is now 0.055
      +answer for IPv6
      +conn2: connect to tcp:[::1]:2
      +conn2: wrote "hello"
      +conn2: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, WhenTheMomentIsOverAIsTried) {
    Run([](FakeNet &net) {
        net.Split(60000, 10);
        net.Add(1, Fate::kOk, 0);
        net.Add(2, Fate::kOk, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host for IPv6
      +lookup of host for IPv4
      +mock time is now 0.01
      +answer for IPv4
      +mock time is now 0.06
      +conn1: connect to tcp:127.0.0.1:1
      +AAAA: cancelled
      +conn1: wrote "hello"
      +conn1: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, AddressesThatComeLateTakeTheirTurn) {
    opts_.resolution_delay_ns = 20 * EIO_MILLISECOND;
    Run([](FakeNet &net) {
        net.Split(100, 10);
        net.Add(1, Fate::kOk, 60000); // begins at 30 ms
        net.Add(3, Fate::kOk, 60000); // would be next, at 280 ms
        net.Add(2, Fate::kOk, 10);
    });
    EXPECT_TRACE(R"(
      +lookup of host for IPv6
      +lookup of host for IPv4
      +mock time is now 0.01
      +answer for IPv4
      +mock time is now 0.03
      +conn1: connect to tcp:127.0.0.1:1
      +mock time is now 0.1
      +answer for IPv6
      +mock time is now 0.28
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.29
      +conn1: cancelled
      +conn2: wrote "hello"
      +conn2: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, AnEmptyAnswerIsNotWaitedFor) {
    Run([](FakeNet &net) {
        net.Split(5, 10);
        net.Add(1, Fate::kOk, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host for IPv6
      +lookup of host for IPv4
      +mock time is now 0.005
      +answer for IPv6
      +mock time is now 0.01
      +answer for IPv4
      +conn1: connect to tcp:127.0.0.1:1
      +conn1: wrote "hello"
      +conn1: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, WhenAllThatHasComeFailedTheOtherLookupIsWaitedFor) {
    Run([](FakeNet &net) {
        net.Split(10, 500);
        net.Add(2, Fate::kRefused, 0);
        net.Add(1, Fate::kOk, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host for IPv6
      +lookup of host for IPv4
      +mock time is now 0.01
      +answer for IPv6
      +conn2: connect to tcp:[::1]:2
      +mock time is now 0.5
      +answer for IPv4
      +conn1: connect to tcp:127.0.0.1:1
      +conn1: wrote "hello"
      +conn1: closed
      - : unit = ()
    )");
}

TEST_F(HappyEyeballsTest, OneFailedLookupIsNoFailureWhenTheOtherFindsSomething) {
    Run([](FakeNet &net) {
        net.Split(10, 20);
        net.FailLookup(EIO_IP_V6, NoSuchHost());
        net.Add(1, Fate::kRefused, 0);
    });
    EXPECT_TRACE(R"(
      +lookup of host for IPv6
      +lookup of host for IPv4
      +mock time is now 0.01
      +mock time is now 0.02
      +answer for IPv4
      +conn1: connect to tcp:127.0.0.1:1
      Exception:
      Eio.Io Net Connection_failure Refused _,
        connecting to tcp:127.0.0.1:1,
        connecting to "host":http
    )");
}

TEST_F(HappyEyeballsTest, LookupsThatFailForTheSameReasonAreOneFailure) {
    Run([](FakeNet &net) {
        net.Split(10, 20);
        net.FailLookup(NoSuchHost());
    });
    EXPECT_TRACE(R"(
      +lookup of host for IPv6
      +lookup of host for IPv4
      +mock time is now 0.01
      +mock time is now 0.02
      Exception:
      Eio.Io Net Address_lookup_failed no such host,
        looking up "host",
        connecting to "host":http
    )");
}

TEST_F(HappyEyeballsTest, LookupsThatFailForDifferentReasonsAreBothListed) {
    Run([](FakeNet &net) {
        net.Split(10, 20);
        net.FailLookup(EIO_IP_V6, NoSuchHost());
        net.FailLookup(EIO_IP_V4, eio_err_new(&eio_err_net_address_lookup_failed, "no answer"));
    });
    EXPECT_TRACE(R"(
      +lookup of host for IPv6
      +lookup of host for IPv4
      +mock time is now 0.01
      +mock time is now 0.02
      Exception:
      Eio.Io Multiple_io
      - Net Address_lookup_failed no such host, looking up "host"
      - Net Address_lookup_failed no answer, looking up "host",
        connecting to "host":http
    )");
}

TEST_F(HappyEyeballsTest, ANetworkThatCannotAskForOneFamilyIsAskedForBoth) {
    Run([](FakeNet &net) {
        net.Split(0, 0);
        net.FailLookup(EIO_IP_V4, eio_err_const(&eio_err_not_available));
        net.FailLookup(EIO_IP_V6, eio_err_const(&eio_err_not_available));
    });
    EXPECT_TRACE(R"(
      +lookup of host for IPv6
      +lookup of host for IPv4
      +lookup of host http
      Exception:
      Eio.Io Not_available,
        looking up "host",
        connecting to "host":http
    )");
}

// --- Memory --------------------------------------------------------------------------------------

TEST_F(ConnectAnyTest, NothingIsLeftWhateverAllocationFails) {
    timeout_ms_ = 1000;
    TryEachFailure([&] {
        return Eval([](FakeNet &net) {
            net.Add(1, Fate::kRefused, 0);
            net.Add(2, Fate::kStubborn, 2000);
            net.Add(3, Fate::kOk, 0);
        });
    });
}

TEST_F(HappyEyeballsTest, NothingIsLeftWhateverAllocationFails) {
    timeout_ms_ = 1000;
    TryEachFailure([&] {
        return Eval([](FakeNet &net) {
            net.Split(60, 5);
            net.Add(1, Fate::kOk, 60000);
            net.Add(2, Fate::kStubborn, 900);
            net.Add(3, Fate::kRefused, 0);
            net.Add(4, Fate::kOk, 10);
        });
    });
}

} // namespace
