"""What is measured: each workload's sizes, first parameters and data, one file a family.

All numbers of a workload come from one generator in one order. So every peer starts from the same parameters
and sees the same data, and what they compute can be compared.
"""

from __future__ import annotations

from benchmarks.workloads.base import Workload
from benchmarks.workloads.convolution import Convolution
from benchmarks.workloads.dense import Dense
from benchmarks.workloads.elementwise import Elementwise
from benchmarks.workloads.gaussian_process import GaussianProcess
from benchmarks.workloads.kalman import Kalman
from benchmarks.workloads.kmeans import KMeans
from benchmarks.workloads.leaves import Leaves
from benchmarks.workloads.lstm import LSTM
from benchmarks.workloads.pendulum import Pendulum
from benchmarks.workloads.transformer import Transformer

__all__ = ["CHAINS", "WORKLOADS", "Workload"]

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Dense("linreg", (1, 1), None, "squared", "adam", 64, aim=0.35),
        Dense("sine", (1, 64, 64, 1), "tanh", "squared", "adam", 64, aim=0.65),
        Dense("mnist_mlp", (784, 128, 10), "relu", "cross_entropy", "momentum", 128, aim=0.75),
        Dense("king", (34, *[35] * 8, 1), "relu", "squared", "momentum", 128, aim=0.6),
        # Adam moves a weight by the rate however small its gradient is, even where rounding has left only noise of it;
        # over a million weights that grows: JAX was 1e-5 from float64 after four steps, and 3e-4 after nine.
        Dense("wide", (1024, 1024, 1024, 1024, 10), "relu", "cross_entropy", "adam", 256, check=5, aim=1.0),
        Elementwise("elem", 4_000_000, aim=0.7),
        KMeans("kmeans", 1_000_000, 2, 8, aim=0.4),
        Convolution("convS", (4, 2), (16,), "sigmoid", 32),
        Convolution("convL", (32, 64), (), "relu", 64),
        LSTM("lstm", 28, 28, 64, 10, 64, aim=1.0),
        GaussianProcess("gp", 500, 3, aim=0.5),
        Transformer("transformer", 64, 128, 4, 16, aim=1.0),
        Pendulum("rk4", 1_000, aim=0.15),
        Kalman("kalman", 4, 2, 1_000, aim=0.2),
        Kalman("kalman60", 4, 2, 60, unrolled=True, aim=0.5),
        Leaves("leaves", 20, 614, aim=0.02),
        LSTM("lstm200", 200, 32, 64, 10, 32, aim=0.6),
    )
}

# Chains of layers, for the time that compiling takes: see benchmarks/layers.py.
CHAINS: dict[str, Dense] = {
    f"layers{count}": Dense(f"layers{count}", (32,) * (count + 1), "tanh", "squared", "sgd", 32)
    for count in (10, 100, 1_000)
}
