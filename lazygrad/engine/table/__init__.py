"""A plan as a table of kernels, products and calls, for any target: what is run, in order, and on which arrays."""
