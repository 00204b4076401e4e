"""The rows, by name."""

from driver.rows import echo, fibers, growth, idle, proxy, rates


def all_rows():
    """Every row, in the order of the table."""
    return [row for part in (echo, proxy, fibers, idle, rates, growth) for row in part.rows()]
