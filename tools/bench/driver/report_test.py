"""Tables: what stands where, worked by hand."""

import unittest

from driver import report, stats
from driver.result import Result


class NumberTest(unittest.TestCase):
    def test_keeps_three_significant_digits(self):
        given = [0, 0.0123, 0.5, 2.345, 12.34, 123.4, 1234.5, 1234567]
        shown = ["0.00", "0.012", "0.50", "2.35", "12.3", "123", "1,234", "1,234,567"]
        self.assertEqual([report.number(one) for one in given], shown)

    def test_of_nothing_is_a_dash(self):
        self.assertEqual(report.number(None), "-")


class VerdictTest(unittest.TestCase):
    def test_a_bar_is_met_when_the_lower_end_of_the_interval_is_under_it(self):
        self.assertEqual(report.verdict(stats.Spread(1.07, 1.04, 1.10), 1.05), "<= 1.05: met")
        self.assertEqual(report.verdict(stats.Spread(1.07, 1.06, 1.10), 1.05), "<= 1.05: NOT MET")

    def test_a_bar_from_below_is_met_when_the_upper_end_reaches_it(self):
        self.assertEqual(report.verdict(stats.Spread(0.94, 0.90, 0.96), 0.95, at_least=True), ">= 0.95: met")
        self.assertEqual(report.verdict(stats.Spread(0.90, 0.89, 0.94), 0.95, at_least=True), ">= 0.95: NOT MET")

    def test_without_a_ratio_or_a_bar_says_nothing(self):
        self.assertEqual(report.verdict(None, 1.05), "")
        self.assertEqual(report.verdict(stats.Spread(1, 1, 1), None), "")


class StandingTest(unittest.TestCase):
    def test_is_equal_where_the_interval_holds_one(self):
        ratios = {
            "slow": stats.Spread(1.5, 1.4, 1.6),
            "same": stats.Spread(1.02, 0.99, 1.05),
            "fast": stats.Spread(0.8, 0.7, 0.9),
        }
        self.assertEqual(report.standing(ratios), "ahead of slow; equal to same; behind fast")

    def test_of_nobody_is_empty(self):
        self.assertEqual(report.standing({}), "")


def example():
    result = Result("echo", "there and back", ["", "cost", "rate"])
    result.add("limit", ["1.00", "1,000,000"], {})
    result.add("eio", ["1.05", "9"], {})
    result.missing("peer", "missing: its package")
    result.notes.append("a note")
    return result


class TableTest(unittest.TestCase):
    def test_as_text_has_columns_of_equal_width_and_names_what_is_missing(self):
        self.assertEqual(
            report.text_table(example()),
            "echo  there and back\n"
            "         cost       rate\n"
            "  limit  1.00  1,000,000\n"
            "  eio    1.05          9\n"
            "  peer   missing: its package\n"
            "  a note\n",
        )

    def test_as_markdown_has_the_same_cells(self):
        self.assertEqual(
            report.markdown_table(example()),
            "### echo: there and back\n"
            "\n"
            "|  | cost | rate |\n"
            "|---|---|---|\n"
            "| limit | 1.00 | 1,000,000 |\n"
            "| eio | 1.05 | 9 |\n"
            "| peer | missing: its package |  |\n"
            "\n"
            "a note\n",
        )


if __name__ == "__main__":
    unittest.main()
