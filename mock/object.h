// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_OBJECT_H
#define EIO_MOCK_OBJECT_H

// What all mocks have in common: a label, and a run that owns them.

#include <stdbool.h>

#include "eio/err.h"
#include "eio/strbuf.h"
#include "fiber/base/list.h"

struct eioi_mock_object;

struct eioi_mock_object_ops {
    /** Releases what the mock holds, and its memory; `eioi_mock_object_fini` is part of that. */
    void (*destroy)(struct eioi_mock_object *self);
    /**
     * Appends `LABEL: HANDLER: N left; ` for each handler with unused actions. NULL: it has no
     * handler.
     */
    void (*report_unused)(const struct eioi_mock_object *self, eio_strbuf *out);
};

struct eioi_mock_object {
    struct eioi_list node; // in the list of the run that owns it; unlinked when none does
    const struct eioi_mock_object_ops *ops;
    char *label; // own copy
    // The run gave its fibers up: what was in their frames (sleepers, switches) is gone.
    bool abandoned;
};

/**
 * Copies the label, and hands the mock to the running mock loop, if there is one. Out_of_memory:
 * nothing was done.
 */
EIO_MUST_USE eio_err *eioi_mock_object_init(struct eioi_mock_object *self, const char *label,
                                            const struct eioi_mock_object_ops *ops);
/** Takes it away from its run, and frees the label. */
void eioi_mock_object_fini(struct eioi_mock_object *self);
/** Destroys it. */
void eioi_mock_object_destroy(struct eioi_mock_object *self);

/** The list of mocks of the running mock loop; NULL outside of one. Defined by the backend. */
struct eioi_list *eioi_mock_run_objects(void);

#endif
