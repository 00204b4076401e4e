// SPDX-License-Identifier: ISC

// Each operation prints first, then performs its action, then puts what that gave into the switch:
// with a hook that closing early doesn't take off, so that a second line at the switch's end shows
// a close too many.

#include "eio/mock/net.h"

#include <stdio.h>
#include <string.h>

#include "eio/net_pi.h"
#include "eio/self.h"
#include "eio/trace.h"
#include "fiber/base/alloc.h"
#include "fiber/base/list.h"
#include "mock/connection.h"
#include "mock/object.h"
#include "mock/script.h"

struct mock_net {
    eio_mock_net pub;
    struct eioi_mock_object object;
};

static const struct eio_net_ops net_ops;

_Static_assert(offsetof(eio_mock_net, unix_net) == 0,
               "a mock network stands for a network of real sockets");

static struct mock_net *of_net(eio_net *net) {
    return EIOI_CONTAINER_OF(eio_mock_net_of(net), struct mock_net, pub);
}

eio_mock_net *eio_mock_net_of(eio_net *net) {
    return EIO_SELF(eio_mock_net, net, net, &net_ops);
}

static eio_err *net_connect(eio_net *net, eio_switch *sw, const eio_sockaddr *addr,
                            const struct eio_connect_opts *opts, eio_stream_socket **out) {
    struct mock_net *self = of_net(net);
    char to[EIO_SOCKADDR_STR_MAX], from[EIO_SOCKADDR_STR_MAX];
    if (opts->bind_to == NULL)
        eio_traceln("%s: connect to %s", self->object.label, eio_sockaddr_str(addr, to));
    else
        eio_traceln("%s: connect to %s (bind to %s)", self->object.label,
                    eio_sockaddr_str(addr, to), eio_sockaddr_str(opts->bind_to, from));
    eio_mock_value value;
    EIO_TRY(eio_mock_handler_run(&self->pub.on_connect, &value));
    if (value.flow == NULL)
        return eioi_mock_gave_no(&self->pub.on_connect, "flow");
    EIO_TRY(eioi_mock_connection_attach(value.flow, sw, /* until_closed= */ false));
    *out = value.flow;
    return NULL;
}

static eio_err *net_listen(eio_net *net, eio_switch *sw, const eio_sockaddr *addr,
                           const struct eio_listen_opts *opts, eio_listener **out) {
    (void)opts;
    struct mock_net *self = of_net(net);
    char name[EIO_SOCKADDR_STR_MAX];
    eio_traceln("%s: listen on %s", self->object.label, eio_sockaddr_str(addr, name));
    eio_mock_value value;
    EIO_TRY(eio_mock_handler_run(&self->pub.on_listen, &value));
    if (value.listener == NULL)
        return eioi_mock_gave_no(&self->pub.on_listen, "listener");
    EIO_TRY(eioi_mock_listener_attach(value.listener, sw));
    *out = value.listener;
    return NULL;
}

static eio_err *net_datagram_socket(eio_net *net, eio_switch *sw, const eio_sockaddr *addr,
                                    eio_udp_family family, const struct eio_datagram_opts *opts,
                                    eio_datagram_socket **out) {
    struct mock_net *self = of_net(net);
    char name[EIO_SOCKADDR_STR_MAX], peer[EIO_SOCKADDR_STR_MAX];
    const char *what = addr != NULL           ? eio_sockaddr_str(addr, name)
                       : family == EIO_UDP_V4 ? "UDPv4"
                                              : "UDPv6";
    if (opts->connect_to == NULL)
        eio_traceln("%s: datagram_socket %s", self->object.label, what);
    else
        eio_traceln("%s: datagram_socket %s (connect to %s)", self->object.label, what,
                    eio_sockaddr_str(opts->connect_to, peer));
    eio_mock_value value;
    EIO_TRY(eio_mock_handler_run(&self->pub.on_datagram_socket, &value));
    if (value.datagram == NULL)
        return eioi_mock_gave_no(&self->pub.on_datagram_socket, "socket");
    EIO_TRY(eioi_mock_datagram_attach(value.datagram, sw));
    *out = value.datagram;
    return NULL;
}

