"""scikit-learn, where it has the very thing."""

NAME = "scikit-learn"
PACKAGES = ("scikit-learn",)
