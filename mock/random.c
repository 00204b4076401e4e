// SPDX-License-Identifier: ISC

// Each number gives eight bytes, lowest first, kept until they are read, so the stream doesn't
// depend on how it is cut into reads.

#include "eio/mock/random.h"

#include "eio/flow_pi.h"
#include "eio/self.h"
#include "fiber/base/alloc.h"
#include "fiber/base/list.h"
#include "fiber/base/splitmix.h"
#include "mock/object.h"

struct mock_random {
    eio_source base;
    struct eioi_mock_object object;
    uint64_t counter;
    uint64_t word; // `left` bytes of it, the low ones, are still to be read
    unsigned left;
};

static const struct eio_source_ops random_ops;

static struct mock_random *of_base(eio_source *base) {
    return EIO_SELF(struct mock_random, base, base, &random_ops);
}

static eio_err *random_single_read(eio_source *base, eio_buf buf, size_t *out_got) {
    struct mock_random *self = of_base(base);
    for (size_t i = 0; i < buf.len; i++) {
        if (self->left == 0) {
            self->word = eioi_splitmix(&self->counter);
            self->left = 8;
        }
        buf.base[i] = (uint8_t)self->word;
        self->word >>= 8;
        self->left--;
    }
    *out_got = buf.len;
    return NULL;
}

static const struct eio_source_ops random_ops = {.name = "mock random",
                                                 .single_read = random_single_read};

static void object_destroy(struct eioi_mock_object *object) {
    struct mock_random *self = EIOI_CONTAINER_OF(object, struct mock_random, object);
    eio_source_fini(&self->base);
    eioi_mock_object_fini(object);
    eioi_free(self);
}

static const struct eioi_mock_object_ops object_ops = {.destroy = object_destroy};

eio_err *eio_mock_random_create(uint64_t seed, eio_source **out) {
    struct mock_random *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eio_err *err = eioi_mock_object_init(&self->object, "random", &object_ops);
    if (err != NULL) {
        eioi_free(self);
        return err;
    }
    self->base.ops = &random_ops;
    self->counter = seed;
    *out = &self->base;
    return NULL;
}

void eio_mock_random_destroy(eio_source *self) {
    if (self != NULL)
        eioi_mock_object_destroy(&of_base(self)->object);
}
