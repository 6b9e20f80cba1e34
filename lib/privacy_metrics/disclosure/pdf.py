"""The text of a PDF, as far as the leak check needs it: what is drawn, and every string beside it (ISO 32000-1).

What can't be read raises ``PdfUnreadable``: a page that nobody could look through has not passed.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field


class PdfUnreadable(Exception):
    """A PDF whose text can't be had; the message says why."""


@dataclass
class _Object:
    body: bytes
    raw: bytes | None = None
    """The stream as it stands in the file; None where the object has none."""


@dataclass
class _Font:
    """How codes become characters: ``wide`` codes have two bytes; ``unicode`` is the font's own map, if any."""

    wide: bool = False
    unicode: dict[int, str] | None = None
    names: dict[int, str] = field(default_factory=dict)

    def text(self, codes: bytes) -> str:
        if self.wide:
            if self.unicode is None:
                raise PdfUnreadable("a font says of no character which it is")
            pairs = [int.from_bytes(codes[i : i + 2]) for i in range(0, len(codes) - 1, 2)]
            return "".join(self.unicode.get(code, "\ufffd") for code in pairs)
        plain = codes.decode("cp1252", "replace")
        return "".join((self.unicode or {}).get(c) or self.names.get(c) or p for c, p in zip(codes, plain, strict=True))


def pdf_texts(content: bytes) -> Iterator[tuple[str, str | bytes]]:
    """Places and texts of a PDF; bytes are a file within it. Raises PdfUnreadable."""
    if re.search(rb"/Encrypt\s+\d+\s+\d+\s+R|/Encrypt\s*<<", content):
        raise PdfUnreadable("it is encrypted")
    objects = _objects(content)
    if not objects:
        raise PdfUnreadable("it holds no objects")
    fonts = _fonts(objects)
    named = _named(objects, fonts)
    drawn = pictures = pages = 0
    for number, one in objects.items():
        place = f"object {number}"
        yield place, _names(one.body)
        for codes in _strings(one.body):
            yield place, _string(codes)
        pages += bool(re.search(rb"/Type\s*/Page\b", one.body))
        if one.raw is None:
            continue
        if re.search(rb"/Subtype\s*/Image\b", one.body):
            pictures += 1
            continue
        if re.search(rb"/Type\s*/(?:XRef|ObjStm)\b|/Length[123]\b|/Subtype\s*/(?:Type1C|CIDFontType0C|OpenType)\b",
                     one.body):  # fmt: skip
            continue
        plain = _plain(one)
        if b"begincmap" in plain or plain[36:40] == b"acsp":  # a font's map, a colour profile
            continue
        if re.search(rb"/Type\s*/(?:Metadata|EmbeddedFile)\b", one.body):
            yield f"{place}, {'metadata' if b'/Metadata' in one.body else 'a file in it'}", plain
        elif re.search(rb"[\]>)]\s*(?:Tj|TJ|'|\")", plain):
            for text in _drawn(plain, named):
                drawn += 1
                yield f"{place}, text", text
        elif re.fullmatch(rb"[\t\r\n\x20-\x7e]+", plain):
            yield place, plain.decode("ascii")
    if pages and pictures and not drawn:
        raise PdfUnreadable("it holds pictures and no text")


# ---- objects and streams --------------------------------------------------------------------------------------------


def _objects(content: bytes) -> dict[int, _Object]:
    found: dict[int, _Object] = {}
    at = 0
    while start := re.compile(rb"(\d+)\s+\d+\s+obj\b").search(content, at):
        end = re.compile(rb"endobj|stream\r?\n").search(content, start.end())
        if end is None:
            raise PdfUnreadable("it is cut short")
        body = content[start.end() : end.start()]
        at = end.end()
        raw = None
        if end[0].startswith(b"stream"):
            length = re.search(rb"/Length\s+(\d+)(?!\s+\d+\s+R)", body)
            stop = end.end() + int(length[1]) if length else -1
            if stop < 0 or not content[stop : stop + 12].lstrip().startswith(b"endstream"):
                stop = content.find(b"endstream", end.end())
            if stop < 0:
                raise PdfUnreadable("it is cut short")
            raw, at = content[end.end() : stop], stop
        number = int(start[1])
        while number in found:  # an earlier version of the object, which is still in the bytes
            number += 1_000_000
        found[number] = _Object(body, raw)
    for one in list(found.values()):
        if re.search(rb"/Type\s*/ObjStm\b", one.body):
            found |= {n: _Object(body) for n, body in _within(one) if n not in found}
    return found


def _within(stream: _Object) -> Iterator[tuple[int, bytes]]:
    """The objects in an object stream (7.5.7)."""
    plain = _plain(stream)
    first, count = (int(m[1]) if (m := re.search(key, stream.body)) else 0 for key in (rb"/First\s+(\d+)",
                                                                                       rb"/N\s+(\d+)"))  # fmt: skip
    numbers = [int(n) for n in plain[:first].split()[: 2 * count]]
    starts = [*numbers[1::2], len(plain) - first]
    for number, start, end in zip(numbers[::2], starts, starts[1:], strict=False):
        yield number, plain[first + start : first + end]


