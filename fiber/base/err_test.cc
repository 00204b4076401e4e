// SPDX-License-Identifier: ISC
#include "eio/err.h"

#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "fiber/base/testing.h"

using namespace eio_base_test;

namespace {

const eio_err_kind kNet = {&eio_err_io, "Net"};
const eio_err_kind kRefused = {&kNet, "Refused"};
const eio_err_kind kReset = {&kNet, "Reset"};
const eio_err_kind kGraceful = {nullptr, "Graceful_shutdown"};

class ErrTest : public BaseTest {};

eio_err *Refused() {
    return eio_err_backend(&kRefused, "B");
}
eio_err *Reset() {
    return eio_err_backend(&kReset, "B");
}
eio_err *Cancelled(const char *why) {
    return eio_err_cancelled_new(eio_err_failure("%s", why));
}

// The text, and drops the error.
std::string TakeText(eio_err *err) {
    std::string text = Text(err);
    eio_err_drop(err);
    return text;
}

// --- Kinds and constants -------------------------------------------------------------------------

TEST_F(ErrTest, ConstantsOfOneKindAreOneErrorWithoutMemory) {
    int64_t before = eioi_live_objects();
    eio_err *a = eio_err_const(&kGraceful);
    EXPECT_EQ(a, eio_err_const(&kGraceful));
    EXPECT_NE(a, eio_err_const(&eio_err_exit));
    EXPECT_NE(a, nullptr);
    EXPECT_EQ(eioi_live_objects(), before);
}

TEST_F(ErrTest, ConstantsOutliveAnyNumberOfDrops) {
    eio_err *err = eio_err_const(&eio_err_end_of_file);
    for (int i = 0; i < 3; i++)
        eio_err_drop(err);
    EXPECT_EQ(eio_err_ref(err), err);
    EXPECT_EQ(eio_err_kind_of(err), &eio_err_end_of_file);
}

TEST_F(ErrTest, ConstantsHaveNoArguments) {
    const eio_err *err = eio_err_const(&eio_err_end_of_file);
    EXPECT_STREQ(eio_err_text(err), "");
    EXPECT_EQ(eio_err_errno(err), 0);
    EXPECT_EQ(eio_err_inner(err), nullptr);
    EXPECT_EQ(eio_err_child_count(err), 0u);
}

TEST_F(ErrTest, AnErrorIsOfItsKindAndOfEveryKindAbove) {
    for (eio_err *err : {Refused(), eio_err_const(&kRefused)}) {
        EXPECT_TRUE(eio_err_is(err, &kRefused));
        EXPECT_TRUE(eio_err_is(err, &kNet));
        EXPECT_TRUE(eio_err_is(err, &eio_err_io));
        EXPECT_FALSE(eio_err_is(err, &kReset));
        EXPECT_FALSE(eio_err_is(err, &eio_err_end_of_file));
        EXPECT_EQ(eio_err_kind_of(err), &kRefused);
        eio_err_drop(err);
    }
    eio_err *net = eio_err_const(&kNet);
    EXPECT_FALSE(eio_err_is(net, &kRefused)) << "not of a kind below its own";
    EXPECT_FALSE(eio_err_is(nullptr, &eio_err_io)) << "success is of no kind";
}

TEST_F(ErrTest, TheTreeOfKindsIsAsDocumented) {
    for (const eio_err_kind *kind : {&eio_err_x, &eio_err_multiple_io, &eio_err_not_available,
                                     &eio_err_fs, &eio_err_fs_not_found, &eio_err_fs_already_exists,
                                     &eio_err_fs_permission_denied, &eio_err_fs_file_too_large})
        EXPECT_TRUE(eio_err_is(eio_err_const(kind), &eio_err_io)) << kind->name;
    for (const eio_err_kind *kind : {&eio_err_fs_not_found, &eio_err_fs_already_exists,
                                     &eio_err_fs_permission_denied, &eio_err_fs_file_too_large})
        EXPECT_TRUE(eio_err_is(eio_err_const(kind), &eio_err_fs)) << kind->name;
    EXPECT_TRUE(eio_err_is(eio_err_const(&eio_err_closed), &eio_err_invalid_argument));
    for (const eio_err_kind *kind :
         {&eio_err_cancelled, &eio_err_multiple, &eio_err_end_of_file, &eio_err_out_of_memory,
          &eio_err_stack_limit, &eio_err_failure_kind, &eio_err_invalid_argument, &eio_err_timeout,
          &eio_err_exit, &eio_err_not_first, &eio_err_not_found, &eio_err_deadlock_detected})
        EXPECT_EQ(kind->parent, nullptr) << kind->name;
}

TEST_F(ErrTest, CatchDropsWhatMatchesAndLeavesTheRest) {
    eio_err *err = Refused();
    EXPECT_FALSE(eio_err_catch(&err, &kReset));
    EXPECT_NE(err, nullptr);
    EXPECT_TRUE(eio_err_catch(&err, &kNet));
    EXPECT_EQ(err, nullptr);
    EXPECT_FALSE(eio_err_catch(&err, &kNet));
}

// --- Making and holding --------------------------------------------------------------------------

TEST_F(ErrTest, TheTextIsFormattedAndKept) {
    std::string longer(3000, 'x');
    eio_err *err = eio_err_failure("%d %s", 5, longer.c_str());
    EXPECT_EQ(eio_err_text(err), "5 " + longer);
    EXPECT_EQ(eio_err_kind_of(err), &eio_err_failure_kind);
    eio_err_drop(err);
    err = eio_err_new(&eio_err_closed, "%s", "");
    EXPECT_STREQ(eio_err_text(err), "");
    EXPECT_EQ(eio_err_kind_of(err), &eio_err_closed);
    eio_err_drop(err);
}

TEST_F(ErrTest, TwoFailuresWithOneTextAreTwoErrors) {
    eio_err *a = eio_err_failure("x"), *b = eio_err_failure("x");
    EXPECT_NE(a, b);
    eio_err_drop(a);
    eio_err_drop(b);
}

TEST_F(ErrTest, AnOsErrorKeepsItsErrno) {
    eio_err *err = eio_err_os(&kRefused, ECONNREFUSED, "connect");
    EXPECT_EQ(eio_err_errno(err), ECONNREFUSED);
    EXPECT_STREQ(eio_err_text(err), "");
    eio_err_drop(err);
}

TEST_F(ErrTest, ABackendDetailIsCopied) {
    char detail[] = "Simulated_failure";
    eio_err *err = eio_err_backend(&kRefused, detail);
    memset(detail, '?', sizeof detail - 1);
    EXPECT_EQ(TakeText(err), "Eio.Io Net Refused Simulated_failure");
}

TEST_F(ErrTest, ACancelledHoldsItsReason) {
    eio_err *why = eio_err_failure("why");
    eio_err *err = eio_err_cancelled_new(why);
    EXPECT_TRUE(eio_err_is(err, &eio_err_cancelled));
    EXPECT_EQ(eio_err_inner(err), why);
    eio_err_drop(err);
}

TEST_F(ErrTest, TheLastOfSeveralHoldersFreesIt) {
    eio_err *err = eio_err_failure("shared");
    EXPECT_EQ(eio_err_ref(err), err);
    eio_err_drop(err);
    EXPECT_STREQ(eio_err_text(err), "shared");
    eio_err_drop(err);
}

TEST_F(ErrTest, NullIsSuccessEverywhere) {
    eio_err_drop(nullptr);
    EXPECT_EQ(eio_err_ref(nullptr), nullptr);
    EXPECT_EQ(eio_err_add_context(nullptr, "x"), nullptr);
    EXPECT_EQ(eio_err_combine(nullptr, nullptr), nullptr);
    EXPECT_EQ(eio_err_inner(nullptr), nullptr);
    EXPECT_EQ(eio_err_child_count(nullptr), 0u);
    EXPECT_STREQ(eio_err_text(nullptr), "");
    EXPECT_EQ(eio_err_errno(nullptr), 0);
}

TEST_F(ErrTest, CleanupDropsAndForgets) {
    eio_err *err = eio_err_failure("x");
    eio_err_cleanup(&err);
    EXPECT_EQ(err, nullptr);
    eio_err_cleanup(&err);
}

// A fiber's stack is small; so is this thread's.
TEST_F(ErrTest, ATreeOfAnyDepthIsFreedAndPrintedWithoutStack) {
    std::function<void()> body = [] {
        eio_err *left = Refused(), *chain = eio_err_failure("x"), *right = eio_err_failure("y");
        for (int i = 0; i < 20000; i++) {
            left = eio_err_combine(left, Refused());
            chain = eio_err_cancelled_new(chain);
            right = eio_err_combine(eio_err_const(&kGraceful), right);
        }
        EXPECT_GT(Text(left).size(), 20000u);
        EXPECT_GT(Text(chain).size(), 20000u);
        EXPECT_GT(Text(right).size(), 20000u);
        eio_err_drop(left);
        eio_err_drop(chain);
        eio_err_drop(right);
    };
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    ASSERT_EQ(pthread_attr_setstacksize(&attr, 512 * 1024), 0);
    pthread_t thread;
    auto run = [](void *arg) -> void * {
        (*static_cast<std::function<void()> *>(arg))();
        return nullptr;
    };
    ASSERT_EQ(pthread_create(&thread, &attr, run, &body), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attr);
}

// --- Combining -----------------------------------------------------------------------------------

TEST_F(ErrTest, CombiningWithSuccessIsTheOther) {
    eio_err *a = eio_err_failure("a");
    EXPECT_EQ(eio_err_combine(a, nullptr), a);
    EXPECT_EQ(eio_err_combine(nullptr, a), a);
    eio_err_drop(a);
}

TEST_F(ErrTest, TheSameErrorTwiceIsOne) {
    eio_err *a = eio_err_failure("a");
    EXPECT_EQ(eio_err_combine(a, eio_err_ref(a)), a);
    EXPECT_EQ(TakeText(a), "Failure(\"a\")");
    eio_err *exit = eio_err_const(&eio_err_exit);
    EXPECT_EQ(eio_err_combine(exit, eio_err_const(&eio_err_exit)), exit);
    eio_err *c = Cancelled("x");
    EXPECT_EQ(eio_err_combine(c, eio_err_ref(c)), c);
    eio_err_drop(c);
    eio_err *io = Refused();
    EXPECT_EQ(eio_err_combine(io, eio_err_ref(io)), io);
    eio_err_drop(io);
}

TEST_F(ErrTest, EqualTextsDoNotMerge) {
    EXPECT_EQ(TakeText(eio_err_combine(eio_err_failure("x"), eio_err_failure("x"))),
              "Multiple exceptions:\n- Failure(\"x\")\n- Failure(\"x\")");
}

TEST_F(ErrTest, CancelledGivesWayOnEitherSide) {
    EXPECT_EQ(TakeText(eio_err_combine(Cancelled("c"), eio_err_failure("a"))), "Failure(\"a\")");
    EXPECT_EQ(TakeText(eio_err_combine(eio_err_failure("a"), Cancelled("c"))), "Failure(\"a\")");
    EXPECT_EQ(TakeText(eio_err_combine(Refused(), Cancelled("c"))), "Eio.Io Net Refused B");
    eio_err *none = eio_err_const(&eio_err_cancelled);
    EXPECT_EQ(TakeText(eio_err_combine(none, Refused())), "Eio.Io Net Refused B");
    eio_err *multiple = eio_err_combine(eio_err_failure("a"), eio_err_failure("b"));
    EXPECT_EQ(eio_err_combine(multiple, Cancelled("c")), multiple);
    EXPECT_EQ(eio_err_child_count(multiple), 2u);
    eio_err_drop(multiple);
}

TEST_F(ErrTest, OfTwoCancelledTheSecondStays) {
    EXPECT_EQ(TakeText(eio_err_combine(Cancelled("1"), Cancelled("2"))),
              "Cancelled: Failure(\"2\")");
}

TEST_F(ErrTest, TwoIoErrorsAreOneIoError) {
    eio_err *a = Refused(), *b = Reset();
    eio_err *both = eio_err_combine(a, b);
    EXPECT_EQ(eio_err_kind_of(both), &eio_err_multiple_io);
    EXPECT_TRUE(eio_err_is(both, &eio_err_io));
    ASSERT_EQ(eio_err_child_count(both), 2u);
    EXPECT_EQ(eio_err_child(both, 0), a);
    EXPECT_EQ(eio_err_child(both, 1), b);
    eio_err_drop(both);
}

TEST_F(ErrTest, AThirdIoErrorMakesATree) {
    eio_err *two = eio_err_combine(Refused(), Reset());
    eio_err *three = eio_err_combine(two, eio_err_const(&kReset));
    ASSERT_EQ(eio_err_child_count(three), 2u);
    EXPECT_EQ(eio_err_child(three, 0), two);
    eio_err_drop(three);
}

TEST_F(ErrTest, AnIoErrorAndAnotherAreAMultiple) {
    for (bool io_first : {true, false}) {
        eio_err *io = Refused(), *other = eio_err_failure("a");
        eio_err *both = io_first ? eio_err_combine(io, other) : eio_err_combine(other, io);
        EXPECT_EQ(eio_err_kind_of(both), &eio_err_multiple);
        EXPECT_FALSE(eio_err_is(both, &eio_err_io));
        ASSERT_EQ(eio_err_child_count(both), 2u);
        EXPECT_EQ(eio_err_child(both, io_first ? 0 : 1), io);
        EXPECT_EQ(eio_err_child(both, io_first ? 1 : 0), other);
        eio_err_drop(both);
    }
}

TEST_F(ErrTest, AnOlderMultipleTakesTheNewerErrorIn) {
    eio_err *m = eio_err_combine(eio_err_failure("a"), eio_err_failure("b"));
    for (int i = 0; i < 20; i++)
        m = eio_err_combine(m, Refused());
    ASSERT_EQ(eio_err_child_count(m), 22u);
    EXPECT_STREQ(eio_err_text(eio_err_child(m, 0)), "a");
    EXPECT_STREQ(eio_err_text(eio_err_child(m, 1)), "b");
    EXPECT_TRUE(eio_err_is(eio_err_child(m, 21), &kRefused));
    eio_err_drop(m);
}

TEST_F(ErrTest, ANewerMultipleIsAChild) {
    eio_err *m = eio_err_combine(eio_err_failure("a"), eio_err_failure("b"));
    eio_err *both = eio_err_combine(eio_err_failure("older"), m);
    ASSERT_EQ(eio_err_child_count(both), 2u);
    EXPECT_STREQ(eio_err_text(eio_err_child(both, 0)), "older");
    EXPECT_EQ(eio_err_child(both, 1), m);
    eio_err *n = eio_err_combine(eio_err_failure("c"), eio_err_failure("d"));
    both = eio_err_combine(both, n);
    ASSERT_EQ(eio_err_child_count(both), 3u);
    EXPECT_EQ(eio_err_child(both, 2), n) << "an older Multiple takes it in whole";
    eio_err_drop(both);
}

TEST_F(ErrTest, AMultipleThatSomebodyElseHoldsIsNotChanged) {
    eio_err *m = eio_err_combine(eio_err_failure("a"), eio_err_failure("b"));
    eio_err *mine = eio_err_ref(m);
    eio_err *more = eio_err_combine(m, eio_err_failure("c"));
    EXPECT_NE(more, mine);
    EXPECT_EQ(eio_err_child_count(mine), 2u);
    ASSERT_EQ(eio_err_child_count(more), 3u);
    EXPECT_EQ(eio_err_child(more, 0), eio_err_child(mine, 0)) << "the children are shared";
    eio_err_drop(mine);
    eio_err_drop(more);
}

// --- Context -------------------------------------------------------------------------------------

TEST_F(ErrTest, ContextGoesOntoAnErrorInPlaceWhenNobodyElseHoldsIt) {
    eio_err *err = Refused();
    EXPECT_EQ(eio_err_add_context(err, "one %d", 1), err);
    EXPECT_EQ(eio_err_add_context(err, "two"), err);
    EXPECT_EQ(TakeText(err), "Eio.Io Net Refused B,\n  one 1,\n  two");
}

TEST_F(ErrTest, ContextCopiesASharedError) {
    eio_err *shared = eio_err_add_context(eio_err_os(&kRefused, ECONNREFUSED, "connect"), "one");
    eio_err *copy = eio_err_add_context(eio_err_ref(shared), "two");
    EXPECT_NE(copy, shared);
    EXPECT_EQ(eio_err_errno(copy), ECONNREFUSED);
    EXPECT_EQ(Text(copy), "Eio.Io Net Refused Unix_error (Connection refused, \"connect\", \"\"),\n"
                          "  one,\n"
                          "  two");
    eio_err_show_backend(false);
    EXPECT_EQ(TakeText(copy), "Eio.Io Net Refused _,\n  one,\n  two");
    EXPECT_EQ(eio_err_add_context(shared, "alone"), shared) << "the copy gave its reference up";
    EXPECT_EQ(TakeText(shared), "Eio.Io Net Refused _,\n  one,\n  alone");
}

TEST_F(ErrTest, ACopyHasTextDetailChildrenAndPlaces) {
    eio_err *text = eio_err_new(&kRefused, "why");
    eio_err_trace(text, "a.c", 1);
    eio_err *copy = eio_err_add_context(eio_err_ref(text), "c");
    EXPECT_STREQ(eio_err_text(copy), "why");
    EXPECT_EQ(Trace(copy), "  at a.c:1\n");
    eio_err_drop(copy);
    eio_err_drop(text);

    eio_err *pair = eio_err_combine(Refused(), Reset());
    copy = eio_err_add_context(eio_err_ref(pair), "c");
    EXPECT_EQ(TakeText(copy), "Eio.Io Multiple_io\n- Net Refused B\n- Net Reset B,\n  c");
    EXPECT_EQ(TakeText(pair), "Eio.Io Multiple_io\n- Net Refused B\n- Net Reset B");
}

TEST_F(ErrTest, ContextOnAConstantIoErrorMakesAnObjectOfItsKind) {
    eio_err *constant = eio_err_const(&kRefused);
    eio_err *err = eio_err_add_context(constant, "one");
    EXPECT_NE(err, constant);
    EXPECT_EQ(eio_err_kind_of(err), &kRefused);
    EXPECT_EQ(TakeText(err), "Eio.Io Net Refused,\n  one");
    EXPECT_EQ(Text(constant), "Eio.Io Net Refused");
}

TEST_F(ErrTest, ContextOnAnyOtherErrorFormatsNothing) {
    for (eio_err *err : {eio_err_failure("a"), Cancelled("c"), eio_err_const(&eio_err_end_of_file),
                         eio_err_combine(Refused(), eio_err_failure("b"))}) {
        FailNth count(1000);
        int64_t before = eioi_live_objects();
        int written = -1;
        // %n would be written if the format were looked at; it is built so that no compiler warns.
        EXPECT_EQ(eio_err_add_context(err, "%d%n", 5, &written), err);
        EXPECT_EQ(written, -1);
        EXPECT_EQ(count.seen(), 0);
        EXPECT_EQ(eioi_live_objects(), before);
        eio_err_drop(err);
    }
}

TEST_F(ErrTest, ContextMayQuoteTheErrorItself) {
    eio_err *err = eio_err_new(&kRefused, "why");
    err = eio_err_add_context(err, "because %s", eio_err_text(err));
    EXPECT_EQ(TakeText(err), "Eio.Io Net Refused why,\n  because why");
    eio_err *shared = eio_err_new(&kRefused, "why");
    eio_err *copy = eio_err_add_context(eio_err_ref(shared), "because %s", eio_err_text(shared));
    EXPECT_EQ(TakeText(copy), "Eio.Io Net Refused why,\n  because why");
    eio_err_drop(shared);
}

TEST_F(ErrTest, SeveralThreadsCanTellTheirOwnStoriesOfOneError) {
    eio_err *err = eio_err_add_context(Refused(), "start");
    std::vector<std::thread> threads;
    std::vector<std::string> texts(4);
    for (size_t t = 0; t < texts.size(); t++) {
        eio_err *mine = eio_err_ref(err);
        threads.emplace_back([mine, &texts, t]() mutable {
            for (int i = 0; i < 200; i++)
                mine = eio_err_trace(eio_err_add_context(mine, "t%zu", t), "x.c", i);
            texts[t] = TakeText(mine);
        });
    }
    eio_err_drop(err);
    for (std::thread &thread : threads)
        thread.join();
    for (size_t t = 0; t < texts.size(); t++) {
        std::string expected = "Eio.Io Net Refused B,\n  start";
        for (int i = 0; i < 200; i++)
            expected += ",\n  t" + std::to_string(t);
        EXPECT_EQ(texts[t], expected);
    }
}

// --- Places --------------------------------------------------------------------------------------

eio_err *Fails() {
    EIO_TRY(eio_err_failure("x"));
    return nullptr;
}
eio_err *Passes() {
    EIO_TRY(static_cast<eio_err *>(nullptr));
    return nullptr;
}
eio_err *Outer(const char *what) {
    EIO_TRY_CTX(Refused(), "doing %s", what);
    return nullptr;
}

TEST_F(ErrTest, TryReturnsTheErrorWithItsPlaceAndGoesOnAfterSuccess) {
    eio_err *err = Fails();
    EXPECT_NE(Trace(err).find("err_test.cc:"), std::string::npos);
    EXPECT_EQ(TakeText(err), "Failure(\"x\")");
    EXPECT_EQ(Passes(), nullptr);
}

TEST_F(ErrTest, TryCtxAddsItsLine) {
    EXPECT_EQ(TakeText(Outer("this")), "Eio.Io Net Refused B,\n  doing this");
}

TEST_F(ErrTest, TheLastEightPlacesAreKeptOldestFirst) {
    eio_err *err = eio_err_failure("x");
    EXPECT_EQ(Trace(err), "");
    for (int line = 1; line <= 8; line++)
        eio_err_trace(err, "a.c", line);
    EXPECT_EQ(Trace(err), "  at a.c:1\n  at a.c:2\n  at a.c:3\n  at a.c:4\n"
                          "  at a.c:5\n  at a.c:6\n  at a.c:7\n  at a.c:8\n");
    for (int line = 9; line <= 11; line++)
        eio_err_trace(err, "b.c", line);
    EXPECT_EQ(Trace(err), "  at a.c:4\n  at a.c:5\n  at a.c:6\n  at a.c:7\n"
                          "  at a.c:8\n  at b.c:9\n  at b.c:10\n  at b.c:11\n");
    eio_err_drop(err);
}

TEST_F(ErrTest, SharedAndConstantErrorsNoteNoPlaces) {
    eio_err *err = eio_err_failure("x");
    eio_err_ref(err);
    eio_err_trace(err, "a.c", 1);
    EXPECT_EQ(Trace(err), "");
    eio_err_drop(err);
    eio_err_drop(err);
    EXPECT_EQ(Trace(eio_err_trace(eio_err_const(&eio_err_exit), "a.c", 1)), "");
}

// --- Without memory ------------------------------------------------------------------------------

// Runs `body` with allocation 1, 2, 3... failing until none does; `check` sees what it returned
// each time.
void ForEachFailure(const std::function<eio_err *()> &body,
                    const std::function<void(int nth, eio_err *err)> &check) {
    for (int nth = 1;; nth++) {
        SCOPED_TRACE(::testing::Message() << "allocation " << nth << " fails");
        ASSERT_LT(nth, 100);
        int64_t before = eioi_live_objects();
        eio_err *err;
        bool failed;
        {
            FailNth fail(nth);
            err = body();
            failed = fail.failed();
        }
        if (failed)
            check(nth, err);
        else
            EXPECT_GT(nth, 1) << "nothing was allocated, so nothing was tested";
        eio_err_drop(err);
        EXPECT_EQ(eioi_live_objects(), before);
        if (!failed)
            return;
    }
}

TEST_F(ErrTest, AConstructorWithoutMemoryReturnsOutOfMemory) {
    const std::function<eio_err *()> constructors[] = {
        [] { return eio_err_failure("x"); },
        [] { return eio_err_new(&kGraceful, "x"); },
        [] { return eio_err_os(&kRefused, 1, "connect"); },
        [] { return eio_err_backend(&kRefused, "x"); },
    };
    for (const auto &constructor : constructors)
        ForEachFailure(constructor, [](int, eio_err *err) {
            EXPECT_EQ(err, eio_err_const(&eio_err_out_of_memory));
        });
}

TEST_F(ErrTest, ACancelledWithoutMemoryIsTheConstant) {
    ForEachFailure([] { return eio_err_cancelled_new(Refused()); },
                   [](int nth, eio_err *err) {
                       if (nth == 1)
                           EXPECT_EQ(Text(err), "Cancelled: Out_of_memory");
                       else
                           EXPECT_EQ(err, eio_err_const(&eio_err_cancelled));
                   });
}

TEST_F(ErrTest, ContextWithoutMemoryLeavesTheErrorAsItWas) {
    eio_err *shared = eio_err_add_context(eio_err_combine(Refused(), Reset()), "one");
    for (const char *before : {"one", "two"}) {
        const std::string text = Text(shared);
        ForEachFailure([shared] { return eio_err_add_context(eio_err_ref(shared), "more"); },
                       [shared, &text](int, eio_err *err) {
                           EXPECT_EQ(err, shared) << "not copied";
                           EXPECT_EQ(Text(err), text);
                       });
        EXPECT_EQ(Text(shared), text) << "the line before was " << before;
        shared = eio_err_add_context(shared, "two");
    }
    eio_err_drop(shared);
    ForEachFailure([] { return eio_err_add_context(eio_err_const(&kRefused), "one"); },
                   [](int, eio_err *err) { EXPECT_EQ(err, eio_err_const(&kRefused)); });
    eio_err *alone = Refused();
    {
        FailNth fail(1);
        EXPECT_EQ(eio_err_add_context(alone, "one"), alone);
        EXPECT_TRUE(fail.failed());
    }
    EXPECT_EQ(TakeText(alone), "Eio.Io Net Refused B");
}

TEST_F(ErrTest, CollectedIoErrorsStandSideBySide) {
    eio_err *all = nullptr;
    for (const char *where : {"a", "b", "c"})
        all = eio_err_collect(all, eio_err_add_context(Refused(), "connecting to %s", where));
    all = eio_err_collect(all, nullptr);
    ASSERT_EQ(eio_err_child_count(all), 3u);
    for (size_t i = 0; i < 3; i++)
        EXPECT_TRUE(eio_err_is(eio_err_child(all, i), &kRefused)) << i;
    // With a context line it's one failure of something larger.
    all = eio_err_add_context(all, "looking for a server");
    all = eio_err_collect(all, Reset());
    EXPECT_EQ(eio_err_child_count(all), 2u);
    // Another kind, and a Cancelled, as when combined.
    all = eio_err_collect(all, eio_err_const(&eio_err_exit));
    EXPECT_EQ(eio_err_kind_of(all), &eio_err_multiple);
    EXPECT_EQ(eio_err_child_count(all), 2u);
    eio_err_drop(all);
    EXPECT_EQ(eio_err_collect(nullptr, eio_err_const(&eio_err_exit)), eio_err_const(&eio_err_exit));
}

TEST_F(ErrTest, CombiningWithoutMemoryKeepsTheOlder) {
    struct {
        eio_err *(*first)();
        eio_err *(*second)();
    } const pairs[] = {
        {Refused, Reset},
        {[] { return eio_err_failure("a"); }, [] { return eio_err_failure("b"); }},
        {Refused, [] { return eio_err_const(&eio_err_exit); }},
        {[] { return eio_err_const(&eio_err_timeout); }, Refused},
    };
    for (const auto &it : pairs) {
        eio_err *first = it.first(), *second = it.second();
        const std::string text = Text(first);
        ForEachFailure([&] { return eio_err_combine(eio_err_ref(first), eio_err_ref(second)); },
                       [&](int, eio_err *err) { EXPECT_EQ(err, first); });
        EXPECT_EQ(TakeText(first), text);
        eio_err_drop(second);
    }
}

TEST_F(ErrTest, AMultipleThatCannotGrowStaysAsItWas) {
    // Alone: grown in place; shared: copied.
    for (bool shared : {false, true}) {
        ForEachFailure(
            [shared] {
                const struct eioi_fault_hook *hook = eioi_fault_hook;
                eioi_fault_hook = nullptr;
                eio_err *m =
                    eio_err_combine(eio_err_const(&eio_err_exit), eio_err_const(&kGraceful));
                eio_err *held = shared ? eio_err_ref(m) : nullptr;
                eioi_fault_hook = hook;
                eio_err *more = eio_err_combine(m, eio_err_const(&eio_err_timeout));
                eio_err_drop(held);
                return more;
            },
            [](int, eio_err *err) {
                EXPECT_EQ(Text(err), "Multiple exceptions:\n- Stdlib.Exit\n- Graceful_shutdown");
            });
    }
}

// --- Broken programs -----------------------------------------------------------------------------

using ErrDeathTest = ErrTest;

TEST_F(ErrDeathTest, AChildThatIsNotThereStopsTheProgram) {
    eio_err *m = eio_err_combine(eio_err_failure("a"), eio_err_failure("b"));
    EXPECT_DEATH((void)eio_err_child(m, 2), "there is no child 2");
    EXPECT_DEATH((void)eio_err_child(eio_err_const(&eio_err_exit), 0), "there is no child 0");
    eio_err_drop(m);
}

TEST_F(ErrDeathTest, SuccessHasNoKindAndNoPlaces) {
    EXPECT_DEATH((void)eio_err_kind_of(nullptr), "success has no kind");
    EXPECT_DEATH((void)eio_err_trace(nullptr, "f.c", 1), "success came by no place");
}

TEST_F(ErrDeathTest, DetailsOfTheSystemAreForIoKindsOnly) {
    EXPECT_DEATH(eio_err_drop(eio_err_os(&eio_err_exit, 1, "open")), "below eio_err_io");
    EXPECT_DEATH(eio_err_drop(eio_err_backend(&eio_err_exit, "x")), "below eio_err_io");
}

TEST_F(ErrDeathTest, AnErrorNeedsAKind) {
    EXPECT_DEATH(eio_err_drop(eio_err_const(nullptr)), "an error needs a kind");
    EXPECT_DEATH(eio_err_drop(eio_err_new(nullptr, "x")), "an error needs a kind");
}

} // namespace
