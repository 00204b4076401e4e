"""fuzz_target: a fuzzer and the replay of its corpus."""

load("//tools/bazel:defs.bzl", "eio_binary", "eio_library", "eio_test")

def fuzz_target(name, deps, hdrs = [], linkopts = []):
    """NAME.cc as a libFuzzer program, NAME_fuzz, and as a test over corpus/NAME, NAME_test.

    Args:
      name: the target's name, and that of its corpus.
      deps: libraries; what all targets need is added.
      hdrs: headers of its own.
      linkopts: as ever.
    """
    eio_library(
        name = name,
        testonly = True,
        srcs = [name + ".cc"] + hdrs,
        linkopts = linkopts,
        alwayslink = True,
        deps = deps + [
            ":run_target",
            "//fiber/base",
            "//fiber/base:internal",
        ],
    )

    # libFuzzer comes with clang only: `--config=fuzz`, see run.sh.
    eio_binary(
        name = name + "_fuzz",
        testonly = True,
        srcs = [],
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [":" + name],
    )

    eio_test(
        name = name + "_test",
        srcs = ["replay_test.cc"],
        args = ["tests/fuzz/corpus/" + name],
        data = native.glob(["corpus/%s/**" % name]),
        gtest_main = False,
        tags = ["block-network"],
        deps = [
            ":" + name,
            ":run_target",
        ],
    )