def _plain(one: _Object) -> bytes:
    """A stream, decoded by its filters (7.4)."""
    data = one.raw or b""
    written = re.search(rb"/Filter\s*(\[[^\]]*\]|/\w+)", one.body)
    for name in re.findall(rb"/(\w+)", written[1]) if written else []:
        if name in (b"FlateDecode", b"Fl"):
            inflate = zlib.decompressobj()
            try:
                data = inflate.decompress(data) + inflate.flush()
            except zlib.error:
                raise PdfUnreadable("a stream of it is damaged") from None
            if re.search(rb"/Predictor\s+1[0-5]\b", one.body):
                columns = re.search(rb"/Columns\s+(\d+)", one.body)
                data = _unpredicted(data, int(columns[1]) if columns else 1)
        elif name in (b"ASCIIHexDecode", b"AHx"):
            data = _hex(data.partition(b">")[0])
        elif name in (b"ASCII85Decode", b"A85"):
            data = base64.a85decode(data.partition(b"~>")[0].strip().removeprefix(b"<~"))
        else:
            raise PdfUnreadable(f"a stream of it is coded with {name.decode('latin-1')}")
    return data


def _unpredicted(data: bytes, columns: int) -> bytes:
    """Undoes the PNG predictors none, sub and up, for one byte a sample (7.4.4.4)."""
    before = bytearray(columns)
    out = bytearray()
    for at in range(0, len(data), columns + 1):
        kind, row = data[at], bytearray(data[at + 1 : at + 1 + columns])
        if kind not in (0, 1, 2):
            raise PdfUnreadable("a stream of it has a predictor that is not known")
        for i in range(len(row)):
            row[i] = (row[i] + (0 if kind == 0 else before[i] if kind == 2 else row[i - 1] if i else 0)) % 256
        out += row
        before = row
    return bytes(out)


# ---- strings --------------------------------------------------------------------------------------------------------

_LITERAL = rb"\((?:[^()\\]|\\.|\((?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))*\))*\)"
_HEX = rb"<(?!<)[0-9A-Fa-f\s]*>"
_STRING = re.compile(_LITERAL + rb"|" + _HEX, re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def _strings(body: bytes) -> Iterator[bytes]:
    for found in _STRING.finditer(body):
        yield _codes(found[0])


def _codes(written: bytes) -> bytes:
    if written[:1] == b"<":
        return _hex(written[1:-1])

    def escape(found: re.Match[bytes]) -> bytes:
        what = found[1]
        if what[:1].isdigit():
            return bytes([int(what, 8) % 256])
        return b"" if what in (b"\n", b"\r\n", b"\r") else _ESCAPES.get(what, what)

    return re.sub(rb"\\([0-7]{1,3}|\r\n|.)", escape, written[1:-1], flags=re.DOTALL)


def _hex(written: bytes) -> bytes:
    digits = re.sub(rb"\s", b"", written)
    try:
        return binascii.unhexlify(digits + b"0" * (len(digits) % 2))
    except binascii.Error:
        raise PdfUnreadable("a string of it is damaged") from None


def _string(codes: bytes) -> str:
    return codes[2:].decode("utf-16-be", "replace") if codes[:2] == b"\xfe\xff" else codes.decode("cp1252", "replace")


def _names(body: bytes) -> str:
    """A dictionary as text, its names with what they escape as ``#40``."""
    return re.sub(rb"#([0-9A-Fa-f]{2})", lambda m: binascii.unhexlify(m[1]), body).decode("latin-1")


# ---- fonts and drawn text -------------------------------------------------------------------------------------------

_GLYPHS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "period": ".", "comma": ",", "colon": ":", "semicolon": ";", "at": "@", "hyphen": "-",
    "underscore": "_", "slash": "/", "space": " ", "question": "?", "equal": "=", "ampersand": "&", "percent": "%",
    "plus": "+", "parenleft": "(", "parenright": ")",
}  # fmt: skip
"""Characters by the names that fonts give them (Adobe Glyph List), of those that what is looked for is made of."""


def _fonts(objects: dict[int, _Object]) -> dict[int, _Font]:
    found = {}
    for number, one in objects.items():
        if not re.search(rb"/Type\s*/Font\b", one.body):
            continue
        font = _Font(wide=bool(re.search(rb"/Subtype\s*/Type0\b", one.body)))
        if (ref := re.search(rb"/ToUnicode\s+(\d+)", one.body)) and int(ref[1]) in objects:
            font.unicode = _unicode(_plain(objects[int(ref[1])]))
        coded = one.body
        if (ref := re.search(rb"/Encoding\s+(\d+)\s+\d+\s+R", one.body)) and int(ref[1]) in objects:
            coded = objects[int(ref[1])].body
        if differences := re.search(rb"/Differences\s*\[(.*?)\]", coded, re.DOTALL):
            code = 0
            for word in re.findall(rb"/?[^\s/]+", differences[1]):
                if word.isdigit():
                    code = int(word)
                else:
                    name = word[1:].decode("latin-1")
                    known = name if len(name) == 1 else _GLYPHS.get(name)
                    if known is None and (coded_name := re.fullmatch(r"uni([0-9A-F]{4})", name)):
                        known = chr(int(coded_name[1], 16))
                    font.names[code] = known or "\ufffd"
                    code += 1
        found[number] = font
    return found


