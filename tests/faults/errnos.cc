// SPDX-License-Identifier: ISC
#include "tests/faults/errnos.h"

#include <cerrno>
#include <cstring>
#include <map>
#include <set>

namespace eio_faults {
namespace {

const std::map<std::string, std::vector<int>> &Table() {
    static const std::vector<int> read = {EINTR, EAGAIN, ECONNRESET, EIO};
    static const std::vector<int> write = {EINTR, EAGAIN, EPIPE, ENOBUFS};
    static const std::vector<int> no_fd = {EMFILE, ENFILE, ENOMEM};
    static const std::map<std::string, std::vector<int>> table = {
        {"accept4", {EINTR, EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPROTO}},
        {"alloc", {ENOMEM}},
        {"bind", {EADDRINUSE, EACCES, EADDRNOTAVAIL}},
        {"chmod", {EPERM}},
        {"connect", {EINTR, ECONNREFUSED, ETIMEDOUT, EADDRNOTAVAIL}},
        {"cqe_accept",
         {EINTR, EAGAIN, ECANCELED, EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPROTO}},
        {"cqe_cancel", {EALREADY, ENOENT}},
        {"cqe_connect", {EINTR, EAGAIN, ECANCELED, ENOMEM, ECONNREFUSED, ETIMEDOUT, EADDRNOTAVAIL}},
        {"cqe_poll", {EINTR, EAGAIN, ECANCELED, ENOMEM}},
        {"cqe_read", {EINTR, EAGAIN, ECANCELED, ENOMEM, ECONNRESET, EIO}},
        {"cqe_recv", {EINTR, EAGAIN, ECANCELED, ENOMEM, ENOBUFS, ECONNRESET, EIO}},
        {"cqe_recvmsg", {EINTR, EAGAIN, ECANCELED, ENOMEM, EIO}},
        {"cqe_sendmsg", {EINTR, EAGAIN, ECANCELED, ENOMEM, ENOBUFS}},
        {"cqe_wake", {EINTR, EAGAIN, ENOMEM}},
        {"cqe_write", {EINTR, EAGAIN, ECANCELED, ENOMEM, EPIPE}},
        {"epoll_create1", no_fd},
        {"epoll_ctl", {ENOSPC, ENOMEM}},
        {"epoll_pwait2", {EINTR, ENOSYS, EPERM}},
        {"epoll_wait", {EINTR}},
        {"eventfd", no_fd},
        {"fchmod", {EPERM}},
        {"fcntl", {EMFILE}},
        {"fcntl_pipe_size", {EPERM}},
        {"fstat", {EIO, ENOMEM}},
        {"getrandom", {EINTR, ENOSYS}},
        {"gethostname", {EPERM}},
        {"getrlimit", {EPERM}},
        {"getsockname", {ENOBUFS}},
        {"getsockopt", {ENOBUFS}},
        {"if_indextoname", {ENXIO}},
        {"if_nametoindex", {ENODEV}},
        {"ioctl", {ENODEV}},
        {"io_uring_enter", {EINTR, EAGAIN, EBUSY, ENOMEM}},
        {"io_uring_register", {EPERM, ENOMEM}},
        {"io_uring_register_buf_ring", {EINVAL, ENOMEM}},
        {"io_uring_setup", {EPERM, ENOSYS, ENOMEM, EINVAL}},
        {"listen", {EADDRINUSE}},
        {"lstat", {EACCES, ENOENT}},
        {"lstat_closing", {EACCES, ENOENT}},
        {"madvise", {ENOMEM}},
        {"mmap", {ENOMEM}},
        {"mprotect", {ENOMEM}},
        {"nanosleep", {EINTR}},
        {"open", {EMFILE, EACCES, ENOENT}},
        {"pipe2", {EMFILE}},
        {"poll", {EINTR}},
        {"preadv2", read},
        {"process_madvise", {EPERM, ENOMEM}},
        {"pthread_create", {EAGAIN, ENOMEM}},
        {"pwritev2", write},
        {"pwritev2_nosignal", {EOPNOTSUPP}},
        {"read", {EINTR, EIO}},
        {"read_signal", {EINTR, EAGAIN}},
        {"readv", read},
        {"recv", read},
        {"recvfrom", {EINTR, EAGAIN, ECONNREFUSED, EIO}},
        {"recvmsg", read},
        {"recvmmsg", read},
        {"send", write},
        {"sendmmsg", write},
        {"sendmsg", write},
        {"setsockopt", {ENOPROTOOPT, ENOMEM}},
        {"short_read", {EAGAIN}},
        {"short_write", {EAGAIN}},
        {"shutdown", {ENOBUFS}},
        {"sigaction", {EINVAL}},
        {"sigaltstack", {ENOMEM}},
        {"sigtimedwait", {EINTR}},
        {"socket", {EMFILE, ENFILE, ENOMEM, EAFNOSUPPORT}},
        {"socketpair", no_fd},
        {"splice", {EINTR, EAGAIN, EINVAL, ENOMEM, EIO, EPIPE}},
        {"stat", {EIO, ENOENT}},
        {"unlink", {EPERM}},
        {"unlink_closing", {EPERM}},
        {"uring_sqe_full", {ENOSPC}},
        {"writev", write},
        {"write", {EIO}},
    };
    return table;
}

bool IsEither(int errnum, std::initializer_list<int> of) {
    for (int one : of)
        if (one == errnum)
            return true;
    return false;
}

/// Said by the kernel of what goes on all the same.
bool IsAgain(int errnum) {
    return IsEither(errnum, {EINTR, EAGAIN, EBUSY, EALREADY, ECANCELED});
}

} // namespace

const std::vector<int> &ErrnosOf(const std::string &name) {
    static const std::vector<int> others = {ENOMEM, EIO};
    auto it = Table().find(name);
    return it == Table().end() ? others : it->second;
}

unsigned RepeatsOf(const std::string &name, int errnum) {
    enum { ALWAYS = 1000 * 1000, A_FEW = 3, MANY = 70 };
    if (name == "io_uring_enter" || name == "accept4" || name == "cqe_accept")
        return A_FEW;
    if (name == "short_read" || name == "short_write")
        return ALWAYS;
    if (name == "uring_sqe_full" || name == "cqe_wake" || name == "cqe_cancel")
        return A_FEW;
    return IsAgain(errnum) ? MANY : ALWAYS;
}

std::string NameOfErrno(int errnum) {
    const char *name = strerrorname_np(errnum);
    return name == nullptr ? std::to_string(errnum) : name;
}

bool Explains(const std::string &text, const std::string &name, int errnum) {
    const auto says = [&](const char *what) { return text.find(what) != std::string::npos; };
    if (says(strerror(errnum)) || says("Address_lookup_failed"))
        return true;
    if (name == "alloc" || errnum == ENOMEM)
        return says("Out_of_memory") || says("Stack_limit") || says("no memory");
    if (name.rfind("io_uring_", 0) == 0)
        return says(name.c_str()) || says("the kernel is too old");
    if (name == "mmap" || name == "madvise" || name == "mprotect")
        return says("Stack_limit");
    return false;
}

bool IsTheOtherSides(const std::string &text) {
    for (const char *what : {"End_of_file", "Connection_reset", "Refused", "cut short"})
        if (text.find(what) != std::string::npos)
            return true;
    return false;
}

bool MustSurface(const std::string &name, int errnum, bool again) {
    // Each of these has a way round it, which is the library's own business.
    static const std::set<std::string> coped_with = {
        "alloc",                      // an error is another one, the resolver's daemon comes again
        "cqe_cancel",                 // the request is repeated, or the operation ends by itself
        "cqe_wake",                   // the read of the wake-up descriptor is made again
        "fcntl_pipe_size",            // a copy takes more steps
        "io_uring_register_buf_ring", // loans have memory of their own
        "process_madvise",            // one call for each stack
        "getsockopt", // the kind of the socket isn't known: one more system call a read
        "poll",       // the call that follows finds out
        "lstat_closing",
        "unlink_closing", // the path stays; `reuse_addr` is for that
        "nanosleep",      // a shorter wait
        "getrlimit",      // a number is missing in a message
        "pipe2",       // SIGPIPE is blocked instead of a flag for each write; a copy goes by loans
        "sigaltstack", // an overflow will not be named
        "short_read",
        "short_write", // the rest is asked for
        "io_uring_enter",
        "uring_sqe_full", // tried again: `RepeatsOf` is few
        "pwritev2_nosignal",
    };
    if (coped_with.count(name) > 0 || IsAgain(errnum))
        return false;
    if (!again && (name == "mmap" || name == "io_uring_setup")) // less is asked for
        return false;
    if (name == "lstat" && errnum == ENOENT) // there is nothing to remove
        return false;
    if (!again && name == "socket") // what was to be closed later is closed first
        return false;
    if (name == "splice" && (errnum == EINVAL || errnum == ENOMEM)) // the copy goes by loans
        return false;
    if (name == "cqe_recv" && errnum == ENOBUFS) // the pool grows, or memory of its own is used
        return false;
    if (name == "epoll_pwait2") // epoll_wait does as well
        return false;
    return true;
}

} // namespace eio_faults
