"""Searches for settings by backends of joblib: processes of this machine, and a cluster of Dask's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from joblib import parallel_config
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, cross_val_score
from lazygrad.sklearn import Classifier

def main():
    x, y = load_wine(return_X_y=True)
    search = GridSearchCV(Classifier(epochs=2, random_state=0), {"learning_rate": [1e-5, 1e-3]}, cv=2)
    one = search.fit(x, y).cv_results_["mean_test_score"]
    score = cross_val_score(search.best_estimator_, x, y, cv=2)
    if sys.argv[1] == "loky":
        with parallel_config(backend="loky", n_jobs=2, inner_max_num_threads=1):
            many = search.fit(x, y).cv_results_["mean_test_score"]
            again = cross_val_score(search.best_estimator_, x, y, cv=2)
    else:
        from dask.distributed import Client, LocalCluster
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
            with parallel_config(backend="dask"):
                many = search.fit(x, y).cv_results_["mean_test_score"]
                again = cross_val_score(search.best_estimator_, x, y, cv=2)
    assert one.tolist() == many.tolist(), (one, many)
    assert score.tolist() == again.tolist(), (score, again)
    print("alike")

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_a_search_in_many_processes_finds_what_one_process_does(backend: str, tmp_path: Path) -> None:
    """Bit for bit: GridSearchCV and cross_val_score over an estimator of lazygrad's."""
    if backend == "dask":
        pytest.importorskip("distributed", reason="dask.distributed comes with the extra searches")
    program = tmp_path / "search.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program), backend], capture_output=True, text=True, timeout=240, cwd=ROOT, check=False
    )
    assert (0, "alike\n") == (done.returncode, done.stdout), done.stderr[-2000:]
