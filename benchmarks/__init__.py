"""Measurements of lazygrad beside its peers; see ``docs/benchmarks.md`` for how to repeat them."""
