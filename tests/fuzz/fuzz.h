// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_FUZZ_FUZZ_H
#define EIO_TESTS_FUZZ_FUZZ_H

// What the fuzz targets share. A target is a file that defines `Target`: it does something with
// bytes that it knows nothing about, and CHECKs what must hold whatever they are. It keeps nothing
// between calls, asks no clock, and gives back what it took, which is checked too.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "eio/err.h"
#include "eio/slice.h"

namespace eio_fuzz {

/// One input.
void Target(const uint8_t *data, size_t size);
/// The same, and looks for what is left alive.
void RunTarget(const uint8_t *data, size_t size);

/// Stops the program, with the place, unless `cond` holds.
#define CHECK(cond)                                                                  \
    do {                                                                             \
        if (!(cond)) {                                                               \
            fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                                 \
        }                                                                            \
    } while (0)

/// The bytes of an input, taken from the front; once they are used up there are only zeros.
class Input {
  public:
    Input(const uint8_t *data, size_t size) : at_(data), left_(size) {}
    bool empty() const { return left_ == 0; }
    uint8_t Byte() {
        if (left_ == 0)
            return 0;
        left_--;
        return *at_++;
    }
    bool Bool() { return (Byte() & 1) != 0; }
    /// 0 to `n` - 1.
    size_t Below(size_t n) { return static_cast<size_t>(Number(n > 256 ? 2 : 1)) % n; }
    uint64_t Number(unsigned bytes) {
        uint64_t value = 0;
        while (bytes-- > 0)
            value = value << 8 | Byte();
        return value;
    }
    /// At most `n` bytes.
    std::string Bytes(size_t n) {
        n = std::min(n, left_);
        std::string bytes(reinterpret_cast<const char *>(at_), n);
        at_ += n;
        left_ -= n;
        return bytes;
    }
    /// A string behind its length, of at most `max` bytes.
    std::string String(size_t max) { return Bytes(Below(max + 1)); }
    std::string Rest() { return Bytes(left_); }

  private:
    const uint8_t *at_;
    size_t left_;
};

inline eio_slice Slice(const std::string &s) {
    return eio_slice_of(s.data(), s.size());
}
inline std::string Str(eio_slice s) {
    return s.len == 0 ? std::string() : std::string(reinterpret_cast<const char *>(s.base), s.len);
}

/// The kind of an error, which is dropped; NULL for success.
inline const eio_err_kind *TakeKind(eio_err *err) {
    const eio_err_kind *kind = err == nullptr ? nullptr : eio_err_kind_of(err);
    eio_err_drop(err);
    return kind;
}

} // namespace eio_fuzz

#endif
