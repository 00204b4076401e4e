"""The rules of this project: eio_library, eio_binary and eio_test."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")

# Warnings only: what makes them errors stands in our own .bazelrc, so that a newer compiler's new
# warning never breaks the build of a project that depends on us.
_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wcast-align",
    "-Wconversion",
    "-Wdouble-promotion",
    "-Wformat=2",
    "-Wimplicit-fallthrough",
    "-Wpointer-arith",
    "-Wshadow",
    "-Wundef",
    "-Wvla",
    "-Wwrite-strings",
]

_C_COPTS = [
    "-std=gnu11",
    "-fvisibility=hidden",
    # Empty, so that a file which defines it for itself repeats this definition exactly.
    "-D_GNU_SOURCE=",
] + _WARNINGS + [
    "-Wmissing-prototypes",
    "-Wold-style-definition",
    "-Wstrict-prototypes",
    # gcc 12 and clang 14 warn of `{0}` for a struct whose first member is a struct; C says it's right.
    "-Wno-missing-braces",
    "-Wno-missing-field-initializers",
    # clang warns of an `inline` function that uses a static one, though it is defined for everybody.
    "-Wno-static-in-inline",
]

_CXX_COPTS = [
    "-std=c++17",
    "-fvisibility=hidden",
] + _WARNINGS + [
    "-Wnon-virtual-dtor",
    "-Woverloaded-virtual",
    "-Wno-missing-field-initializers",
]

_FEATURES = ["layering_check"]

_LINKOPTS = ["-pthread"]

def _have_ending(srcs, ending):
    # A select() can't be looked into; only C sources are chosen by one.
    return type(srcs) == type([]) and [src for src in srcs if src.endswith(ending)] != []

def _is_cxx(srcs):
    return _have_ending(srcs, ".cc")

def _copts(name, srcs, cxx):
    if _is_cxx(srcs) and _have_ending(srcs, ".c"):
        fail("%s: C and C++ files go into separate targets, since their flags differ" % name)
    return _CXX_COPTS if cxx or _is_cxx(srcs) else _C_COPTS

def eio_library(
        name,
        srcs = [],
        hdrs = [],
        textual_hdrs = [],
        deps = [],
        visibility = None,
        linkopts = [],
        defines = [],
        copts = [],
        features = [],
        prefix = "eio",
        cxx = False,
        **kwargs):
    """A library in C (or in C++, when its sources end in .cc).

    Args:
      name: the target's name.
      srcs: sources, and the headers that no other target includes.
      hdrs: public headers, included as "PREFIX/NAME.h" everywhere, in here and outside.
      textual_hdrs: files like NAME.def, included by their path from the top of the repository.
      deps: libraries.
      visibility: as ever.
      linkopts: as ever; -pthread is there.
      defines: as ever; passed on to dependents.
      copts: more flags for this target alone.
      features: more features for this target alone.
      prefix: "eio"; None for internal headers, which are included by their path from the top of the
        repository, as in "fiber/sched.h".
      cxx: True for a C++ library of headers alone.
      **kwargs: anything else that cc_library knows.
    """
    if prefix and hdrs:
        # From the top of the repository, whichever repository that is.
        kwargs["strip_include_prefix"] = "/" + native.package_name()
        kwargs["include_prefix"] = prefix
    cc_library(
        name = name,
        srcs = srcs,
        hdrs = hdrs,
        textual_hdrs = textual_hdrs,
        copts = _copts(name, srcs, cxx) + copts,
        defines = defines,
        features = _FEATURES + features,
        linkopts = _LINKOPTS + linkopts,
        # Hidden symbols are used across packages, so no library may become a shared object.
        linkstatic = True,
        visibility = visibility,
        deps = deps,
        **kwargs
    )

def eio_binary(name, srcs, deps = [], copts = [], linkopts = [], features = [], **kwargs):
    """A program in C (or in C++, when its sources end in .cc)."""
    cc_binary(
        name = name,
        srcs = srcs,
        copts = _copts(name, srcs, False) + copts,
        features = _FEATURES + features,
        linkopts = _LINKOPTS + linkopts,
        linkstatic = True,
        deps = deps,
        **kwargs
    )

def eio_test(
        name,
        srcs,
        deps = [],
        copts = [],
        linkopts = [],
        features = [],
        size = "small",
        gtest_main = True,
        **kwargs):
    """A test with GoogleTest in C++17 (or a program in C, when no source ends in .cc: it passes by exiting with 0).

    Args:
      name: the target's name, as in "switch_test".
      srcs: the test, and headers of its own.
      deps: libraries; GoogleTest is added.
      copts: more flags for this target alone.
      linkopts: as ever; -pthread is there.
      features: more features for this target alone.
      size: as ever.
      gtest_main: False for a test with a main of its own.
      **kwargs: anything else that cc_test knows.
    """
    google = []
    if _is_cxx(srcs):
        google.append(str(Label("//tools/bazel/deps:gtest")))
        if gtest_main:
            google.append(str(Label("//tools/bazel/deps:gtest_main")))
    cc_test(
        name = name,
        size = size,
        srcs = srcs,
        copts = _copts(name, srcs, False) + copts,
        features = _FEATURES + features,
        linkopts = _LINKOPTS + linkopts,
        linkstatic = True,
        deps = deps + google,
        **kwargs
    )
