// SPDX-License-Identifier: ISC

// States of `head`: NULL, ASLEEP, or the newest node of a chain that leads to the oldest.
//
//     NULL   --push--> chain          ASLEEP --push--> chain, and that producer wakes the consumer
//     chain  --push--> chain          NULL   --sleep-> ASLEEP
//     any    --take_all--> NULL
//
// Producers only add to the front and the consumer only takes everything, so a node that went and
// came back between a producer's look and its swap does no harm: whatever `head` is at the swap is
// what the new node has as `next`. A swap publishes the node (release); as every change of `head`
// is a read-modify-write, the consumer's exchange (acquire) sees all nodes of the chain, whoever
// pushed them.
//
// No wake-up is lost: either the consumer's NULL -> ASLEEP swap comes first, and the producer finds
// ASLEEP; or the push comes first, and the consumer's swap fails.

#include "fiber/base/mpsc.h"

#include "fiber/base/canary.h"

static struct eioi_mpsc_node asleep_mark;
#define ASLEEP (&asleep_mark)

bool eioi_mpsc_push(struct eioi_mpsc *self, struct eioi_mpsc_node *node) {
    struct eioi_mpsc_node *head = __atomic_load_n(&self->head, __ATOMIC_RELAXED);
    do
        node->next = head == ASLEEP ? NULL : head;
    while (!__atomic_compare_exchange_n(&self->head, &head, node, /* weak= */ true,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    return head == ASLEEP && !EIOI_CANARY(lose_wake_up);
}

struct eioi_mpsc_node *eioi_mpsc_take_all(struct eioi_mpsc *self) {
    // A look costs less than an exchange, and the queue is mostly empty.
    if (__atomic_load_n(&self->head, __ATOMIC_RELAXED) == NULL)
        return NULL;
    struct eioi_mpsc_node *newest = __atomic_exchange_n(&self->head, NULL, __ATOMIC_ACQ_REL);
    if (newest == ASLEEP)
        return NULL;
    struct eioi_mpsc_node *taken = NULL;
    while (newest != NULL) {
        struct eioi_mpsc_node *older = newest->next;
        newest->next = taken;
        taken = newest;
        newest = older;
    }
    return taken;
}

bool eioi_mpsc_sleep(struct eioi_mpsc *self) {
    struct eioi_mpsc_node *head = NULL;
    bool asleep = __atomic_compare_exchange_n(&self->head, &head, ASLEEP, /* weak= */ false,
                                              __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    // The consumer may have woken for another reason, and sleeps again without having taken
    // anything.
    return asleep || head == ASLEEP;
}

bool eioi_mpsc_has_any(const struct eioi_mpsc *self) {
    struct eioi_mpsc_node *head = __atomic_load_n(&self->head, __ATOMIC_RELAXED);
    return head != NULL && head != ASLEEP;
}
