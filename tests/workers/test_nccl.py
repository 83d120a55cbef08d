"""What NCCL carries between GPUs, on a double of CuPy's module of it: nobody has run it on several GPUs yet."""

from __future__ import annotations

import ctypes
import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.workers import part, side_by_side

KINDS = {"INT8": 0, "UINT8": 1, "INT32": 2, "UINT32": 3, "INT64": 4, "UINT64": 5}
KINDS |= {"FLOAT16": 6, "FLOAT32": 7, "FLOAT64": 8}


class Double:
    """``cupy.cuda.nccl``: communicators of threads with one id meet, and exchange what lies at addresses."""

    available = True

    def __init__(self) -> None:
        self.ids = 0
        self.calls: list[str] = []
        self.rooms: dict[Any, Any] = {}
        self.lock = threading.Lock()
        for name, number in KINDS.items():
            setattr(self, f"NCCL_{name}", number)

    def get_unique_id(self) -> tuple[int, ...]:
        """Another one each time."""
        self.ids += 1
        return (self.ids,) * 128

    def NcclCommunicator(self, ndev: int, commId: tuple[int, ...], rank: int) -> Any:
        """One of so many with this id."""
        with self.lock:
            room = self.rooms.setdefault(commId, SimpleNamespace(barrier=threading.Barrier(ndev), given={}))
        return Communicator(self, room, ndev, rank)


class Communicator:
    """``cupy.cuda.nccl.NcclCommunicator``, with the parameters that it has."""

    def __init__(self, double: Double, room: Any, size: int, rank: int) -> None:
        self.double, self.room, self.size, self.rank = double, room, size, rank

    def allReduce(self, sendbuf: int, recvbuf: int, count: int, datatype: int, op: int, stream: int) -> None:
        """The sum, which is operation 0."""
        assert op == 0
        self._met("allReduce", sendbuf, recvbuf, count, datatype, lambda given: sum(given[1:], given[0]))

    def bcast(self, buff: int, count: int, datatype: int, root: int, stream: int) -> None:
        """That of the root."""
        self._met("bcast", buff, buff, count, datatype, lambda given: given[root])

    def _met(self, name: str, sent: int, kept: int, count: int, datatype: int, what: Callable[[Any], Any]) -> None:
        if self.rank == 0:
            self.double.calls.append(name)
        dtype = np.dtype(next(key for key, number in KINDS.items() if number == datatype).lower())
        self.room.given[self.rank] = _at(sent, count, dtype).copy()
        self.room.barrier.wait(30)
        found = what([self.room.given[rank] for rank in range(self.size)])
        self.room.barrier.wait(30)
        _at(kept, count, dtype)[...] = found


def _at(address: int, count: int, dtype: Any) -> Any:
    return np.frombuffer((ctypes.c_char * (count * dtype.itemsize)).from_address(address), dtype)


@pytest.fixture
def cards(double: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Double]]:
    """The room's module on the double of CuPy, and that of NCCL."""
    nccl = Double()
    monkeypatch.setattr(double.cuda, "nccl", nccl, raising=False)
    monkeypatch.delitem(sys.modules, "lazygrad.workers.nccl", raising=False)
    yield importlib.import_module("lazygrad.workers.nccl"), nccl
    sys.modules.pop("lazygrad.workers.nccl", None)


def wait(is_over: Callable[[], bool]) -> None:
    """As a communicator waits."""
    while not is_over():
        time.sleep(0)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "bool", "complex64"])
def test_arrays_on_cards_are_added_up(cards: Any, double: Any, size: int, dtype: str) -> None:
    """In place, whatever the dtype and the strides; the id is that of worker 0."""
    module, nccl = cards

    def work(c: Any) -> Any:
        cards = module.Cards(c.gather, c.rank, c.size, wait)
        given = np.arange(12).reshape(3, 4) % 2 if dtype == "bool" else np.arange(12).reshape(3, 4) * (c.rank + 1)
        found = []
        for x in (
            double.asarray(given.astype(dtype)),
            double.asarray(given.astype(dtype)).T,
            double.zeros((0,), dtype),
        ):
            begun = cards.begin(x)
            begun.wait()
            assert begun.test()
            found.append(double.asnumpy(x))
        return found

    total = size * (size + 1) // 2
    expected = np.arange(12).reshape(3, 4) % 2 if dtype == "bool" else np.arange(12).reshape(3, 4) * total
    for whole, turned, none in side_by_side(size, work):
        np.testing.assert_array_equal(whole, expected.astype(dtype))
        np.testing.assert_array_equal(turned, expected.astype(dtype).T)
        assert none.shape == (0,)
    assert nccl.ids == 1


def test_arrays_on_cards_are_broadcast_and_shared_out(cards: Any, double: Any) -> None:
    """Parts that differ in length, or are empty, too."""
    module, _ = cards

    def work(c: Any) -> None:
        cards = module.Cards(c.gather, c.rank, c.size, wait)
        x = double.full((5,), float(c.rank))
        cards.broadcast(x, 2)
        assert double.asnumpy(x).tolist() == [2.0] * 5
        for length in (2, 7):
            own = part(length, c.size, c.rank)
            given, mine = double.arange(float(length)), double.zeros(own.stop - own.start)
            cards.scatter_sum(given, mine)
            assert double.asnumpy(mine).tolist() == [3.0 * k for k in range(length)[own]]
            assert double.asnumpy(given).tolist() == list(range(length))
            whole = double.zeros(length)
            cards.gather_into(mine, whole)
            assert double.asnumpy(whole).tolist() == [3.0 * k for k in range(length)]

    side_by_side(3, work)


def test_the_arrays_of_a_step_go_through_nccl(cards: Any, double: Any) -> None:
    """What a communicator of processes does with an array on a card: the first one makes the communicator of NCCL."""
    pytest.importorskip("mpi4py", reason="mpi4py comes with the extra mpi")
    from lazygrad.workers.among import Among
    from lazygrad.workers.failures import Told
    from lazygrad.workers.mpi import Processes

    _, nccl = cards

    def work(c: Any) -> Any:
        one = Processes.__new__(Processes)
        one.rank, one.size, one._others, one._cards = c.rank, c.size, Told(c.rank, c.size), None
        one.gather, one._wait = c.gather, wait  # type: ignore[method-assign]
        among = Among(one)
        total = among.total(double.full((2, 2), float(c.rank + 1)))
        among.begin(0, [double.full((2,), 1.0), double.full((3, 1), float(c.rank))], double)
        return double.asnumpy(total).tolist(), double.asnumpy(among.end(0)).tolist()

    assert side_by_side(2, work) == [([[3, 3], [3, 3]], [2, 2, 1, 1, 1])] * 2
    assert nccl.calls == ["allReduce", "allReduce"]


def test_without_nccl_the_error_says_what_to_install(cards: Any, double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy can be there without it."""
    module, nccl = cards
    monkeypatch.setattr(nccl, "available", False)
    with pytest.raises(lg.BackendError, match="CuPy has no NCCL to exchange arrays with") as caught:
        module.Cards(lambda value: [value], 0, 1, wait)
    assert "nvidia-nccl-cu12" in str(caught.value)
