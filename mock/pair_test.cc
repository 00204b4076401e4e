// SPDX-License-Identifier: ISC
#include "eio/mock/pair.h"

#include <algorithm>
#include <string>

#include "mock/test_support.h"

namespace {

class MockPairTest : public MockTest {
  protected:
    /** Runs `fn(a, b)` with a pair that holds `bound` bytes each way. */
    template <typename F> std::string RunPair(size_t bound, F fn) {
        return Run([&] {
            return SwitchRun([&](eio_switch *sw) -> eio_err * {
                eio_stream_socket *a, *b;
                EIO_TRY(eio_mock_flow_pair(sw, bound, &a, &b));
                return fn(&a->flow, &b->flow);
            });
        });
    }
};

// Reads what one read gives, and prints it.
eio_err *Read(eio_flow *flow, const char *name) {
    char space[16];
    size_t got;
    eio_err *err = eio_source_single_read(&flow->source, eio_buf_of(space, sizeof space), &got);
    if (err == nullptr)
        eio_traceln("%s read '%.*s'", name, (int)got, space);
    return err;
}

eio_err *Write(eio_flow *flow, const char *text) {
    return eio_sink_write(&flow->sink, eio_slice_of_str(text));
}

void Report(const char *name, eio_err *err) {
    char text[200];
    eio_traceln("%s: %s", name, eio_err_str(err, text, sizeof text));
    eio_err_drop(err);
}

TEST_F(MockPairTest, WhatOneEndWritesTheOtherReads) {
    EXPECT_TRANSCRIPT(RunPair(100,
                              [](eio_flow *a, eio_flow *b) -> eio_err * {
                                  EIO_TRY(Write(a, "Hello"));
                                  EIO_TRY(Write(a, ", b"));
                                  EIO_TRY(Write(b, "Hello, a"));
                                  EIO_TRY(Read(b, "b"));
                                  return Read(a, "a");
                              }),
                      R"(
+b read 'Hello, b'
+a read 'Hello, a'
- : unit = ()
)");
}

TEST_F(MockPairTest, AReadWaitsForAWrite) {
    EXPECT_TRANSCRIPT(RunPair(100,
                              [](eio_flow *a, eio_flow *b) {
                                  return Both([=] { return Read(b, "b"); },
                                              [=]() -> eio_err * {
                                                  eio_traceln("writing");
                                                  EIO_TRY(Write(a, "Hi"));
                                                  eio_traceln("written");
                                                  return nullptr;
                                              });
                              }),
                      R"(
+writing
+written
+b read 'Hi'
- : unit = ()
)");
}

TEST_F(MockPairTest, AWriteWaitsForRoom) {
    EXPECT_TRANSCRIPT(RunPair(4,
                              [](eio_flow *a, eio_flow *b) {
                                  return Both(
                                      [=]() -> eio_err * {
                                          EIO_TRY(Write(a, "0123456789"));
                                          eio_traceln("written");
                                          return nullptr;
                                      },
                                      [=]() -> eio_err * {
                                          eio_traceln("reading");
                                          for (int i = 0; i < 3; i++)
                                              EIO_TRY(Read(b, "b"));
                                          return nullptr;
                                      });
                              }),
                      R"(
+reading
+b read '0123'
+b read '4567'
+written
+b read '89'
- : unit = ()
)");
}

// Writes and reads of changing lengths, so that the ring wraps at every place.
eio_err *WriteInPieces(eio_flow *flow, const std::string &text) {
    for (size_t at = 0, len = 1; at < text.size(); at += len, len = len % 13 + 1) {
        len = std::min(len, text.size() - at);
        const eio_slice halves[] = {eio_slice_of(&text[at], len / 2),
                                    eio_slice_of(&text[at + len / 2], len - len / 2)};
        EIO_TRY(eio_sink_writev(&flow->sink, halves, 2));
    }
    return eio_flow_shutdown(flow, EIO_SHUTDOWN_SEND);
}

eio_err *ReadInPieces(eio_flow *flow, std::string *out) {
    for (size_t len = 1;; len = len % 5 + 1) {
        char space[5];
        size_t got;
        eio_err *err = eio_source_single_read(&flow->source, eio_buf_of(space, len), &got);
        if (eio_err_catch(&err, &eio_err_end_of_file))
            return nullptr;
        EIO_TRY(err);
        out->append(space, got);
        // Now and then the writer gets a turn while something is left.
        if (len % 2 == 0)
            EIO_TRY(eio_fiber_yield());
    }
}

TEST_F(MockPairTest, EveryBoundCarriesTheSameBytes) {
    std::string sent;
    for (int i = 0; i < 1000; i++)
        sent += (char)('a' + i * 7 % 26);
    for (size_t bound = 1; bound < 20; bound++) {
        std::string got;
        EXPECT_TRANSCRIPT(RunPair(bound,
                                  [&](eio_flow *a, eio_flow *b) {
                                      return Both([&] { return WriteInPieces(a, sent); },
                                                  [&] { return ReadInPieces(b, &got); });
                                  }),
                          R"(
- : unit = ()
)");
        EXPECT_EQ(got, sent) << "bound " << bound;
    }
}

TEST_F(MockPairTest, ShutdownSendEndsTheOtherEndAfterWhatIsLeft) {
    EXPECT_TRANSCRIPT(RunPair(100,
                              [](eio_flow *a, eio_flow *b) -> eio_err * {
                                  EIO_TRY(Write(a, "last"));
                                  EIO_TRY(eio_flow_shutdown(a, EIO_SHUTDOWN_SEND));
                                  EIO_TRY(Read(b, "b"));
                                  Report("b", Read(b, "b"));
                                  Report("b again", Read(b, "b"));
                                  Report("a", Write(a, "more"));
                                  EIO_TRY(Write(b, "answer"));
                                  return Read(a, "a");
                              }),
                      R"(
+b read 'last'
+b: End_of_file
+b again: End_of_file
+a: Eio.Io Net Connection_reset _
+a read 'answer'
- : unit = ()
)");
}

TEST_F(MockPairTest, ShutdownReceiveWakesTheReader) {
    EXPECT_TRANSCRIPT(RunPair(100,
                              [](eio_flow *a, eio_flow *b) -> eio_err * {
                                  EIO_TRY(Both(
                                      [=]() -> eio_err * {
                                          Report("b", Read(b, "b"));
                                          return nullptr;
                                      },
                                      [=] { return eio_flow_shutdown(b, EIO_SHUTDOWN_RECEIVE); }));
                                  return Write(a, "nobody listens");
                              }),
                      R"(
+b: End_of_file
Exception: Eio.Io Net Connection_reset _
)");
}

TEST_F(MockPairTest, ClosingEndsTheOtherEnd) {
    EXPECT_TRANSCRIPT(RunPair(100,
                              [](eio_flow *a, eio_flow *b) -> eio_err * {
                                  EIO_TRY(Write(a, "last"));
                                  eio_flow_close(a);
                                  eio_flow_close(a);
                                  EIO_TRY(Read(b, "b"));
                                  Report("b reads", Read(b, "b"));
                                  Report("b writes", Write(b, "x"));
                                  Report("a reads", Read(a, "a"));
                                  Report("a writes", Write(a, "x"));
                                  Report("a shuts down", eio_flow_shutdown(a, EIO_SHUTDOWN_ALL));
                                  return nullptr;
                              }),
                      R"(
+b read 'last'
+b reads: End_of_file
+b writes: Eio.Io Net Connection_reset _
+a reads: Invalid_argument("read: file descriptor used after calling close!")
+a writes: Invalid_argument("write: file descriptor used after calling close!")
+a shuts down: Invalid_argument("shutdown: file descriptor used after calling close!")
- : unit = ()
)");
}

TEST_F(MockPairTest, ClosingEndsOnesOwnOperations) {
    EXPECT_TRANSCRIPT(RunPair(1,
                              [](eio_flow *a, eio_flow *) -> eio_err * {
                                  EIO_TRY(Write(a, "x"));
                                  return SwitchRun([=](eio_switch *sw) -> eio_err * {
                                      auto reader = [=]() -> eio_err * {
                                          Report("reader", Read(a, "a"));
                                          return nullptr;
                                      };
                                      auto writer = [=]() -> eio_err * {
                                          Report("writer", Write(a, "y"));
                                          return nullptr;
                                      };
                                      EIO_TRY(Fork(sw, reader));
                                      EIO_TRY(Fork(sw, writer));
                                      eio_flow_close(a);
                                      return nullptr;
                                  });
                              }),
                      R"(
+reader: Invalid_argument("read: file descriptor used after calling close!")
+writer: Invalid_argument("write: file descriptor used after calling close!")
- : unit = ()
)");
}

TEST_F(MockPairTest, AnEndMayBeFreedUnderItsOperations) {
    EXPECT_TRANSCRIPT(RunPair(1,
                              [](eio_flow *a, eio_flow *b) {
                                  return Both(
                                      [=]() -> eio_err * {
                                          Report("reader", Read(a, "a"));
                                          return nullptr;
                                      },
                                      [=]() -> eio_err * {
                                          eio_flow_free(a);
                                          eio_flow_free(b);
                                          return nullptr;
                                      });
                              }),
                      R"(
+reader: Invalid_argument("read: file descriptor used after calling close!")
- : unit = ()
)");
}

TEST_F(MockPairTest, ACancelledReadLosesNothing) {
    EXPECT_TRANSCRIPT(RunPair(100,
                              [](eio_flow *a, eio_flow *b) -> eio_err * {
                                  eio_err *err =
                                      Both([=] { return Read(b, "b"); },
                                           [] { return eio_err_failure("Simulated error"); });
                                  Report("both", err);
                                  EIO_TRY(Write(a, "Hi"));
                                  return Read(b, "b");
                              }),
                      R"(
+both: Failure("Simulated error")
+b read 'Hi'
- : unit = ()
)");
}

TEST_F(MockPairTest, ACancelledWriteHasWrittenNothing) {
    EXPECT_TRANSCRIPT(RunPair(2,
                              [](eio_flow *a, eio_flow *b) -> eio_err * {
                                  EIO_TRY(Write(a, "ab"));
                                  eio_err *err =
                                      Both([=] { return Write(a, "c"); },
                                           [] { return eio_err_failure("Simulated error"); });
                                  Report("both", err);
                                  EIO_TRY(Read(b, "b"));
                                  EIO_TRY(Write(a, "d"));
                                  return Read(b, "b");
                              }),
                      R"(
+both: Failure("Simulated error")
+b read 'ab'
+b read 'd'
- : unit = ()
)");
}

TEST_F(MockPairTest, ACancelledFiberNeitherReadsNorWrites) {
    EXPECT_TRANSCRIPT(RunPair(100,
                              [](eio_flow *a, eio_flow *b) -> eio_err * {
                                  EIO_TRY(Write(a, "there"));
                                  eio_err *err = SwitchRun([=](eio_switch *sw) -> eio_err * {
                                      eio_switch_fail(sw, eio_err_failure("Simulated error"));
                                      Report("read", Read(b, "b"));
                                      Report("write", Write(b, "x"));
                                      return nullptr;
                                  });
                                  eio_err_drop(err);
                                  return Read(b, "b");
                              }),
                      R"(
+read: Cancelled: Failure("Simulated error")
+write: Cancelled: Failure("Simulated error")
+b read 'there'
- : unit = ()
)");
}

TEST_F(MockPairTest, AReadThatHasBeenWokenSucceedsAlthoughCancelled) {
    EXPECT_TRANSCRIPT(RunPair(100,
                              [](eio_flow *a, eio_flow *b) {
                                  return Both([=] { return Read(b, "b"); },
                                              [=]() -> eio_err * {
                                                  EIO_TRY(Write(a, "Hi"));
                                                  return eio_err_failure("Simulated error");
                                              });
                              }),
                      R"(
+b read 'Hi'
Exception: Failure "Simulated error".
)");
}

TEST_F(MockPairTest, AResetFailsEverythingAtBothEnds) {
    EXPECT_TRANSCRIPT(Run([] {
                          return SwitchRun([](eio_switch *sw) -> eio_err * {
                              eio_stream_socket *a, *b;
                              EIO_TRY(eio_mock_flow_pair(sw, 1, &a, &b));
                              EIO_TRY(Write(&a->flow, "x"));
                              auto reader = [=]() -> eio_err * {
                                  Report("a waits to read", Read(&a->flow, "a"));
                                  return nullptr;
                              };
                              auto writer = [=]() -> eio_err * {
                                  Report("a waits to write", Write(&a->flow, "y"));
                                  return nullptr;
                              };
                              EIO_TRY(Fork(sw, reader));
                              EIO_TRY(Fork(sw, writer));
                              eio_mock_flow_pair_reset(b);
                              EIO_TRY(eio_fiber_yield());
                              Report("b reads", Read(&b->flow, "b"));
                              Report("b writes", Write(&b->flow, "z"));
                              return nullptr;
                          });
                      }),
                      R"(
+a waits to write: Eio.Io Net Connection_reset _
+a waits to read: Eio.Io Net Connection_reset _
+b reads: Eio.Io Net Connection_reset _
+b writes: Eio.Io Net Connection_reset _
- : unit = ()
)");
}

using MockPairDeathTest = MockPairTest;

TEST_F(MockPairDeathTest, APairHoldsAtLeastOneByte) {
    EXPECT_DEATH((void)RunPair(0, [](eio_flow *, eio_flow *) -> eio_err * { return nullptr; }),
                 "a flow pair must hold at least one byte");
}

TEST_F(MockPairDeathTest, OneReaderAtATime) {
    EXPECT_DEATH((void)RunPair(1,
                               [](eio_flow *a, eio_flow *) {
                                   return Both([=] { return Read(a, "first"); },
                                               [=] { return Read(a, "second"); });
                               }),
                 "two fibers wait for one end");
}

} // namespace
