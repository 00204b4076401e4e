// SPDX-License-Identifier: ISC
#include <stdio.h>

#include "eio/fiber.h"

int main(void) {
    eio_err *err = eio_err_combine(eio_err_failure("one"), eio_err_failure("two"));
    char text[200];
    printf("%s\n", eio_err_str(err, text, sizeof text));
    const int wrong = !eio_err_is(err, &eio_err_multiple) || eio_fiber_is_cancelled();
    eio_err_drop(err);
    return wrong;
}
