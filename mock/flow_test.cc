// SPDX-License-Identifier: ISC
#include "eio/mock/flow.h"

#include <string>

#include "eio/mem.h"
#include "mock/test_support.h"

namespace {

class MockFlowTest : public MockTest {
  protected:
    /** Runs `fn(flow)` with a mock flow labelled "flow" in a mock loop. */
    template <typename F> std::string RunFlow(F fn) {
        return Run([&]() -> eio_err * {
            eio_mock_flow *flow;
            EIO_TRY(eio_mock_flow_create("flow", &flow));
            return fn(flow);
        });
    }
};

eio_err *Read(eio_mock_flow *flow, size_t max_bytes) {
    std::string space(max_bytes, '\0');
    size_t got;
    EIO_TRY(eio_source_single_read(&flow->flow.source, eio_buf_of(&space[0], max_bytes), &got));
    eio_traceln("got %zu", got);
    return nullptr;
}

eio_err *Write(eio_mock_flow *flow, const char *text) {
    return eio_sink_write(&flow->flow.sink, eio_slice_of_str(text));
}

TEST_F(MockFlowTest, ReadsGiveWhatIsScriptedThenEndOfFile) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          EIO_TRY(eio_mock_on(&flow->on_read, {eio_mock_return_str("Hel"),
                                                               eio_mock_return_str("lo\n")}));
                          EIO_TRY(Read(flow, 10));
                          EIO_TRY(Read(flow, 3));
                          eio_err *err = Read(flow, 10);
                          EXPECT_TRUE(eio_err_catch(&err, &eio_err_end_of_file));
                          EIO_TRY(err);
                          return Read(flow, 10);
                      }),
                      R"(
+flow: read "Hel"
+got 3
+flow: read "lo\n"
+got 3
Exception: End_of_file.
)");
}

TEST_F(MockFlowTest, AReadThatDoesntFitIsAFailure) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          EIO_TRY(eio_mock_on(&flow->on_read, {eio_mock_return_str("Hello\n")}));
                          return Read(flow, 5);
                      }),
                      R"(
Exception: Failure "flow: read buffer too short for \"Hello\\n\"!".
)");
}

TEST_F(MockFlowTest, AReadOfNothingIsAFailure) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          EIO_TRY(eio_mock_on(&flow->on_read, {eio_mock_return_str("")}));
                          return Read(flow, 5);
                      }),
                      R"(
Exception: Failure "flow: a read can't get \"\"; raise End_of_file instead".
)");
}

TEST_F(MockFlowTest, PiecesAreCutAfterNewlinesAndAligned) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          EIO_TRY(Write(flow, "one"));
                          EIO_TRY(Write(flow, "one\n"));
                          EIO_TRY(Write(flow, "one\ntwo"));
                          EIO_TRY(Write(flow, "\n\n"));
                          return Write(flow, "one\r\n\r\ntwo\r\n");
                      }),
                      R"(
+flow: wrote "one"
+flow: wrote "one\n"
+flow: wrote "one\n"
+            "two"
+flow: wrote "\n"
+            "\n"
+flow: wrote "one\r\n"
+            "\r\n"
+            "two\r\n"
- : unit = ()
)");
}

TEST_F(MockFlowTest, AlignmentCountsTheTracePrefix) {
    EXPECT_TRANSCRIPT(
        RunFlow([](eio_mock_flow *flow) {
            auto prefix = [](void *, char *buf, size_t len) { (void)snprintf(buf, len, "[7] "); };
            auto body = [=] { return Write(flow, "one\ntwo"); };
            return eio_with_trace_prefix(prefix, nullptr, CallLambda<decltype(body)>, &body);
        }),
        R"(
+[7] flow: wrote "one\n"
+                "two"
- : unit = ()
)");
}

