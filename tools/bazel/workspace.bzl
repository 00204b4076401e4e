"""Repositories for builds through WORKSPACE; a project that depends on eio calls both functions, too."""

# --- Stand-ins -----------------------------------------------------------------------------------
#
# Bazel itself asks for three repositories that it would download: rules_cc for every C target,
# rules_java when it registers its own tool chains, remote_coverage_tools for every test. All that is
# asked of them here are the rules built into Bazel, under other names; so these few lines stand in.

_CC_RULES = [
    "cc_binary",
    "cc_import",
    "cc_library",
    "cc_proto_library",
    "cc_test",
    "cc_toolchain",
    "cc_toolchain_suite",
    "objc_import",
    "objc_library",
]

_JAVA_RULES = [
    "java_binary",
    "java_import",
    "java_library",
    "java_package_configuration",
    "java_plugin",
    "java_proto_library",
    "java_runtime",
    "java_test",
    "java_toolchain",
]

_COVERAGE_TOOLS = """
sh_binary(
    name = "coverage_report_generator",
    srcs = ["nothing.sh"],
    visibility = ["//visibility:public"],
)

sh_binary(
    name = "lcov_merger",
    srcs = ["nothing.sh"],
    visibility = ["//visibility:public"],
)
"""

def _written_repository_impl(ctx):
    for path, content in ctx.attr.files.items():
        ctx.file(path, content, executable = path.endswith(".sh"))

_written_repository = repository_rule(
    implementation = _written_repository_impl,
    attrs = {"files": attr.string_dict(doc = "contents by path")},
    doc = "A repository made of the files given.",
)

def _re_exports(rules):
    return "".join(["%s = native.%s\n" % (rule, rule) for rule in rules])

def _have(name):
    return name in native.existing_rules()

def eio_stand_ins():
    """Declares the stand-ins that aren't declared already. A project with the real ones declares them first."""
    if not _have("rules_cc"):
        files = {
            "BUILD": "",
            "cc/BUILD": "",
            "cc/defs.bzl": _re_exports(_CC_RULES),
        }
        for rule in _CC_RULES:
            files["cc/%s.bzl" % rule] = _re_exports([rule])
        _written_repository(name = "rules_cc", files = files)
    if not _have("rules_java"):
        _written_repository(
            name = "rules_java",
            files = {
                "BUILD": "",
                "java/BUILD": "",
                "java/defs.bzl": _re_exports(_JAVA_RULES),
            },
        )
    if not _have("remote_coverage_tools"):
        _written_repository(
            name = "remote_coverage_tools",
            files = {"BUILD": _COVERAGE_TOOLS, "nothing.sh": "#!/bin/sh\nexit 0\n"},
        )

# --- System libraries ----------------------------------------------------------------------------

def _pkg_config(ctx, module, options):
    tool = ctx.os.environ.get("PKG_CONFIG") or ctx.which("pkg-config") or ctx.which("pkgconf")
    if not tool:
        fail("""

pkg-config is missing. Install it:
  Debian, Ubuntu:  apt-get install pkg-config
  Fedora:          dnf install pkgconf-pkg-config
  Arch:            pacman -S pkgconf
  Alpine:          apk add pkgconf
""")
    result = ctx.execute([tool] + options + [module])
    if result.return_code != 0:
        fail("""

The library %s is missing (pkg-config finds no %s.pc). Install it:
  Debian, Ubuntu:  apt-get install %s
  Fedora:          dnf install %s
  Arch:            pacman -S %s
  Alpine:          apk add %s
If it is installed elsewhere, set PKG_CONFIG_PATH to the folder of %s.pc.

pkg-config said: %s""" % (
            ctx.name.split("~")[-1].split("+")[-1],
            module,
            ctx.attr.debian,
            ctx.attr.fedora,
            ctx.attr.arch,
            ctx.attr.alpine,
            module,
            result.stderr,
        ))
    return [word for word in result.stdout.replace("\n", " ").split(" ") if word]

def _system_library_impl(ctx):
    build = [
        "# Written by //tools/bazel:workspace.bzl from what pkg-config says.",
        "package(default_visibility = [\"//visibility:public\"])",
    ]
    folders = {}
    for target, module in ctx.attr.targets.items():
        defines = []
        includes = []
        for flag in _pkg_config(ctx, module, ["--cflags"]):
            if flag.startswith("-I"):
                path = flag[2:]
                if path not in folders:
                    folders[path] = "include/%d" % len(folders)
                    ctx.symlink(path, folders[path])
                includes.append(folders[path])
            elif flag.startswith("-D"):
                defines.append(flag[2:])
        linkopts = _pkg_config(ctx, module, ["--libs"])
        build.append("""
cc_library(
    name = {name},
    hdrs = glob({globs}, allow_empty = True),
    defines = {defines},
    includes = {includes},
    linkopts = {linkopts},
)""".format(
            name = repr(target),
            globs = repr([folder + "/**/*.h" for folder in includes]),
            defines = repr(defines),
            includes = repr(includes),
            linkopts = repr(linkopts),
        ))
    ctx.file("BUILD", "load(\"@rules_cc//cc:cc_library.bzl\", \"cc_library\")\n\n" + "\n".join(build) + "\n")

_system_library = repository_rule(
    implementation = _system_library_impl,
    attrs = {
        "targets": attr.string_dict(mandatory = True, doc = "pkg-config's name by target"),
        "debian": attr.string(mandatory = True),
        "fedora": attr.string(mandatory = True),
        "arch": attr.string(mandatory = True),
        "alpine": attr.string(mandatory = True),
    },
    configure = True,
    environ = ["PKG_CONFIG", "PKG_CONFIG_LIBDIR", "PKG_CONFIG_PATH", "PKG_CONFIG_SYSROOT_DIR"],
    local = True,
    doc = "A library of the system, found by pkg-config, under the labels of its module in the Bazel Central Registry.",
)

def eio_system_libraries():
    """Declares liburing, c-ares and googletest, unless they are declared already.

    None of them is looked for before a target needs it.
    """
    if not _have("liburing"):
        _system_library(
            name = "liburing",
            targets = {"liburing": "liburing"},
            debian = "liburing-dev",
            fedora = "liburing-devel",
            arch = "liburing",
            alpine = "liburing-dev",
        )
    if not _have("c-ares"):
        _system_library(
            name = "c-ares",
            targets = {"ares": "libcares"},
            debian = "libc-ares-dev",
            fedora = "c-ares-devel",
            arch = "c-ares",
            alpine = "c-ares-dev",
        )
    if not _have("googletest"):
        _system_library(
            name = "googletest",
            targets = {"gtest": "gtest", "gtest_main": "gtest_main"},
            debian = "libgtest-dev",
            fedora = "gtest-devel",
            arch = "gtest",
            alpine = "gtest-dev",
        )
