"""The tables of the King County example: columns made of columns, each step by itself and with its inverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

DROPPED = ["id", "zipcode", "sqft_living15", "sqft_lot15"]
LOGGED = ["sqft_living", "sqft_above"]


class Prepared(NamedTuple):
    """Numbers to train with, and how to come back to dollars."""

    names: list[str]  # of the columns before they are squared
    x: Any  # (houses, 2 · names), all in [0, 1]
    y: Any  # (houses, 1), the normalised logarithm of the price
    ids: Any  # of the sales, in the order of the rows
    low: float  # of the logarithm of the price
    high: float

    def dollars(self, y: Any) -> Any:
        """Prices of what was predicted."""
        return 10 ** (np.asarray(y, np.float64) * (self.high - self.low) + self.low)


def dates(table: pd.DataFrame) -> tuple[Any, Any]:
    """Month, from 1 to 12, and seconds since 1970, of ``20141013T000000``."""
    import pandas as pd

    day = pd.to_datetime(table["date"], format="%Y%m%dT%H%M%S")
    return day.dt.month, (day - pd.Timestamp(0)).dt.total_seconds()


def jiro(table: pd.DataFrame) -> Prepared:
    """jiro-nn's pipeline to the letter.

    It scales with the least and greatest number of the *whole* table, the price too, so its test folds are not
    quite unseen. And it means to put the year of building where ``yr_renovated`` is 0, but as coded writes 0
    for the renovated houses.
    """
    columns = table.drop(columns=[*DROPPED, "date", "price"]).astype(float)
    columns["month"], columns["timestamp"] = dates(table)
    columns["yr_renovated"] = np.where(table["yr_renovated"] == 0, table["yr_built"], 0)
    columns[LOGGED] = np.log10(columns[LOGGED])
    price = np.log10(table["price"].to_numpy(np.float64))
    x = columns.to_numpy(np.float64)
    x = np.concatenate([x, x**2], axis=1)
    x = (x - x.min(axis=0)) / (x.max(axis=0) - x.min(axis=0))
    y = (price - price.min()) / (price.max() - price.min())
    ids = np.arange(len(table))  # an id stands twice where a house was sold twice; a row does not
    return Prepared(
        list(columns), x.astype(np.float32), y[:, None].astype(np.float32), ids, float(price.min()), float(price.max())
    )


class Honest(NamedTuple):
    """Columns for our own model; nothing in them was learned from the rows that test it."""

    x: Any  # (houses, columns), mean 0 and variance 1 over the training rows
    zipcode: Any  # (houses,), from 0
    y: Any  # (houses, 1), the logarithm of the price, mean 0 and variance 1 over the training rows
    center: float
    spread: float

    def logarithm(self, y: Any) -> Any:
        """log₁₀ of the price of what was predicted."""
        return np.asarray(y, np.float64) * self.spread + self.center


def honest(table: pd.DataFrame, train: Any) -> Honest:
    """What is known of each house when it is sold, scaled by the rows ``train`` alone."""
    columns = table.drop(columns=["id", "zipcode", "date", "price"]).astype(float)
    _, columns["time"] = dates(table)
    columns["age"] = 2015 - table["yr_built"]
    columns["renewed"] = 2015 - np.where(table["yr_renovated"] == 0, table["yr_built"], table["yr_renovated"])
    columns["has_basement"] = table["sqft_basement"] > 0
    for name in ["sqft_living", "sqft_above", "sqft_lot", "sqft_living15", "sqft_lot15"]:
        columns[name] = np.log10(columns[name])
    columns["share_of_lot"] = columns["sqft_living"] - columns["sqft_lot"]
    columns["beside_neighbours"] = columns["sqft_living"] - columns["sqft_living15"]
    for turn in (0.25, 0.5, 0.75):  # degrees in other directions, so that a unit need not learn to turn the map
        columns[f"across_{turn}"] = np.cos(np.pi * turn) * table["lat"] + np.sin(np.pi * turn) * table["long"]
    x = columns.to_numpy(np.float64)
    center, spread = x[train].mean(axis=0), x[train].std(axis=0)
    price = np.log10(table["price"].to_numpy(np.float64))
    codes = {code: number for number, code in enumerate(sorted(set(table["zipcode"])))}
    zipcode = np.array([codes[code] for code in table["zipcode"]], np.int64)
    of_price = float(price[train].mean()), float(price[train].std())
    y = ((price - of_price[0]) / of_price[1])[:, None].astype(np.float32)
    return Honest(((x - center) / spread).astype(np.float32), zipcode, y, *of_price)
