"""Access logs of a given ``log_format``, as nginx or Apache writes it: compiled once into a parser of lines.

A line is cut at the format's fixed text; where a cut does not fit, and only there, a regular expression reads the line.
Both take the shortest value in front of each fixed text, so that a cut that fits is what the expression would find.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from ..params import AccessLog
from . import logs
from .combined import split
from .logs import Files, SourceError
from .records import IPV4, settle

NAMED = {
    "combined": '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"',
    "common": '%h %l %u %t "%r" %>s %b',
    "vhost_combined": '%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"',
    "vhost_common": '%v %h %l %u %t "%r" %>s %b',
}
"""The formats with a name, as Apache's manual gives them; nginx's combined is Apache's."""

_NGINX = {
    "remote_addr": "address",
    "remote_user": "account",
    "time_local": "time",
    "time_iso8601": "time",
    "msec": "time",
    "request": "request",
    "request_method": "method",
    "request_uri": "target",
    "uri": "target",
    "status": "status",
    "http_referer": "referrer",
    "http_user_agent": "agent",
    "http_accept_language": "language",
    "http_x_forwarded_for": "forwarded",
}
_APACHE = {
    "h": "address",
    "a": "address",
    "u": "account",
    "t": "time",
    "r": "request",
    "m": "method",
    "U": "target",
    "s": "status",
    "{referer}i": "referrer",
    "{user-agent}i": "agent",
    "{accept-language}i": "language",
    "{x-forwarded-for}i": "forwarded",
    "{sec}t": "time",
    "{msec}t": "time",
    "{usec}t": "time",
}
_WRITTEN_TIMES = ("%d/%b/%Y:%H:%M:%S %z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S%z")

_TIGHT = {"address": r"\S+?", "status": r"\d{3}", "method": r"\S+?"}
"""Fields that can't be anything: a cut is checked against these."""
_BEFORE_COLON = rf"{IPV4}|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:.]+|\S+?"
"""An address before a colon, as a port has one: an address of IPv6, which has colons itself, ends at the last."""


@dataclass(frozen=True)
class Variable:
    """What stands between two fixed texts: a field of the request, or nothing that is kept."""

    name: str
    field: str | None


Token = str | Variable


def tokens_of(source: AccessLog) -> list[Token]:
    """The source's format, compiled. Raises SourceError when it can't be read, or lacks what a request needs."""
    form = source.log_format
    if form in NAMED:
        form = NAMED[form] + (' "%{Accept-Language}i"' if source.language else "")
    elif source.language:
        raise SourceError(
            "sources.technical.language: is for the named formats; write $http_accept_language or "
            "%{Accept-Language}i where the log_format has it"
        )
    tokens = compile_format(form)
    fields = [t.field for t in tokens if isinstance(t, Variable)]
    if source.proxies and "forwarded" not in fields:
        raise SourceError(
            "sources.technical.proxies: the log_format has no X-Forwarded-For; "
            "log $http_x_forwarded_for or %{X-Forwarded-For}i, or leave proxies out"
        )
    return tokens


def combined(source: AccessLog) -> bool | None:
    """None where the source's format is not the combined one; else whether an Accept-Language header follows it."""
    tokens = tokens_of(source)
    if tokens == compile_format(NAMED["combined"]):
        return False
    return True if tokens == compile_format(NAMED["combined"] + ' "%{Accept-Language}i"') else None


def read(source: AccessLog, files: Files) -> Iterator[pl.DataFrame]:
    """The lines of ``files`` in batches, columns PARSED, of any format; sources.read has a faster way for combined."""
    reader = Cutter(tokens_of(source))
    for block in logs.blocks(files):
        yield settle(reader.cut(split(block)), source.path, proxies=source.proxies)


def notes(source: AccessLog) -> list[str]:
    """What a report must say of the source's format."""
    tokens = compile_format(NAMED.get(source.log_format, source.log_format))
    if any(isinstance(t, Variable) and t.field == "agent" for t in tokens):
        return []
    return [
        f"{source.path}: its format has no user agent, so crawlers count as visitors, "
        "and people without an account in one network count as one"
    ]


