// SPDX-License-Identifier: ISC
#include <errno.h>

#include <set>

#include "tests/support/faults.h"
#include "tests/support/real_run.h"

using namespace eio_test;

namespace {

class RandomTest : public RealTest {};
EIO_ON_REAL_BACKENDS(RandomTest);

TEST_P(RandomTest, BytesDiffer) {
    RunReal([](eio_switch *, const eio_env *env) -> eio_err * {
        std::set<std::string> seen;
        for (int i = 0; i < 100; i++) {
            std::string bytes(16, '\0');
            EIO_TRY(eio_source_read_exact(env->random, eio_buf_of(bytes.data(), bytes.size())));
            seen.insert(bytes);
        }
        EXPECT_EQ(seen.size(), 100u);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(RandomTest, AnyLengthIsFilled) {
    RunReal([](eio_switch *, const eio_env *env) -> eio_err * {
        for (size_t len : {1u, 255u, 257u, 100000u, 1000000u}) {
            std::string bytes(len, '\0');
            EIO_TRY(eio_source_read_exact(env->random, eio_buf_of(bytes.data(), len)));
            // The chance that the last 32 of 1000000 are zeros is nil.
            if (len > 32) {
                EXPECT_NE(bytes.substr(len - 32), std::string(32, '\0'));
            }
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(RandomTest, AnInterruptedCallIsRepeatedAndAFailedOneIsAnError) {
    RunReal([](eio_switch *, const eio_env *env) -> eio_err * {
        char byte;
        {
            int left = 3;
            Faults faults([&](const std::string &call) {
                return call == "getrandom" && left-- > 0 ? EINTR : 0;
            });
            EIO_TRY(eio_source_read_exact(env->random, eio_buf_of(&byte, 1)));
            EXPECT_EQ(faults.Count("getrandom"), 4);
        }
        Faults faults([](const std::string &call) { return call == "getrandom" ? ENOSYS : 0; });
        return eio_source_read_exact(env->random, eio_buf_of(&byte, 1));
    });
    EXPECT_TRACE(R"(
        Exception: Eio.Io _
    )");
}

} // namespace
