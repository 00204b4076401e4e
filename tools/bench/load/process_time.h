// SPDX-License-Identifier: ISC
// What a process has used up so far.

#ifndef EIO_BENCH_PROCESS_TIME_H
#define EIO_BENCH_PROCESS_TIME_H

#include <stdint.h>
#include <sys/types.h>

/** CPU time of all threads of a process, the kernel's workers for it too, in nanoseconds. */
int64_t process_time_ns(pid_t pid);
/** CPU time of this process. */
int64_t own_time_ns(void);

#endif
