// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_ASSERT_H
#define EIO_BASE_ASSERT_H

// Assertions that are on in every build: a broken program stops here with its place and a sentence,
// not later elsewhere.

#include "fiber/base/panic.h"

/**
 * Stops the program unless `cond` holds; the sentence (printf-like) says what the program did
 * wrong.
 */
#define EIO_ASSERT(cond, ...)                                             \
    do {                                                                  \
        if (__builtin_expect(!(cond), 0))                                 \
            eioi_panic(__FILE__, __LINE__, __func__, #cond, __VA_ARGS__); \
    } while (0)

#endif
