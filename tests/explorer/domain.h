// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_EXPLORER_DOMAIN_H
#define EIO_TESTS_EXPLORER_DOMAIN_H

// A domain in an explored thread: the library's own loop, on a backend that only waits for a poke.

#include <type_traits>

#include "eio/cancel.h"
#include "eio/fiber.h"
#include "eio/switch.h"
#include "fiber/sched.h"
#include "tests/explorer/explore.h"

namespace explorer {

template <class F> eio_err *Call(void *arg) {
    return (*static_cast<F *>(arg))();
}
template <class F> eio_err *CallWithSwitch(void *arg, eio_switch *sw) {
    return (*static_cast<F *>(arg))(sw);
}
template <class F> eio_err *CallWithCancel(void *arg, eio_cancel *cc) {
    return (*static_cast<F *>(arg))(cc);
}

inline eioi_poll_result PollEvent(void *backend, int64_t deadline_ns) {
    if (deadline_ns != EIOI_POLL_NOW)
        static_cast<Event *>(backend)->Wait();
    return EIOI_POLL_OK;
}
inline void PokeEvent(void *backend) {
    static_cast<Event *>(backend)->Set();
}
inline int64_t NoTime(void *) {
    return 0;
}

/// Runs `main(sw)` in a switch of a domain of its own.
template <class F> void Domain(F main) {
    Event poked;
    eioi_backend_ops ops = {};
    ops.name = "explorer";
    ops.poll = PollEvent;
    ops.poke = PokeEvent;
    ops.now = NoTime;
    eioi_sched_opts opts = {};
    opts.ops = &ops;
    opts.backend = &poked;
    opts.loop.stack_bytes = 32 * 1024; // each execution maps them anew
    auto in_switch = [&main] { return eio_switch_run(CallWithSwitch<F>, &main); };
    eio_err *err = eioi_sched_run(&opts, Call<decltype(in_switch)>, &in_switch);
    Check(err == nullptr, "a domain has failed");
}

/// Runs `body()` beside a fiber that cancels it when it gets its turn. True: it was cancelled.
template <class F> bool WasCancelled(F body) {
    auto sub = [&body](eio_cancel *cc) -> eio_err * {
        auto cancel = [cc]() -> eio_err * {
            eio_cancel_cancel(cc, eio_err_const(&eio_err_exit));
            return nullptr;
        };
        return eio_fiber_both(Call<F>, &body, Call<decltype(cancel)>, &cancel);
    };
    eio_err *err = eio_cancel_sub(CallWithCancel<decltype(sub)>, &sub);
    bool cancelled = eio_err_catch(&err, &eio_err_cancelled);
    Check(err == nullptr, "an error that isn't Cancelled");
    return cancelled;
}

} // namespace explorer

#endif
