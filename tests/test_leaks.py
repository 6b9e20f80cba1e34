"""The leak check: every kind of value in every kind of file and writing is found; what only looks like one is not."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import ipaddress
import json
import lzma
import os
import quopri
import shutil
import struct
import subprocess
import sys
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from browser import Opened
from company import FIREFOX, company, line, people
from privacy_metrics import charts, reports, tables, workbook
from privacy_metrics.disclosure import Cells, Policy, Release, leaks, release
from privacy_metrics.marks import Marks, mark
from privacy_metrics.marks import packed as as_bytes
from privacy_metrics.params import Params, Period
from privacy_metrics.sample import CANARIES
from privacy_metrics.sources import Lines
from privacy_metrics.sources.combined import parse

ROOT = Path(__file__).parents[1]
QUARTER = Period.parse("2026Q3")
TOKEN = "canary-4f6e2d91c3"


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Params:
    """A company whose log holds the sample's canaries, collected."""
    odd = [
        line(address=CANARIES["ipv4"], user=CANARIES["account"], agent=CANARIES["agent"]),
        line(address=CANARIES["ipv6"], path=f"/reset?token={TOKEN}", agent=CANARIES["agent"]),
        line(address=CANARIES["ipv4"], path="/missing", status=404, user="gone-9", agent="curl/8.99.1"),
    ]
    params = company(tmp_path_factory.mktemp("company"), [*people(40), *odd])
    workbook.collect(params, QUARTER)
    return params


@pytest.fixture(scope="module")
def known(collected: Params) -> leaks.Known:
    read = leaks.Known.read(collected.confidential(QUARTER))
    assert read is not None
    return read


def stored_day(params: Params) -> Path:
    """The sessions of the first day that the confidential zone has."""
    return min((params.confidential(QUARTER) / "days" / "sessions").iterdir())


@pytest.fixture(scope="module")
def visitor(collected: Params) -> int:
    return pl.read_parquet(stored_day(collected))["visitor"][0]


def kinds(folder: Path, **rules) -> set[str]:
    return {leak.kind for leak in leaks.check(folder, leaks.Rules(**rules)).leaks}


# ---- every kind of value in every kind of file ----------------------------------------------------------------------

VALUES = {
    "an IP address": CANARIES["ipv4"],
    "an IP address, v6": CANARIES["ipv6"],
    "an e-mail address": CANARIES["email"],
    "a URL with a query": CANARIES["url"],
    "a user agent": CANARIES["agent"],
    leaks.ACCOUNT: CANARIES["account"],
    leaks.AGENT: "curl/8.99.1",
    leaks.QUERY: TOKEN,
    leaks.VISITOR: "",
}


def html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def page(body: str) -> bytes:
    return f"<!DOCTYPE html><html><head><title>t</title></head><body>{body}</body></html>".encode()


def svg(text: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg"><g aria-label="{html(text)}"><text>1</text></g></svg>'.encode()


def notebook(text: str, where: str) -> bytes:
    cell = nbformat.v4.new_code_cell("1 + 1")
    made = nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_markdown_cell("Prose")])
    if where == "source":
        cell.source = f"# {text}"
    elif where == "stream":
        cell.outputs = [nbformat.v4.new_output("stream", text=f"first\n{text}\nlast\n")]
    elif where == "traceback":
        cell.outputs = [nbformat.v4.new_output("error", ename="KeyError", evalue="x", traceback=["\x1b[31mE", text])]
    elif where == "metadata":
        made.metadata["note"] = {"deep": [1, {"er": text}]}
    elif where == "table":
        cell.outputs = [nbformat.v4.new_output("display_data", {"text/html": f"<table><td>{html(text)}</td></table>"})]
    elif where == "chart":
        cell.outputs = [nbformat.v4.new_output("display_data", {charts.MIME: {"data": {"values": [{"x": text}]}}})]
    elif where == "picture":
        picture = base64.b64encode(png(b"tEXt", b"note\0" + text.encode())).decode()
        cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": picture})]
    return nbformat.writes(made).encode()


def parquet(text: str, where: str) -> bytes:
    table = pa.table({"a": ["x", text if where == "value" else "y"]})
    if where == "nested":
        table = pa.table({"a": [[{"b": text}]]})
    if where == "metadata":
        table = table.replace_schema_metadata({"note": text})
    if where == "column":
        table = pa.table({text: [1]})
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def xlsx(text: str, where: str) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_urls": False}) as book:
        sheet, other = book.add_worksheet("Shown"), book.add_worksheet("Other")
        sheet.write_string("A1", "plain")
        if where == "cell":
            sheet.write_string("C7", text)
        elif where == "hidden sheet":
            other.hide()
            other.write_string("B2", text)
        elif where == "comment":
            sheet.write_comment("A1", text)
        elif where == "properties":
            book.set_properties({"author": text})
        elif where == "formula":
            sheet.write_formula("A2", f'=LEN("{text.replace(chr(34), "")}")', value="x")
    return out.getvalue()


