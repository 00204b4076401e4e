// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_HINT_H
#define EIO_BASE_HINT_H

// For functions of other files that are short where nothing has to be waited for: whole-program
// optimisation (--config=opt) may put them into their callers. gcc takes `inline` as that hint; clang decides by
// itself, and warns of an inline function that calls a static one.
//
// What suspends has a reason more: the processor expects a return to go where the last call came
// from, but that was another fiber's. So each return on the way from a resumption up to the fiber's
// own code costs as much as some 50 instructions. A chain of calls that ends in a wait is therefore
// short: by calls in tail position, and by these hints, of which the second is for the wait itself.

#ifdef __clang__
#define EIOI_INLINE
#define EIOI_INLINE_ALWAYS
#else
#define EIOI_INLINE inline
#define EIOI_INLINE_ALWAYS inline __attribute__((always_inline))
#endif

#endif
