"""The one door: a file of the form ONNX becomes a layer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lazygrad.files.content import checked_path

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment
    from lazygrad.onnx.layer import OnnxModel
    from lazygrad.store.variables import Namespace

__all__ = ["import_onnx"]


def import_onnx(
    path: str | os.PathLike[str],
    env: VariableEnvironment | Namespace | None = None,
    name: str | None = None,
    *,
    trainable: bool = True,
) -> OnnxModel:
    """A model in the form ONNX as a layer, with its weights as variables.

    ``model = lg.import_onnx("model.onnx")``, then ``env.run(lambda ctx, x: model(x), x)`` with ``env = model.env``. It
    is compiled, differentiated, trained, saved and exported as what is written here. Weights are registered under
    their names in the file, in the layer's namespace; if variables of these names are there already, because the
    environment was loaded from a file, it goes on with them.

    Args:
        path: the file. Arrays that it has in other files are read from its own folder alone.
        env: the environment, or a namespace of it; a new one, if not given.
        name: the layer's namespace, see :class:`lazygrad.nn.Layer`.
        trainable: whether optimizers change its weights; settable later, ``model.trainable = False``.

    Returns:
        The layer. It takes the model's inputs, by position or by their names, and gives its output, or a tuple of
        them. Sizes that the file leaves open are those of the arguments. Whole numbers and single numbers in the file
        are constants.

    Raises:
        SaveError: the file cannot be read, is damaged, of an opset below 7 or beyond what is known, or refers to a file
            outside of its folder.
        ExportError: it has ops, or types, that have no form here; it names all of them.
        BackendError: the package ``onnx`` is not installed.
        VariableError, DefinitionError, GraphError: as for :class:`lazygrad.nn.Layer`.
    """
    from lazygrad.onnx.layer import OnnxModel
    from lazygrad.onnx.reading import read

    return OnnxModel(_environment(env), read(checked_path(path, "read")), name=name, trainable=trainable)


def _environment(env: Any) -> Any:
    from lazygrad.environment import VariableEnvironment

    return VariableEnvironment() if env is None else env
