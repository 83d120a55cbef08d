"""A plan as a program of NumPy calls."""