def compile_format(form: str) -> list[Token]:
    """The fixed texts and variables of a ``log_format``, in turn.

    Raises SourceError for two variables with nothing between them, a directive that is not known, a format that lacks a
    time, a request, a status or an address, and more of a configuration file than the format.
    """
    form = form.strip("\r\n")
    paste = "paste only what stands between its quotes, parts of several lines joined"
    if directive := re.match(r"\s*(log_format|access_log|LogFormat|TransferLog|CustomLog)\s", form, re.IGNORECASE):
        raise _wrong(f"is a whole {directive[1]} directive; {paste}")
    if "\n" in form or re.search(r"^\s*'[^']*'\s*;?\s*$|'\s*;\s*$", form):
        raise _wrong(f"has the quotes of a configuration file around it; {paste}")
    # A configuration file writes a quote within quotes as \"; a tab as \t.
    form = form.replace('\\"', '"').replace("\\t", "\t")
    tokens = _apache(form) if re.search(r"%[a-zA-Z{<>!0-9]", form) and "$" not in form else _nginx(form)
    seen: set[str] = set()
    merged: list[Token] = []
    for token in tokens:
        if isinstance(token, Variable) and token.field in seen:
            token = Variable(token.name, None)  # the first that says it counts
        elif isinstance(token, Variable) and token.field:
            seen.add(token.field)
        if merged and isinstance(token, str) and isinstance(merged[-1], str):
            merged[-1] += token
        elif merged and isinstance(token, Variable) and isinstance(merged[-1], Variable):
            raise _wrong(f"nothing stands between {merged[-1].name} and {token.name}, so they can't be told apart")
        else:
            merged.append(token)
    if "request" in seen:
        seen |= {"method", "target"}
    missing = {
        "time": "a time ($time_local, $time_iso8601, $msec; %t)",
        "method": "the method ($request, $request_method; %r, %m)",
        "target": "the target ($request, $request_uri; %r, %U%q)",
        "status": "the status ($status; %>s)",
        "address": "the address ($remote_addr; %h, %a)",
    }
    if lacks := [words for name, words in missing.items() if name not in seen]:
        raise _wrong("it lacks " + ", and ".join(lacks))
    return merged


def _wrong(reason: str) -> SourceError:
    return SourceError(f"sources.technical.log_format: {reason}")


def _nginx(form: str) -> list[Token]:
    # Path and query written apart are the target again.
    form = re.sub(r"\$\{(\w+)\}", r"$\1\0", form)  # a NUL ends a name that stood in braces
    form = re.sub(r"\$uri\0?\$is_args\0?\$(args|query_string)\b\0?", "$request_uri\0", form)
    parts = re.split(r"\$(\w+)\0?", form)
    if len(parts) == 1:
        raise _wrong(f"{form!r} is no format's name ({', '.join(NAMED)}), and holds neither $variables nor %directives")
    tokens: list[Token] = []
    for i, part in enumerate(parts):
        if i % 2:
            tokens.append(Variable(f"${part}", _NGINX.get(part)))
        elif part:
            tokens.append(part)
    return tokens


def _apache(form: str) -> list[Token]:
    form = form.replace("%U%q", "%U")
    tokens: list[Token] = []
    at = 0
    for match in re.finditer(r"%(?:%|(?:!?\d{3}(?:,\d{3})*)?[<>]*(\{[^}]*\})?(\^t[io]|[a-zA-Z]))", form):
        if match.start() > at:
            tokens.append(form[at : match.start()])
        at = match.end()
        if match[0] == "%%":
            tokens.append("%")
            continue
        argument, letter = match[1] or "", match[2]
        if letter == "t" and not argument:
            tokens += ["[", Variable("%t", "time"), "]"]
            continue
        if letter == "t" and argument.strip("{}").removeprefix("begin:") in _WRITTEN_TIMES:
            field = "time"
        else:
            field = _APACHE.get(argument.lower().replace("begin:", "") + letter)
        tokens.append(Variable(match[0], field))
    rest = form[at:]
    if "%" in rest or any("%" in t for t in tokens if isinstance(t, str) and t != "%"):
        raise _wrong("a % in it begins no directive that Apache knows; a percent sign is written %%")
    return [*tokens, rest] if rest else tokens