def pdf(text: str, way: str) -> bytes:
    """One page with ``text`` drawn: as plain codes, or as glyphs that only the font's own map explains."""
    glyphs = {c: n for n, c in enumerate(sorted(set(text)), 3)}
    shown = b"(" + text.replace("(", r"\(").replace(")", r"\)").encode("cp1252") + b") Tj"
    font = b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding>>"
    pairs = "\n".join(f"<{n:04X}> <{ord(c):04X}>" for c, n in glyphs.items())
    cmap = (
        f"1 begincodespacerange <0000> <FFFF> endcodespacerange {len(glyphs)} beginbfchar\n{pairs}\nendbfchar".encode()
    )
    if way == "glyphs":
        half = len(text) // 2
        parts = ["".join(f"{glyphs[c]:04X}" for c in part) for part in (text[:half], text[half:])]
        shown = f"[<{parts[0]}> 12 <{parts[1]}>] TJ".encode()
        font = b"<</Type /Font /Subtype /Type0 /Encoding /Identity-H /ToUnicode 6 0 R>>"
    stream = zlib.compress(b"BT /F1 12 Tf 72 700 Td " + shown + b" ET")
    packed = zlib.compress(cmap)
    info = b"(x)" if way != "info" else b"<FEFF" + text.encode("utf-16-be").hex().encode() + b">"
    if way == "info":
        stream = zlib.compress(b"BT /F1 12 Tf (hello) Tj ET")
    objects = [
        b"<</Type /Catalog /Pages 2 0 R>>", b"<</Type /Pages /Kids [3 0 R] /Count 1>>",
        b"<</Type /Page /Parent 2 0 R /Resources <</Font <</F1 5 0 R>>>> /Contents 4 0 R>>",
        b"<</Length %d /Filter /FlateDecode>> stream\n%s\nendstream" % (len(stream), stream), font,
        b"<</Length %d /Filter /FlateDecode>> stream\n%s\nendstream" % (len(packed), packed),
        b"<</Title %s>>" % info,
    ]  # fmt: skip
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, one) for n, one in enumerate(objects, 1))
    return b"%PDF-1.7\n" + body + b"trailer <</Root 1 0 R /Info 7 0 R>>\n%%EOF"


def png(kind: bytes, data: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + chunk(kind, data) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    )


