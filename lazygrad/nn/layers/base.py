"""What all layers have: a name, and variables under it."""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.errors import DefinitionError, GraphError, SpecError, VariableError, nearest, report
from lazygrad.graph.registry import author, here
from lazygrad.graph.spec import Mismatch, Shape, Spec, fits
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.checks import fitting
from lazygrad.nn.initializers import GlorotUniform, Normal, Zeros
from lazygrad.ops.source import refuse_masked
from lazygrad.store.variables import Namespace, Transposed, Variable, joined

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["Layer"]

Owner: TypeAlias = "VariableEnvironment | Namespace"
# An initialiser, or any function of the same form; or a variable of another layer, which this one then shares.
Fill: TypeAlias = "Callable[..., Any] | Variable | Transposed"

# What layers draw from if they are not told. They never change, so all layers share them.
GLOROT, ZEROS, NORMAL = GlorotUniform(), Zeros(), Normal()


def _all_or_nothing(init: Callable[..., None]) -> Callable[..., None]:
    """``init``, which takes back every name and variable of the layer, and of those within it, if it fails."""

    @functools.wraps(init)
    def made(self: Layer, *args: Any, **kwargs: Any) -> None:
        env = _environment(args[0] if args else kwargs.get("env"))
        if env is None:
            return init(self, *args, **kwargs)
        return env._store.whole(lambda: init(self, *args, **kwargs))

    return made


