"""Rounds and limits: from windows as the load generator prints them, without running anything."""

import unittest

from driver import load
from driver.context import SIZES, Context
from driver.load import EIO, LIMIT, PEER, Competitor, LoadRow, Pair


def window(ops=1000, seconds=0.1, server=0.002, client=0.001, **latencies):
    return {
        "ops": ops,
        "seconds": seconds,
        "server_cpu": server,
        "client_cpu": client,
        "lost": 0,
        "p50": latencies.get("p50", 10000),
        "p99": latencies.get("p99", 20000),
        "p999": latencies.get("p999", 30000),
    }


def pair(name, kind, costs):
    made = Pair(Competitor(name, kind, None))
    made.rounds = [load._together([window(server=cost * 1000 / 1e6)]) for cost in costs]
    return made


class TogetherTest(unittest.TestCase):
    def test_a_round_weighs_its_windows_by_what_they_counted(self):
        one = load._together([window(ops=1000, server=0.002), window(ops=3000, server=0.010)])
        self.assertAlmostEqual(one["cpu_us"], 3.0)
        self.assertAlmostEqual(one["rate"], 20000)
        self.assertAlmostEqual(one["client_share"], 0.01)

    def test_latencies_are_microseconds(self):
        self.assertEqual(load._together([window(p99=123000)])["p99"], 123)

    def test_a_round_that_counted_nothing_is_none(self):
        self.assertIsNone(load._together([window(ops=0)]))


class SizedTest(unittest.TestCase):
    def test_many_connections_get_longer_windows_but_no_longer_rounds(self):
        full = SIZES["full"]
        self.assertEqual(load.sized(full, 50).piece_seconds, full.piece_seconds)
        self.assertEqual(load.sized(full, 5000).piece_seconds, 0.5)
        self.assertEqual(load.sized(full, 19000).piece_seconds, full.seconds)


class ResultTest(unittest.TestCase):
    def result_of(self, pairs, bars=None, size="short"):
        context = Context("", "", SIZES[size], {}, 0)
        row = LoadRow("echo", "there and back", [], "tcp", "echo", {}, bars)
        return row._result(context, pairs, {})

    def test_ratios_are_to_the_cheapest_limit(self):
        pairs = [pair("a", LIMIT, [4, 4, 4]), pair("b", LIMIT, [2, 2, 2]), pair("eio", EIO, [3, 3, 3])]
        result = self.result_of(pairs)
        self.assertEqual(result.data["eio"]["ratio"].median, 1.5)
        self.assertIn("ratios of CPU are to 'b'", result.notes)

    def test_a_bar_is_judged_by_the_paired_ratio(self):
        # Both take twice as long in the second round.
        pairs = [pair("raw", LIMIT, [2, 4, 2]), pair("eio", EIO, [2.08, 4.16, 2.08])]
        line = self.result_of(pairs, {"eio": 1.05}).lines[1]
        self.assertEqual(line[3], "<= 1.05: met")
        line = self.result_of(pairs, {"eio": 1.03}).lines[1]
        self.assertEqual(line[3], "<= 1.03: NOT MET")

    def test_the_shortest_form_judges_nothing(self):
        pairs = [pair("raw", LIMIT, [2]), pair("eio", EIO, [9])]
        self.assertEqual(self.result_of(pairs, {"eio": 1.05}, "shortest").lines[1][3], "")

    def test_a_competitor_that_failed_stays_in_the_table_with_its_reason(self):
        gone = Pair(Competitor("peer", PEER, None))
        gone.failure = "missing: its package"
        result = self.result_of([pair("raw", LIMIT, [2]), gone])
        self.assertEqual(result.lines[1][:2], ["peer", "missing: its package"])
        self.assertEqual(result.data["peer"], {"missing": "missing: its package"})

    def test_says_which_peers_eio_is_ahead_of(self):
        pairs = [pair("raw", LIMIT, [2, 2]), pair("eio", EIO, [3, 3]), pair("slow", PEER, [6, 6]), pair("fast", PEER, [1, 1])]
        self.assertIn("eio: ahead of slow; behind fast", self.result_of(pairs).notes)


if __name__ == "__main__":
    unittest.main()
