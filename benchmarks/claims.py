"""What must hold on real data: each claim names an example and one of the numbers that it finds."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CLAIMS", "Claim"]


class Claim(NamedTuple):
    """A bound on a number."""

    what: str
    example: str
    number: str
    least: float = float("-inf")
    most: float = float("inf")

    @property
    def wanted(self) -> str:
        """The bound in words."""
        if self.least == self.most:
            return f"{self.least:g}"
        parts = [f"≥ {self.least:g}"] * (self.least > float("-inf")) + [f"≤ {self.most:g}"] * (self.most < float("inf"))
        return " and ".join(parts) or "stated"

    def holds(self, value: float) -> bool:
        """Whether a value is within the bound."""
        return self.least <= value <= self.most


CLAIMS = [
    Claim("MNIST, softmax regression, 3 epochs", "mnist_mlp", "softmax regression: test accuracy", 0.918),
    Claim("MNIST, 784-128-10, 10 epochs", "mnist_mlp", "784-128-10: test accuracy", 0.977),
    Claim("MNIST, the Rust crate's convolutional network, 5 epochs", "mnist_cnn", "test accuracy", 0.987),
    Claim("MNIST, 784-128-10 in a web page, 15 epochs", "web_digits", "test accuracy", 0.98),
    *(
        Claim(
            f"MNIST, ML Kit's {kind} network, 3 seeds, epoch {epoch} (report: {reported})",
            "mnist_ml_kit",
            number,
            least,
        )
        for kind, name in [("dense", "784-16-16-10"), ("convolutional", "convolutional")]
        for epoch, reported, least in [(20, 0.85, 0.83), (50, 0.90, 0.88)]
        for number in [f"{name}, 60000 images an epoch: mean accuracy after {epoch} epochs"]
    ),
    *(
        Claim(f"The same, {kind}, epoch {epoch}, 10,000 images an epoch", "mnist_ml_kit", number)
        for kind, name in [("dense", "784-16-16-10"), ("convolutional", "convolutional")]
        for epoch in (20, 50)
        for number in [f"{name}, 10000 images an epoch: mean accuracy after {epoch} epochs"]
    ),
    Claim(
        "MNIST, 784-128-10, 100 epochs: seconds ÷ PyTorch's",
        "mnist_beside_pytorch",
        "median of the ratio of seconds, epoch by epoch",
    ),
    Claim("King County, jiro-nn's network, average R² of 8 folds", "king_county", "R² on average over the folds", 0.88),
    Claim("King County, the same, best fold", "king_county", "R² of the best fold", 0.90),
    Claim("King County, seconds for all folds (jiro-nn: 1,920)", "king_county", "seconds to train all folds"),
    Claim("King County, honest hold-out, our network", "king_county", "R² on the same honest hold-out, ours", 0.90),
    Claim("SVD of 10,330 random matrices: wrong at 1e-5", "svd_trials", "wrong at 1e-5", 0, 0),
    Claim("SVD of 10,330 random matrices: not converged", "svd_trials", "not converged", 0, 0),
    *(
        Claim(f"SVD of an image of {size}: seconds (ML Kit: {reported:,})", "image_compression", number, most=reported)
        for size, reported in [("240×320", 75), ("480×640", 1250)]
        for number in [f"seconds for the decompositions of {size}"]
    ),
    Claim(
        "k-means, a million points: labels that differ from scikit-learn's",
        "classical/kmeans",
        "part of the labels that differ from scikit-learn's",
        0,
        0,
    ),
    Claim("k-means, a million points: seconds", "classical/kmeans", "seconds, lazygrad"),
    Claim("k-means, a million points: seconds of scikit-learn", "classical/kmeans", "seconds, scikit-learn"),
    Claim(
        "Nile, local level: variance of an observation (published: 15,099)",
        "kalman",
        "Nile: variance of an observation",
        15084,
        15114,
    ),
    Claim(
        "Nile, local level: variance of the level (published: 1,469.1)",
        "kalman",
        "Nile: variance of the level",
        1467,
        1471,
    ),
    Claim(
        "Lynx and hare: distance from the published posterior means, in standard errors",
        "lotka_volterra",
        "largest deviation from Carpenter (standard errors)",
        most=0.5,
    ),
    Claim("Eight schools: R̂, the largest", "hmc", "largest R̂", most=1.01),
    Claim(
        "Eight schools: distance of a mean from the exact one, in standard errors, the largest",
        "hmc",
        "largest distance from an exact mean (standard errors)",
        most=4,
    ),
]