def packed(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return out.getvalue()


def wrapped(text: str) -> bytes:
    return base64.encodebytes(b"some words before it, so that it is wrapped over lines, and more: " + text.encode())


PLACES: dict[str, tuple[str, Callable[[str], bytes]]] = {
    "HTML text": ("a.html", lambda t: page(f"<p>so <b>bold</b> {html(t)}</p>")),
    "HTML text over tags": ("a.html", lambda t: page(f"<p>{html(t[:5])}<b>{html(t[5:8])}</b>{html(t[8:])}</p>")),
    "HTML attribute": ("a.html", lambda t: page(f'<img src="x.png" alt="{html(t)}">')),
    "HTML comment": ("a.html", lambda t: page(f"<!-- {t} -->")),
    "HTML style": ("a.html", lambda t: page(f"<style>/* {t} */</style>")),
    "HTML script": ("a.html", lambda t: page(f"<script>const a = {json.dumps(t)};</script>")),
    "HTML embedded JSON": (
        "a.html", lambda t: page(f'<script type="application/json">{reports._json([{"t": t}])}</script>')),
    "HTML data URI": (
        "a.html", lambda t: page(f'<img src="data:image/svg+xml;base64,{base64.b64encode(svg(t)).decode()}">')),
    "notebook source": ("a.ipynb", lambda t: notebook(t, "source")),
    "notebook stream": ("a.ipynb", lambda t: notebook(t, "stream")),
    "notebook traceback": ("a.ipynb", lambda t: notebook(t, "traceback")),
    "notebook metadata": ("a.ipynb", lambda t: notebook(t, "metadata")),
    "notebook table": ("a.ipynb", lambda t: notebook(t, "table")),
    "notebook chart": ("a.ipynb", lambda t: notebook(t, "chart")),
    "notebook picture": ("a.ipynb", lambda t: notebook(t, "picture")),
    "JSON": ("manifest.json", lambda t: json.dumps({"a": [0, t]}).encode()),
    "JSON key": ("manifest.json", lambda t: json.dumps({"a": {t: 1}}).encode()),
    "JSON key that stands twice": ("a.json", lambda t: f'{{"a": {json.dumps(t)}, "a": 1}}'.encode()),
    "JSON lines": ("a.jsonl", lambda t: b'{"a": 1}\n' + json.dumps({"a": t}).encode()),
    "JSON in JSON": ("a.json", lambda t: json.dumps({"a": json.dumps({"some key": t})}).encode()),
    "CSV": ("a.csv", lambda t: pl.DataFrame({"a": ["x", t]}).write_csv().encode()),
    "CSV name of a column": ("a.csv", lambda t: pl.DataFrame({t: ["x"]}).write_csv().encode()),
    "CSV with ragged rows": ("a.csv", lambda t: f'a,b\n1\n1,2,"{t}",4\n'.encode()),
    "Parquet": ("a.parquet", lambda t: parquet(t, "value")),
    "Parquet, nested": ("a.parquet", lambda t: parquet(t, "nested")),
    "Parquet metadata": ("a.parquet", lambda t: parquet(t, "metadata")),
    "Parquet name of a column": ("a.parquet", lambda t: parquet(t, "column")),
    "XLSX": ("a.xlsx", lambda t: xlsx(t, "cell")),
    "XLSX hidden sheet": ("a.xlsx", lambda t: xlsx(t, "hidden sheet")),
    "XLSX comment": ("a.xlsx", lambda t: xlsx(t, "comment")),
    "XLSX properties": ("a.xlsx", lambda t: xlsx(t, "properties")),
    "XLSX formula": ("a.xlsx", lambda t: xlsx(t, "formula")),
    "PDF": ("a.pdf", lambda t: pdf(t, "plain")),
    "PDF glyphs": ("a.pdf", lambda t: pdf(t, "glyphs")),
    "PDF information": ("a.pdf", lambda t: pdf(t, "info")),
    "SVG": ("a.svg", svg),
    "PNG text": ("a.png", lambda t: png(b"tEXt", b"note\0" + t.encode())),
    "PNG packed text": ("a.png", lambda t: png(b"zTXt", b"note\0\0" + zlib.compress(t.encode()))),
    "PNG international text": ("a.png", lambda t: png(b"iTXt", b"note\0\1\0en\0\0" + zlib.compress(t.encode()))),
    "PNG, after the picture": ("a.png", lambda t: png(b"tEXt", b"note\0x") + t.encode()),
    "text": ("a.txt", lambda t: f"one\ntwo {t}, three".encode()),
    "text, UTF-16": ("a.txt", lambda t: f"one\ntwo {t}, three".encode("utf-16")),
    "text, UTF-16 without its mark": ("a.txt", lambda t: f"one\ntwo {t}, three".encode("utf-16-le")),
    "text, base64": ("a.txt", lambda t: b"x: " + base64.b64encode(f"was {t} here".encode())),
    "text, base64 in lines": ("a.txt", wrapped),
    "text, quoted-printable": ("a.txt", lambda t: quopri.encodestring((f"{'x' * 30} {t}").encode(), quotetabs=True)),
    "text, percent-encoded": ("a.txt", lambda t: urllib.parse.quote(f"a {t}").encode()),
    "text, HTML entities": ("a.txt", lambda t: "".join(f"&#{ord(c)};" for c in t).encode()),
    "text, JSON escapes": ("a.txt", lambda t: "".join(f"\\u{ord(c):04x}" for c in t).encode()),
    "text, wide letters": ("a.txt", lambda t: "".join(chr(ord(c) + (c > " ") * 0xFEE0) for c in t).encode()),
    "gzip": ("a.txt.gz", lambda t: gzip.compress(t.encode()) + gzip.compress(b"\nanother")),
    "gzip, second member": ("a.csv.gz", lambda t: gzip.compress(b"a\n") + gzip.compress(f'"{t}"\n'.encode())),
    "bzip2": ("a.bz2", lambda t: bz2.compress(t.encode())),
    "xz": ("a.xz", lambda t: lzma.compress(t.encode())),
    "zstd": ("a.zst", lambda t: pa.compress(t.encode(), "zstd", asbytes=True)),
    "zip": ("a.zip", lambda t: packed("b.txt", t.encode())),
    "zip in zip": ("a.zip", lambda t: packed("b.zip", packed("c.json", json.dumps([t]).encode()))),
    "no known kind, text": ("a.xyz", lambda t: f"x {t}".encode()),
    "no known kind, bytes": ("a.bin", lambda t: bytes(range(256)) + t.encode() + bytes(range(256))),
    "no known kind, UTF-16 bytes": ("a.bin", lambda t: bytes(range(256)) * 9 + t.encode("utf-16-le") + b"\xff\xff"),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_every_kind_of_value_is_found_in(place: str, known: leaks.Known, visitor: int, tmp_path: Path) -> None:
    name, write = PLACES[place]
    for number, (kind, value) in enumerate(VALUES.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        value = value or str(visitor)
        (folder / name).write_bytes(write(value))
        done = leaks.check(folder, leaks.Rules(known=[known]))
        assert kind.removesuffix(", v6") in {leak.kind for leak in done.leaks}, kind
        assert {leak.file for leak in done.leaks} == {name}
        said = repr(done.leaks)
        assert value not in said
        assert all(leak.place for leak in done.leaks)
        with pytest.raises(leaks.LeakError) as error:
            done.require()
        assert value not in str(error.value)


@pytest.mark.parametrize("place", PLACES)
def test_what_holds_nothing_has_no_finding_in(place: str, known: leaks.Known, tmp_path: Path) -> None:
    name, write = PLACES[place]
    (tmp_path / name).write_bytes(write("On Chrome 128.0.0.1 at 12:34:56 (10.1145/3292500.3330701)"))
    found = leaks.check(tmp_path, leaks.Rules(known=[known])).leaks
    assert [leak for leak in found if not place.startswith("no known kind")] == []
    if "bytes" in place:
        assert {leak.kind for leak in found} == {"a kind of file that is not known"}


def test_a_name_of_a_file_is_looked_at_and_not_quoted(known: leaks.Known, tmp_path: Path) -> None:
    for kind, value in (("an IP address", CANARIES["ipv4"]), (leaks.ACCOUNT, CANARIES["account"])):
        folder = tmp_path / kind
        (folder / value).mkdir(parents=True)
        (folder / value / "a.csv").write_text("a,b\n1,2\n")
        found = leaks.check(folder, leaks.Rules(known=[known])).leaks
        assert ("file 1", kind) in {(leak.file, leak.kind) for leak in found}
        assert value not in repr(found)


def test_a_finding_says_where(known: leaks.Known, tmp_path: Path) -> None:
    value = CANARIES["email"]
    for name, content in {
        "a.csv": f"name,b\nx,1\n{value},2\n".encode(),
        "b.xlsx": xlsx(value, "cell"),
        "c.json": json.dumps({"a": [1, {"b/c": value}]}).encode(),
        "d.txt": f"one\ntwo\n{value}".encode(),
        "e.parquet": parquet(value, "value"),
        "f.html": page(f'\n\n<p title="{value}">x</p>'),
    }.items():
        (tmp_path / name).write_bytes(content)
    places = {
        leak.file: leak.place for leak in leaks.check(tmp_path, leaks.Rules()).leaks if "shared" not in leak.place
    }
    assert places == {
        "a.csv": "column name, row 3", "b.xlsx": "Shown!C7", "c.json": "/a/1/b~1c", "d.txt": "line 3",
        "e.parquet": places["e.parquet"], "f.html": "attribute title, line 3",
    }  # fmt: skip
    assert "column" in places["e.parquet"]


# ---- writings -------------------------------------------------------------------------------------------------------

AROUND = st.sampled_from(["{}", "at {}.", "({})", "x={}&y", '"{}"', "{}:8080", "http://{}/", "<{}>", "ip_{}_", "{},"])


@settings(max_examples=150, deadline=None)
@given(st.ip_addresses(v=4), AROUND, st.sampled_from(["{}.{}.{}.{}", "{:03}.{:03}.{:03}.{:03}", "{}[.]{}[.]{}[.]{}"]))
def test_an_ipv4_address_is_found_in_any_writing(address, around: str, form: str) -> None:
    if str(address) not in leaks._NOBODY:
        assert list(leaks._addresses(around.format(form.format(*address.packed))))
        assert list(leaks._addresses("0x{:x}.0x{:x}.0x{:x}.0x{:x}".format(*address.packed)))
        assert list(leaks._addresses(f"::ffff:{address}"))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**125 - 1), st.integers(0, 128), st.sampled_from(["{}", "[{}]:443", "({})", '"{}"', "{}%eth0"]))
def test_an_ipv6_address_is_found_in_any_writing(tail: int, zeros: int, around: str) -> None:
    address = ipaddress.IPv6Address((1 << 125 | tail) >> zeros << zeros | 1 << 125)
    for written in (str(address), address.exploded, str(address).upper()):
        assert list(leaks._addresses(around.format(written)))


OTHER_WRITINGS = {
    "240.77.0.0/16": "an IP address", "240.77.x.x": "an IP address", "240.77.13.*": "an IP address",
    "240.77.13.0": "an IP address", "3fff:ca7::/32": "an IP address", "fe80::1%eth0": "an IP address",
    "37.13.77.240.in-addr.arpa": "an IP address", "::ffff:f04d:0d25": "an IP address",
    "0360.0115.015.045": "an IP address", "240-77-13-37.dsl.example.net": "an IP address",
    "ip240_77_13_37.dsl.example.net": "an IP address", "3fff-ca7--1.ipv6-literal.net": "an IP address",
    "canary.person(at)mail.example": "an e-mail address", "canary.person [at] mail [dot] example": "an e-mail address",
    "canary.person at mail dot example": "an e-mail address", "canary.person\u200b@mail.example": "an e-mail address",
    "mailto:canary.person%2540mail.example": "an e-mail address", "\u00e4iti@posti.example": "an e-mail address",
    "/reset?token=abc": "a URL with a query", "https://canary:secret@www.nordlake.example/": "a URL with a query",
    "NetSurf/3.11 (Haiku)": "a user agent", "Lynx/2.9.2 libwww-FM/2.14": "a user agent",
    "12345678901234567890": "a number as long as a visitor key",
    "there were 3 people": leaks.FEW, "People: 9": leaks.FEW, "1 visitor": leaks.FEW,
}  # fmt: skip


@pytest.mark.parametrize("text", OTHER_WRITINGS)
def test_other_writings_are_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text, "utf-8")
    assert OTHER_WRITINGS[text] in kinds(tmp_path)


