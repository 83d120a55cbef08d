"""The examples that read handwritten digits."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Numbers = Callable[..., dict[str, float]]
Example = Callable[[str], Any]


@pytest.fixture(autouse=True)
def few_digits(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real digits, 8×8 and from scikit-learn, enlarged to 28×28: quick to load, and always there."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    images = np.zeros((len(x), 28, 28))
    images[:, 2:26, 2:26] = np.kron(x.reshape(-1, 8, 8), np.ones((3, 3))) * (255 / 16)
    monkeypatch.setattr(example("data"), "_few_digits", lambda: (images.reshape(len(x), -1)[:1700], y[:1700]))


@pytest.mark.thinned(6)
@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn", "mnist_ml_kit"])
def test_run_and_compile_give_the_same_numbers(name: str, numbers: Numbers) -> None:
    """The mode changes how a step is run, and nothing else."""
    run, compiled = numbers(name, "--mode", "run"), numbers(name, "--mode", "compile")
    assert run.keys() == compiled.keys()
    for key, expected in run.items():
        # After a few steps some images are about as likely to be two digits: a rounding may turn one of 340 over.
        assert expected == pytest.approx(compiled[key], rel=1e-3, abs=1.01 / 340 if "accuracy" in key else 0), key


def test_both_networks_of_ml_kit_have_the_parameters_of_its_report(example: Example) -> None:
    """13,002 and 1,004."""
    import lazygrad as lg

    for model, count in [("Dense", 13_002), ("Convolutional", 1_004)]:
        env = lg.VariableEnvironment(seed=0)
        getattr(example("mnist_ml_kit"), model)(env)
        assert count == sum(v.value.size for v in env)


def test_the_step_of_ml_kit_has_a_fixed_length(example: Example) -> None:
    """Whatever the gradient is: all parameters together move by 0.05, in the network that measures by all."""
    import lazygrad as lg

    ml_kit = example("mnist_ml_kit")
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    network, sgd = ml_kit.Convolutional(env), lg.optim.SGD(env, ml_kit.LENGTH)
    x, y = np.random.default_rng(0).uniform(size=(4, 784)), np.array([1, 2, 3, 4])
    before = {v.path: v.value for v in env if v.trainable}
    env.run(lambda ctx, x, y: ml_kit.fixed_length(ctx, network, sgd, x, y), x, y)
    moved = np.sqrt(sum(np.sum((env[path] - array) ** 2) for path, array in before.items()))
    assert ml_kit.LENGTH == pytest.approx(moved, rel=1e-9)


def idx(path: Path, array: Any) -> None:
    """Write a file of the IDX format."""
    path.parent.mkdir(exist_ok=True)
    head = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with all four files, of 30 and 10 images."""
    for part, count in [("train", 30), ("t10k", 10)]:
        idx(tmp_path / f"mnist/{part}-images-idx3-ubyte.gz", np.arange(count * 784).reshape(count, 28, 28) % 256)
        idx(tmp_path / f"mnist/{part}-labels-idx1-ubyte.gz", np.arange(count) % 10)
    return tmp_path


def test_the_original_files_are_read(example: Example, folder: Path) -> None:
    """Pixels become numbers from 0 to 1, row by row."""
    digits = example("data").mnist(folder)
    assert [(30, 784), (30,), (10, 784), (10,)] == [a.shape for a in digits]
    wanted = (np.arange(784 * 30).reshape(30, 784) % 256).astype("float32") / np.float32(255)
    np.testing.assert_array_equal(wanted, digits.train_x)
    assert list(range(10)) == digits.test_y.tolist()


def test_a_missing_file_is_named(example: Example, folder: Path) -> None:
    """With what to do about it."""
    (folder / "mnist/t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"There is no file .*t10k-labels-idx1-ubyte\.gz\. --data names"):
        example("data").mnist(folder)


@pytest.mark.parametrize("damage", ["cut off", "no gzip", "another format"])
def test_a_damaged_file_is_named(damage: str, example: Example, folder: Path) -> None:
    """Whether the archive is broken, or what is in it."""
    file = folder / "mnist/train-images-idx3-ubyte.gz"
    content = file.read_bytes()
    broken = {"cut off": content[:50], "no gzip": b"<html>", "another format": gzip.compress(b"\0\0\x08\x03 hello")}
    file.write_bytes(broken[damage])
    with pytest.raises(OSError, match=r"train-images-idx3-ubyte\.gz is damaged: .*Use another copy\."):
        example("data").mnist(folder)
