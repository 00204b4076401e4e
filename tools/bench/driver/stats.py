"""Medians, and ratios with an interval."""

import collections
import random

Spread = collections.namedtuple("Spread", "median low high")


def median(values):
    """The middle value; the mean of the middle two."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("the median of nothing")
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


def spread(values):
    """Median, minimum and maximum."""
    return Spread(median(values), min(values), max(values))


def interval(values, confidence=0.95, draws=2000, seed=1):
    """The median, and a bootstrap interval for it: what medians of samples drawn from the values are.

    The seed is fixed, so that a table made again from the same figures is the same.
    """
    middle = median(values)
    if len(values) == 1:
        return Spread(middle, middle, middle)
    source = random.Random(seed)
    medians = sorted(median(source.choices(values, k=len(values))) for _ in range(draws))
    cut = int(draws * (1 - confidence) / 2)
    return Spread(middle, medians[cut], medians[draws - 1 - cut])


def ratio(values, limits):
    """The median of values[i] / limits[i] with its interval: both were measured in round i.

    A round that either of them lacks (None) counts for nothing. None when no round is left.
    """
    pairs = [a / b for a, b in zip(values, limits) if a is not None and b]
    return interval(pairs) if pairs else None
