"""Kernels for threads of a GPU: the same descriptions, with lanes that are the threads of a warp."""
