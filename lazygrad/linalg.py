"""Linear algebra, ``lg.linalg``."""
