// SPDX-License-Identifier: ISC
// The tree of scopes and fibers as text. It walks the lists only, unwinds nothing, and so can be
// asked for at any moment in the domain's own thread.

#include <inttypes.h>

#include "fiber/impl.h"

static void indent(eio_strbuf *out, unsigned depth) {
    for (unsigned i = 0; i < depth; i++)
        eio_strbuf_adds(out, "  ");
}

static void dump_fiber(struct eioi_sched *s, const struct eioi_fiber *f, unsigned depth,
                       eio_strbuf *out) {
    indent(out, depth);
    eio_strbuf_addf(out, "fiber %" PRIu64, f->id);
    if (f->name[0] != '\0')
        eio_strbuf_addf(out, " '%s'", f->name);
    if (f->waiter != NULL) {
        eio_strbuf_addf(out, " waits for %s", f->waiter->what);
        if (f->waiter->what_arg >= 0)
            eio_strbuf_addf(out, " %" PRId64, f->waiter->what_arg);
    } else {
        eio_strbuf_adds(out, f == s->current ? " runs" : " is ready");
    }
    eio_strbuf_addc(out, '\n');
}

static void dump_scope(const struct eio_cancel *cc, unsigned depth, eio_strbuf *out) {
    indent(out, depth);
    eio_strbuf_adds(out, cc->protect ? "protected scope" : "scope");
    if (cc->reason != NULL) {
        eio_strbuf_adds(out, ", ");
        eio_err_print(cc->reason, out);
    }
    eio_strbuf_addc(out, '\n');
}

static const struct eio_cancel *sibling_after(const struct eio_cancel *cc) {
    const struct eioi_list *it = cc->sibling.next;
    return it == &cc->parent->children ? NULL
                                       : EIOI_CONTAINER_OF(it, const struct eio_cancel, sibling);
}

void eioi_dump_sched(struct eioi_sched *s, eio_strbuf *out) {
    eio_strbuf_addf(out, "domain %u, %s, %zu fibers\n", s->id, s->ops->name, s->fibers);
    const struct eio_cancel *cc = &s->root;
    unsigned depth = 0;
    while (cc != NULL) {
        if (cc != &s->root)
            dump_scope(cc, depth, out);
        EIOI_LIST_EACH (it, &cc->fibers)
            dump_fiber(s, EIOI_CONTAINER_OF(it, const struct eioi_fiber, cc_node), depth + 1, out);
        if (!eioi_list_empty(&cc->children)) {
            cc = EIOI_CONTAINER_OF(cc->children.next, const struct eio_cancel, sibling);
            depth++;
            continue;
        }
        while (cc != &s->root && sibling_after(cc) == NULL) {
            cc = cc->parent;
            depth--;
        }
        cc = cc == &s->root ? NULL : sibling_after(cc);
    }
}

void eio_fiber_dump(eio_strbuf *out) {
    eioi_dump_sched(eioi_sched_require(__func__), out);
}
