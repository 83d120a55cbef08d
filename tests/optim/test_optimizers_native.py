"""Every optimizer as native code."""

from __future__ import annotations

import numpy as np
import pytest
from optimizer_checks import KINDS, runner

import lazygrad as lg

START = np.random.default_rng(0).normal(size=(3, 4))
GRADS = np.random.default_rng(1).normal(size=(4, 3, 4))


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5), ("float16", 1e-2)])
def test_native_code_moves_a_matrix_a_kernel_and_a_vector_as_run_does(dtype, tolerance):
    """All optimizers in one step, each with variables of its own, with rates of parts and what is wrapped around."""

    def trained(way):
        env = lg.VariableEnvironment(dtype="float64")
        optimizers = {}
        for name, make in KINDS.items():
            for part, shape in (("matrix", (3, 4)), ("kernel", (3, 2, 2)), ("vector", (12,))):
                env.name(f"{name}/{part}").set(START.reshape(shape).astype(dtype))
            optimizers[name] = make(env, rates={"vector": 0.01})
        optimizers["Adam"] = lg.optim.accumulate(lg.optim.average(optimizers["Adam"], 0.9), 2)

        def step(ctx, g):
            updates = []
            for name, optimizer in optimizers.items():
                mine = ctx.variables(name)
                updates.append(optimizer.update(mine, [lg.reshape(g, v.shape) for v in mine]))
            return updates

        run = runner(env, step, way)
        for g in GRADS:
            run(g.astype(dtype))
        return {v.path: v.value for v in env}

    native = trained("compile")
    for path, expected in trained("run").items():
        np.testing.assert_allclose(expected, native[path], rtol=tolerance, atol=tolerance, err_msg=path)
        assert expected.dtype == native[path].dtype
