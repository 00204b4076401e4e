// SPDX-License-Identifier: ISC
#include <stdio.h>

#include "eio/net.h"

int main(void) {
    eio_sockaddr addr;
    eio_err *err = eio_sockaddr_parse("[::1]:8080", &addr);
    char text[EIO_SOCKADDR_STR_MAX];
    printf("%s\n", err != NULL ? "?" : eio_sockaddr_str(&addr, text));
    eio_err_drop(err);
    return err != NULL;
}
