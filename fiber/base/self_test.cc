// SPDX-License-Identifier: ISC
#include "eio/self.h"

#include <gtest/gtest.h>

#include <string>

#include "eio/macros.h"
#include "fiber/base/self_probe.h"

namespace {

TEST(SelfTest, TheDowncastFindsTheObjectAroundTheMember) {
    EXPECT_TRUE(self_probe_finds_object());
}

TEST(SelfTest, ThePointerIsEvaluatedOnce) {
    EXPECT_EQ(self_probe_evaluations(), 1);
}

TEST(SelfDeathTest, ADowncastToAnotherTypeStopsTheProgram) {
    EXPECT_DEATH(self_probe_mismatch(),
                 "self_probe\\.c:[0-9]+: EIO_SELF: the object is not a struct circle");
}

TEST(VersionTest, TheLinkedLibraryIsTheOneOfTheseHeaders) {
    EXPECT_STREQ(eio_version(), EIO_VERSION);
    std::string numbers = std::to_string(EIO_VERSION_MAJOR) + "." +
                          std::to_string(EIO_VERSION_MINOR) + "." +
                          std::to_string(EIO_VERSION_PATCH);
    EXPECT_EQ(numbers, EIO_VERSION);
}

} // namespace
