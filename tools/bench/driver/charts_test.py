"""Charts: what is drawn, from results made by hand; the drawing itself is the tool's."""

import unittest

from driver import charts
from driver.result import Result


def result_of(data):
    result = Result("row", "title", [])
    result.data = data
    return result


class BarsTest(unittest.TestCase):
    def test_of_servers_are_their_costs_without_those_that_are_missing(self):
        unit = {"cost": "us", "rate": "1/s"}
        result = result_of({"eio": {"cost": [2, 3], "kind": "eio", "unit": unit}, "peer": {"missing": "why"}})
        self.assertEqual(charts._bars_of(result), ([("eio", "eio", [2, 3])], "us"))

    def test_of_programs_are_their_rates(self):
        result = result_of({"1 at a time eio": {"case": "1 at a time", "rate": [5], "unit": "lookups/s"}})
        self.assertEqual(charts._bars_of(result), ([("1 at a time eio", "eio", [5])], "lookups/s"))

    def test_script_draws_the_median_between_the_least_and_the_greatest(self):
        script = charts.bars_script("out.svg", "a title", "us", [("eio", "eio", [3, 1, 2])])
        self.assertIn("\n0 2 1 3 0x1f77b4\n", script)
        self.assertIn('set output "out.svg"', script)


class LinesTest(unittest.TestCase):
    def fiber(self, row, case, value, bare=None):
        return {"row": row, "case": case, "values": [value], "bare": [bare] if bare else [], "unit": "ns"}

    def test_show_what_is_counted_and_its_bare_loop(self):
        data = {str(n): self.fiber("yield", str(n), n / 10, n / 20) for n in (1, 10, 100)}
        data["mutex"] = self.fiber("mutex", "8", 5)
        self.assertEqual(
            charts._lines_of(result_of(data)),
            {"yield": [(1, 0.1), (10, 1), (100, 10)], "yield, bare loop": [(1, 0.05), (10, 0.5), (100, 5)]},
        )

    def test_of_fewer_than_three_points_are_no_line(self):
        self.assertEqual(charts._lines_of(result_of({"a": self.fiber("yield", "1", 1)})), {})


class QuotingTest(unittest.TestCase):
    def test_keeps_a_name_one_string(self):
        self.assertEqual(charts._quoted('a "b" \\'), '"a \\"b\\" \\\\"')


if __name__ == "__main__":
    unittest.main()
