// SPDX-License-Identifier: ISC

// An interface of one operation, and two objects that have it: the addresses of their tables are
// what tells them apart.

#include "fiber/base/self_probe.h"

#include "eio/self.h"

struct shape_ops {
    const char *name;
};
struct shape {
    const struct shape_ops *ops;
};

struct circle {
    int radius;
    struct shape base;
};

static const struct shape_ops circle_ops = {.name = "circle"};
static const struct shape_ops square_ops = {.name = "square"};

static struct circle *circle_of(struct shape *shape) {
    return EIO_SELF(struct circle, base, shape, &circle_ops);
}

bool self_probe_finds_object(void) {
    struct circle circle = {.radius = 3, .base = {.ops = &circle_ops}};
    return circle_of(&circle.base) == &circle && circle_of(&circle.base)->radius == 3;
}

int self_probe_evaluations(void) {
    struct circle circles[2] = {{.base = {.ops = &circle_ops}}, {.base = {.ops = &circle_ops}}};
    struct circle *it = circles;
    struct circle *found = EIO_SELF(struct circle, base, &(it++)->base, &circle_ops);
    return found == circles ? (int)(it - circles) : -1;
}

void self_probe_mismatch(void) {
    struct shape square = {.ops = &square_ops};
    (void)circle_of(&square);
}