HARMLESS = """Chrome/128.0.0.1 and Chrome 140.0.0.0, version 1.2.3.4
12:34:56 and 2026-09-01T12:34:56+03:00 and 10:00:00:00
https://vega.github.io/schema/vega-lite/v6.json and 10.1145/3292500.3330701
x[::2] and li::after { } and std::dead::beef and a::b
Reg. 1182/71 Art. 3(4), GDPR Art. 12(3), 15–22, polars 2.1.0, privacy-metrics==0.1.0
a-1-2-3-4.tar and 12-30-300-999.a.example and 2026-09-01-12.log.gz and 1-2-3-4-5.a.example
127.0.0.1 and ::1 and localhost:8888 and 0.0.0.0
@media (min-width: 3px) and vega-lite@6.4.1 and hosted at example.com
0.12345678901234567 and 1.2.3.4.5 and sha256-kQ1dkvvh1nC4yHJ8m1Vd1TQ6i3ZxXk4u0mS6E0v2d3w=
cells of at least 10 people, 10 visitors, 0 people; 12 of 1,203 people
How many? (see below), https://www.example.org/?""".splitlines()


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_person_is_not_found(text: str, known: leaks.Known, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text, "utf-8")
    assert kinds(tmp_path, known=[known]) == set()


# ---- known values ---------------------------------------------------------------------------------------------------

