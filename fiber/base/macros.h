// SPDX-License-Identifier: ISC
#ifndef EIO_MACROS_H
#define EIO_MACROS_H

/*
 * The attributes that the public headers use, and the library's version.
 *
 *     EIO_API EIO_MUST_USE eio_err *eio_frob(eio_frobber *self);
 */

#define EIO_VERSION_MAJOR 0
#define EIO_VERSION_MINOR 1
#define EIO_VERSION_PATCH 0
#define EIO_VERSION "0.1.0"

#ifdef __cplusplus
#define EIO_BEGIN_DECLS extern "C" {
#define EIO_END_DECLS }
#else
#define EIO_BEGIN_DECLS
#define EIO_END_DECLS
#endif

/** Part of the API: visible although the library is built with -fvisibility=hidden. */
#define EIO_API __attribute__((visibility("default")))
/** The result can't be ignored without saying so (`eio_err_drop`). */
#define EIO_MUST_USE __attribute__((warn_unused_result))
/** printf-like: the format is argument `fmt`, its values start at argument `first`. */
#define EIO_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
/** Runs `fn(&variable)` when the variable's block is left, however it is left. */
#define EIO_CLEANUP(fn) __attribute__((cleanup(fn)))

EIO_BEGIN_DECLS

/** The version of the linked library, as EIO_VERSION was when it was built. Suspends: never. */
EIO_API const char *eio_version(void);

EIO_END_DECLS

#endif
