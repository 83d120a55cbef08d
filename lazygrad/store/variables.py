"""Variables, the slots that register them, and namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.errors import SpecError, VariableError, report
from lazygrad.graph.registry import functions, here
from lazygrad.graph.spec import Shape, Spec
from lazygrad.graph.tensor import Tensor, operator, swapped

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["Namespace", "Slot", "Transposed", "Variable", "bits", "joined"]


class _Operand:
    """What in a step has the operators of a tensor."""

    __array_ufunc__ = None  # NumPy's arrays leave what they cannot do to the operators below

    __iter__ = None  # what has an index is not gone through for that

    def __neg__(self) -> Tensor:
        negated: Tensor = functions["negative"](self)
        return negated

    def __abs__(self) -> Tensor:
        size: Tensor = functions["abs"](self)
        return size

    __getitem__ = operator("getitem")
    __add__, __radd__ = operator("add"), swapped("add")
    __sub__, __rsub__ = operator("subtract"), swapped("subtract")
    __mul__, __rmul__ = operator("multiply"), swapped("multiply")
    __truediv__, __rtruediv__ = operator("divide"), swapped("divide")
    __pow__, __rpow__ = operator("pow"), swapped("pow")
    __matmul__, __rmatmul__ = operator("matmul"), swapped("matmul")
    __floordiv__, __rfloordiv__ = operator("floor_divide"), swapped("floor_divide")
    __mod__, __rmod__ = operator("remainder"), swapped("remainder")
    __and__, __rand__ = operator("bitwise_and"), swapped("bitwise_and")
    __or__, __ror__ = operator("bitwise_or"), swapped("bitwise_or")
    __xor__, __rxor__ = operator("bitwise_xor"), swapped("bitwise_xor")
    __lt__, __le__ = operator("less"), operator("less_equal")
    __gt__, __ge__ = operator("greater"), operator("greater_equal")


class Variable(_Operand):
    """An array that an environment owns and that updates change.

    Its numbers lie in one of two arrays. A run writes new values into the other one, and a commit
    exchanges the two: so nothing is changed before everything has been computed.

    In a step it is used as a tensor is, in operators and as an argument of functions: it is then the tensor that
    ``ctx.variable`` gives. ``==`` of two asks whether they are the same variable; ``lg.equal`` compares numbers.
    """

    def __init__(self, env: VariableEnvironment, path: str, array: Any, trainable: bool, number: int) -> None:
        self._env = env
        self._path = path
        self._number = number
        self._arrays: list[Any] = [array, None]
        self._trainable = trainable
        self.spec = Spec(tuple(array.shape), array.dtype)

    @property
    def name(self) -> str:
        """Name within its namespace."""
        return self._path.rpartition("/")[2]

    @property
    def namespace(self) -> str:
        """Path of its namespace, ``""`` for the default one."""
        return self._path.rpartition("/")[0]

    @property
    def path(self) -> str:
        """``namespace/name``, by which the environment finds it."""
        return self._path

    @property
    def shape(self) -> Shape:
        """Sizes of the axes."""
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype."""
        return self.spec.dtype

    @property
    def trainable(self) -> bool:
        """Whether an optimizer changes it, unless it is told to by its name; settable, which freezes it.

        Compiled steps are traced anew at their next call. It is saved with the variable.

        Raises:
            SpecError: it is set to something else than True or False.
            GraphError: it is set while a step is being written or evaluated.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if not isinstance(value, (bool, np.bool_)):
            cure = "It is True, or False for a variable that optimizers leave alone."
            raise SpecError(report(f"cannot use {value!r:.60} as trainable", at=here(), cure=cure))
        self._env._freeze(self, not value)

    @property
    def T(self) -> Transposed:
        """A matrix with rows and columns exchanged, for a step, or for a layer to share: ``weight=embedding.weight.T``.

        Raises:
            SpecError: it has other than two axes.
        """
        return Transposed(self)

    @property
    def value(self) -> Any:
        """A copy of its array."""
        return self._env[self._path]

    def live(self, parity: int) -> Any:
        """The array that holds its value, when the environment's parity is this."""
        return self._arrays[parity >> self._number & 1]

    def spare(self, parity: int) -> Any:
        """The array that does not hold its value; made when it is first needed."""
        place = 1 - (parity >> self._number & 1)
        if type(self._arrays[place]) is not type(self._arrays[1 - place]):  # none, or one on another device
            self._arrays[place] = self._arrays[1 - place].copy()
        return self._arrays[place]

    def __copy__(self) -> Variable:
        return self

    def __getstate__(self) -> dict[str, Any]:
        # The numbers are the environment's affair, and so is what refers to them.
        return {key: value for key, value in vars(self).items() if key not in ("_number", "_arrays")}

    def __repr__(self) -> str:
        frozen = "" if self._trainable else ", not trainable"
        return f"<Variable {self._path!r} {self.spec}{frozen}>"


