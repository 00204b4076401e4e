// SPDX-License-Identifier: ISC

// A mock datagram socket: like a mock flow it has no state but its scripts. A datagram too long for
// the buffer is cut, as by a real socket, not refused as in a flow: that is a case worth testing.

#include <stdio.h>
#include <string.h>

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
#include "mock/trace_bytes.h"

struct mock_datagram {
    eio_mock_datagram pub;
    struct eioi_mock_object object;
    struct eioi_list hooks; // struct eioi_mock_hook
};

static const struct eio_datagram_socket_ops datagram_ops;

_Static_assert(offsetof(eio_mock_datagram, unix_datagram) == 0,
               "a mock datagram socket stands for a real one");

eio_mock_datagram *eio_mock_datagram_of(eio_datagram_socket *socket) {
    return EIO_SELF(eio_mock_datagram, socket, socket, &datagram_ops);
}

static struct mock_datagram *of_socket(eio_datagram_socket *socket) {
    return EIOI_CONTAINER_OF(eio_mock_datagram_of(socket), struct mock_datagram, pub);
}

static eio_err *datagram_send(eio_datagram_socket *socket, const eio_sockaddr *dst,
                              const eio_slice *slices, size_t n) {
    struct mock_datagram *self = of_socket(socket);
    eio_mock_value value;
    EIO_TRY(eio_mock_handler_run(&self->pub.on_send, &value));
    char name[EIO_SOCKADDR_STR_MAX];
    char to[EIO_SOCKADDR_STR_MAX + 8] = "";
    if (dst != NULL)
        (void)snprintf(to, sizeof to, "to %s ", eio_sockaddr_str(dst, name));
    const char *label = self->object.label;
    if (n == 1)
        return eioi_mock_trace_bytes(/* printer= */ NULL, slices[0], "%s: sent %s", label, to);
    return eioi_mock_trace_list(/* printer= */ NULL, slices, n, "%s: sent %s", label, to);
}

static eio_err *datagram_recv(eio_datagram_socket *socket, eio_buf buf,
                              struct eio_datagram_info *out) {
    struct mock_datagram *self = of_socket(socket);
    eio_mock_value value;
    EIO_TRY(eio_mock_handler_run(&self->pub.on_recv, &value));
    bool truncated = value.bytes.len > buf.len;
    eio_slice got = truncated ? eio_slice_of(value.bytes.base, buf.len) : value.bytes;
    char name[EIO_SOCKADDR_STR_MAX];
    EIO_TRY(eioi_mock_trace_bytes(/* printer= */ NULL, got, "%s: received from %s ",
                                  self->object.label, eio_sockaddr_str(&value.addr, name)));
    if (got.len > 0)
        memcpy(buf.base, got.base, got.len);
    *out = (struct eio_datagram_info){.from = value.addr, .len = got.len, .truncated = truncated};
    return NULL;
}

static eio_err *datagram_addr(eio_datagram_socket *socket, eio_sockaddr *out) {
    *out = of_socket(socket)->pub.addr;
    return NULL;
}

static void datagram_close(eio_datagram_socket *socket) {
    eio_traceln("%s: closed", of_socket(socket)->object.label);
}

static const struct eio_datagram_socket_ops datagram_ops = {
    .name = "mock",
    .send = datagram_send,
    .recv = datagram_recv,
    .addr = datagram_addr,
    .close = datagram_close,
};

static void release(void *mock) {
    struct mock_datagram *self = mock;
    datagram_close(&self->pub.socket);
}

eio_err *eioi_mock_datagram_attach(eio_datagram_socket *socket, eio_switch *sw) {
    if (socket->ops != &datagram_ops)
        return NULL;
    struct mock_datagram *self = of_socket(socket);
    return eioi_mock_attach(&self->hooks, sw, release, self, /* until_closed= */ false);
}

static void object_destroy(struct eioi_mock_object *object) {
    struct mock_datagram *self = EIOI_CONTAINER_OF(object, struct mock_datagram, object);
    if (object->abandoned)
        eioi_mock_forget_hooks(&self->hooks);
    else
        eioi_mock_detach(&self->hooks, /* only_until_closed= */ false);
    eio_mock_handler_fini(&self->pub.on_send);
    eio_mock_handler_fini(&self->pub.on_recv);
    eioi_mock_object_fini(object);
    eioi_free(self);
}

static void object_report(const struct eioi_mock_object *object, eio_strbuf *out) {
    const struct mock_datagram *self = EIOI_CONTAINER_OF(object, struct mock_datagram, object);
    eioi_mock_report_unused(&self->pub.on_send, out);
    eioi_mock_report_unused(&self->pub.on_recv, out);
}

static const struct eioi_mock_object_ops object_ops = {
    .destroy = object_destroy,
    .report_unused = object_report,
};

eio_err *eio_mock_datagram_create(const char *label, eio_mock_datagram **out) {
    struct mock_datagram *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eio_err *err = eioi_mock_object_init(&self->object, label, &object_ops);
    if (err != NULL) {
        eioi_free(self);
        return err;
    }
    eioi_list_init(&self->hooks);
    self->pub.socket.ops = &datagram_ops;
    self->pub.addr = eio_sockaddr_udp(eio_ip_v4_any(), 0);
    eio_mock_handler_init(&self->pub.on_send, self->object.label, "on_send",
                          eio_mock_return_unit());
    eioi_mock_handler_init_failing(&self->pub.on_recv, self->object.label, "on_recv");
    *out = &self->pub;
    return NULL;
}

void eio_mock_datagram_destroy(eio_mock_datagram *self) {
    if (self != NULL)
        eioi_mock_object_destroy(&of_socket(&self->socket)->object);
}
