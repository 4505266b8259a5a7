"""Benchmarks: how long reading takes, beside torch."""