TEST_F(MockFlowTest, SeveralBuffersPrintAsAList) {
    EXPECT_TRANSCRIPT(
        RunFlow([](eio_mock_flow *flow) -> eio_err * {
            const eio_slice two[] = {eio_slice_of_str("ab"), eio_slice_of_str("cd\n")};
            EIO_TRY(eio_sink_writev(&flow->flow.sink, two, 2));
            const eio_slice lines[] = {eio_slice_of_str("a\nb"), eio_slice_of_str("c")};
            return eio_sink_writev(&flow->flow.sink, lines, 2);
        }),
        R"(
+flow: wrote ["ab"; "cd\n"]
+flow: wrote ["a\n"
+             "b"; "c"]
- : unit = ()
)");
}

TEST_F(MockFlowTest, ALongListGoesOnUnderItsFirstItem) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          // A line has at most 77 columns.
                          const std::string item(28, 'x'), last(29, 'y'), too_long(30, 'z');
                          const eio_slice fitting[] = {eio_slice_of_str(item.c_str()),
                                                       eio_slice_of_str(last.c_str())};
                          const eio_slice wrapping[] = {eio_slice_of_str(item.c_str()),
                                                        eio_slice_of_str(too_long.c_str())};
                          EIO_TRY(eio_sink_writev(&flow->flow.sink, fitting, 2));
                          return eio_sink_writev(&flow->flow.sink, wrapping, 2);
                      }),
                      R"(
+flow: wrote ["xxxxxxxxxxxxxxxxxxxxxxxxxxxx"; "yyyyyyyyyyyyyyyyyyyyyyyyyyyyy"]
+flow: wrote ["xxxxxxxxxxxxxxxxxxxxxxxxxxxx";
+             "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"]
- : unit = ()
)");
}

TEST_F(MockFlowTest, AScriptedSizeCutsWrites) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          EIO_TRY(eio_mock_on(&flow->on_copy_bytes,
                                              {eio_mock_return_size(1), eio_mock_return_size(3)}));
                          return Write(flow, "abcdefgh");
                      }),
                      R"(
+flow: wrote "a"
+flow: wrote "bcd"
+flow: wrote "efgh"
- : unit = ()
)");
}

TEST_F(MockFlowTest, AScriptedSizeCutsWithinTheSlices) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          EIO_TRY(eio_mock_on(&flow->on_copy_bytes,
                                              {eio_mock_return_size(2), eio_mock_return_size(3),
                                               eio_mock_return_size(1)}));
                          const eio_slice three[] = {eio_slice_of_str("ab"), eio_slice_of_str("cd"),
                                                     eio_slice_of_str("ef")};
                          return eio_sink_writev(&flow->flow.sink, three, 3);
                      }),
                      R"(
+flow: wrote "ab"
+flow: wrote ["cd"; "e"]
+flow: wrote "f"
- : unit = ()
)");
}

TEST_F(MockFlowTest, AnErrorInTheMiddleOfAWrite) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          eio_err *reset =
                              eio_mock_simulated_failure(&eio_err_net_connection_reset);
                          EIO_TRY(eio_mock_on(&flow->on_copy_bytes,
                                              {eio_mock_return_size(2), eio_mock_raise(reset)}));
                          return Write(flow, "abcdefgh");
                      }),
                      R"(
+flow: wrote "ab"
Exception: Eio.Io Net Connection_reset _
)");
}

TEST_F(MockFlowTest, TheDetailOfASimulatedFailureShows) {
    eio_err_show_backend(true);
    EXPECT_TRANSCRIPT(Run([] { return eio_mock_simulated_failure(&eio_err_net_refused); }), R"(
Exception: Eio.Io Net Connection_failure Refused Simulated_failure
)");
}

TEST_F(MockFlowTest, ACopyAsksForTheSizeBeforeEachRead) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          EIO_TRY(
                              eio_mock_on(&flow->on_copy_bytes,
                                          {eio_mock_return_size(3), eio_mock_return_size(100),
                                           eio_mock_return_size(100), eio_mock_return_size(7)}));
                          EIO_TRY(eio_flow_copy_string("abcde", &flow->flow.sink));
                          // Three for the copy, the last of which found the end.
                          eio_traceln("left: %zu", eio_mock_left(&flow->on_copy_bytes));
                          return nullptr;
                      }),
                      R"(
