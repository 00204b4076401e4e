// SPDX-License-Identifier: ISC
#include "tests/explorer/mistakes.h"

#include <stdlib.h>

void explored_free(void *p);

void mistake_publish_relaxed(struct mistake *self) {
    self->data = 42;
    __atomic_store_n(&self->ready, 1, __ATOMIC_RELAXED);
}

void mistake_publish(struct mistake *self) {
    self->data = 42;
    __atomic_store_n(&self->ready, 1, __ATOMIC_RELEASE);
}

bool mistake_read(struct mistake *self, int *out) {
    if (__atomic_load_n(&self->ready, __ATOMIC_ACQUIRE) == 0)
        return false;
    *out = self->data;
    return true;
}

bool mistake_wake_too_early(struct mistake *self) {
    bool asleep = __atomic_load_n(&self->asleep, __ATOMIC_SEQ_CST) != 0;
    __atomic_store_n(&self->ready, 1, __ATOMIC_SEQ_CST);
    return asleep;
}

bool mistake_sleep(struct mistake *self) {
    __atomic_store_n(&self->asleep, 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&self->ready, __ATOMIC_SEQ_CST) == 0;
}

void mistake_count(struct mistake *self) {
    int count = __atomic_load_n(&self->count, __ATOMIC_SEQ_CST);
    __atomic_store_n(&self->count, count + 1, __ATOMIC_SEQ_CST);
}

void mistake_unref(int **counted) {
    __atomic_fetch_sub(*counted, 1, __ATOMIC_ACQ_REL);
    if (__atomic_load_n(*counted, __ATOMIC_ACQUIRE) == 0)
        explored_free(*counted);
}
