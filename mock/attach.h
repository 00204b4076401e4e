// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_ATTACH_H
#define EIO_MOCK_ATTACH_H

// Release hooks of mocks. The same mock may be given out more than once, also to several switches,
// so a hook is a record of its own; the mock keeps a list of those that are set.

#include <stdbool.h>

#include "eio/switch.h"
#include "fiber/base/list.h"

/** What a mock's hook does at the end of its switch. */
typedef void eioi_mock_release_fn(void *mock);

struct eioi_mock_hook {
    eio_hook hook;
    struct eioi_list node;
    eioi_mock_release_fn *release;
    void *mock;
    bool until_closed; // closing the mock takes the hook off its switch
};

/** Attaches to `sw`; `hooks` is the mock's list. Out_of_memory: nothing was done. */
EIO_MUST_USE eio_err *eioi_mock_attach(struct eioi_list *hooks, eio_switch *sw,
                                       eioi_mock_release_fn *release, void *mock,
                                       bool until_closed);
/** Takes hooks off their switches: all, or only those that are there until the mock is closed. */
void eioi_mock_detach(struct eioi_list *hooks, bool only_until_closed);
/**
 * Forgets all hooks without a look at their switches, which are gone: their fibers were given up.
 */
void eioi_mock_forget_hooks(struct eioi_list *hooks);

#endif
