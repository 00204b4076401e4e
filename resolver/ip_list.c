// SPDX-License-Identifier: ISC

// Addresses are compared one by one while there are few; an answer with thousands of addresses
// would make that quadratic, so only the first ones are looked at then. A double among thousands of
// addresses hurts nobody.

#include "resolver/ip_list.h"

#include "fiber/base/alloc.h"

enum { COMPARED = 64, FIRST_CAP = 4 };

bool eioi_ip_list_add(struct eioi_ip_list *self, const eio_ip *ip) {
    for (size_t i = 0; i < self->count && i < COMPARED; i++)
        if (eio_ip_equal(&self->items[i], ip))
            return true;
    if (self->count == self->cap) {
        size_t cap = self->cap == 0 ? FIRST_CAP : self->cap * 2;
        eio_ip *items = eioi_realloc(self->items, cap * sizeof *items);
        if (items == NULL)
            return false;
        self->items = items;
        self->cap = cap;
    }
    self->items[self->count++] = *ip;
    return true;
}

void eioi_ip_list_free(struct eioi_ip_list *self) {
    eioi_free(self->items);
    *self = (struct eioi_ip_list){0};
}