+flow: wrote "abc"
+flow: wrote "de"
+left: 1
- : unit = ()
)");
}

TEST_F(MockFlowTest, ACopyReadsFromMockToMock) {
    EXPECT_TRANSCRIPT(
        RunFlow([](eio_mock_flow *flow) -> eio_err * {
            eio_mock_flow *from;
            EIO_TRY(eio_mock_flow_create("from", &from));
            EIO_TRY(eio_mock_on(&from->on_read, {eio_mock_return_str("Hi"),
                                                 eio_mock_raise(eio_err_failure("Broken"))}));
            return eio_flow_copy(&from->flow.source, &flow->flow.sink);
        }),
        R"(
+from: read "Hi"
+flow: wrote "Hi"
Exception: Failure "Broken".
)");
}

TEST_F(MockFlowTest, CopyingNothingWritesNothing) {
    EXPECT_TRANSCRIPT(
        RunFlow([](eio_mock_flow *flow) { return eio_flow_copy_string("", &flow->flow.sink); }), R"(
- : unit = ()
)");
}

TEST_F(MockFlowTest, ALendingCopyAsksForTheSizeOfWhatIsThere) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          flow->copy_by_lending = true;
                          EIO_TRY(eio_mock_on(&flow->on_copy_bytes,
                                              {eio_mock_return_size(3), eio_mock_return_size(100),
                                               eio_mock_return_size(100)}));
                          EIO_TRY(eio_flow_copy_string("abcde", &flow->flow.sink));
                          // Two for the copy: the end has no size.
                          eio_traceln("left: %zu", eio_mock_left(&flow->on_copy_bytes));
                          return nullptr;
                      }),
                      R"(
+flow: wrote (rsb) ["abc"]
+flow: wrote (rsb) ["de"]
+left: 1
- : unit = ()
)");
}

TEST_F(MockFlowTest, ALendingCopyThatFailsHasTakenNothing) {
    EXPECT_TRANSCRIPT(
        RunFlow([](eio_mock_flow *flow) -> eio_err * {
            flow->copy_by_lending = true;
            EIO_TRY(eio_mock_on(&flow->on_copy_bytes, {eio_mock_return_size(3),
                                                       eio_mock_raise(eio_err_failure("Broken"))}));
            eio_string_source text;
            eio_string_source_init(&text, eio_slice_of_str("abcde"));
            eio_err *err = eio_flow_copy(&text.source, &flow->flow.sink);
            EXPECT_EQ(text.rest.len, 2u);
            return err;
        }),
        R"(
+flow: wrote (rsb) ["abc"]
Exception: Failure "Broken".
)");
}

TEST_F(MockFlowTest, APrinterPrintsWhatIsReadAndWritten) {
    auto hex = [](void *, eio_slice bytes, size_t column, eio_strbuf *out) {
        for (size_t i = 0; i < bytes.len; i++) {
            if (i == 2)
                eio_strbuf_addf(out, "\n%*s", (int)column, "");
            eio_strbuf_addf(out, "%02x", bytes.base[i]);
        }
    };
    EXPECT_TRANSCRIPT(RunFlow([&](eio_mock_flow *flow) -> eio_err * {
                          flow->printer = {hex, nullptr};
                          EIO_TRY(eio_mock_on(&flow->on_read, {eio_mock_return_str("abc")}));
                          EIO_TRY(Read(flow, 10));
                          const eio_slice two[] = {eio_slice_of_str("abcd"), eio_slice_of_str("e")};
                          return eio_sink_writev(&flow->flow.sink, two, 2);
                      }),
                      R"(
+flow: read 6162
+           63
+got 3
+flow: wrote [6162
+             6364; 65]
- : unit = ()
)");
}

