// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_SANITIZER_H
#define EIO_FIBER_SANITIZER_H

// What ASan, TSan and valgrind have to be told about stacks. Without them each of these is nothing.

#if defined(__SANITIZE_ADDRESS__)
#define EIOI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EIOI_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define EIOI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EIOI_TSAN 1
#endif
#endif

#ifdef EIOI_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef EIOI_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define EIOI_VALGRIND 1
#endif
#endif

/**
 * For functions that are entered and never left: TSan's record of calls would grow each time a
 * stack is used again.
 */
#if defined(EIOI_TSAN) && defined(__clang__)
#define EIOI_NEVER_LEFT __attribute__((disable_sanitizer_instrumentation))
#elif defined(EIOI_TSAN)
#define EIOI_NEVER_LEFT __attribute__((no_sanitize("thread")))
#else
#define EIOI_NEVER_LEFT
#endif

/** Stacks are larger under a sanitizer, whose frames are. */
#if defined(EIOI_ASAN) || defined(EIOI_TSAN)
enum { EIOI_STACK_DEFAULT = 256 * 1024 };
#else
enum { EIOI_STACK_DEFAULT = 64 * 1024 };
#endif

#endif
