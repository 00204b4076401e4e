// SPDX-License-Identifier: ISC

// Theory. Of several operations that wait for one descriptor, the kernel serves the one that came
// last: the oldest may wait for ever. So only one of them, the first in the line, is in the
// kernel's hands. The others are held, with their records made, and the kernel hasn't heard of
// them; to cancel one is to unlink it. A line exists while somebody stands in it: the first is
// found by the descriptor's number, which can't become another descriptor's while an operation has
// a share of it (of a foreign descriptor: while somebody waits for it, by contract). Those behind
// hang on the first, and are handed on when it leaves, after it got its result: so what one leaves
// behind is the next one's. A datagram that is there already the next one gets by a plain call, and
// so on through the line: one wait serves all who have something to get.
//
// The accepts of one server don't stand in line: the kernel wakes one of them for each connection,
// whichever it is. If that one is being cancelled, the others aren't woken in its place; a server's
// are cancelled all together.
//
// Only those who read stand in line. Of writers many go into one submission and complete in it, in
// their order, which a line would make one submission each. Each domain has its own lines.

#include "backends/uring/line.h"

#include "backends/uring/op.h"
#include "fiber/base/assert.h"

void eioi_lines_init(struct eioi_lines *self) {
    for (size_t i = 0; i < EIOI_LINE_BUCKETS; i++)
        eioi_list_init(&self->buckets[i]);
}

static struct eioi_list *bucket_of(struct eioi_lines *self, uint64_t key) {
    return &self->buckets[(key >> 1) % EIOI_LINE_BUCKETS];
}

static struct eioi_place *first_of(struct eioi_lines *self, uint64_t key) {
    EIOI_LIST_EACH (it, bucket_of(self, key)) {
        struct eioi_place *place = EIOI_CONTAINER_OF(it, struct eioi_place, node);
        if (place->key == key)
            return place;
    }
    return NULL;
}

static void put_first(struct eioi_list *before, struct eioi_place *place) {
    place->first = true;
    eioi_list_push_head(before, &place->node);
}

static uint64_t key_of(int fd, enum eioi_line_kind kind) {
    return (uint64_t)(unsigned)fd << 1 | (uint64_t)kind;
}

bool eioi_line_is_empty(struct eioi_lines *self, int fd, enum eioi_line_kind kind) {
    return first_of(self, key_of(fd, kind)) == NULL;
}

void eioi_line_enter(struct eioi_lines *self, struct eioi_place *place, int fd,
                     enum eioi_line_kind kind) {
    place->key = key_of(fd, kind);
    place->first = false;
    eioi_list_init(&place->node);
    eioi_list_init(&place->followers);
    if (first_of(self, place->key) == NULL)
        put_first(bucket_of(self, place->key), place);
}

void eioi_line_hold(struct eioi_lines *self, struct eioi_place *place, struct eioi_op *op) {
    struct eioi_place *first = first_of(self, place->key);
    EIO_ASSERT(first != NULL && first != place, "who is held stands behind somebody");
    eioi_list_push_tail(&first->followers, &op->node);
}

void eioi_line_leave(struct eioi_place *place) {
    if (!place->first) // cancelled: it was unlinked from the followers
        return;
    struct eioi_list *node = eioi_list_pop_head(&place->followers);
    if (node != NULL) {
        struct eioi_op *op = EIOI_CONTAINER_OF(node, struct eioi_op, node);
        put_first(&place->node, op->place);
        eioi_list_move_all(&place->followers, &op->place->followers);
        eioi_op_start_held(op);
    }
    eioi_list_unlink(&place->node);
    place->first = false;
}
