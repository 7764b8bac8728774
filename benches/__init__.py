"""Benchmarks: ``python -m benches``. One timer, one table, every row checked before it counts."""
