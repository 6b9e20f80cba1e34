"""Visits: pseudonymous hits are cut into sessions, and sessions that were cut for want of a neighbour are joined again.

``plan`` says what a session is, on any engine that narwhals knows. ``sessions`` gives the same rows for hits in memory,
many times faster: one packed number per hit, sorted once. ``stitch`` joins what was counted apart, such as two days.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

# A hit: what is kept of a used line, in memory only. Text columns are categories of few values, codes in memory.
HIT = {
    "visitor": pl.UInt64,
    "time": pl.Int64,
    "account": pl.Boolean,
    "country": pl.Categorical,
    "client": pl.UInt32,
    "language": pl.Categorical,
    "referrer_kind": pl.Categorical,
    "referrer_site": pl.Categorical,
    "area": pl.Categorical,
    "product": pl.Categorical,
    "action": pl.Categorical,
}
FRAMES = ("sessions", "areas", "steps", "products")

_OF_PAGE = ("area", "product", "action")
_OF_FIRST = ("client", "country", "language", "referrer_kind", "referrer_site", "account")
_ORDER = ("time", *_OF_PAGE, *_OF_FIRST)
"""A total order of a visitor's hits: what comes first in one second is the same on every engine."""
PARTS = {
    "areas": ["visitor", "session", "area"],
    "steps": ["visitor", "session", "from_area", "to_area"],
    "products": ["visitor", "session", "product", "action"],
}


def plan(
    hits: Any, gap: int, by: Sequence[str] = ("visitor",), also: Sequence[str] = (),
    keep: Callable[[Any], Any] = lambda frame: frame,
) -> dict[str, Any]:  # fmt: skip
    """Cuts each visitor's hits (columns HIT) into sessions: a new one starts after more than ``gap`` seconds without.

    Frames of the answer, by name; a visitor's ``session`` is named by the epoch second of its first hit:

    - ``sessions``: visitor, session, end (epoch seconds), hits, account, country, client, language, referrer_kind,
      referrer_site and entry_area (of its first hit), exit_area (of its last)
    - ``areas``: visitor, session, area, hits
    - ``steps``: visitor, session, from_area, to_area, hits (moves between two areas)
    - ``products``: visitor, session, product, action, hits

    With ``by``, what is between two of these columns' values is no session (``day``: each ends at midnight), and every
    frame has them; ``also`` are more columns of a session's first hit. ``keep`` is given the frame that all four are
    made of, for an engine that would make it four times.
    """
    frame: Any = nw.from_native(hits)
    for name in ("time", "area"):
        frame = frame.with_columns(nw.col(name).shift(1).over(*by, order_by=_ORDER).alias(f"last_{name}"))
    starts = nw.col("last_time").is_null() | (nw.col("time") - nw.col("last_time") > gap)
    frame = frame.with_columns(starts=starts.cast(nw.Int64))
    frame = frame.with_columns(session=nw.when(nw.col("starts") == 1).then(nw.col("time")).otherwise(nw.lit(0)))
    frame = frame.with_columns(session=nw.col("session").cum_max().over(*by, order_by=_ORDER))
    # The last hit of a session is the one after which the visitor's next hit starts another, or none follows.
    frame = frame.with_columns(next=nw.col("starts").shift(-1).over(*by, order_by=_ORDER))
    frame = nw.from_native(keep(nw.to_native(frame)))
    by = [*by, "session"]
    spans = frame.group_by(by).agg(end=nw.col("time").max(), hits=nw.len().cast(nw.Int64))
    of_first = ["account", "country", "client", "language", "referrer_kind", "referrer_site", "area"]
    first = frame.filter(nw.col("starts") == 1).select(*by, *of_first, *also).rename({"area": "entry_area"})
    last = frame.filter(nw.col("next").is_null() | (nw.col("next") == 1)).select(*by, exit_area=nw.col("area"))
    moves = frame.filter((nw.col("starts") == 0) & (nw.col("area") != nw.col("last_area")))
    parts = {
        "sessions": spans.join(first, on=by, how="inner").join(last, on=by, how="inner"),
        "areas": frame.group_by(*by, "area").agg(hits=nw.len().cast(nw.Int64)),
        "steps": moves.rename({"last_area": "from_area", "area": "to_area"})
        .group_by(*by, "from_area", "to_area")
        .agg(hits=nw.len().cast(nw.Int64)),
        "products": frame.filter(~nw.col("product").is_null())
        .group_by(*by, "product", "action")
        .agg(hits=nw.len().cast(nw.Int64)),
    }
    return {name: nw.to_native(part) for name, part in parts.items()}


