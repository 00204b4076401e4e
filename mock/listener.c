// SPDX-License-Identifier: ISC

// A mock listener accepts whatever its script gives, also when the switch is off: refusing is up to
// what runs above it. An accept prints when it has a connection, so one that fails or is cancelled
// leaves no line.

#include "eio/mock/net.h"
#include "eio/net_pi.h"
#include "eio/self.h"
#include "eio/trace.h"
#include "fiber/base/alloc.h"
#include "fiber/base/list.h"
#include "mock/attach.h"
#include "mock/connection.h"
#include "mock/object.h"
#include "mock/script.h"

struct mock_listener {
    eio_mock_listener pub;
    struct eioi_mock_object object;
    struct eioi_list hooks; // struct eioi_mock_hook
};

static const struct eio_listener_ops listener_ops;

_Static_assert(offsetof(eio_mock_listener, unix_listener) == 0,
               "a mock listener stands for a real one");

eio_mock_listener *eio_mock_listener_of(eio_listener *listener) {
    return EIO_SELF(eio_mock_listener, listener, listener, &listener_ops);
}

static struct mock_listener *of_listener(eio_listener *listener) {
    return EIOI_CONTAINER_OF(eio_mock_listener_of(listener), struct mock_listener, pub);
}

static eio_err *listener_accept(eio_listener *listener, eio_switch *sw, eio_stream_socket **out,
                                eio_sockaddr *out_peer) {
    struct mock_listener *self = of_listener(listener);
    eio_mock_value value;
    EIO_TRY(eio_mock_handler_run(&self->pub.on_accept, &value));
    if (value.flow == NULL)
        return eioi_mock_gave_no(&self->pub.on_accept, "flow");
    EIO_TRY(eioi_mock_connection_attach(value.flow, sw, /* until_closed= */ true));
    char name[EIO_SOCKADDR_STR_MAX];
    eio_traceln("%s: accepted connection from %s", self->object.label,
                eio_sockaddr_str(&value.addr, name));
    *out = value.flow;
    if (out_peer != NULL)
        *out_peer = value.addr;
    return NULL;
}

static eio_err *listener_addr(eio_listener *listener, eio_sockaddr *out) {
    *out = of_listener(listener)->pub.addr;
    return NULL;
}

static void listener_close(eio_listener *listener) {
    eio_traceln("%s: closed", of_listener(listener)->object.label);
}

static const struct eio_listener_ops listener_ops = {
    .name = "mock",
    .accept = listener_accept,
    .addr = listener_addr,
    .close = listener_close,
};

static void release(void *mock) {
    struct mock_listener *self = mock;
    listener_close(&self->pub.listener);
}

eio_err *eioi_mock_listener_attach(eio_listener *listener, eio_switch *sw) {
    if (listener->ops != &listener_ops)
        return NULL;
    struct mock_listener *self = of_listener(listener);
    return eioi_mock_attach(&self->hooks, sw, release, self, /* until_closed= */ false);
}

static void object_destroy(struct eioi_mock_object *object) {
    struct mock_listener *self = EIOI_CONTAINER_OF(object, struct mock_listener, object);
    if (object->abandoned)
        eioi_mock_forget_hooks(&self->hooks);
    else
        eioi_mock_detach(&self->hooks, /* only_until_closed= */ false);
    eio_mock_handler_fini(&self->pub.on_accept);
    eioi_mock_object_fini(object);
    eioi_free(self);
}

static void object_report(const struct eioi_mock_object *object, eio_strbuf *out) {
    const struct mock_listener *self = EIOI_CONTAINER_OF(object, struct mock_listener, object);
    eioi_mock_report_unused(&self->pub.on_accept, out);
}

static const struct eioi_mock_object_ops object_ops = {
    .destroy = object_destroy,
    .report_unused = object_report,
};

eio_err *eio_mock_listener_create(const char *label, eio_mock_listener **out) {
    struct mock_listener *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eio_err *err = eioi_mock_object_init(&self->object, label, &object_ops);
    if (err != NULL) {
        eioi_free(self);
        return err;
    }
    eioi_list_init(&self->hooks);
    self->pub.listener.ops = &listener_ops;
    self->pub.addr = eio_sockaddr_tcp(eio_ip_v4_any(), 0);
    eioi_mock_handler_init_failing(&self->pub.on_accept, self->object.label, "on_accept");
    *out = &self->pub;
    return NULL;
}

void eio_mock_listener_destroy(eio_mock_listener *self) {
    if (self != NULL)
        eioi_mock_object_destroy(&of_listener(&self->listener)->object);
}