def _unicode(cmap: bytes) -> dict[int, str]:
    """A ToUnicode map (9.10.3): codes and what they stand for."""

    def text(digits: bytes) -> str:
        return _hex(digits).decode("utf-16-be", "replace")

    found = {}
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.DOTALL):
        for code, to in re.findall(rb"<([0-9A-Fa-f\s]+)>\s*<([0-9A-Fa-f\s]+)>", block):
            found[int(code, 16)] = text(to)
    for block in re.findall(rb"beginbfrange(.*?)endbfrange", cmap, re.DOTALL):
        parts = rb"<([0-9A-Fa-f\s]+)>\s*<([0-9A-Fa-f\s]+)>\s*(?:<([0-9A-Fa-f\s]+)>|\[(.*?)\])"
        for low, high, first, each in re.findall(parts, block, re.DOTALL):
            codes = range(int(low, 16), min(int(high, 16), int(low, 16) + 65_535) + 1)
            if first:
                start = text(first)
                found |= {c: start[:-1] + chr(ord(start[-1]) + n) for n, c in enumerate(codes)}
            else:
                found |= {c: text(to) for c, to in zip(codes, re.findall(rb"<([0-9A-Fa-f\s]+)>", each), strict=False)}
    return found


def _named(objects: dict[int, _Object], fonts: dict[int, _Font]) -> dict[bytes, list[_Font]]:
    """Fonts by the names that pages give them; two pages may give one name to two fonts."""
    found: dict[bytes, list[_Font]] = {}
    for one in objects.values():
        for listed, ref in re.findall(rb"/Font\s*(?:<<(.*?)>>|(\d+)\s+\d+\s+R)", one.body, re.DOTALL):
            text = objects[int(ref)].body if ref and int(ref) in objects else listed
            for name, number in re.findall(rb"/([^\s/<>\[\]()]+)\s+(\d+)\s+\d+\s+R", text):
                font = fonts.get(int(number))
                if font and font not in found.setdefault(name, []):
                    found[name].append(font)
    return found


_TOKEN = re.compile(
    _LITERAL + rb"|" + _HEX + rb"|/[^\s/<>\[\]()]+|[-+]?(?:\d+\.?\d*|\.\d+)|[\[\]]|[A-Za-z'\"][\w*]*", re.DOTALL
)
WORD_GAP = -200
"""A move of so many thousandths of the font's size between two strings is a space."""


def _drawn(stream: bytes, named: dict[bytes, list[_Font]]) -> Iterator[str]:
    """The text that a content stream draws, a line at a time (9.4)."""
    stream = re.sub(rb"\bBI\b.*?\bID\s.*?\sEI\b", b"", stream, flags=re.DOTALL)
    for choice in range(max([len(fonts) for fonts in named.values()], default=1)):
        font = _Font()
        operands: list[bytes] = []
        lines: list[list[str]] = [[]]
        for token in _TOKEN.findall(stream):
            if token[:1] in b"(<[]/" or token[:1] in b"+-.0123456789":
                operands.append(token)
                continue
            if token == b"Tf" and len(operands) >= 2 and operands[-2][:1] == b"/":
                fonts = named.get(operands[-2][1:], [])
                font = fonts[min(choice, len(fonts) - 1)] if fonts else _Font()
            elif token in (b"Tj", b"TJ", b"'", b'"'):
                if token in (b"'", b'"'):
                    lines.append([])
                lines[-1].append(_shown(operands, font))
            elif token in (b"Td", b"TD"):
                lines[-1].append(" ")
                if len(operands) >= 2 and _number(operands[-1]) != 0:
                    lines.append([])
            elif token in (b"Tm", b"T*", b"BT", b"ET"):
                lines.append([])
            operands = []
        spelled = ["".join(parts).strip() for parts in lines]
        yield from (text for text in spelled if text)
        letters = [text for text in spelled if text]
        if letters and sum(map(len, letters)) < 2 * len(letters):  # every letter is placed by itself
            yield "".join(letters)


def _shown(operands: list[bytes], font: _Font) -> str:
    parts = []
    for operand in operands:
        if operand[:1] in b"(<":
            parts.append(font.text(_codes(operand)))
        elif operand[:1] not in b"[]/" and _number(operand) < WORD_GAP:
            parts.append(" ")
    return "".join(parts)


def _number(operand: bytes) -> float:
    try:
        return float(operand)
    except ValueError:
        return 0.0
