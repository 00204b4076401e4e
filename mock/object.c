// SPDX-License-Identifier: ISC

// A mock belongs to the run in which it was made (it is in that run's list, and is destroyed with
// it, newest first), or, made outside of any, to the caller. Either way `destroy` unlinks it, so
// that a caller may destroy early.

#include "mock/object.h"

#include <string.h>

#include "fiber/base/alloc.h"

eio_err *eioi_mock_object_init(struct eioi_mock_object *self, const char *label,
                               const struct eioi_mock_object_ops *ops) {
    size_t size = strlen(label) + 1;
    self->label = eioi_alloc(size);
    if (self->label == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    memcpy(self->label, label, size);
    self->ops = ops;
    eioi_list_init(&self->node);
    struct eioi_list *objects = eioi_mock_run_objects();
    if (objects != NULL)
        eioi_list_push_tail(objects, &self->node);
    return NULL;
}

void eioi_mock_object_fini(struct eioi_mock_object *self) {
    eioi_list_unlink(&self->node);
    eioi_free(self->label);
    self->label = NULL;
}

void eioi_mock_object_destroy(struct eioi_mock_object *self) {
    self->ops->destroy(self);
}
