"""Engines: where the collect plan runs. Polars in memory is the default; DuckDB and Spark run it through narwhals.

The plan is ``visits.plan`` (hits → sessions) and ``technical.cells`` (sessions → tables). An engine takes frames in and
gives frames back; what it gives is the same, byte for byte (tests/test_engines.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import polars as pl

from . import technical, visits
from .params import Params


class Engine(ABC):
    """An engine that narwhals knows."""

    @abstractmethod
    def frame(self, frame: pl.DataFrame) -> Any:
        """A frame of the engine's own."""

    @abstractmethod
    def polars(self, native: Any) -> pl.DataFrame:
        """The content of a frame of the engine's own."""

    def keep(self, native: Any) -> Any:
        """A frame that is used several times."""
        return native

    def plan(self, hits: Any, gap: int) -> dict[str, Any]:
        """``visits.plan`` of hits (columns ENGINE_HIT) by day."""
        return visits.plan(hits, gap, ("visitor", "day"), technical.CLIENT, self.keep)

    def sessions(self, hits: pl.DataFrame, gap: int) -> dict[str, pl.DataFrame]:
        """The frames of the plan, with ``day``, as they are stored."""
        made = self.plan(self.frame(hits), gap)
        return {name: technical.as_stored(name, self.polars(native)) for name, native in made.items()}


class DuckDB(Engine):
    """DuckDB in this process."""

    def __init__(self) -> None:
        import duckdb

        self.connection = duckdb.connect()

    def frame(self, frame: pl.DataFrame) -> Any:
        return self.connection.from_arrow(signed(frame).to_arrow())

    def polars(self, native: Any) -> pl.DataFrame:
        return native.pl()


def signed(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame without unsigned numbers and categories, which not every engine has."""
    return frame.with_columns(
        pl.selectors.by_dtype(pl.UInt64).reinterpret(signed=True), pl.selectors.categorical().cast(pl.String)
    )


def engine(params: Params) -> Engine | None:
    """The engine that the parameters name; None for Polars in memory, which needs none of this."""
    if params.engine == "duckdb":
        return DuckDB()
    if params.engine == "spark":
        from .spark import Spark

        return Spark(params.spark)
    return None
