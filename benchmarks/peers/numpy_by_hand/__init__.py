"""NumPy, with the derivatives written out by hand: what all others are measured by."""

NAME = "NumPy by hand"
PACKAGES = ("numpy",)
