// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_NEXT_EVENT_H
#define EIO_MOCK_NEXT_EVENT_H

// How the mock backend looks into the clock that it moves.

#include "eio/mock/clock.h"

/** The earliest deadline that somebody sleeps until; INT64_MAX when nobody does. */
int64_t eioi_mock_clock_next_event(eio_mock_clock *self);

#endif
