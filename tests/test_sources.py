"""Access logs: every line is parsed or counted as broken, whatever stands around it."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy_metrics import sources
from privacy_metrics.params import AccessLog
from privacy_metrics.sources import combined

GOOD = '240.1.2.3 - - [01/Jul/2026:09:12:44 +0300] "GET /a HTTP/1.1" 200 12 "https://x.example/" "Mozilla/5.0"'
TIME = 1782886364  # 2026-07-01T06:12:44Z


def parse(*lines: str, language: bool = False) -> list[dict]:
    return combined.parse("".join(line + "\n" for line in lines).encode(), language=language).frame().to_dicts()


def read(*paths: Path) -> tuple[pl.DataFrame, sources.Files]:
    files = sources.Files(list(paths))
    batches = [lines.frame() for lines in sources.read(AccessLog(path="x"), files)]
    return pl.concat(batches) if batches else pl.DataFrame(schema=combined.PARSED), files


def test_a_plain_line_gives_its_fields() -> None:
    assert parse(GOOD) == [
        {
            "address": "240.1.2.3", "account": None, "time": TIME, "method": "GET", "target": "/a", "status": 200,
            "referrer": "https://x.example/", "agent": "Mozilla/5.0", "language": None,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        (GOOD.replace("Mozilla/5.0", r"Mozilla \"quoted\" 5"), "agent", r"Mozilla \"quoted\" 5"),
        (GOOD.replace(" - - ", " - nl-7 "), "account", "nl-7"),
        (GOOD.replace(" - - ", " - two words "), "account", "two words"),
        (GOOD.replace("240.1.2.3", "3fff::1"), "address", "3fff::1"),
        (GOOD + "\r", "agent", "Mozilla/5.0"),
        (GOOD + ' "10.0.0.1"', "agent", "Mozilla/5.0"),
        (GOOD.replace("/a HTTP", "/a b c HTTP"), "target", "/a b c"),
        (GOOD.replace(" HTTP/1.1", ""), "target", "/a"),
        (GOOD.partition(' "https')[0], "agent", None),
        (GOOD.replace("+0300", "-0500"), "time", TIME + 8 * 3600),
    ],
)
def test_an_odd_line_keeps_its_meaning(line: str, field: str, value: object) -> None:
    assert parse(GOOD, line, GOOD)[1][field] == value


@pytest.mark.parametrize(
    "line",
    [
        "",
        "  ",
        "240.1.2.3 - - [01/Ju",
        GOOD.removesuffix('"'),
        GOOD.replace("01/Jul", "31/Feb"),
        GOOD.replace("09:12:44", "25:12:44"),
        GOOD.replace("09:12:44", "-9:12:44"),
        GOOD.replace("GET /a HTTP/1.1", r"\x16\x03\x01"),
        GOOD.replace("GET /a HTTP/1.1", "-"),
        GOOD.replace(" 200 ", " 2000 "),
        GOOD.replace(" 200 ", " "),
    ],
)
def test_a_broken_line_is_broken_alone(line: str) -> None:
    rows = parse(GOOD, line, GOOD)
    assert rows[1]["time"] is None
    assert rows[0] == rows[2] == parse(GOOD)[0]


def test_the_language_is_the_field_after_the_agent() -> None:
    with_language = GOOD + ' "fi-FI,fi;q=0.9"'
    assert parse(with_language, language=True)[0]["language"] == "fi-FI,fi;q=0.9"
    assert parse(with_language)[0]["language"] is None
    assert parse(GOOD, language=True)[0]["time"] == TIME


def test_bytes_that_are_no_utf8_do_not_stop_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"\n".join([GOOD.encode().replace(b"/a", b"/\xff\xfe"), GOOD.encode()]) + b"\n")
    frame, _ = read(path)
    assert frame["time"].to_list() == [TIME, TIME]


def test_a_half_written_last_line_does_not_run_into_the_next_file(tmp_path: Path) -> None:
    first, empty, second = tmp_path / "a.log", tmp_path / "b.log", tmp_path / "c.log"
    first.write_text(GOOD + "\n" + GOOD[:40])
    empty.write_bytes(b"")
    second.write_text(GOOD)
    frame, _ = read(first, empty, second)
    assert sorted(frame["time"].to_list(), key=str) == [TIME, TIME, None]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["", "x" * 3, "y" * 30, GOOD]), max_size=6), min_size=1, max_size=4),
    st.integers(1, 200),
    st.integers(1, 300),
    st.data(),
)
def test_every_line_is_read_once_whatever_the_size_of_chunks_and_blocks(
    tmp_path_factory: pytest.TempPathFactory, contents: list[list[str]], chunk: int, block: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    paths = []
    for number, lines in enumerate(contents):
        end = "\n" if lines and (lines[-1] == "" or data.draw(st.booleans())) else ""
        paths.append(folder / f"{number}.log")
        paths[-1].write_text("\n".join(lines) + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources.logs, "CHUNK", chunk)
        patch.setattr(sources.logs, "BLOCK", block)
        batches = list(sources.read(AccessLog(path="x"), sources.Files(paths)))
    found = [(int(file), int(time)) for batch in batches for file, time in zip(batch.file, batch.time, strict=True)]
    expected = [
        (number, TIME if line == GOOD else combined.BROKEN) for number, lines in enumerate(contents) for line in lines
    ]
    assert found == expected


def test_a_gzip_cut_in_the_middle_of_a_block_is_read_up_to_the_cut(tmp_path: Path) -> None:
    rng = random.Random(1)
    lines = [GOOD.replace("/a", f"/{rng.random()}") for _ in range(20_000)]
    content = gzip.compress("\n".join(lines).encode())
    path, whole = tmp_path / "a.log.gz", tmp_path / "b.log.gz"
    path.write_bytes(content[: len(content) // 2])
    whole.write_bytes(gzip.compress((GOOD + "\n").encode()) + gzip.compress((GOOD + "\n").encode()))
    frame, files = read(path, whole)
    assert files.cut_short == [path]
    assert 8_000 < frame.height < 12_000
    assert frame["time"].null_count() <= 1


def test_a_damaged_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.log.gz"
    path.write_bytes(b"no gzip at all")
    with pytest.raises(sources.SourceError, match=r"a\.log\.gz: not readable"):
        read(path)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_lines_are_split_at_newlines_and_nowhere_else(content: bytes) -> None:
    expected = content.decode("utf-8", "replace").split("\n")
    if expected[-1] == "":
        expected.pop()
    assert combined.split(content).to_list() == expected
    assert combined.parse(content).time.size == len(expected)


def test_every_line_of_a_real_log_is_read(real: Path) -> None:
    frame, _ = read(real / "access.log")
    assert frame.height == (real / "access.log").read_bytes().count(b"\n")
    assert frame["time"].null_count() == 0


def test_zstd_is_read_like_plain_text_several_frames_and_cut_ones_too(tmp_path: Path) -> None:
    text = "".join(f"line {n}\n" for n in range(200_000)).encode()
    frames = [pa.compress(text, "zstd", asbytes=True), pa.compress(b"last\n", "zstd", asbytes=True)]
    (tmp_path / "a.log").write_bytes(b"".join(frames))
    found, _ = read(tmp_path / "a.log")
    assert found.height == 200_001
    (tmp_path / "b.log").write_bytes(frames[0][: len(frames[0]) // 2])
    found, files = read(tmp_path / "b.log")
    assert 0 < found.height < 200_000
    assert files.cut_short == [tmp_path / "b.log"]
