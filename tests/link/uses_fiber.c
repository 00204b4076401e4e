// SPDX-License-Identifier: ISC
#include "eio/fiber.h"

int main(void) {
    return eio_fiber_id() != 0;
}
