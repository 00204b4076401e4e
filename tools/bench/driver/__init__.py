"""The benchmarks' driver."""
