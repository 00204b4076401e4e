// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_FUZZ_LINES_H
#define EIO_TESTS_FUZZ_LINES_H

// The fields of each line of a configuration file, the plain way: what the resolver's parsers, which
// copy nothing, are compared with.

#include <string>
#include <vector>

namespace eio_fuzz {

using Fields = std::vector<std::string>;

inline std::vector<Fields> FieldsOfLines(const std::string &text, const std::string &comment) {
    std::vector<Fields> lines(1);
    std::string field;
    bool in_comment = false;
    auto end_field = [&] {
        if (!field.empty())
            lines.back().push_back(field);
        field.clear();
    };
    for (char c : text) {
        if (c == '\n') {
            end_field();
            lines.emplace_back();
            in_comment = false;
        } else if (in_comment || comment.find(c) != std::string::npos) {
            in_comment = true;
        } else if (std::string(" \t\v\f\r").find(c) != std::string::npos) {
            end_field();
        } else {
            field += c;
        }
    }
    end_field();
    return lines;
}

inline bool HasNul(const std::string &s) {
    return s.find('\0') != std::string::npos;
}

} // namespace eio_fuzz

#endif
