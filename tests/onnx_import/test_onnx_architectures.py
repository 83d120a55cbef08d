"""Six published networks for images, whose graphs the package ``onnx`` carries without weights, with random ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_models import onnx, ours, saved, theirs

import lazygrad as lg

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
QUICK = ("shufflenet", "squeezenet")
SLOW = ("densenet121", "inception_v1", "inception_v2", "resnet50")


def filled(proto: Any, rng: Any) -> Any:
    """The model with normal numbers in place of the weights, which are arrays of one number there."""
    proto.ir_version = 8  # in older ones weights are inputs too
    shapes = {array.name: onnx.numpy_helper.to_array(array) for array in proto.graph.initializer}
    for node in list(proto.graph.node):
        if node.op_type == "ConstantOfShape" and node.input[0] in shapes:
            shape = tuple(int(n) for n in shapes[node.input[0]])
            scale = np.sqrt(2 / max(np.prod(shape[1:]), 1)) if len(shape) > 1 else 1  # He et al. 2015
            weight = (scale * rng.standard_normal(shape)).astype(np.float32)
            weight = np.abs(weight) + 0.5 if len(shape) == 1 else weight  # variances among them
            proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, node.output[0]))
            proto.graph.node.remove(node)
    return proto


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_it_gives_what_onnxruntime_gives(name: str, tmp_path: Path) -> None:
    """Of one image, in float32: through up to 120 layers, within 1e-4 of the largest probability."""
    file = FOLDER / f"light_{name}.onnx"
    if not file.exists():
        pytest.skip("this version of onnx does not carry it")
    rng = np.random.default_rng(0)
    path = saved(filled(onnx.load(file), rng), tmp_path)
    model = lg.import_onnx(path)
    (image,) = model._inputs
    x = rng.standard_normal([n if isinstance(n, int) else 1 for n in image.shape]).astype(np.float32)
    wanted, found = theirs(path, **{image.name: x})[0], ours(model, **{image.name: x})[0]
    assert wanted.std() > 1e-6  # it says something
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