class Transposed(_Operand):
    """A variable with rows and columns exchanged: the same numbers, for a layer that shares them.

    In a step it is used as a tensor is, as a variable is.
    """

    def __init__(self, variable: Variable) -> None:
        if len(variable.shape) != 2:
            cure = "Only a matrix has rows and columns: in a step write lg.permute_dims(variable, axes)."
            raise SpecError(report(f"cannot transpose {variable!r}", at=here(), cure=cure))
        self.variable = variable
        self.spec = Spec(variable.shape[::-1], variable.dtype)

    @property
    def T(self) -> Variable:
        """The variable itself."""
        return self.variable

    @property
    def shape(self) -> Shape:
        """Sizes of the axes."""
        return self.spec.shape

    def __repr__(self) -> str:
        return f"{self.variable!r}.T"


class Slot:
    """A name that waits for its first array: ``env.name("w").set(array)``."""

    def __init__(self, env: VariableEnvironment, path: str) -> None:
        self._env = env
        self._path = path

    def set(self, array: Any, trainable: bool = True) -> Variable:
        """Register the variable with a copy of ``array``, whose shape and dtype it keeps for good.

        Args:
            array: an array, which keeps its dtype, or numbers, whose floats get the environment's.
            trainable: whether optimizers change it when they are not told which variables to change.

        Raises:
            VariableError: the name is taken.
            SpecError: ``array`` is not an array of real numbers or booleans.
        """
        return self._env._register(self._path, array, trainable)


class Namespace(Mapping[str, Any]):
    """The variables whose path begins with the same words; a mapping of names to copies of arrays."""

    def __init__(self, env: VariableEnvironment, path: str) -> None:
        self._env = env
        self._path = path

    @property
    def path(self) -> str:
        """Its path, ``""`` for the default namespace."""
        return self._path

    def name(self, name: str) -> Slot:
        """The slot ``name`` in this namespace."""
        return Slot(self._env, joined(self._path, name))

    def namespace(self, name: str) -> Namespace:
        """A namespace within this one."""
        return Namespace(self._env, joined(self._path, name))

    def variables(self) -> list[Variable]:
        """Its own variables, in order of registration, without those of namespaces within it."""
        return [v for v in self._env if v.namespace == self._path]

    def __getitem__(self, name: str) -> Any:
        return self._env[joined(self._path, name)]

    def __iter__(self) -> Iterator[str]:
        return (v.name for v in self.variables())

    def __len__(self) -> int:
        return len(self.variables())

    def __repr__(self) -> str:
        return f"<Namespace {self._path!r}: {', '.join(self) or 'empty'}>"


def joined(path: str, name: Any) -> str:
    """The path of ``name`` in a namespace; raises VariableError if it cannot be one."""
    words = name.split("/") if isinstance(name, str) else [""]
    if any(not word or not word.isprintable() or word != word.strip() for word in words):
        raise VariableError(
            report(
                f"cannot use {name!r} as a name",
                at=here(),
                cure="A name is printable text without spaces at its ends; '/' divides namespaces.",
            )
        )
    return f"{path}/{name}" if path else str(name)


def bits(numbers: Iterable[int]) -> int:
    """A number that has a bit for each of the numbers; adding one bit after the other would take quadratic time."""
    wanted = list(numbers)
    mask = bytearray(max(wanted, default=0) // 8 + 1)
    for number in wanted:
        mask[number // 8] |= 1 << number % 8
    return int.from_bytes(mask, "little")
