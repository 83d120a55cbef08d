"""The variables of an environment in files: saved whole, and restored whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from lazygrad.files import serialize
from lazygrad.files.exchange import document_of, take_up
from lazygrad.store.store import Store

__all__ = ["Filed"]


class Filed:
    """What can be saved and restored; an environment is."""

    _store: Store
    dtype: np.dtype[Any]

    def save(self, path: str | Path) -> None:
        """Write all variables and the random state to a file, see ``docs/format.md``.

        A name that ends in ``.npz`` makes one that NumPy reads, ``.safetensors`` one of that form; all others are JSON,
        but for those that say another form, such as ``.pt``, which are refused.
        The file is written beside its place, synced and renamed: a crash leaves the old file whole. Where
        ``path`` is a link, the file it points to is replaced. Where there are several workers, all save: worker 0
        writes, and the others wait for it.

        Raises:
            SaveError: the file, or its form, cannot be written, or a variable is of a dtype that no file can hold.
            BackendError: the package safetensors is not installed.
        """
        with self._store.lock:
            self._store.written(f"save {str(path)!r}", self._document, lambda d: serialize.write(path, d))

    def restore(self, path: str | Path, strict: bool = True) -> None:
        """Give the variables the numbers in a file, and take up its random state.

        A variable keeps its own trainable flag. What the file has beyond the variables of this
        environment is registered if it is not trainable, as the state of an optimizer before its first
        step.

        Args:
            path: the file.
            strict: whether the file must have every variable, and no other trainable one. If not, what
                is missing on either side is left as it is.

        Raises:
            SaveError: the file is missing, damaged, of an unknown version, or of other variables, shapes or dtypes.
        """
        with self._store.lock:
            self._store.check_idle()
            mine = {v.path: v.spec for v in self._store}
            self._take_up(path, serialize.read(path, None, mine), strict)

    def _take_up(self, path: str | Path, document: serialize.Document, strict: bool = True) -> None:
        """:meth:`restore` from a file that has been read."""
        env = cast(Any, self)
        with self._store.lock:
            self._store.check_idle()
            serialize.check_fits(path, document, self._store.specs(), strict)
            self._store.whole(lambda: self._store.alone("it is being restored", lambda: take_up(env, document)))

    def _document(self) -> serialize.Document:
        return document_of(self._store, self.dtype)
