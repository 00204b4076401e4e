"""Medians and ratios: worked by hand, or by what must hold for any values."""

import random
import unittest

from driver import stats


class MedianTest(unittest.TestCase):
    def test_of_an_odd_number_of_values_is_the_middle_one(self):
        self.assertEqual(stats.median([9, 1, 5]), 5)

    def test_of_an_even_number_of_values_is_between_the_middle_two(self):
        self.assertEqual(stats.median([1, 10, 2, 4]), 3)

    def test_of_nothing_is_an_error(self):
        with self.assertRaises(ValueError):
            stats.median([])

    def test_leaves_its_argument_alone(self):
        values = [3, 1, 2]
        stats.median(values)
        self.assertEqual(values, [3, 1, 2])


class SpreadTest(unittest.TestCase):
    def test_is_median_minimum_maximum(self):
        self.assertEqual(stats.spread([4, 8, 6, 100]), (7, 4, 100))


class IntervalTest(unittest.TestCase):
    def test_of_one_value_is_that_value(self):
        self.assertEqual(stats.interval([1.5]), (1.5, 1.5, 1.5))

    def test_of_equal_values_has_no_width(self):
        self.assertEqual(stats.interval([2] * 10), (2, 2, 2))

    def test_holds_the_median_and_stays_within_the_values(self):
        source = random.Random(7)
        values = [source.gauss(1, 0.1) for _ in range(10)]
        result = stats.interval(values)
        self.assertLessEqual(result.low, result.median)
        self.assertGreaterEqual(result.high, result.median)
        self.assertGreaterEqual(result.low, min(values))
        self.assertLessEqual(result.high, max(values))

    def test_isnt_moved_by_one_wild_value(self):
        result = stats.interval([1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99, 1.0, 40.0])
        self.assertLess(result.high, 1.05)

    def test_narrows_with_more_values(self):
        source = random.Random(3)
        few = stats.interval([source.gauss(1, 0.1) for _ in range(8)])
        many = stats.interval([source.gauss(1, 0.1) for _ in range(800)])
        self.assertLess(many.high - many.low, few.high - few.low)

    def test_is_the_same_each_time(self):
        values = [1.0, 1.2, 0.9, 1.1, 1.05]
        self.assertEqual(stats.interval(values), stats.interval(values))

    def test_covers_the_true_median_about_as_often_as_it_says(self):
        source = random.Random(11)
        covered = 0
        for _ in range(200):
            low, high = stats.interval([source.gauss(1, 0.1) for _ in range(20)], draws=300)[1:]
            covered += low <= 1 <= high
        self.assertGreater(covered, 170)


class RatioTest(unittest.TestCase):
    def test_pairs_what_was_measured_in_the_same_round(self):
        # The second round was slow for both; a ratio of medians of unpaired values would not see that.
        self.assertEqual(stats.ratio([2.0, 4.0, 2.0], [1.0, 2.0, 1.0]), (2, 2, 2))

    def test_passes_over_a_round_that_one_of_them_lacks(self):
        self.assertEqual(stats.ratio([2.0, None, 3.0], [1.0, 2.0, None]).median, 2)

    def test_without_a_round_is_none(self):
        self.assertIsNone(stats.ratio([None], [1.0]))


if __name__ == "__main__":
    unittest.main()