V4, V6 = ipaddress.ip_address(CANARIES["ipv4"]), ipaddress.ip_address(CANARIES["ipv6"])
KNOWN = {
    f"{int(V4)}": leaks.AS_NUMBER, f"{int(V4):,}": leaks.AS_NUMBER, f"0x{int(V4):x}": leaks.ADDRESS,
    "240-77-13-37.dsl.example": leaks.ADDRESS, "host_240_77_13_37": leaks.ADDRESS, f"{int(V6)}": leaks.ADDRESS,
    V6.exploded.replace(":", ""): leaks.ADDRESS, "Chrome/240.77.13.37": leaks.ADDRESS,
    "user_nl-CANARY7": leaks.ACCOUNT, "NL-canary7.": leaks.ACCOUNT, "/home/nl-CANARY7/x": leaks.ACCOUNT,
    "nl-CANARY7@host": leaks.ACCOUNT, "id:nl-CANARY7;": leaks.ACCOUNT, "gone-9": leaks.ACCOUNT,
    "bmwtQ0FOQVJZNw": leaks.ACCOUNT, "agent curl/8.99.1 was": leaks.AGENT, f"it was {TOKEN}": leaks.QUERY,
}  # fmt: skip


@pytest.mark.parametrize("text", KNOWN)
def test_a_known_value_is_found_where_no_pattern_tells_it(text: str, known: leaks.Known, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"x {text} y", "utf-8")
    assert KNOWN[text] in kinds(tmp_path, known=[known])
    assert KNOWN[text] not in kinds(tmp_path)


@pytest.mark.parametrize("around", [
    f"{'c7' * 25}e{{}}a9d1", "3b9c11aa-97e2-4c1d-a0f3-{}ab",
])  # fmt: skip
def test_the_digits_within_a_digest_are_no_number(around: str, known: leaks.Known, tmp_path: Path) -> None:
    text = around.format(int(V4))
    (tmp_path / "a.json").write_text(json.dumps({"sha256": text, "id": int(V4)}))
    places = {leak.place for leak in leaks.check(tmp_path, leaks.Rules(known=[known])).leaks}
    assert places == {"/id"}


def test_numbers_are_taken_for_addresses_when_so_many_would_not_fit_by_chance(tmp_path: Path) -> None:
    """Planted: among two million addresses, counts of which some fit a mark, and then a column of addresses."""
    key, rng = b"k" * 32, np.random.default_rng(7)
    addresses = rng.choice(2**32 - 2**24, 2_000, replace=False) + 2**24
    hashed = [mark(key, leaks.ADDRESS, int(a).to_bytes(4)) >> (64 - leaks.ADDRESS_BITS) for a in addresses]
    others = rng.integers(0, 2**leaks.ADDRESS_BITS, 2_000_000, np.uint64)
    many = {(leaks.ADDRESS, leaks.ADDRESS_BITS): np.unique(np.append(np.array(hashed, np.uint64), others))}
    known = leaks.Known(key, many, np.empty(0, np.uint64))
    counts = rng.integers(2**24, 2**32, 2_000)
    fit = known.holds(leaks.ADDRESS, [int(n).to_bytes(4) for n in counts])
    assert fit.sum() > 5  # each of them would have stopped a report that nothing is wrong with
    (tmp_path / "a.json").write_text(json.dumps({"counts": counts.tolist()}))
    assert kinds(tmp_path, known=[known]) == set()
    (tmp_path / "a.json").write_text(json.dumps({"counts": [*counts.tolist(), *addresses[:40].tolist()]}))
    assert kinds(tmp_path, known=[known]) == {leaks.AS_NUMBER}


@pytest.mark.parametrize("form", ["{}", "{:x}", "0x{:016X}", '{{"visitor": {}}}', "signed"])
def test_a_visitor_key_is_found_in_any_writing(form: str, known: leaks.Known, tmp_path: Path) -> None:
    for number, key in enumerate(known.visitors.tolist()[:20]):
        text = str(key - 2**64 if key >= 2**63 else key) if form == "signed" else form.format(key)
        if form == "{:x}" and len(text) < 16:
            continue  # a key that begins with a zero (one in 16)
        (tmp_path / f"{number}.json").write_text(f'["{text}"]' if form != '{{"visitor": {}}}' else text)
        assert leaks.VISITOR in kinds(tmp_path, known=[known])
        (tmp_path / f"{number}.json").unlink()


def test_a_parquet_column_of_visitor_keys_is_found(collected: Params, known: leaks.Known, tmp_path: Path) -> None:
    shutil.copy(stored_day(collected), tmp_path / "leaked.parquet")
    found = {leak.place: leak.kind for leak in leaks.check(tmp_path, leaks.Rules(known=[known])).leaks}
    assert found["column visitor, row 1"] == leaks.VISITOR


def test_a_word_of_the_product_is_no_account_and_a_name_with_digits_is(tmp_path: Path) -> None:
    params = company(tmp_path, [*people(40), line(user="release"), line(user="chart7")])
    workbook.collect(params, QUARTER)
    known = leaks.Known.read(params.confidential(QUARTER))
    assert known is not None
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("the release")
    assert kinds(tmp_path / "out", known=[known]) == {leaks.ACCOUNT}
    assert kinds(tmp_path / "out", known=[known], words=["A Release is a table"]) == set()
    (tmp_path / "out" / "a.txt").write_text("the chart7")
    assert kinds(tmp_path / "out", known=[known], words=["chart7 is a chart"]) == {leaks.ACCOUNT}


