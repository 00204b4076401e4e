// SPDX-License-Identifier: ISC
// What a program links when it depends on one target alone, read from the linked binary. Both signs
// count: a shared library that it needs, and (liburing and c-ares may be static) a symbol of theirs.

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

class Elf {
  public:
    explicit Elf(const std::string &path) {
        std::ifstream file(path, std::ios::binary);
        bytes_.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
        ok_ = bytes_.size() > sizeof(Elf64_Ehdr) && memcmp(bytes_.data(), ELFMAG, SELFMAG) == 0;
    }

    bool ok() const { return ok_; }

    std::vector<std::string> NeededLibraries() const {
        std::vector<std::string> names;
        for (const Elf64_Shdr &section : Sections(SHT_DYNAMIC)) {
            for (const Elf64_Dyn &entry : Entries<Elf64_Dyn>(section)) {
                if (entry.d_tag == DT_NEEDED)
                    names.push_back(Text(section, entry.d_un.d_val));
            }
        }
        return names;
    }

    std::vector<std::string> Symbols() const {
        std::vector<std::string> names;
        for (const unsigned type : {unsigned{SHT_SYMTAB}, unsigned{SHT_DYNSYM}}) {
            for (const Elf64_Shdr &section : Sections(type)) {
                for (const Elf64_Sym &symbol : Entries<Elf64_Sym>(section))
                    names.push_back(Text(section, symbol.st_name));
            }
        }
        return names;
    }

  private:
    template <typename T> T At(size_t offset) const {
        T value{};
        if (offset + sizeof(T) <= bytes_.size())
            memcpy(&value, bytes_.data() + offset, sizeof(T));
        return value;
    }

    Elf64_Shdr Section(size_t i) const {
        const auto header = At<Elf64_Ehdr>(0);
        return At<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr));
    }

    std::vector<Elf64_Shdr> Sections(unsigned type) const {
        std::vector<Elf64_Shdr> found;
        const size_t count = At<Elf64_Ehdr>(0).e_shnum;
        for (size_t i = 0; i < count; i++) {
            if (Section(i).sh_type == type)
                found.push_back(Section(i));
        }
        return found;
    }

    template <typename T> std::vector<T> Entries(const Elf64_Shdr &section) const {
        std::vector<T> entries;
        for (size_t at = 0; at + sizeof(T) <= section.sh_size; at += sizeof(T))
            entries.push_back(At<T>(section.sh_offset + at));
        return entries;
    }

    std::string Text(const Elf64_Shdr &section, size_t offset) const {
        const size_t at = Section(section.sh_link).sh_offset + offset;
        return at < bytes_.size() ? std::string(bytes_.data() + at) : "";
    }

    std::vector<char> bytes_;
    bool ok_ = false;
};

bool StartsWith(const std::string &text, const char *prefix) {
    return text.rfind(prefix, 0) == 0;
}

std::string WhatOf(const Elf &elf, const char *library, const char *symbol_prefix) {
    for (const std::string &name : elf.NeededLibraries()) {
        if (StartsWith(name, library))
            return "needs " + name;
    }
    for (const std::string &name : elf.Symbols()) {
        if (StartsWith(name, symbol_prefix))
            return "has the symbol " + name;
    }
    return "";
}

struct Program {
    const char *name;
    bool liburing, c_ares; // whether it may, and must, have it
};

class Links : public testing::TestWithParam<Program> {};

TEST_P(Links, NothingThatItHasNoUseFor) {
    const Elf elf(std::string("tests/link/") + GetParam().name);
    ASSERT_TRUE(elf.ok()) << GetParam().name << " can't be read";
    EXPECT_FALSE(elf.Symbols().empty());
    const std::string liburing = WhatOf(elf, "liburing", "io_uring_");
    const std::string c_ares = WhatOf(elf, "libcares", "ares_");
    EXPECT_EQ(liburing != "", GetParam().liburing) << liburing;
    EXPECT_EQ(c_ares != "", GetParam().c_ares) << c_ares;
}

INSTANTIATE_TEST_SUITE_P(
    Alone, Links,
    testing::Values(Program{"uses_fiber", false, false}, Program{"uses_flow", false, false},
                    Program{"uses_net", false, false}, Program{"uses_mock", false, false},
                    Program{"uses_epoll", false, false}, Program{"uses_uring", true, false},
                    Program{"uses_resolver", false, true}, Program{"uses_main", true, true}),
    [](const auto &case_info) { return std::string(case_info.param.name); });

} // namespace