TEST_F(MockFlowTest, ShutdownSaysWhichWay) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          EIO_TRY(eio_flow_shutdown(&flow->flow, EIO_SHUTDOWN_RECEIVE));
                          EIO_TRY(eio_flow_shutdown(&flow->flow, EIO_SHUTDOWN_SEND));
                          return eio_flow_shutdown(&flow->flow, EIO_SHUTDOWN_ALL);
                      }),
                      R"(
+flow: shutdown receive
+flow: shutdown send
+flow: shutdown all
- : unit = ()
)");
}

TEST_F(MockFlowTest, EveryCloseIsPrinted) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          eio_flow_close(&flow->flow);
                          eio_flow_close(&flow->flow);
                          return nullptr;
                      }),
                      R"(
+flow: closed
+flow: closed
- : unit = ()
)");
}

TEST_F(MockFlowTest, CloseCallsWhatWasRegisteredOnceAndInOrder) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          EIO_TRY(eio_mock_flow_on_close(
                              flow, [](void *) { eio_traceln("first"); }, nullptr));
                          EIO_TRY(eio_mock_flow_on_close(
                              flow, [](void *) { eio_traceln("second"); }, nullptr));
                          eio_flow_close(&flow->flow);
                          eio_flow_close(&flow->flow);
                          return eio_mock_flow_on_close(
                              flow, [](void *) { eio_traceln("never"); }, nullptr);
                      }),
                      R"(
+first
+second
+flow: closed
+flow: closed
- : unit = ()
)");
}

TEST_F(MockFlowTest, ASwitchClosesAFlowThatIsAttached) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) {
                          return SwitchRun([=](eio_switch *sw) -> eio_err * {
                              EIO_TRY(eio_mock_flow_attach_to_switch(flow, sw));
                              eio_traceln("end");
                              return nullptr;
                          });
                      }),
                      R"(
+end
+flow: closed
- : unit = ()
)");
}

TEST_F(MockFlowTest, ASwitchDoesntCloseAFlowThatWasClosedBefore) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) -> eio_err * {
                          auto body = [=](eio_switch *sw) -> eio_err * {
                              EIO_TRY(eio_mock_flow_attach_to_switch(flow, sw));
                              eio_flow_close(&flow->flow);
                              eio_traceln("end");
                              return nullptr;
                          };
                          EIO_TRY(SwitchRun(body));
                          eio_traceln("again");
                          return SwitchRun(body);
                      }),
                      R"(
+flow: closed
+end
+again
+flow: closed
+end
- : unit = ()
)");
}

TEST_F(MockFlowTest, FreeingClosesOnceAndLeavesTheObjectUsable) {
    EXPECT_TRANSCRIPT(RunFlow([](eio_mock_flow *flow) {
                          return SwitchRun([=](eio_switch *sw) -> eio_err * {
                              EIO_TRY(eio_mock_flow_attach_to_switch(flow, sw));
                              eio_flow_free(&flow->flow);
                              eio_traceln("%zu left", eio_mock_left(&flow->on_read));
                              return nullptr;
                          });
                      }),
                      R"(
+flow: closed
+0 left
- : unit = ()
)");
}

TEST_F(MockFlowTest, AFlowOutsideOfARunIsTheCallers) {
    eio_mock_flow *flow;
    ASSERT_EQ(eio_mock_flow_create("outside", &flow), nullptr);
    EXPECT_TRANSCRIPT(Run([=] { return Write(flow, "a"); }), R"(
+outside: wrote "a"
- : unit = ()
)");
    EXPECT_TRANSCRIPT(Run([=] { return Write(flow, "b"); }), R"(
+outside: wrote "b"
- : unit = ()
)");
    eio_mock_flow_destroy(flow);
    eio_mock_flow_destroy(nullptr);
}

using MockFlowDeathTest = MockFlowTest;

TEST_F(MockFlowDeathTest, OnlyAMockFlowIsOne) {
    eio_string_source text;
    eio_string_source_init(&text, eio_slice_of_str("abc"));
    EXPECT_DEATH((void)eio_mock_flow_of_source(&text.source), "eio_mock_flow");
}

} // namespace
