// SPDX-License-Identifier: ISC
#include "eio/slice.h"

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <cstddef>
#include <string>

namespace {

// Arrays of both go to the kernel as they are.
static_assert(sizeof(eio_slice) == sizeof(iovec) && sizeof(eio_buf) == sizeof(iovec), "");
static_assert(offsetof(eio_slice, base) == offsetof(iovec, iov_base), "");
static_assert(offsetof(eio_slice, len) == offsetof(iovec, iov_len), "");
static_assert(offsetof(eio_buf, base) == offsetof(iovec, iov_base), "");
static_assert(offsetof(eio_buf, len) == offsetof(iovec, iov_len), "");

std::string Str(eio_slice s) {
    return s.len == 0 ? "" : std::string(reinterpret_cast<const char *>(s.base), s.len);
}

TEST(SliceTest, CoversTheStringWithoutItsNul) {
    EXPECT_EQ(Str(eio_slice_of_str("hello")), "hello");
    EXPECT_EQ(eio_slice_of_str("").len, 0u);
    EXPECT_EQ(Str(eio_slice_of("a\0b", 3)), std::string("a\0b", 3));
}

TEST(SliceTest, DropLeavesTheRestAndNeverLessThanNothing) {
    eio_slice s = eio_slice_of_str("hello");
    EXPECT_EQ(Str(eio_slice_drop(s, 0)), "hello");
    EXPECT_EQ(Str(eio_slice_drop(s, 4)), "o");
    EXPECT_EQ(eio_slice_drop(s, 5).len, 0u);
    EXPECT_EQ(eio_slice_drop(s, 6).len, 0u);
    EXPECT_EQ(eio_slice_drop(eio_slice_of(nullptr, 0), 1).len, 0u);
}

TEST(BufTest, ItsSliceIsNotLongerThanItself) {
    uint8_t space[4] = {'a', 'b', 'c', 'd'};
    eio_buf buf = eio_buf_of(space, sizeof space);
    EXPECT_EQ(Str(eio_slice_of_buf(buf, 2)), "ab");
    EXPECT_EQ(Str(eio_slice_of_buf(buf, 9)), "abcd");
    EXPECT_EQ(Str(eio_slice_of_buf(eio_buf_drop(buf, 1), 9)), "bcd");
    EXPECT_EQ(eio_buf_drop(buf, 4).len, 0u);
    EXPECT_EQ(eio_buf_drop(buf, 5).len, 0u);
}

} // namespace
