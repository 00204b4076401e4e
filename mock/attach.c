// SPDX-License-Identifier: ISC

// A record lives, and is in its mock's list, exactly as long as its hook is attached: the switch
// takes the hook off before it calls it, and the call frees the record first.

#include "mock/attach.h"

#include "fiber/base/alloc.h"

static struct eioi_mock_hook *of_node(struct eioi_list *node) {
    return EIOI_CONTAINER_OF(node, struct eioi_mock_hook, node);
}

static void hook_free(struct eioi_mock_hook *self) {
    eioi_list_unlink(&self->node);
    eioi_free(self);
}

static eio_err *release(eio_hook *hook) {
    struct eioi_mock_hook *self = EIOI_CONTAINER_OF(hook, struct eioi_mock_hook, hook);
    eioi_mock_release_fn *release_fn = self->release;
    void *mock = self->mock;
    hook_free(self);
    release_fn(mock);
    return NULL;
}

eio_err *eioi_mock_attach(struct eioi_list *hooks, eio_switch *sw, eioi_mock_release_fn *release_fn,
                          void *mock, bool until_closed) {
    struct eioi_mock_hook *self = eioi_alloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    *self =
        (struct eioi_mock_hook){.release = release_fn, .mock = mock, .until_closed = until_closed};
    eioi_list_push_tail(hooks, &self->node);
    eio_switch_attach(sw, &self->hook, release);
    return NULL;
}

void eioi_mock_detach(struct eioi_list *hooks, bool only_until_closed) {
    EIOI_LIST_EACH (node, hooks) {
        struct eioi_mock_hook *self = of_node(node);
        if (only_until_closed && !self->until_closed)
            continue;
        eio_hook_remove(&self->hook);
        hook_free(self);
    }
}

void eioi_mock_forget_hooks(struct eioi_list *hooks) {
    while (!eioi_list_empty(hooks))
        hook_free(of_node(hooks->next));
}
