// SPDX-License-Identifier: ISC
#include "eio/strbuf.h"

#include <string>

#include "fiber/base/testing.h"

using namespace eio_base_test;

namespace {

class StrbufTest : public BaseTest {
  protected:
    void TearDown() override {
        eio_strbuf_free(&sb_);
        BaseTest::TearDown();
    }
    eio_strbuf sb_ = EIO_STRBUF_INIT;
};

std::string Quoted(const std::string &text) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_strbuf_add_quoted(&sb, eio_slice_of(text.data(), text.size()));
    return Take(&sb);
}

TEST_F(StrbufTest, NewIsTheEmptyStringAndOwnsNothing) {
    EXPECT_STREQ(eio_strbuf_str(&sb_), "");
    EXPECT_EQ(eio_strbuf_slice(&sb_).len, 0u);
    EXPECT_EQ(sb_.base, nullptr);
    eio_strbuf_adds(&sb_, "");
    eio_strbuf_add(&sb_, nullptr, 0);
    eio_strbuf_addf(&sb_, "%s", "");
    EXPECT_EQ(sb_.base, nullptr) << "adding nothing allocates nothing";
}

TEST_F(StrbufTest, AdditionsFollowOneAnother) {
    eio_strbuf_adds(&sb_, "ab");
    eio_strbuf_addc(&sb_, 'c');
    eio_strbuf_addf(&sb_, "%d-%s", 42, "x");
    eio_strbuf_add(&sb_, "y\0z", 3);
    EXPECT_EQ(std::string(sb_.base, sb_.len), std::string("abc42-xy\0z", 10));
    EXPECT_EQ(sb_.base[sb_.len], '\0');
    EXPECT_EQ(eio_strbuf_slice(&sb_).len, 10u);
}

TEST_F(StrbufTest, EveryLengthAroundTheGrowthStepsIsWhole) {
    for (size_t len = 0; len < 300; len++) {
        std::string text(len, 'x');
        eio_strbuf one = EIO_STRBUF_INIT;
        eio_strbuf_adds(&one, text.c_str());
        EXPECT_EQ(Take(&one), text);
        eio_strbuf formatted = EIO_STRBUF_INIT;
        eio_strbuf_addf(&formatted, "%s", text.c_str());
        EXPECT_EQ(Take(&formatted), text);
        eio_strbuf bytewise = EIO_STRBUF_INIT;
        for (size_t i = 0; i < len; i++)
            eio_strbuf_addc(&bytewise, 'x');
        EXPECT_EQ(Take(&bytewise), text);
    }
    std::string big(1000000, 'y');
    eio_strbuf_adds(&sb_, big.c_str());
    EXPECT_EQ(eio_strbuf_str(&sb_), big);
}

TEST_F(StrbufTest, GrowingTakesLogarithmicallyManyAllocations) {
    FailNth count(1000000);
    for (int i = 0; i < 100000; i++)
        eio_strbuf_addc(&sb_, 'x');
    EXPECT_LE(count.seen(), 12);
}

TEST_F(StrbufTest, ClearKeepsTheMemoryAndForgetsTheFailure) {
    eio_strbuf_adds(&sb_, "hello");
    const char *base = sb_.base;
    sb_.failed = true;
    eio_strbuf_clear(&sb_);
    EXPECT_STREQ(eio_strbuf_str(&sb_), "");
    EXPECT_FALSE(sb_.failed);
    eio_strbuf_adds(&sb_, "x");
    EXPECT_STREQ(eio_strbuf_str(&sb_), "x");
    EXPECT_EQ(sb_.base, base);
}

TEST_F(StrbufTest, FreeLeavesAnEmptyBufferThatCanBeUsed) {
    eio_strbuf_adds(&sb_, "hello");
    eio_strbuf_free(&sb_);
    EXPECT_STREQ(eio_strbuf_str(&sb_), "");
    eio_strbuf_free(&sb_);
    eio_strbuf_adds(&sb_, "again");
    EXPECT_STREQ(eio_strbuf_str(&sb_), "again");
}

TEST_F(StrbufTest, WithoutMemoryTheTextIsAPrefixAndLaterAdditionsAreIgnored) {
    eio_strbuf_adds(&sb_, "kept");
    {
        FailNth fail(1);
        eio_strbuf_adds(&sb_, std::string(1000, 'x').c_str());
        EXPECT_TRUE(fail.failed());
    }
    EXPECT_TRUE(sb_.failed);
    eio_strbuf_adds(&sb_, "!");
    eio_strbuf_addf(&sb_, "%d", 1);
    eio_strbuf_addc(&sb_, '!');
    EXPECT_STREQ(eio_strbuf_str(&sb_), "kept");
}

TEST_F(StrbufTest, WithoutMemoryFromTheStartItIsEmpty) {
    {
        FailNth fail(1);
        eio_strbuf_addf(&sb_, "%s", "text");
    }
    EXPECT_TRUE(sb_.failed);
    EXPECT_STREQ(eio_strbuf_str(&sb_), "");
}

TEST(StrbufQuotedTest, MnemonicEscapes) {
    EXPECT_EQ(Quoted("\"\\\n\t\r\b"), R"("\"\\\n\t\r\b")");
}

TEST(StrbufQuotedTest, PrintableBytesStandForThemselves) {
    std::string all, expected;
    for (char c = 0x20; c < 0x7f; c++) {
        all += c;
        expected += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    }
    EXPECT_EQ(Quoted(all), "\"" + expected + "\"");
}

TEST(StrbufQuotedTest, EveryOtherByteIsThreeDecimalDigits) {
    for (int c = 0; c < 256; c++) {
        if ((c >= 0x20 && c <= 0x7e) || c == '\n' || c == '\t' || c == '\r' || c == '\b')
            continue;
        char digits[32];
        (void)snprintf(digits, sizeof digits, "\"\\%03d\"", c);
        EXPECT_EQ(Quoted(std::string(1, static_cast<char>(c))), digits);
    }
    EXPECT_EQ(Quoted("\x7f"), R"("\127")");
    EXPECT_EQ(Quoted("it's \xc3\xa9"), R"("it's \195\169")");
    EXPECT_EQ(Quoted(std::string("\xd8\x3a\xd4\xce", 4)), R"("\216:\212\206")");
}

TEST(StrbufQuotedTest, NothingIsTwoQuotes) {
    EXPECT_EQ(Quoted(""), "\"\"");
}

} // namespace
