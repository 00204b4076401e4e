// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_LIST_H
#define EIO_BASE_LIST_H

// An intrusive, circular, doubly linked list. An unlinked node points at itself, so unlinking twice
// is harmless.

#include <stdbool.h>
#include <stddef.h>

struct eioi_list {
    struct eioi_list *next, *prev;
};

#define EIOI_CONTAINER_OF(ptr, type, member) \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
/** Walks a list; the body may unlink `it`. */
#define EIOI_LIST_EACH(it, list)                                                   \
    for (struct eioi_list *it = (list)->next, *it##_next = it->next; it != (list); \
         it = it##_next, it##_next = it->next)

static inline void eioi_list_init(struct eioi_list *self) {
    self->next = self->prev = self;
}

static inline bool eioi_list_empty(const struct eioi_list *self) {
    return self->next == self;
}

static inline void eioi_list_insert_(struct eioi_list *node, struct eioi_list *prev,
                                     struct eioi_list *next) {
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

static inline void eioi_list_push_tail(struct eioi_list *self, struct eioi_list *node) {
    eioi_list_insert_(node, self->prev, self);
}

static inline void eioi_list_push_head(struct eioi_list *self, struct eioi_list *node) {
    eioi_list_insert_(node, self, self->next);
}

static inline void eioi_list_unlink(struct eioi_list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    eioi_list_init(node);
}

static inline struct eioi_list *eioi_list_pop_head(struct eioi_list *self) {
    struct eioi_list *node = self->next;
    if (node == self)
        return NULL;
    eioi_list_unlink(node);
    return node;
}

/** Puts all nodes of `from`, in their order, at the tail of `to`; `from` is empty then. */
static inline void eioi_list_move_all(struct eioi_list *from, struct eioi_list *to) {
    if (eioi_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    eioi_list_init(from);
}

#endif
