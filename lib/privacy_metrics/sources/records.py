"""Records of any source become the columns PARSED: fields found by name, moments read, what is no request broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

import polars as pl
import pyarrow as pa

from ..params import FIELDS, Columns
from .logs import SourceError

NAMES: tuple[str, ...] = get_args(FIELDS)
BATCH = 200_000
"""Rows of a batch, about: small files are put together up to this."""

_CALENDAR = (-62_135_596_800, 253_402_300_799)
"""The first and the last second of the years 1 to 9999: what stands for infinity lies beyond."""
_ISO = r"^\d{4}-\d\d-\d\d[T ][0-2]\d:[0-5]\d:[0-6]\d(?:[.,]\d+)? ?(?:Z|[+-][01]\d(?::?[0-5]\d)?)?$"
IPV4 = r"\d+(?:\.\d+){3}"
_FORWARDED = rf"^(?:{IPV4}|[0-9A-Fa-f.:]*:[0-9A-Fa-f.:]*)$"
"""An entry of X-Forwarded-For that is an address."""
_PLAIN = r"^(?:[0-9.]+|[0-9A-Fa-f:]+)$"
_UNTOLD = r"""^(?:(?i:unknown)$|[_"'\\])|[^!-~]"""
"""What stands for an address that a proxy does not tell (RFC 7239 §6.2, §6.3), or has what no address has."""
_LOCAL = r"^\d\d/[A-Z][a-z]{2}/\d{4}:[0-2]\d:[0-5]\d:[0-6]\d [+-][01]\d[0-5]\d$"

_WHOLE = {
    "it has neither address nor account": pl.col("address").is_not_null() | pl.col("account").is_not_null(),
    "it has no method": pl.col("method").is_not_null(),
    "its target is no path": pl.col("target").str.starts_with("/")
    | pl.col("target").str.contains(r"^(?:https?://|\*$)"),
    "its status is no number from 100 to 599": pl.col("status").is_between(100, 599),
}
"""What a request has beside its time, by what is said of a record that lacks it."""


def locate(names: Iterable[str], source: Columns, where: str) -> dict[str, str]:
    """The column of each field of a request among ``names``.

    Raises SourceError, which begins with ``where``, for a mapped column that is not there or stands twice, and for a
    field without which a record is no request.
    """
    names = list(names)
    named: dict[str, str] = {**dict(zip(NAMES, NAMES, strict=True)), **source.columns}
    found = {field: column for field, column in named.items() if column in names and field not in source.fill}
    problems = [
        f"column {column} (for {name}) is not there" for name, column in source.columns.items() if column not in names
    ]
    problems += [
        f"column {column} (for {name}) stands twice; keep one of them"
        for name, column in found.items()
        if names.count(column) > 1
    ]
    have = {*found, *source.fill}
    if "request" in have:
        have |= {"method", "target"}
    if not have & {"address", "account"}:
        problems.append("neither address nor account is there; name the column of one of them (columns)")
    problems += [
        f"column {name} is missing; name the column that holds it (columns: {{{name}: ...}})"
        + (f" or its value for all records (fill: {{{name}: {value}}})" if value else "")
        for name, value in {"time": None, "target": None, "method": "GET", "status": "'200'"}.items()
        if name not in have
    ]
    if source.proxies and "forwarded" not in have:
        problems.append("proxies needs the column of X-Forwarded-For (columns: {forwarded: ...})")
    if problems:
        raise SourceError("\n".join(f"{where}: {problem}" for problem in problems))
    return found


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of Arrow holds texts, or bytes that are taken for text."""
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return binary or pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def plain(column: pa.Array) -> pl.Series:
    """A column of Arrow as frames hold it: moments null outside the calendar, and bytes that are no UTF-8 replaced."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type):  # whose zone may be none; the values are of UTC anyway
        unit = "ms" if column.type.unit == "s" else column.type.unit
        column = column.cast(pa.timestamp(unit, "UTC" if column.type.tz else None))
    elif is_text(column.type):
        written = column.cast(pa.large_binary())
        try:
            column = written.cast(pa.large_string())
        except pa.ArrowInvalid:
            texts = [None if value is None else value.decode("utf-8", "replace") for value in written.to_pylist()]
            column = pa.array(texts, pa.large_string())
    values = pl.Series(pl.from_arrow(column))
    if isinstance(values.dtype, pl.Date):
        first, last = (second // 86400 for second in _CALENDAR)
    elif isinstance(values.dtype, pl.Datetime) and values.dtype.time_unit != "ns":  # these end in 2262
        first, last = (second * {"ms": 1000, "us": 10**6}[values.dtype.time_unit] for second in _CALENDAR)
    else:
        return values
    return values.set(~values.to_physical().is_between(first, last), None)


def parsed(records: pl.DataFrame, source: Columns, found: Mapping[str, str], where: str) -> pl.DataFrame:
    """``records`` of a source of columns as PARSED, in the same order; ``found`` comes from ``locate``."""
    fields = records.select(
        *(pl.col(column).alias(name) for name, column in found.items()),
        *(pl.lit(value).alias(name) for name, value in source.fill.items()),
    )
    return settle(fields, where, source.time_zone, source.proxies)


def settle(fields: pl.DataFrame, where: str, zone: str | None = None, proxies: int = 0) -> pl.DataFrame:
    """Columns among FIELDS, of text or typed, as PARSED; ``time`` is null where a record is no request.

    Raises SourceError when times carry no offset and ``zone`` is not given.
    """
    text = {name: _text(name) if name in fields.columns else pl.lit(None, pl.String) for name in NAMES}
    time = _seconds(fields["time"], zone, where)
    target, method, status = text["target"], text["method"], pl.lit(None, pl.UInt16)
    if "request" in fields.columns:
        parts = text["request"].str.extract_groups(r"(?s)^(\S+) (\S.*?)(?: HTTP/[0-9.]+)?$").struct
        method, target = pl.coalesce(method, parts.field("1")), pl.coalesce(target, parts.field("2"))
    if "status" in fields.columns:
        status = pl.col("status").cast(pl.UInt16, strict=False)
    address = text["address"]
    if proxies:
        entries = text["forwarded"].str.split(",")
        at = (entries.list.len().cast(pl.Int64) - proxies).clip(0)
        entry = entries.list.get(at, null_on_oob=True).str.strip_chars().map_batches(_addresses, pl.String)
        address = pl.coalesce(pl.when(entry.str.contains(_FORWARDED)).then(entry), address)
    frame = fields.select(
        address=address,
        account=text["account"],
        time=pl.lit(time),
        method=method,
        target=target,
        status=status,
        referrer=text["referrer"],
        agent=text["agent"],
        language=text["language"],
    )
    whole = pl.all_horizontal(*_WHOLE.values())
    return frame.with_columns(time=pl.when(whole.fill_null(False)).then("time"))


def why_broken(frame: pl.DataFrame) -> str:
    """Why the first row of a frame with the columns PARSED is no request; nothing of it is quoted."""
    first = frame.head(1)
    if not any(first.row(0)):
        return "nothing of a request stands where the source says"
    has = first.select(whole.fill_null(False).alias(lack) for lack, whole in _WHOLE.items()).row(0, named=True)
    return next((lack for lack, fine in has.items() if not fine), "its time is no moment")


def gathered(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Small frames put together into batches of about BATCH rows, in the same order."""
    held: list[pl.DataFrame] = []
    for frame in frames:
        held.append(frame)
        if sum(part.height for part in held) >= BATCH:
            yield pl.concat(held)
            held = []
    if held:
        yield pl.concat(held)


def _text(name: str) -> pl.Expr:
    value = pl.col(name).cast(pl.String, strict=False)
    value = pl.when(~value.is_in(["", "-"])).then(value)
    bare = {"address": _addresses, "account": _without_nuls}.get(name)
    return value.map_batches(bare, pl.String) if bare else value


def _addresses(texts: pl.Series) -> pl.Series:
    """Addresses without brackets, a port, the length that a database writes after them, and NULs before the line.

    Null for what stands for none. Plain ones, which are nearly all, are only looked at.
    """
    odd = (~texts.str.contains(_PLAIN)).arg_true()
    if not odd.len():
        return texts
    bare = rf"^\[([0-9A-Fa-f:.]+)\](?::\d+)?$|^({IPV4})(?::\d+|/32)$"
    found = texts.gather(odd).str.strip_chars_start("\0").str.replace(bare, "$1$2").str.strip_suffix("/128")
    return texts.scatter(odd, found.set(found.str.contains(_UNTOLD), None))


def _without_nuls(texts: pl.Series) -> pl.Series:
    """Texts without NULs before them, of which there seldom are any."""
    return texts.str.strip_chars_start("\0") if texts.str.contains("\0", literal=True).any() else texts


def _seconds(time: pl.Series, zone: str | None, where: str) -> pl.Series:
    """Epoch seconds of typed or written moments; null for what is none."""
    kind = time.dtype
    if isinstance(kind, pl.Datetime):
        if kind.time_zone is None:
            return _of_clock(time, zone, where)
        return time.dt.epoch("s")
    if kind == pl.Date:
        raise SourceError(f"{where}: time holds days without a time of day; name a column of moments (columns: time)")
    if kind.is_numeric():
        return _of_number(time.cast(pl.Int64, strict=False))
    text = time.cast(pl.String, strict=False)
    shapes = pl.select(
        iso=text.str.contains(_ISO), local=text.str.contains(_LOCAL), number=text.str.contains(r"^\d+(?:\.\d+)?$")
    )
    found = pl.Series([None] * text.len(), dtype=pl.Int64)
    if shapes["number"].any():
        whole = text.str.splitn(".", 2).struct.field("field_0").cast(pl.Int64, strict=False)
        found = pl.select(pl.when(shapes["number"]).then(_of_number(whole))).to_series()
    if shapes["local"].any():
        clock = _clock(text, text.str.slice(0, 11).str.to_date("%d/%b/%Y", strict=False), 12)
        found = pl.select(pl.when(shapes["local"]).then(clock - _offset(text)).otherwise(found)).to_series()
    if shapes["iso"].any():
        clock = _clock(text, text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False), 11)
        # The day's own hyphens are no offset: a sign counts after the time only.
        bare = ~text.str.slice(19).str.contains(r"[Z+-]")
        if zone or (shapes["iso"] & ~bare).any() or shapes["local"].any() or shapes["number"].any():
            local = _of_clock((clock * 1000).cast(pl.Datetime("ms")), zone, where) if zone else pl.lit(None, pl.Int64)
            read = pl.when(bare).then(local).otherwise(clock - _offset(text))
            found = pl.select(pl.when(shapes["iso"]).then(read).otherwise(found)).to_series()
        else:
            _of_clock(clock, None, where)
    return found


def _of_clock(clock: pl.Series, zone: str | None, where: str) -> pl.Series:
    if zone is None:
        raise SourceError(f"{where}: its times carry no time zone; say which they are in (time_zone: Europe/Helsinki)")
    return clock.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.epoch("s")


def _of_number(number: pl.Series) -> pl.Series:
    """Epoch seconds of seconds, milli-, micro- or nanoseconds: their sizes can't be confused after 1973."""
    scale = (
        pl.when(number < 10**11).then(1).when(number < 10**14).then(1000).when(number < 10**17).then(10**6)
        .otherwise(10**9)
    )  # fmt: skip
    return pl.select(pl.when(number >= 0).then(number // scale)).to_series().cast(pl.Int64)


def _clock(text: pl.Series, day: pl.Series, at: int) -> pl.Series:
    """Seconds since 1970 that a clock showed: hours begin at character ``at``; 23:59:60 is a leap second."""
    hour, minute, second = (text.str.slice(at + n, 2).cast(pl.Int64, strict=False) for n in (0, 3, 6))
    seconds = day.cast(pl.Int32).cast(pl.Int64) * 86400 + hour * 3600 + minute * 60 + second
    return pl.select(pl.when((hour < 24) & (second < 61)).then(seconds)).to_series()


def _offset(text: pl.Series) -> pl.Series:
    """Seconds east of UTC of what a moment ends with: Z, +03, +0300 or +03:00; at most 14 hours."""
    mark = text.str.slice(19).str.extract(r"(Z|[+-]\d\d(?::?\d\d)?)$")
    digits = mark.str.replace(":", "", literal=True)
    away = digits.str.slice(1, 2).cast(pl.Int64, strict=False) * 3600
    away = away + digits.str.slice(3, 2).cast(pl.Int64, strict=False).fill_null(0) * 60
    sign = pl.when(mark.str.starts_with("-")).then(-1).otherwise(1)
    return pl.select(
        pl.when(mark == "Z").then(0).when(away <= 14 * 3600 + 59 * 60).then(away * sign)
    ).to_series().cast(pl.Int64)  # fmt: skip
