"""Weights given to PyTorch, and taken from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lazygrad.errors import DefinitionError, SpecError, VariableError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.ops.source import refuse_masked
from lazygrad.store.variables import Variable
from lazygrad.torch.walk import given, leaves
from lazygrad.values.foreign import on_device

__all__ = ["load_state_dict", "state_dict"]

_NARROW = ("torch.bfloat16", "torch.float8")  # which NumPy lacks, and float32 has every number of
_COUNT = "num_batches_tracked"  # PyTorch counts what its BatchNorm has seen, and uses it only without a momentum


def state_dict(model: Any) -> dict[str, Any]:
    """The weights of a network as PyTorch's ``load_state_dict`` takes them: NumPy arrays, copies, by PyTorch's names.

    ``torch_model.load_state_dict({name: torch.from_numpy(array) for name, array in state_dict(model).items()})``.

    Args:
        model: a layer, a ``Sequential``, a list or a dict of these, or an object that has these,
            variables, or such objects as attributes.

    Returns:
        ``Linear``, ``Conv2d``, ``ConvTranspose2d``, ``Embedding``, ``BatchNorm``, ``LayerNorm``, ``GroupNorm``,
        ``RNN``, ``LSTM``, ``GRU``, ``MultiHeadAttention`` and ``TransformerBlock`` (``nn.TransformerEncoderLayer`` with
        ``norm_first=True, activation="gelu"``) as the classes of PyTorch have them; the second bias of a recurrent
        layer is zeros, but for the ``GRU``'s of the candidate. Variables of your own layers are as they are.

    Raises:
        DefinitionError: there is no layer in ``model``, two weights have the same name, or a variable has none.
    """
    return given(leaves(model))


def load_state_dict(model: Any, weights: Mapping[str, Any], strict: bool = True) -> None:
    """Give a network the weights that PyTorch's ``state_dict`` has: all in one commit, or none.

    They are cast to the dtypes of the variables; where PyTorch has two biases, lazygrad has their sum.

    Args:
        model: as for :func:`state_dict`.
        weights: arrays, or tensors of PyTorch, by PyTorch's names.
        strict: whether every weight must be there, and no other. If not, what is missing on either side is left.

    Raises:
        VariableError: a name is missing, or there is one too many.
        SpecError: an array has another shape, or no real numbers; or two that are one variable here differ.
        DefinitionError: as for :func:`state_dict`, or ``weights`` is no mapping.
    """
    if not isinstance(weights, Mapping):
        cure = "Give what state_dict() returns: arrays or tensors by name."
        raise DefinitionError(report(f"cannot load weights from {type(weights).__name__}", at=here(), cure=cure))
    found_here = leaves(model)
    wanted = given(found_here)
    found = {name: value for name, value in weights.items() if name in wanted or not _is_count(name)}
    if strict:
        _check_names(wanted, found)
    arrays = {name: _fitting(name, found[name], wanted[name]) for name in wanted if name in found}
    news: dict[Variable, tuple[str, Any]] = {}
    for leaf in found_here:
        for variable, named in leaf.taken(arrays):
            before = news.setdefault(variable, named)
            if not np.array_equal(before[1], named[1], equal_nan=True):
                what = f"cannot load {named[0]!r}: it is variable {variable.path!r}, as {before[0]!r} is, which differs"
                raise SpecError(report(what, at=here(), cure="Layers that share a variable need the same weights."))
    _commit({variable: array for variable, (_, array) in news.items()})


def _is_count(name: Any) -> bool:
    return isinstance(name, str) and name.rpartition(".")[2] == _COUNT


def _check_names(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raise VariableError unless both have the same names."""
    cure = "Use strict=False to take only what fits."
    for name in wanted:
        if name not in found:
            near = nearest(name, found)
            raise VariableError(report(f"cannot load: there is no {name!r}", at=here(), facts=[near], cure=cure))
    for name in found:
        if name not in wanted:
            near = nearest(str(name), wanted)
            raise VariableError(report(f"cannot load {name!r}: it is not here", at=here(), facts=[near], cure=cure))


def _fitting(name: str, value: Any, wanted: Any) -> Any:
    """A weight as an array, of the shape that it must have."""
    refuse_masked(value)
    array = _as_array(name, value)
    if array.shape != wanted.shape or array.dtype.kind not in "biuf":
        facts = [f"here:   {wanted.dtype}{list(wanted.shape)}", f"given:  {array.dtype}{list(array.shape)}"]
        cure = "Give weights of a network with the same layers, in PyTorch's layouts: (out, in)."
        raise SpecError(report(f"cannot load {name!r}", at=here(), facts=facts, cure=cure))
    return array


def _as_array(name: str, value: Any) -> Any:
    """An array, or a tensor of PyTorch, perhaps on a GPU, as an array of NumPy's."""
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = (value.float() if str(value.dtype).startswith(_NARROW) else value).numpy()
        return np.asarray(value.get() if on_device(value) else value)
    except ValueError:  # a list of lists of several lengths
        return np.array(value, dtype=object)
    except Exception as reason:  # sparse, quantized, without numbers: PyTorch says so in errors of many kinds
        why = f"{type(reason).__name__}: {str(reason).partition(chr(10))[0]:.200}"
        cure = "Give a dense tensor of real numbers, or an array of NumPy's."
        what = f"cannot load {name!r}: it cannot be made an array"
        raise SpecError(report(what, at=here(), facts=[why], cure=cure)) from None


def _commit(news: Mapping[Variable, Any]) -> None:
    """Give the variables their arrays, those of each environment in one commit."""
    for env in dict.fromkeys(variable._env for variable in news):
        store = env._store
        with store.lock:
            store.check_idle()
            with np.errstate(over="ignore"):
                cast = {v: array.astype(v.spec.dtype) for v, array in news.items() if v._env is env}
            arrays = [(v, store.own_array(v, store.backend.asarray(array))) for v, array in cast.items()]
            store.alone("weights are being loaded", lambda: store.put(arrays))  # noqa: B023 - it is called at once
