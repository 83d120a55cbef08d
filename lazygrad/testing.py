"""Checks of derivatives, for users' own ops as for ours."""