class Cutter:
    """Cuts lines into the fields of one format."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.fields = [t.field for t in tokens if isinstance(t, Variable) and t.field]
        self.tight = dict(_TIGHT)
        for token, after in pairwise(tokens):
            if isinstance(token, Variable) and token.field == "address" and str(after).startswith(":"):
                self.tight["address"] = IPV4  # any other is left to the expression
        self.expression = "^" + "".join(map(self._pattern, range(len(tokens)))) + "$"
        # The tokens between the quotes: as many quotes in a line, and the parts between them are the format's.
        self.pieces: list[list[Token]] = [[]]
        for token in tokens:
            if isinstance(token, Variable):
                self.pieces[-1].append(token)
                continue
            for n, text in enumerate(token.split('"')):
                if n:
                    self.pieces.append([])
                if text:
                    self.pieces[-1].append(text)

    def cut(self, lines: pl.Series) -> pl.DataFrame:
        """The fields of each line as text, null where the line does not have the format."""
        lines = lines.str.strip_suffix("\r")
        quotes = len(self.pieces) - 1
        if quotes:
            split = lines.str.splitn('"', quotes + 2).struct
            parts = [split.field(f"field_{n}") for n in range(quotes + 1)]
            fits = parts[-1].is_not_null() & split.field(f"field_{quotes + 1}").is_null()
            for part in parts[1:-1]:  # a quote behind a backslash ends nothing
                fits = fits & ~part.str.ends_with("\\")
        else:
            parts, fits = [lines], lines.is_not_null()
        fields: dict[str, pl.Series] = {}
        for part, piece in zip(parts, self.pieces, strict=True):
            fits = self._cut(part, piece, fields, fits)
        for name, check in self.tight.items():
            if name in fields:
                fits = fits & fields[name].str.contains(f"^{check}$")
        frame = pl.DataFrame([fields[name].alias(name) for name in self.fields])
        fits = fits.fill_null(False)
        if fits.all():
            return frame
        odd = pl.select(lines.filter(~fits).str.extract_groups(self.expression).alias("found"))
        odd = odd.select(pl.col("found").struct.rename_fields(self.fields)).unnest("found")
        row = pl.select(row=pl.int_range(lines.len())).to_series()
        whole = pl.concat([frame.filter(fits), odd])
        return whole[pl.concat([row.filter(fits), row.filter(~fits)]).arg_sort()]

    def _cut(self, part: pl.Series, piece: list[Token], fields: dict[str, pl.Series], fits: pl.Series) -> pl.Series:
        if not piece:
            return fits & (part == "")
        piece = list(piece)
        if isinstance(piece[0], str):
            if len(piece) == 1:
                return fits & (part == piece[0])
            fits, part = fits & part.str.starts_with(piece[0]), part.str.slice(len(str(piece.pop(0))))
        if isinstance(piece[-1], str):
            fits, part = fits & part.str.ends_with(piece[-1]), part.str.head(-len(str(piece.pop())))
        variables, between = piece[::2], piece[1::2]
        while between:
            same = next((n for n, text in enumerate(between) if text != between[0]), len(between))
            split = part.str.splitn(str(between[0]), same + 1).struct
            for n in range(same):
                self._keep(variables.pop(0), split.field(f"field_{n}"), fields)
            part, between = split.field(f"field_{same}"), between[same:]
            fits = fits & part.is_not_null()
        self._keep(variables[0], part, fields)
        return fits

    @staticmethod
    def _keep(variable: Token, value: pl.Series, fields: dict[str, pl.Series]) -> None:
        if isinstance(variable, Variable) and variable.field:
            fields[variable.field] = value

    def _pattern(self, at: int) -> str:
        token = self.tokens[at]
        if isinstance(token, str):
            return re.escape(token)
        before = self.tokens[at - 1] if at else ""
        after = self.tokens[at + 1] if at + 1 < len(self.tokens) else ""
        if token.field == "address" and str(after).startswith(":"):
            pattern = _BEFORE_COLON
        elif token.field in _TIGHT:
            pattern = _TIGHT[token.field]
        elif str(before).endswith('"') and str(after).startswith('"'):
            pattern = r'(?:[^"\\]|\\.)*'
        else:
            pattern = ".*?"
        return f"({pattern})" if token.field else f"(?:{pattern})"
