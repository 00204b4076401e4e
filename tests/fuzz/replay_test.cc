// SPDX-License-Identifier: ISC
// Runs a target over the files of its corpus, whose folder is the argument: what a fuzzer has found
// stays found, with any compiler, and no fuzzer is needed for it.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/fuzz/fuzz.h"

namespace {

const char *corpus;

TEST(Replay, OfNothing) {
    eio_fuzz::RunTarget(nullptr, 0);
}

TEST(Replay, OfEachFileOfTheCorpus) {
    int files = 0;
    for (const auto &entry : std::filesystem::directory_iterator(corpus)) {
        std::ifstream file(entry.path(), std::ios::binary);
        ASSERT_TRUE(file) << entry.path();
        std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
        SCOPED_TRACE(entry.path());
        eio_fuzz::RunTarget(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
        files++;
    }
    EXPECT_GT(files, 0) << "no corpus in " << corpus;
    printf("%d files\n", files);
}

} // namespace

int main(int argc, char **argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    corpus = argv[1];
    return RUN_ALL_TESTS();
}
