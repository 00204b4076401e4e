// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_SPLITMIX_H
#define EIO_BASE_SPLITMIX_H

// Numbers that look random, out of a counter put through a 64-bit mixing function (SplitMix64):
// every seed is a good one, and the state is the counter alone. Not for secrets.

#include <stdint.h>

static inline uint64_t eioi_splitmix(uint64_t *counter) {
    uint64_t z = *counter += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

#endif
