// SPDX-License-Identifier: ISC
#include "eio/net.h"

int main(void) {
    const eio_ip ip = eio_ip_v4_loopback();
    return ip.len != 4;
}
