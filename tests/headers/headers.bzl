"""Compiles each public header alone, first in its file and twice, as C11 and as C++17."""

load("//tools/bazel:defs.bzl", "eio_library", "eio_test")

# What a user may have switched on.
_STRICT = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Werror",
]

def headers_test(name, headers):
    """A test with one case for each header.

    Args:
      name: the test's name.
      headers: lists of headers, as in "eio/NAME.h", by the target that gives them.
    """
    libraries = []
    targets = []
    stems = []
    for target, includes in headers.items():
        targets.append(target)
        sources = {"c": [], "cc": []}
        for include in includes:
            stem = include.replace("/", "_").replace(".h", "")
            stems.append(stem)
            for ending in sources:
                native.genrule(
                    name = stem + "_" + ending,
                    outs = [stem + "." + ending],
                    cmd = """cat > $@ <<'END'
#include "{include}"
#include "{include}" // twice: it has a guard
typedef int {stem}_is_no_empty_file;
END
""".format(include = include, stem = stem),
                )
                sources[ending].append("%s.%s" % (stem, ending))
        for ending, files in sources.items():
            library = "%s_%s_%s" % (name, ending, target.strip("/:").replace("/", "_").replace(":", "_"))
            eio_library(
                name = library,
                srcs = files,
                # Plain C11: a header that needs more than C and POSIX's types gets nothing more.
                copts = (["-std=c11", "-U_GNU_SOURCE"] if ending == "c" else []) + _STRICT,
                features = ["-layering_check"],
                deps = [target],
            )
            libraries.append(library)

    # The cases say what was compiled; that this links is the test.
    native.genrule(
        name = name + "_cases",
        outs = [name + "_cases.cc"],
        cmd = "cat > $@ <<'END'\n#include <gtest/gtest.h>\n%sEND\n" %
              "".join(["TEST(CompilesAloneAsC11AndCxx17, %s) {}\n" % stem for stem in stems]),
    )
    eio_test(
        name = name,
        srcs = [name + "_cases.cc"],
        features = ["-layering_check"],
        deps = targets + libraries,
    )
