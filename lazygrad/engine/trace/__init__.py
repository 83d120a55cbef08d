"""Kernels of ops read by running them on stand-ins."""