def _signed(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call``, whose nodes are marked as written by the layer."""

    @functools.wraps(call)
    def called(self: Layer, *args: Any, **kwargs: Any) -> Any:
        before = author.layer  # that of a layer around it
        author.layer = self.path
        try:
            return call(self, *args, **kwargs)
        finally:
            author.layer = before

    called._unsigned = call  # type: ignore[attr-defined]
    return called


def _environment(env: Any) -> VariableEnvironment | None:
    """The environment of what a layer was given, or None."""
    env = env._env if isinstance(env, Namespace) else env
    return env if hasattr(env, "_store") else None


class Layer:
    """The base of all layers.

    A layer registers its variables in a namespace of its own when it is made, outside of any step. It is then
    called in steps, with tensors of any context of its environment. If variables of these names are there
    already, because the environment was loaded from a file, it goes on with them.

    Its first numbers depend on the seed of the environment and on the path of each variable alone: neither on the
    order in which layers are made nor on draws. Without a seed they differ from process to process.

    Where it takes an initialiser it also takes a variable of another layer, ``weight=embedding.weight.T``: the two
    then share it. It is registered and saved once, and its gradient is the sum of both uses.

    Args:
        env: the environment, or a namespace of it, in which the name then lies.
        name: its namespace. If not given, the class name in small letters, numbered if another layer has it.

    Raises:
        DefinitionError: ``env`` is no environment, or another layer or an optimizer has the same name.
        VariableError: a variable of that path is there, and is of another shape, dtype or kind.
        GraphError: a step is being written.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _all_or_nothing(cls.__init__)  # type: ignore[method-assign]
        if isinstance(vars(cls).get("__call__"), FunctionType):
            setattr(cls, "__call__", _signed(vars(cls)["__call__"]))  # noqa: B010 - the type of a class has one too

    def __init__(self, env: Owner, name: str | None = None) -> None:
        kind, found = type(self).__name__, _environment(env)
        if found is None:
            cure = f"Write {kind}(env, ...), with a VariableEnvironment, or a namespace of one."
            raise DefinitionError(report(f"cannot make {kind} in {env!r:.60}", at=here(), cure=cure))
        if found._is_writing():
            cure = "Make layers once, before the step, and call them in it: each call of a step would make new ones."
            raise GraphError(report(f"cannot make {kind}: a step is being written", at=here(), cure=cure))
        self._env = found
        namespace = env.path if isinstance(env, Namespace) else ""
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
        path = None if name is None else joined(namespace, name)
        self.path = found._store.free_path(path, joined(namespace, words))
        self._own: dict[str, Variable] = {}
        self._turned: set[str] = set()  # those that are used transposed
        self._learned: list[Variable] = []  # those that are trained unless they are frozen
        self._parts: list[Any] = []
        found._store.layers[self.path] = (kind, [])

    @property
    def name(self) -> str:
        """Name within its namespace."""
        return self.path.rpartition("/")[2]

    @property
    def variables(self) -> list[Variable]:
        """Its variables, and then those of the layers within it, each once."""
        found = [*self._own.values(), *(v for part in self._parts for v in part.variables)]
        return list(dict.fromkeys(found))

    @property
    def trainable(self) -> bool:
        """Whether optimizers change what it learns; settable, which freezes all of that, and thaws it again.

        What it does not learn by gradients, such as the running statistics of ``BatchNorm``, is never trainable.

        Raises:
            SpecError, GraphError: as for :attr:`Variable.trainable`.
        """
        return any(v.trainable for v in self._learned) or any(part.trainable for part in self._parts)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for one in [*self._learned, *self._parts]:
            one.trainable = value

    def __getattr__(self, name: str) -> Variable:
        """A variable of its own by name, such as ``layer.weight``."""
        own: dict[str, Variable] = self.__dict__.get("_own", {})
        if name in own:
            return own[name]
        what = f"{type(self).__name__!r} object has no attribute {name!r}"
        if "_own" in self.__dict__ and not name.startswith("_"):
            what = report(f"{self!r} has no attribute {name!r}", at=here(), cure=nearest(name, own))
        raise AttributeError(what, name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_own", ()):
            cure = f"Write env[{self._own[name].path!r}] = array to give it new numbers."
            what = f"cannot set {name!r} of {self!r}: it is a variable of the layer"
            raise VariableError(report(what, at=here(), cure=cure))
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__dict__.get("_own", ())})

    # What a subclass is written with.

    def _namespace(self) -> Namespace:
        """Where the layers within it lie."""
        return Namespace(self._env, self.path)

    def _part(self, layer: Any) -> Any:
        """A layer within this one, whose variables count as its own."""
        self._parts.append(layer)
        return layer

    def _variable(
        self,
        name: str,
        shape: Shape,
        fill: Fill,
        fans: tuple[int, int] | None = None,
        trainable: bool = True,
        dtype: Any = None,
    ) -> None:
        """Register a variable, or take up the one that is there, or share that of another layer."""
        env, path = self._env, joined(self.path, name)
        try:
            wanted = fits(Spec(shape, np.dtype(dtype or env.dtype)))
        except Mismatch as reason:
            raise SpecError(report(f"cannot make variable {path!r}", at=here(), cure=str(reason))) from None
        if isinstance(fill, (Variable, Transposed)):
            self._own[name] = self._shared(name, wanted, fill)
            self._learned += [self._own[name]] if trainable else []
            return
        if path not in env:
            found = env._register(path, self._filled(path, wanted, fill, fans), trainable)
        else:
            found = env._store.find(path)
            if found.spec != wanted or found.trainable > trainable:  # one that was frozen stays so
                facts = [f"wanted:      {wanted}{'' if trainable else ', not trainable'}", f"registered:  {found!r}"]
                cure = "Make the layer as it was when the file was saved, or give it another name."
                what = f"{type(self).__name__} {self.path!r} cannot use variable {path!r}"
                raise VariableError(report(what, at=here(), facts=facts, cure=cure))
        self._own[name] = found
        self._learned += [found] if trainable else []
        env._store.layers[self.path][1].append(path)

    def _shared(self, name: str, wanted: Spec, given: Variable | Transposed) -> Variable:
        """The variable of another layer that stands for one of this one's."""
        path = joined(self.path, name)
        found = given if isinstance(given, Variable) else given.variable
        if found._env is not self._env or self._env._store.variables.get(found.path) is not found:
            cure = "Two layers share a variable of the environment that both are in."
            raise VariableError(
                report(f"cannot use {given!r} as {path!r}: it is of another environment", at=here(), cure=cure)
            )
        if given.spec != wanted:
            facts = [f"wanted:  {wanted}", f"given:   {given.spec}   {given!r}"]
            turned = given.spec.shape[::-1] == wanted.shape and given.spec.dtype == wanted.dtype
            cure = "The variable must be of this shape and dtype." + (" Give its transpose, .T." if turned else "")
            raise SpecError(report(f"cannot share variable {found.path!r}", at=here(), facts=facts, cure=cure))
        if isinstance(given, Transposed):
            self._turned.add(name)
        return found

    def _filled(self, path: str, wanted: Spec, fill: Fill, fans: tuple[int, int] | None) -> Any:
        if not callable(fill) or isinstance(fill, (type, Layer)):
            cure = "Give one of its variables, such as layer.weight, to share it."
            if isinstance(fill, Layer):
                raise SpecError(report(f"cannot fill {path!r} with {fill!r}", at=here(), cure=cure))
            cure = "Give one such as lg.nn.initializers.HeNormal(), or a function (rng, shape, fans) -> array."
            raise SpecError(report(f"cannot fill {path!r} with {fill!r:.60}", at=here(), cure=cure))
        rng = np.random.default_rng([self._env._store.draws.seed, zlib.crc32(path.encode())])
        given = fill(rng, wanted.shape, fans)
        refuse_masked(given)
        array = np.asarray(given)
        if array.shape != wanted.shape or array.dtype.kind not in "biuf":
            facts = [f"variable:  {wanted}", f"array:     {array.dtype}{list(array.shape)}"]
            cure = "An initialiser returns real numbers in the shape that it is given."
            raise SpecError(
                report(f"cannot fill {path!r} with what {fill!r:.60} gave", at=here(), facts=facts, cure=cure)
            )
        return array.astype(wanted.dtype)

    def _input(self, given: Any) -> Tensor:
        """What the layer is called with as a tensor of a context of its environment."""
        x = tensor(given)
        x.graph.check_open(f"call {self!r}")
        context = x.graph.context
        if context is None or not context.has(self._env):
            env = getattr(context, "env", None)
            facts = [f"layer:   of {self._env!r}", f"tensor:  of {env!r}, {x.graph.describe(x.index)}"]
            cure = "Run the step in the environment that the layer was made in. Copy, or pickle, the two together."
            raise GraphError(report(f"{self!r} belongs to another environment", at=here(), facts=facts, cure=cure))
        return x

    def _value(self, x: Tensor, name: str) -> Tensor:
        """A variable of the layer in the context of ``x``."""
        value: Tensor = x.graph.context.variable(self._own[name])
        return value.T if name in self._turned else value

    def _require(self, condition: bool, cure: str, **operands: Tensor) -> None:
        """Raise SpecError with the operands, of which the first is the input, unless ``condition`` holds."""
        if not condition:
            wide = max(map(len, operands)) + 1
            deep = max(len(str(t.spec)) for t in operands.values())
            facts = [
                f"{name + ':':<{wide}}  {t.spec!s:<{deep}}   {t.graph.describe(t.index)}"
                for name, t in operands.items()
            ]
            what = f"cannot apply {self!r} to {next(iter(operands.values())).spec}"
            raise SpecError(report(what, at=here(), facts=facts, cure=cure))

    def _settings(self) -> str:
        """What ``repr`` says beside kind and name."""
        return ""

    def __repr__(self) -> str:
        settings = self._settings()
        return f"<{type(self).__name__} {self.path!r}{' ' if settings else ''}{settings}>"

    def _repr_html_(self) -> str:
        from lazygrad.nn.layers.shown import shown  # notebooks alone show it

        return shown(self)


def making(layer: Any) -> fitting:
    """While it lasts, a setting that does not fit is an error at the user's line that names the layer."""
    return fitting(f"make {type(layer).__name__}")
