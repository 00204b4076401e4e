// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_EXPLORER_EXPLORE_H
#define EIO_TESTS_EXPLORER_EXPLORE_H

// Runs a program of two or three threads once for each order of their atomic operations that
// matters. See the theory at the head of explore.cc.
//
//     Explorer explorer;
//     explorer.Run({[&] { eioi_mpsc_push(&queue, &a); }, [&] { eioi_mpsc_push(&queue, &b); }},
//                  /* before= */ [&] { queue = {}; },
//                  /* after= */ [&] { ExpectBoth(eioi_mpsc_take_all(&queue)); });
//     EXPECT_EQ(explorer.failure, "");
//
// What the threads call must be compiled for it (`explored` in BUILD).

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace explorer {

constexpr int kThreadsMax = 4;

struct Explorer {
    /// Runs until every order was seen, something fails, or `executions_max` were made.
    void Run(std::vector<std::function<void()>> threads, std::function<void()> before,
             std::function<void()> after);

    // What to do.
    bool reduced = true; ///< leaves out orders that differ in nothing; false: each and every one
    uint64_t executions_max = 100000000;

    // What came of it.
    uint64_t executions = 0;        ///< whole ones
    uint64_t cut = 0;               ///< that turned out to be like an earlier one, and were left
    uint64_t depth = 0;             ///< atomic operations of the longest
    bool complete = false;          ///< every order was seen
    std::string failure;            ///< the first one, with the order that led to it; "": none
    std::set<std::string> outcomes; ///< what the executions have noted
};

/// For what the threads call: says what came out of this one, in this execution. Their order between
/// threads isn't noted.
void Note(const std::string &what);
/// What must be true isn't: the execution ends here.
void Fail(const std::string &why);
inline void Check(bool ok, const char *what) {
    if (!ok)
        Fail(what);
}

/// One that waits for the other: as an eventfd, which holds one event, orders what came before it.
struct Event {
    void Set();
    void Wait();
    bool set = false;
};

} // namespace explorer

#endif
