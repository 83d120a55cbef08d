"""From a plan to descriptions of kernels."""