static eio_err *net_getaddrinfo(eio_net *net, eio_switch *sw, const char *host, const char *service,
                                eio_sockaddr_list *out) {
    struct mock_net *self = of_net(net);
    eio_traceln("%s: getaddrinfo ~service:%s %s", self->object.label,
                service == NULL ? "" : service, host == NULL ? "" : host);
    eio_mock_value value;
    EIO_TRY(eio_mock_handler_run(&self->pub.on_getaddrinfo, &value));
    eio_sockaddr_list list = {.count = value.addr_count};
    if (list.count > 0) {
        void *items;
        EIO_TRY(eio_switch_alloc(sw, list.count * sizeof *list.items, &items));
        memcpy(items, value.addrs, list.count * sizeof *list.items);
        list.items = items;
    }
    *out = list;
    return NULL;
}

static eio_err *net_getnameinfo(eio_net *net, const eio_sockaddr *addr, eio_nameinfo *out) {
    struct mock_net *self = of_net(net);
    char name[EIO_SOCKADDR_STR_MAX];
    eio_traceln("%s: getnameinfo %s", self->object.label, eio_sockaddr_str(addr, name));
    eio_mock_value value;
    EIO_TRY(eio_mock_handler_run(&self->pub.on_getnameinfo, &value));
    (void)snprintf(out->host, sizeof out->host, "%s", value.host == NULL ? "" : value.host);
    (void)snprintf(out->service, sizeof out->service, "%s",
                   value.service == NULL ? "" : value.service);
    return NULL;
}

static const struct eio_net_ops net_ops = {
    .name = "mock",
    .connect = net_connect,
    .listen = net_listen,
    .datagram_socket = net_datagram_socket,
    .getaddrinfo = net_getaddrinfo,
    .getnameinfo = net_getnameinfo,
};

static void net_destroy(struct eioi_mock_object *object) {
    struct mock_net *self = EIOI_CONTAINER_OF(object, struct mock_net, object);
    eio_mock_handler_fini(&self->pub.on_connect);
    eio_mock_handler_fini(&self->pub.on_listen);
    eio_mock_handler_fini(&self->pub.on_datagram_socket);
    eio_mock_handler_fini(&self->pub.on_getaddrinfo);
    eio_mock_handler_fini(&self->pub.on_getnameinfo);
    eioi_mock_object_fini(object);
    eioi_free(self);
}

static void net_report(const struct eioi_mock_object *object, eio_strbuf *out) {
    const struct mock_net *self = EIOI_CONTAINER_OF(object, struct mock_net, object);
    eioi_mock_report_unused(&self->pub.on_connect, out);
    eioi_mock_report_unused(&self->pub.on_listen, out);
    eioi_mock_report_unused(&self->pub.on_datagram_socket, out);
    eioi_mock_report_unused(&self->pub.on_getaddrinfo, out);
    eioi_mock_report_unused(&self->pub.on_getnameinfo, out);
}

static const struct eioi_mock_object_ops object_ops = {
    .destroy = net_destroy,
    .report_unused = net_report,
};

eio_err *eio_mock_net_create(const char *label, eio_mock_net **out) {
    struct mock_net *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eio_err *err = eioi_mock_object_init(&self->object, label, &object_ops);
    if (err != NULL) {
        eioi_free(self);
        return err;
    }
    self->pub.net.ops = &net_ops;
    label = self->object.label;
    eioi_mock_handler_init_failing(&self->pub.on_connect, label, "on_connect");
    eioi_mock_handler_init_failing(&self->pub.on_listen, label, "on_listen");
    eioi_mock_handler_init_failing(&self->pub.on_datagram_socket, label, "on_datagram_socket");
    eioi_mock_handler_init_failing(&self->pub.on_getaddrinfo, label, "on_getaddrinfo");
    eioi_mock_handler_init_failing(&self->pub.on_getnameinfo, label, "on_getnameinfo");
    *out = &self->pub;
    return NULL;
}

void eio_mock_net_destroy(eio_mock_net *self) {
    if (self != NULL)
        eioi_mock_object_destroy(&of_net(&self->net)->object);
}
