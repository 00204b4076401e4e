// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_HINT_H
#define EIO_BASE_HINT_H

// For public functions that are short where nothing has to be waited for: whole-program
// optimisation may put them into their callers. gcc takes `inline` as that hint; clang decides by
// itself, and warns of an inline function that calls a static one.

#ifdef __clang__
#define EIOI_INLINE
#else
#define EIOI_INLINE inline
#endif

#endif
