"""Neural networks, ``lg.nn``."""