def sessions(
    hits: pl.DataFrame, gap: int, cuts: Sequence[int] = (), keys: Callable[[np.ndarray], np.ndarray] | None = None
) -> dict[str, pl.DataFrame]:
    """The frames of ``plan`` for ``hits`` in memory, sorted by what names a row; text is Categorical.

    At the epoch seconds ``cuts`` every session ends, and the rows between two cuts stand together, in the order of the
    cuts: what is counted apart there, ``stitch`` joins. ``keys`` gives for
    the distinct visitors what stands for them in the frames.
    """
    time = hits["time"].to_numpy()
    ids, visitor = np.unique(hits["visitor"].to_numpy(), return_inverse=True)
    if keys is not None:
        ids = keys(ids)
        place = np.argsort(ids)
        rank = np.empty_like(place)
        rank[place] = np.arange(place.size)
        ids, visitor = ids[place], rank[visitor]
    (area, areas), (product, products), (action, actions) = (_ranked(hits[name]) for name in _OF_PAGE)
    shown = product * actions.len() + action
    part = np.searchsorted(np.asarray(cuts, np.int64), time, side="right")
    # What a visitor did between two cuts has a number, in the order of the cuts.
    whose = part * ids.size + visitor
    order = _in_order(hits, whose, time, area * (products.len() * actions.len()) + shown)
    visitor, whose, time, area, shown = visitor[order], whose[order], time[order], area[order], shown[order]
    begins = np.ones(time.size, bool)
    begins[1:] = (whose[1:] != whose[:-1]) | (time[1:] - time[:-1] > gap)
    first = np.flatnonzero(begins)
    after = np.append(first[1:], time.size)[: first.size]
    number = np.cumsum(begins) - 1
    rows = pl.DataFrame({"visitor": ids[visitor[first]], "session": time[first]})
    made = rows.with_columns(
        pl.Series("end", time[after - 1]),
        pl.Series("hits", after - first),
        *hits.select(_OF_FIRST)[order[first]],
        areas.gather(area[first]).alias("entry_area"),
        areas.gather(area[after - 1]).alias("exit_area"),
    )
    width = areas.len()
    moves = np.flatnonzero(~begins[1:] & (area[1:] != area[:-1])) + 1
    steps, from_to = _counted(rows, number[moves], area[moves - 1] * width + area[moves], width * width)
    visited, where = _counted(rows, number, area, width)
    shows = np.flatnonzero(shown >= actions.len())  # the first product is none
    showed, what = _counted(rows, number[shows], shown[shows], products.len() * actions.len())
    return {
        "sessions": made,
        "areas": _named(visited, area=areas.gather(where)),
        "steps": _named(steps, from_area=areas.gather(from_to // width), to_area=areas.gather(from_to % width)),
        "products": _named(
            showed, product=products.gather(what // actions.len()), action=actions.gather(what % actions.len())
        ),
    }


def _named(counted: pl.DataFrame, **columns: pl.Series) -> pl.DataFrame:
    return counted.with_columns(**columns).select("visitor", "session", *columns, "hits")


def _ranked(column: pl.Series) -> tuple[np.ndarray, pl.Series]:
    """The rank of each row's value among all in their order, and the values by rank; null is the first."""
    text = column.dtype == pl.Categorical
    values = column.unique().drop_nulls()
    words = (values.cast(pl.String) if text else values).sort()
    code = (words.cast(column.dtype).to_physical() if text else words.cast(pl.UInt32)).to_numpy()
    rank = np.zeros(int(code.max(initial=0)) + 2, np.int64)
    rank[code] = np.arange(1, code.size + 1)
    codes = (column.to_physical() if text else column.cast(pl.UInt32)).fill_null(rank.size - 1).to_numpy()
    return rank[codes], pl.concat([words.clear(1), words]).cast(column.dtype)


def _in_order(hits: pl.DataFrame, visitor: np.ndarray, time: np.ndarray, page: np.ndarray) -> np.ndarray:
    """The places of the hits by visitor and _ORDER."""
    earliest = int(time.min()) if time.size else 0
    bits = [int(values.max(initial=0)).bit_length() for values in (visitor, time - earliest, page)]
    if sum(bits) > 63:
        who = [_ranked(hits[name])[0] for name in _OF_FIRST]
        return np.lexsort([*reversed(who), page, time, visitor])
    packed = (visitor.astype(np.int64) << (bits[1] + bits[2])) | ((time - earliest) << bits[2]) | page
    order = np.argsort(packed)
    packed = packed[order]
    same = packed[1:] == packed[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if tied.size:  # the same page in the same second: what else is known of the hits decides
        rows = order[tied]
        who = [_ranked(part)[0] for part in hits.select(_OF_FIRST)[rows]]
        order[tied] = rows[np.lexsort([*reversed(who), packed[tied]])]
    return order


def _counted(rows: pl.DataFrame, number: np.ndarray, what: np.ndarray, size: int) -> tuple[pl.DataFrame, np.ndarray]:
    """How often each session (its ``number`` in ``rows``) has each ``what`` (below ``size``), and which that is."""
    key = np.sort(number * size + what)
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: key.size])
    number, what = np.divmod(key[first], size)
    return rows[number].with_columns(pl.Series("hits", np.diff(np.append(first, key.size)), dtype=pl.Int64)), what


def stitch(frames: dict[str, pl.DataFrame], gap: int) -> dict[str, pl.DataFrame] | None:
    """Joins sessions (frames of ``sessions`` for hits that were counted apart) with no more than ``gap`` between them.

    None where hits of one visitor were counted apart though they lie among each other: then only counting them together
    tells which moves were made. Columns beyond those of ``plan`` are those of the first session joined.
    """
    rows = frames["sessions"].sort("visitor", "session")
    before = pl.col("end").shift(1).over("visitor")
    rows = rows.with_columns(since=pl.col("session") - before)
    if rows.filter(pl.col("since") <= 0).height:
        return None
    joined = (rows["since"] <= gap).fill_null(False)
    if not joined.any():
        return frames
    head = pl.when(~joined).then("session").forward_fill().alias("head")
    rows = rows.with_columns(head, joined=joined, came_from=pl.col("exit_area").shift(1))
    links = rows.filter("joined").select("visitor", "session", "head")
    several = rows.join(links.select("visitor", "head").unique(), on=["visitor", "head"], how="semi")
    firsts = [c for c in frames["sessions"].columns if c not in ("visitor", "session", "end", "hits", "exit_area")]
    merged = several.group_by("visitor", "head", maintain_order=True).agg(
        pl.col("end", "exit_area").last(), pl.col("hits").sum(), pl.col(firsts).first()
    )
    alone = frames["sessions"].join(several, on=["visitor", "session"], how="anti")
    found = {
        "sessions": pl.concat([alone, merged.rename({"head": "session"}).select(alone.columns)]),
    }
    moves = several.filter(pl.col("joined") & (pl.col("came_from") != pl.col("entry_area")))
    link = moves.select(
        "visitor", session="head", from_area="came_from", to_area="entry_area", hits=pl.lit(1, pl.Int64)
    )
    for name, by in PARTS.items():
        part = frames[name]
        moved = part.join(links, on=["visitor", "session"], how="inner")
        if name == "steps":
            moved = pl.concat([moved.drop("session").rename({"head": "session"}).select(part.columns), link])
        else:
            moved = moved.drop("session").rename({"head": "session"}).select(part.columns)
        kept = part.join(links, on=["visitor", "session"], how="anti")
        found[name] = pl.concat([kept, moved]).group_by(by).agg(pl.col("hits").sum()) if moved.height else part
    return found


def stitch_at(frames: dict[str, pl.DataFrame], gap: int, cuts: np.ndarray) -> dict[str, pl.DataFrame]:
    """Joins the sessions that ``sessions`` ended at ``cuts``, of which the first is before and the last after all hits.

    Only those near a cut are looked at: the frames may be large.
    """
    rows = frames["sessions"]
    start, end = rows["session"].to_numpy(), rows["end"].to_numpy()
    after = np.clip(np.searchsorted(cuts, start, side="right"), 1, cuts.size - 1)
    near = pl.Series((start - cuts[after - 1] <= gap) | (cuts[after] - end <= gap))
    names = rows.filter(near).select("visitor", "session")
    by = ["visitor", "session"]
    apart = {name: frame.join(names, on=by, how="semi") for name, frame in frames.items()}
    joined = stitch(apart, gap)
    assert joined is not None, "sessions of two days can't lie among each other"
    return {
        name: pl.concat([frame.join(names, on=by, how="anti"), joined[name].select(frame.columns)])
        for name, frame in frames.items()
    }
