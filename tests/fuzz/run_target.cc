// SPDX-License-Identifier: ISC
// Around each target: nothing may be left alive. libFuzzer's entry point is here, too; the replay of
// the corpus calls what it calls.

#include "fiber/base/alloc.h"
#include "tests/fuzz/fuzz.h"

namespace eio_fuzz {

void RunTarget(const uint8_t *data, size_t size) {
    int64_t live = eioi_live_objects();
    Target(data, size);
    CHECK(eioi_live_objects() == live);
}

} // namespace eio_fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    eio_fuzz::RunTarget(data, size);
    return 0;
}