def test_what_stands_in_the_parameters_is_no_leak_unless_the_input_holds_it(known: leaks.Known, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("postgresql://10.1.2.3/db")
    assert kinds(tmp_path) == {"an IP address"}
    assert kinds(tmp_path, parameters='{"database": "postgresql://10.1.2.3/db"}') == set()
    (tmp_path / "a.txt").write_text(CANARIES["ipv4"])
    assert kinds(tmp_path, parameters=CANARIES["ipv4"], known=[known]) == {leaks.ADDRESS}


def test_the_marks_hold_no_value_fit_many_addresses_and_go_with_the_period(collected: Params, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(collected.root, root)
    params = Params.load(root / "params")
    zone = params.confidential(QUARTER)
    (path,) = (zone / "known").iterdir()
    content = path.read_bytes()
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    frame = pl.read_parquet(path)
    assert frame.columns == ["kind", "bits", "mark"]
    shown = content + frame.write_csv().encode()
    assert not any(value.encode() in shown for value in (*CANARIES.values(), FIREFOX, TOKEN, str(int(V4))))
    v4 = frame.filter(kind=leaks.ADDRESS, bits=leaks.ADDRESS_BITS)
    assert v4.height == 2
    # Whoever has the key and tries all addresses finds 16 for each mark, on average.
    assert v4["mark"].max() < 2**leaks.ADDRESS_BITS == 2**32 // 16
    known = leaks.Known.read(zone)
    assert known is not None
    other = leaks.Known(os.urandom(32), known.marks, known.visitors)
    account = CANARIES["account"].casefold().encode()
    assert known.holds(leaks.ACCOUNT, [account, b"somebody"]).tolist() == [True, False]
    assert other.holds(leaks.ACCOUNT, [account]).tolist() == [False]
    workbook.close(params, QUARTER)
    assert not zone.exists()
    assert leaks.Known.read(zone) is None


WRITTEN = st.ip_addresses().map(str) | st.ip_addresses(v=4).map(lambda a: f"::ffff:{a}") | st.just("a-host")


@given(st.lists(WRITTEN, min_size=1))
def test_the_marks_of_addresses_are_those_that_the_check_asks_for(addresses: list[str]) -> None:
    key, marks = b"k" * 32, Marks(b"k" * 32)
    marks.add(parse("".join(line(address=address) + "\n" for address in addresses).encode()))
    made = marks.of_file(0).partition_by("kind", "bits", as_dict=True)
    known = leaks.Known(key, {k: part["mark"].to_numpy() for k, part in made.items()}, np.empty(0, np.uint64))  # pyright: ignore[reportArgumentType]
    contents = [as_bytes(address) for address in addresses]
    assert known.holds(leaks.ADDRESS, contents).tolist() == [bool(content) for content in contents]


def test_marks_are_the_same_in_whatever_parts_the_lines_come() -> None:
    frame = pl.DataFrame(
        {
            "address": [f"240.1.{n}.7" for n in range(90)], "account": [f"a{n % 7:03}" for n in range(90)],
            "agent": [f"agent {n % 5}" for n in range(90)], "target": [f"/a?t=abcdef123{n}" for n in range(90)],
            "referrer": [None] * 90, "method": ["GET"] * 90, "language": [None] * 90, "time": range(90),
            "status": [200] * 90, "file": [n // 40 for n in range(90)],
        },
        schema_overrides={"referrer": pl.String, "language": pl.String},
    )  # fmt: skip
    whole, parts = Marks(b"k" * 32), Marks(b"k" * 32)
    whole.add(Lines.of(frame), np.array([5, 6, 7]))
    for start in range(0, 90, 13):
        parts.add(Lines.of(frame[start : start + 13]), np.array([5, 6, 7]))
    assert all(whole.of_file(file).equals(parts.of_file(file)) for file in (5, 6, 7))
    assert [whole.of_file(file).filter(kind=leaks.QUERY).height for file in (5, 6, 7, 8)] == [40, 40, 10, 0]


# ---- tables ---------------------------------------------------------------------------------------------------------


def made() -> Release:
    """A table of countries, of which the smallest are withheld."""
    counts = {"DE": 60, "FI": 90, "SE": 50, "AX": 3, "TV": 2, "Total": 205}
    frame = pl.DataFrame({"country": list(counts), "sessions": [2 * n for n in counts.values()]}).with_columns(
        pl.Series("people", list(counts.values())), largest=pl.lit(2), second=pl.lit(2)
    )
    table = Cells("countries", "Sessions by country", "2026Q3", ("country",), ("sessions", "people"), frame)
    return release([table], Policy(10, "internal"))["countries"]


def rules() -> leaks.Rules:
    return leaks.Rules(
        releases=[made()], category=charts.category, label=charts.label, period=lambda p: (p, charts.period_title(p))
    )


def vega(rows: list[dict], title: str) -> bytes:
    spec = {
        "title": {"text": "x", "subtitle": ["Sessions by country, July to September 2026"]}, "data": {"values": rows},
        "encoding": {"x": {"field": "value", "title": title}},
    }  # fmt: skip
    return page(f'<script type="application/json">{reports._json(spec)}</script>')


def sheet(head: list[str], *rows: list) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        one = book.add_worksheet("countries")
        one.write_string(0, 0, "Sessions by country")
        for number, row in enumerate([head, *rows], 3):
            one.write_row(number, 0, row)
    return out.getvalue()


def great_table(*rows: tuple[str, str, str]) -> bytes:
    body = "".join(f"<tr><td>{a}</td><td>{b}</td><td>{c}</td></tr>" for a, b, c in rows)
    head = "<tr><th>Country</th><th>Sessions</th><th>People</th></tr>"
    return page(f'<table><tr><td colspan="3">Sessions by country</td></tr>{head}{body}</table>')


FEW_PEOPLE = {
    "a.csv": b"country,people\nFI,90\nIS,7\n",
    "a.parquet": parquet("", "value"),
    "a.xlsx": sheet(["Country", "People"], ["Finland", 90], ["Iceland", 7]),
    "a.html": great_table(("Finland", "1,180", "90"), ("Iceland", "14", "7")),
    "b.html": vega([{"x": "Finland", "value": 90}, {"x": "Iceland", "value": 7}], "People"),
    "a.json": json.dumps([{"x": "FI", "people": 90}, {"x": "IS", "people": 7}]).encode(),
}


@pytest.mark.parametrize("name", FEW_PEOPLE)
def test_a_count_of_too_few_people_is_found_in_a_table(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FEW_PEOPLE[name])
    if name.endswith(".parquet"):
        pl.DataFrame({"country": ["FI", "IS"], "people": [90, 7]}).write_parquet(tmp_path / name)
    found = leaks.check(tmp_path).leaks
    assert {leak.kind for leak in found} == {leaks.FEW}
    assert "row 2" in found[0].place or "row 3" in found[0].place
    assert kinds(tmp_path, threshold=7) == set()


NOISY_PEOPLE = {
    "a.csv": "country,people,people_low,people_high\nFI,90,80,99\nIS,7,{low},{high}\n",
    "a.xlsx": ["Country", "People", "People low", "People high"],
    "a.html": ["Country", "People", "People low", "People high"],
}


@pytest.mark.parametrize("name", NOISY_PEOPLE)
def test_a_small_figure_with_noise_is_nobodys_count(name: str, tmp_path: Path) -> None:
    def write(low: int, high: int) -> None:
        head = NOISY_PEOPLE[name]
        if name == "a.csv":
            (tmp_path / name).write_text(head.format(low=low, high=high))
        elif name == "a.xlsx":
            (tmp_path / name).write_bytes(sheet(head, ["Finland", 90, 80, 99], ["Iceland", 7, low, high]))
        else:
            cells = [f"<td>{value}</td>" for value in ("Iceland", 7, low, high)]
            heads = "".join(f"<th>{h}</th>" for h in head)
            (tmp_path / name).write_bytes(page(f"<table><tr>{heads}</tr><tr>{''.join(cells)}</tr></table>"))

    write(0, 15)
    assert kinds(tmp_path) == set()
    write(7, 7)  # an interval without width hides nothing
    assert kinds(tmp_path) == {leaks.FEW}


HELD_VALUES = {
    "countries.csv": b"country,sessions,people,withheld\nFI,180,,false\nTV,4,,true\n",
    "countries.parquet": b"",
    "countries.xlsx": sheet(["Country", "Sessions"], ["Finland", 180], ["Tuvalu", 4]),
    "a.html": great_table(("Finland", "180", "90"), ("Tuvalu", "4", "withheld")),
    "b.html": vega([{"category": "Finland", "value": 180}, {"category": "Tuvalu", "value": 4}], "Sessions"),
}


@pytest.mark.parametrize("name", HELD_VALUES)
def test_the_value_of_a_withheld_cell_is_found_in_a_table(name: str, tmp_path: Path) -> None:
    assert made().value("sessions", country="TV") is None
    (tmp_path / name).write_bytes(HELD_VALUES[name].replace(b"withheld</td>", b"</td>"))
    if name.endswith(".parquet"):
        pl.DataFrame({"country": ["FI", "TV"], "sessions": [180, 4]}).write_parquet(tmp_path / name)
    found = leaks.check(tmp_path, rules()).leaks
    assert {leak.kind for leak in found} == {leaks.HELD}
    assert len(found) == 1


def test_a_release_passes_in_every_form_in_which_it_is_shown(tmp_path: Path) -> None:
    one = made()
    reports.export_releases([one], tmp_path / "data", "t")
    spec = charts.bars(one).to_dict()
    (tmp_path / "chart.html").write_bytes(page(f'<script type="application/json">{reports._json(spec)}</script>'))
    (tmp_path / "table.html").write_text(tables.table(one).as_raw_html(), "utf-8")
    (tmp_path / "repr.html").write_text(one._repr_html_(), "utf-8")
    done = leaks.check(tmp_path, rules())
    assert done.leaks == []
    assert done.files == {"CSV": 1, "HTML": 3, "JSON": 1, "Parquet": 1, "XLSX": 1}


# ---- what can't be read ---------------------------------------------------------------------------------------------

UNREADABLE = {
    "a.parquet": b"PAR1 and no more", "a.xlsx": b"PK\x03\x04 broken", "a.json": b'{"a": ',
    "a.gz": b"\x1f\x8b\x08 broken",
    "a.pdf": b"%PDF-1.7\n1 0 obj <</Length 9>> stream\nabc", "a.png": b"no picture", "a.zip": b"no archive",
    "encrypted.pdf": pdf("x", "plain") + b"trailer <</Encrypt 9 0 R>>",
    "coded.pdf": pdf("x", "plain").replace(b"/FlateDecode", b"/LZWDecode"),
    "damaged.pdf": pdf("x", "plain").replace(b"stream\nx", b"stream\nyy", 1),
    "unmapped.pdf": pdf("xyz", "glyphs").replace(b"/ToUnicode", b"/ToNothing"),
    "a.sqlite": b"SQLite format 3\0" + bytes(range(256)) * 4,
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_has_not_passed(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(UNREADABLE[name])
    found = leaks.check(tmp_path).leaks
    assert len(found) == 1
    assert "not readable" in found[0].kind or "not known" in found[0].kind


def test_files_within_files_end_and_are_told(tmp_path: Path) -> None:
    content = b"x"
    for _ in range(12):
        content = packed("a.zip", content)
    (tmp_path / "a.zip").write_bytes(content)
    assert kinds(tmp_path) == {"files within files, too deep"}


def test_a_pdf_that_a_browser_printed_is_read(browser, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    text = f"<p style='font-family: serif'>Mail {CANARIES['email']}</p><h1>From {CANARIES['ipv4']}</h1>"
    (tmp_path / "in" / "a.html").write_bytes(page(text + f"<b>{CANARIES['ipv6']}</b>"))
    opened = Opened(browser, tmp_path / "in" / "a.html")
    (tmp_path / "out" / "a.pdf").write_bytes(opened.page.pdf())
    assert kinds(tmp_path / "out") == {"an e-mail address", "an IP address"}
    assert b"HeadlessChrome" in (tmp_path / "out" / "a.pdf").read_bytes()
    opened.page.set_content("<h1>Nothing here</h1><p>Chrome 128.0.0.1, 12:34:56</p>")
    (tmp_path / "out" / "a.pdf").write_bytes(opened.page.pdf())
    assert kinds(tmp_path / "out") == set()
    opened.page.close()


# ---- the run and the command ----------------------------------------------------------------------------------------


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "privacy_metrics", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"})


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_run_that_leaks_is_not_published_and_what_was_there_stays(tmp_path: Path) -> None:
    odd = [line(user=CANARIES["account"], address=CANARIES["ipv4"])]
    company(tmp_path, [*people(40), *odd])
    done = run("report", "2026Q3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    published = tmp_path / "confidential" / "published"
    before, noted = files(tmp_path / "outputs" / "2026Q3"), files(published)
    (tmp_path / "notebooks").mkdir()
    source = nbformat.read(ROOT / "notebooks" / "usage_trends.ipynb", as_version=4)
    source.cells.append(nbformat.v4.new_code_cell(f"print('nl-' + 'CANARY7', {int(V4)} + 0)", id="leak"))
    nbformat.write(source, tmp_path / "notebooks" / "usage_trends.ipynb")
    done = run("report", "2026Q3", cwd=tmp_path)
    assert done.returncode == 1
    assert "the leak check found" in done.stderr
    assert "notebooks/usage_trends.ipynb: /cells/" in done.stderr
    assert "usage.html: line" in done.stderr
    assert leaks.ACCOUNT in done.stderr
    assert leaks.ADDRESS in done.stderr
    said = done.stderr + done.stdout
    assert not any(text in said for text in (CANARIES["account"], CANARIES["ipv4"], str(int(V4)), "Traceback"))
    assert files(tmp_path / "outputs" / "2026Q3") == before
    assert files(published) == noted
    shutil.rmtree(tmp_path / "notebooks")
    checked = run("check", "outputs/2026Q3", "--period", "2026Q3", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "Nothing was found in outputs/2026Q3" in checked.stdout
    assert "an account of the input (41)" in checked.stdout


def test_the_command_lists_what_it_found_and_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"name,people\n{CANARIES['email']},3\n")
    done = run("check", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert "column name, row 2" in done.stdout
    assert leaks.FEW in done.stdout
    assert "2 findings" in done.stdout
    assert CANARIES["email"] not in done.stdout
    (tmp_path / "a.csv").write_text("name,people\nx,30\n")
    (tmp_path / "b.png").write_bytes(png(b"tEXt", b"note\0x"))
    done = run("check", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0
    assert "Looked through 2 files (1 CSV, 1 PNG)" in done.stdout
    assert all(kind in done.stdout for kind in (*leaks.PATTERNS, leaks.FEW))
    assert "Not looked at: the pixels of a picture (1)" in done.stdout
    done = run("check", "nowhere", cwd=tmp_path)
    assert done.returncode == 1
    assert "no such folder" in done.stderr


def test_the_threshold_is_that_of_the_folders_manifest(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,people\nx,12\n")
    assert leaks.check(tmp_path).leaks == []
    (tmp_path / "manifest.json").write_text(json.dumps({"parameters": {"values": {"disclosure": {"threshold": 20}}}}))
    assert [leak.kind for leak in leaks.check(tmp_path).leaks] == [leaks.FEW]


def test_a_table_without_rows_is_read(tmp_path: Path) -> None:
    frame = pl.DataFrame(schema={"cell": pl.String, "low": pl.Int64, "withheld": pl.Boolean})
    frame.write_parquet(tmp_path / "empty.parquet")
    frame.write_csv(tmp_path / "empty.csv")
    assert not leaks.check(tmp_path).leaks


def test_the_products_own_script_is_known_by_its_bytes_and_a_changed_one_is_looked_through(tmp_path: Path) -> None:
    rules = leaks.Rules(scripts=reports.own_scripts())
    (tmp_path / "a.html").write_bytes(page(f"<script>{reports._bundle()}</script>"))
    found = leaks.check(tmp_path, rules)
    assert (found.leaks, sum(found.skipped.values())) == ([], 1)
    (tmp_path / "a.html").write_bytes(page(f"<script>{reports._bundle()}//{CANARIES['email']}</script>"))
    found = leaks.check(tmp_path, rules)
    assert found.leaks
    assert not found.skipped
