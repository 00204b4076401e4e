"""What is written when not all rows were measured."""

import unittest

from driver import docs

OLD = """# Results

- tree: abc


### one: First row

| a |

![First row](one.svg)


### two: Second row

| b |
"""


class MergeTest(unittest.TestCase):
    def test_replaces_a_row_and_keeps_the_others(self):
        merged = docs.merge(OLD, {"one": "### one: First row\n\n| c |\n"}, "Measured later.")
        self.assertIn("- tree: abc", merged)
        self.assertIn("### one: First row\n\n| c |\n\nMeasured later.\n\n\n### two: Second row\n\n| b |\n", merged)
        self.assertNotIn("| a |", merged)

    def test_adds_a_row_at_the_end(self):
        merged = docs.merge(OLD, {"three": "### three: Third row\n\n| c |"}, "Measured later.")
        self.assertTrue(merged.endswith("| b |\n\n\n### three: Third row\n\n| c |\n\nMeasured later.\n"))

    def test_of_nothing_changes_nothing(self):
        self.assertEqual(docs.merge(OLD, {}, "Measured later."), OLD)


if __name__ == "__main__":
    unittest.main()
