"""Steps of training, beside those of PyTorch and JAX on the same GPU, each in a process of its own.

All compute in float32: TF32, which PyTorch takes for convolutions and JAX for all products, is switched off.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.gpu.bandwidth import per_call
from benchmarks.gpu.here import on_host, wait
from benchmarks.peers import load, program
from benchmarks.workloads import WORKLOADS, Workload

__all__ = ["AIMS", "PEERS", "installed", "timed"]

# At most so many times the best peer's time.
AIMS = {"linreg": 0.5, "sine": 0.5, "mnist_mlp": 0.5, "king": 0.5, "wide": 1.05, "convL": 1.2}
PEERS = {"pytorch": ("torch",), "pytorch_compile": ("torch",), "jax": ("jax", "optax")}


def sized(name: str, tiny: bool) -> Workload:
    """A workload as large as a GPU wants it."""
    workload: Any = WORKLOADS[name]
    if tiny:
        return workload.tiny()  # type: ignore[no-any-return]
    if name == "wide":
        return dataclasses.replace(workload, sizes=(4096, 4096, 4096, 4096, 10), batch=4096)
    return dataclasses.replace(workload, batch=1024) if name == "convL" else workload


def installed() -> list[str]:
    """The peers whose packages are there."""
    return [peer for peer, needed in PEERS.items() if all(map(importlib.util.find_spec, needed))]


def timed(cupy: Any, peer: str, name: str, tiny: bool) -> dict[str, float]:
    """Milliseconds a step of lazygrad or of a peer, and the loss of the first."""
    step, waited = (_lazygrad if peer == "lazygrad" else _peer)(cupy, peer, sized(name, tiny))
    first = float(np.asarray(waited(step(0))).reshape(-1)[0])
    settings = {"rounds": 1, "shortest": 1e-4} if tiny else {}
    return {"ms": 1e3 * per_call(step, waited, **settings), "loss": first}


Timed = tuple[Callable[[int], Any], Callable[[Any], Any]]


def _lazygrad(cupy: Any, peer: str, workload: Workload) -> Timed:
    env, step, batches = program("lazygrad_run", workload.family).program(workload)
    env.to("cupy")
    compiled = env.compile(step, wait=True, synchronous=False)
    given = [tuple(map(cupy.asarray, batch)) for batch in batches]

    def waited(result: Any) -> Any:
        wait(cupy)
        assert compiled.is_native, compiled
        return on_host(result[0])

    return lambda number: compiled(*given[number % len(given)]), waited


def _peer(cupy: Any, peer: str, workload: Workload) -> Timed:
    if peer == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")  # float32 is float32
        return load(peer, workload.family)[1](workload), jax.block_until_ready
    import torch

    torch.set_default_device("cuda")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    of_numpy = torch.from_numpy
    torch.from_numpy = lambda array: of_numpy(array).cuda()

    def waited(result: Any) -> Any:
        torch.cuda.synchronize()
        return result.cpu()

    return load(peer, workload.family)[1](workload), waited
