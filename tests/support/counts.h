// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_SUPPORT_COUNTS_H
#define EIO_TESTS_SUPPORT_COUNTS_H

// How many of something a test makes: one table, smaller where a sanitizer makes each dearer. A
// reduction is printed.

#include <cstdio>

namespace eio_test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

struct Count {
    const char *what;
    unsigned plain;
    unsigned sanitized;
};

constexpr Count kFibers = {"fibers", 10000, 2000};
constexpr Count kManyFibers = {"many fibers", 100000, 2000};
constexpr Count kCrossDomainRounds = {"rounds between domains", 20000, 2000};

inline unsigned HowMany(const Count &count) {
    if (kSanitized && count.sanitized < count.plain)
        printf("reduced under a sanitizer: %u %s instead of %u\n", count.sanitized, count.what,
               count.plain);
    return kSanitized ? count.sanitized : count.plain;
}

} // namespace eio_test

#endif
