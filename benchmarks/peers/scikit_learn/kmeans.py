"""Lloyd's algorithm of scikit-learn."""

from __future__ import annotations

from typing import Any

from sklearn.cluster import KMeans as Clusters

from benchmarks.workloads.kmeans import KMeans


class training:  # noqa: N801 - called like the functions of the other peers
    """The iterations: its loop is its own, so that each call begins anew from the first centres.

    A ``fit`` has costs beside its iterations, of about five of them: it checks, copies and centres the points
    before, and looks once more for the nearest centres after. Its stretches are long, so that these hardly count.
    """

    def __init__(self, workload: KMeans) -> None:
        [self.centres], [(self.x,)] = workload.numbers()

    def __call__(self, number: int) -> Any:
        """The centres after as many iterations and one more."""
        return self.many(number + 1)

    def many(self, steps: int) -> Any:
        """The centres after so many iterations; it must not stop before, as it would where nothing moves."""
        fitted = Clusters(len(self.centres), init=self.centres, n_init=1, max_iter=steps, tol=0, algorithm="lloyd").fit(
            self.x
        )
        assert fitted.n_iter_ == steps
        return fitted.cluster_centers_
