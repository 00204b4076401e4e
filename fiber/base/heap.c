// SPDX-License-Identifier: ISC

// A pairing heap: a tree in which no node is later than its children. Insertion makes one
// comparison; the work is done when a node leaves and its children have to be joined, in pairs from
// left to right and then from right to left, which is what makes removal O(log n) amortised. The
// order (key, seq) is total, so what comes out doesn't depend on the shape of the tree. Nothing
// here recurses: a tree may be as deep as it has nodes, and fibers' stacks are small.
//
// Invariant: a linked node other than the root has `prev`, whose `child` or `sibling` it is; the
// root has neither `prev` nor `sibling`.

#include "fiber/base/heap.h"

#include <stddef.h>

#include "fiber/base/assert.h"
#include "fiber/base/canary.h"

static bool before(const struct eioi_heap_node *a, const struct eioi_heap_node *b) {
    return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

// Joins two trees (no siblings); either may be NULL.
static struct eioi_heap_node *meld(struct eioi_heap_node *a, struct eioi_heap_node *b) {
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    struct eioi_heap_node *top = before(a, b) ? a : b;
    struct eioi_heap_node *sub = top == a ? b : a;
    sub->prev = top;
    sub->sibling = top->child;
    if (top->child != NULL)
        top->child->prev = sub;
    top->child = sub;
    return top;
}

// Takes the first tree off a chain of siblings.
static struct eioi_heap_node *take_first(struct eioi_heap_node **chain) {
    struct eioi_heap_node *first = *chain;
    if (first != NULL) {
        *chain = first->sibling;
        first->sibling = first->prev = NULL;
    }
    return first;
}

// One tree out of a chain of siblings.
static struct eioi_heap_node *meld_all(struct eioi_heap_node *chain) {
    struct eioi_heap_node *pairs = NULL; // the last pair first
    while (chain != NULL) {
        struct eioi_heap_node *a = take_first(&chain);
        struct eioi_heap_node *pair = meld(a, take_first(&chain));
        pair->sibling = pairs;
        pairs = pair;
    }
    struct eioi_heap_node *all = NULL;
    while (pairs != NULL &&
           !(EIOI_CANARY(heap_off_by_one) && pairs->sibling == NULL && all != NULL))
        all = meld(all, take_first(&pairs));
    return all;
}

// Takes a subtree out from under its parent.
static void cut(struct eioi_heap_node *node) {
    if (node->prev->child == node)
        node->prev->child = node->sibling;
    else
        node->prev->sibling = node->sibling;
    if (node->sibling != NULL)
        node->sibling->prev = node->prev;
    node->sibling = node->prev = NULL;
}

void eioi_heap_insert(struct eioi_heap *self, struct eioi_heap_node *node, int64_t key) {
    EIO_ASSERT(!node->linked, "the node is in a heap already");
    *node = (struct eioi_heap_node){.key = key, .seq = self->next_seq++, .linked = true};
    self->root = meld(self->root, node);
    self->count++;
}

void eioi_heap_remove(struct eioi_heap *self, struct eioi_heap_node *node) {
    if (!node->linked)
        return;
    EIO_ASSERT(self->count > 0, "the node is in another heap");
    if (node == self->root) {
        self->root = meld_all(node->child);
    } else {
        EIO_ASSERT(node->prev != NULL, "the node is in another heap");
        cut(node);
        self->root = meld(self->root, meld_all(node->child));
    }
    self->count--;
    node->child = NULL;
    node->linked = false;
}
