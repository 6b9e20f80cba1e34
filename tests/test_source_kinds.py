"""Every kind of source gives back the requests that were written into it, and counts what it can't read."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s3
from company import company, people
from privacy_metrics import collection, sources, workbook
from privacy_metrics.params import SOURCES, AccessLog, LogFiles, Params, ParamsError, Period, Source
from privacy_metrics.sources import Files, SourceError, formats, json_lines, tabular

Q3 = Period.parse("2026Q3")
NASTY = [
    '"',
    "\\",
    '\\"',
    '""',
    "\t",
    "\r",
    "\x00",
    "'",
    ",",
    ";",
    " ",
    "[",
    "] ",
    "|",
    "%22",
    "+",
    "\x7f",
    "ä",
    "日本",
    "😀",
]
TEXT = st.lists(st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_categories=("Cs",)), max_size=4)))
PLAIN = TEXT.map("".join).map(lambda text: text.replace("\n", " "))
RECORDS = st.fixed_dictionaries(
    {
        "address": st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str),
        "account": st.one_of(st.none(), st.from_regex(r"[A-Za-z0-9@._]([A-Za-z0-9 @._]*[A-Za-z0-9])?", fullmatch=True)),
        "time": st.integers(1_500_000_000, 2_000_000_000),
        "method": st.sampled_from(["GET", "POST", "PURGE"]),
        "target": PLAIN.map(lambda text: "/" + text.strip()),
        "status": st.integers(100, 599),
        "referrer": st.one_of(st.none(), PLAIN),
        "agent": st.one_of(st.none(), PLAIN),
        "language": st.one_of(st.none(), st.just("fi-FI,fi;q=0.9"), PLAIN),
    }
)  # fmt: skip
LISTS = st.lists(RECORDS, min_size=1, max_size=8)
FIELDS = list(sources.PARSED)


def nginx(text: str) -> str:
    """What nginx writes for a value: bytes above 126, control characters, quotes and backslashes as \\xXX."""
    return "".join(
        chr(b) if 32 <= b <= 126 and b not in b'"\\' else f"\\x{b:02X}" for b in text.encode()
    )  # fmt: skip


def apache(text: str) -> str:
    """What Apache writes for a value: quotes and backslashes behind a backslash, other bytes as \\xhh."""
    plain = {'"': '\\"', "\\": "\\\\", "\t": "\\t", "\r": "\\r"}
    return "".join(
        plain.get(c) or (c if 32 <= ord(c) <= 126 else "".join(f"\\x{b:02x}" for b in c.encode())) for c in text
    )


def known(record: dict[str, Any], escape: Callable[[str], str] = str, *without: str) -> dict[str, Any]:
    """The record as its source must give it: no value for a dash or nothing, and text as the server escaped it."""
    texts = {k: escape(v) if isinstance(v, str) and k != "address" else v for k, v in record.items()}
    return {k: None if k in without or v in ("", "-") else v for k, v in texts.items()}


def stamp(time: int) -> str:
    return datetime.fromtimestamp(time, timezone(timedelta(hours=3))).strftime("%d/%b/%Y:%H:%M:%S %z")


def iso(time: int) -> str:
    return datetime.fromtimestamp(time, timezone(timedelta(hours=-5))).isoformat()


def read(source: Source, folder: Path, content: bytes, name: str = "a.log") -> list[dict[str, Any]]:
    (folder / name).write_bytes(content)
    files = Files([folder / name])
    frames = [lines.frame() for lines in sources.read(source, files)]
    assert all(frame.schema == sources.PARSED for frame in frames)
    assert files.done == len(content)
    return pl.concat(frames).to_dicts() if frames else []


def content(source: Source, files: Files) -> pl.DataFrame:
    return pl.concat(lines.frame() for lines in sources.read(source, files))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


# ---- access logs ----------------------------------------------------------------------------------------------------

NGINX_FORMATS = {
    "with a host and times": (
        '$host $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
        '"$http_user_agent" "$http_accept_language" rt=$request_time uct="$upstream_connect_time"'
    ),
    "parted by bars": "$time_iso8601|$remote_addr|$remote_user|$request_method|$status|${request_length}b|$request_uri",
    "parted by tabs": "$msec\t$remote_addr\t$request_method\t$uri$is_args$args\t$status\t$http_user_agent\t$host",
    "of quotes": '"$time_iso8601" "$remote_addr" "$remote_user" "$request" "$status" "$http_user_agent"',
}
APACHE_FORMATS = {
    "common": "common",
    "vhost_combined": "vhost_combined",
    "vhost_common": "vhost_common",
    "as in a configuration": r"%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\" %D",
    "method and path apart": '%a %u [%{%Y-%m-%dT%H:%M:%S%z}t] "%m" "%U%q" "%H" %s "%{User-Agent}i" %%',
    "in milliseconds": '%{msec}t %h "%r" %>s "%{Referer}i"',
}


def written(form: str, record: dict[str, Any], escape: Callable[[str], str]) -> str:
    """A line as the server writes it, variable by variable."""
    r = {k: "-" if v is None else escape(v) if isinstance(v, str) and k != "address" else v for k, v in record.items()}
    request = f"{r['method']} {r['target']} HTTP/2.0"
    time = record["time"]
    values = {
        "$remote_addr": r["address"], "$remote_user": r["account"], "$time_local": stamp(time),
        "$time_iso8601": iso(time), "$msec": f"{time}.123", "$request": request, "$request_method": r["method"],
        "$request_uri": r["target"], "$uri$is_args$args": r["target"], "$status": r["status"],
        "$http_referer": r["referrer"], "$http_user_agent": r["agent"], "$http_accept_language": r["language"],
        "$host": "www.example", "$body_bytes_sent": 512, "$request_time": "0.003", "${request_length}": 77,
        "$upstream_connect_time": "0.1, 0.2", "%U%q": r["target"], "%v": "www.example", "%p": 443, "%h": r["address"],
        "%a": r["address"], "%l": "-", "%u": r["account"], "%t": f"[{stamp(time)}]", "%r": request, "%>s": r["status"],
        "%s": r["status"], "%O": 99, "%b": "-", "%m": r["method"], "%H": "HTTP/1.1", "%D": 1234, "%%": "%",
        "%{Referer}i": r["referrer"], "%{User-Agent}i": r["agent"], "%{msec}t": time * 1000 + 7,
        "%{%Y-%m-%dT%H:%M:%S%z}t": iso(time).replace("-05:00", "-0500"),
    }  # fmt: skip
    names = "|".join(re.escape(name) for name in sorted(values, key=len, reverse=True))
    return re.sub(names, lambda match: str(values[match[0]]), form)


def lacks(form: str) -> list[str]:
    fields = {t.field for t in formats.compile_format(form) if not isinstance(t, str)}
    return [name for name in ("account", "referrer", "agent", "language") if name not in fields]


@pytest.mark.parametrize("form", NGINX_FORMATS)
@settings(max_examples=30, deadline=None)
@given(records=LISTS)
def test_what_nginx_wrote_comes_back(form: str, records: list[dict[str, Any]], folder: Path) -> None:
    form = NGINX_FORMATS[form]
    text = "\n".join(written(form, record, nginx) for record in records) + "\n"
    found = read(AccessLog(path="a.log", log_format=form), folder, text.encode())
    assert found == [known(record, nginx, *lacks(form)) for record in records]


@pytest.mark.parametrize("form", APACHE_FORMATS)
@settings(max_examples=30, deadline=None)
@given(records=LISTS)
def test_what_apache_wrote_comes_back(form: str, records: list[dict[str, Any]], folder: Path) -> None:
    given_form = APACHE_FORMATS[form]
    form = formats.NAMED.get(given_form, given_form).replace('\\"', '"')
    text = "\r\n".join(written(form, record, apache) for record in records) + "\r\n"
    found = read(AccessLog(path="a.log", log_format=given_form), folder, text.encode())
    assert found == [known(record, apache, *lacks(form)) for record in records]


VARIABLES = [formats.Variable(f"${name}", name) for name in ("address", "status", "agent", "account", "referrer")]
BETWEEN = st.sampled_from([" ", "\t", '"', ' "', '" ', '" "', " [", "] ", "|", "- ", "||", '"|"'])
SHORT = st.text(st.sampled_from('a12 "\\[]-|\t'), max_size=40)


@st.composite
def compiled(draw: st.DrawFn) -> list[formats.Token]:
    chosen = draw(st.permutations(VARIABLES))[: draw(st.integers(2, 5))]
    chosen = [v if draw(st.booleans()) else formats.Variable(v.name, None) for v in chosen[:-1]] + [chosen[-1]]
    tokens: list[formats.Token] = [draw(BETWEEN)] if draw(st.booleans()) else []
    for variable in chosen:
        tokens += [variable, draw(BETWEEN)]
    return tokens if draw(st.booleans()) else tokens[:-1]


@settings(max_examples=400, deadline=None)
@given(st.data(), compiled())
def test_a_cut_is_what_the_regular_expression_finds(data: st.DataObject, tokens: list[formats.Token]) -> None:
    cutter = formats.Cutter(tokens)
    value = st.one_of(SHORT, st.sampled_from(["200", "404", "a", "1.2.3.4", "a b", 'a\\"b', "-"]))
    filled = st.builds("".join, st.tuples(*(st.just(t) if isinstance(t, str) else value for t in tokens)))
    lines = pl.Series(data.draw(st.lists(st.one_of(filled, SHORT), min_size=1, max_size=12)))
    expected = lines.str.extract_groups(cutter.expression)
    assert cutter.cut(lines).rows() == expected.struct.unnest().rows()


def test_garbage_is_broken_line_by_line(folder: Path) -> None:
    form = NGINX_FORMATS["with a host and times"]
    record = {
        "address": "240.1.2.3", "account": None, "time": 1_782_886_364, "method": "GET", "target": "/a", "status": 200,
        "referrer": None, "agent": "Mozilla", "language": None,
    }  # fmt: skip
    good = written(form, record, nginx)
    bad = [
        "",
        "  ",
        good[:60],
        good.replace(" 200 ", " 2000 "),
        good.replace("240.1.2.3", "240.1. 2.3"),
        good + " more",
    ]
    bad += [good.replace("2026", "20x6"), good.replace("GET /a HTTP/2.0", r"\x16\x03"), "\u2028", '"' * 40]
    lines = [text for line in bad for text in (good, line)] + [good]
    found = read(AccessLog(path="a.log", log_format=form), folder, "\n".join(lines).encode())
    assert len(found) == len(lines)
    for line, row in zip(lines, found, strict=True):
        assert (row == record) == (line == good), line


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("$remote_addr", r"log_format: it lacks a time .*, and the method .*, and the target .*, and the status"),
        ("$remote_addr$remote_user [$time_local] $request $status", r"nothing stands between \$remote_addr and"),
        ("combine", r"'combine' is no format's name \(combined, common"),
        (
            "log_format main '$remote_addr [$time_local] \"$request\" $status';",
            r"a whole log_format directive; paste only",
        ),
        ('LogFormat "%h %l %u %t \\"%r\\" %>s %b" common', r"is a whole LogFormat directive; paste only what stands"),
        ('  CustomLog logs/access_log "%h %t \\"%r\\" %>s"', r"is a whole CustomLog directive; paste only what stands"),
        ("access_log /var/log/nginx/a.log main;", r"is a whole access_log directive; paste only what stands"),
        (
            "'$remote_addr [$time_local] \"$request\" $status'",
            r"has the quotes of a configuration file around it; paste only",
        ),
        (
            "$remote_addr [$time_local] '\n  '\"$request\" $status",
            r"paste only what stands between its quotes, parts of several lines joined",
        ),
        ("%h %t %r %>s %", r"a % in it begins no directive"),
        ("%h %{%H}t %r %>s", r"it lacks a time"),
    ],
)
def test_a_format_that_can_not_be_read_is_told_before_anything_is(tmp_path: Path, form: str, message: str) -> None:
    params = company(tmp_path, people(1))
    with pytest.raises(SourceError, match=message):
        sources.find(AccessLog(path="logs/none.log", log_format=form), params, Q3)


def test_the_combined_format_written_out_is_the_combined_format(folder: Path) -> None:
    line = '::1 - - [01/Jul/2026:09:12:44 +0300] "GET /a HTTP/1.1" 200 12 "-" "Mozilla" "fi"'
    written_out = (
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
        '"$http_user_agent" "$http_accept_language"'
    )
    assert read(AccessLog(path="a.log", log_format=written_out + "\n"), folder, line.encode()) == read(
        AccessLog(path="a.log", language=True), folder, line.encode()
    )


@pytest.mark.parametrize(
    ("header", "proxies", "address"),
    [
        ("9.9.9.9, 8.8.8.8", 0, "10.0.0.1"), ("9.9.9.9, 8.8.8.8", 1, "8.8.8.8"), ("9.9.9.9, 8.8.8.8", 2, "9.9.9.9"),
        ("9.9.9.9, 8.8.8.8", 3, "9.9.9.9"), ("-", 1, "10.0.0.1"), ("2001:db8::7", 1, "2001:db8::7"),
        ("9.9.9.9, [2001:db8::1]:443", 1, "2001:db8::1"), ("[2001:db8::1]", 1, "2001:db8::1"),
        ("203.0.113.9:5555", 1, "203.0.113.9"), ("9.9.9.9, unknown", 1, "10.0.0.1"), ("unknown:80", 1, "10.0.0.1"),
        ("_hidden", 1, "10.0.0.1"), (r"\x22203.0.113.9\x22", 1, "10.0.0.1"), ("www.example", 1, "10.0.0.1"),
    ],
)  # fmt: skip
def test_behind_proxies_the_address_is_what_the_outermost_of_them_saw(
    folder: Path, header: str, proxies: int, address: str
) -> None:
    form = '$remote_addr [$time_local] "$request" $status "$http_x_forwarded_for"'
    line = f'10.0.0.1 [01/Jul/2026:09:12:44 +0300] "GET / HTTP/1.1" 200 "{header}"'
    source = AccessLog(path="a.log", log_format=form, proxies=proxies)
    assert read(source, folder, line.encode())[0]["address"] == address


@pytest.mark.parametrize(
    ("written_address", "address"),
    [
        ("2001:db8::1:4711", "2001:db8::1"), ("::1:4711", "::1"), ("[2001:db8::1]:4711", "2001:db8::1"),
        ("203.0.113.9:4711", "203.0.113.9"), ("host.example:4711", "host.example"),
    ],
)  # fmt: skip
def test_a_port_after_an_address_is_no_part_of_it(folder: Path, written_address: str, address: str) -> None:
    line = f'{written_address} [01/Jul/2026:09:12:44 +0300] "GET / HTTP/1.1" 200'
    for form in ('$remote_addr:$remote_port [$time_local] "$request" $status', '%a:%{remote}p %t "%r" %>s'):
        assert read(AccessLog(path="a.log", log_format=form), folder, line.encode())[0]["address"] == address


@pytest.mark.parametrize("told", ["unknown", "_hidden", '""203.0.113.9""', "-"])
def test_what_stands_for_an_untold_address_is_none(folder: Path, told: str) -> None:
    rest = "1782886364,/,GET,200"
    text = f'address,account,time,target,method,status\n"{told}",nl-7,{rest}\n"{told}",,{rest}\n'
    first, second = read(csv_source(), folder, text.encode(), "a.csv")
    assert (first["address"], first["time"], second["time"]) == (None, 1_782_886_364, None)


def test_a_format_without_user_agents_says_what_that_means(tmp_path: Path) -> None:
    params = company(tmp_path, people(1))
    files = sources.find(AccessLog(path="logs/*.log", log_format="common"), params, Q3)
    assert "crawlers count as visitors" in files.notes[0]


# ---- JSON lines -----------------------------------------------------------------------------------------------------


def caddy(r: dict[str, Any]) -> dict[str, Any]:
    headers = {"Referer": r["referrer"], "User-Agent": r["agent"], "Accept-Language": r["language"]}
    return {
        "level": "info", "ts": r["time"] + 0.25, "user_id": r["account"] or "", "status": r["status"], "size": 1,
        "request": {
            "remote_ip": r["address"], "method": r["method"], "uri": r["target"],
            "headers": {name: [text] for name, text in headers.items() if text is not None},
        },
    }  # fmt: skip


def traefik(r: dict[str, Any]) -> dict[str, Any]:
    return {
        "ClientHost": r["address"], "ClientUsername": r["account"] or "-", "RequestMethod": r["method"],
        "RequestPath": r["target"], "DownstreamStatus": r["status"], "Duration": 8123,
        "StartUTC": datetime.fromtimestamp(r["time"], UTC).strftime("%Y-%m-%dT%H:%M:%S.123456789Z"),
        "request_Referer": r["referrer"] or "", "request_User-Agent": r["agent"] or "",
        "request_Accept-Language": r["language"] or "",
    }  # fmt: skip


def nginx_json(r: dict[str, Any]) -> dict[str, Any]:
    return {
        "time_iso8601": iso(r["time"]), "remote_addr": r["address"], "remote_user": r["account"] or "",
        "request": f"{r['method']} {r['target']} HTTP/1.1", "status": str(r["status"]),
        "http_referer": r["referrer"] or "", "http_user_agent": r["agent"] or "", "http_accept_language": r["language"],
    }  # fmt: skip


SERVERS = {"caddy": caddy, "traefik": traefik, "nginx": nginx_json}


@pytest.mark.parametrize("server", SERVERS)
@settings(max_examples=30, deadline=None)
@given(records=LISTS, ascii_only=st.booleans(), garbage=st.lists(st.one_of(SHORT, st.integers(1, 60)), max_size=3))
def test_what_a_server_wrote_as_json_comes_back_and_a_broken_line_is_broken_alone(
    server: str, records: list[dict[str, Any]], ascii_only: bool, garbage: list[str | int], folder: Path
) -> None:
    lines = [json.dumps(SERVERS[server](r), ensure_ascii=ascii_only) for r in records]
    expected: list[dict[str, Any] | None] = [known(record) for record in records]
    for n, bad in enumerate(garbage):
        at = n % len(lines)
        # Either some text, or a line that was cut while it was written.
        lines.insert(at, bad if isinstance(bad, str) else lines[at][:bad] if expected[at] else "{")
        expected.insert(at, None)
    source = json_lines.JsonLines(kind="json_lines", path="a.log", preset=server)  # type: ignore[arg-type]
    found = read(source, folder, "".join(line + "\n" for line in lines).encode())
    assert [row if row["time"] is not None else None for row in found] == expected


def test_what_is_json_and_no_request_is_broken_and_takes_nothing_with_it(folder: Path) -> None:
    record = {
        "address": "240.1.2.3", "account": "n", "time": 1_782_886_364, "method": "GET", "target": "/a", "status": 200,
        "referrer": None, "agent": "M", "language": None,
    }  # fmt: skip
    good = caddy(record)
    bad = [
        {}, [], 5, None, {**good, "request": "text"}, {**good, "ts": "yesterday"}, {**good, "status": 99},
        {**good, "request": {**good["request"], "headers": {"User-Agent": "not in a list"}}},
        {**good, "request": {**good["request"], "uri": "no path"}}, {**good, "ts": None},
    ]  # fmt: skip
    lines = [json.dumps(x) for one in bad for x in (good, one)]
    lines += [json.dumps(good) + json.dumps(good), json.dumps(good) + "x", "", '{"a":', "[" * 3000, json.dumps(good)]
    source = json_lines.JsonLines(kind="json_lines", path="a.log", preset="caddy")
    found = read(source, folder, "\n".join(lines).encode() + b"\n\xff\xfe\n")
    assert len(found) == len(lines) + 1
    for line, row in zip(lines, found, strict=False):
        assert (row == record) == (line == json.dumps(good)), line
        assert (row["time"] is not None) == (line == json.dumps(good)), line
    assert found[-1]["time"] is None


def test_fields_of_json_are_named_by_their_paths(folder: Path) -> None:
    source = json_lines.JsonLines.model_validate(
        {
            "kind": "json_lines", "path": "a.log", "fill": {"method": "GET", "status": "200"},
            "columns": {"address": "http.client.0.ip", "time": "@timestamp", "target": "http.url"},
        }
    )  # fmt: skip
    line = {"http": {"client": [{"ip": "::1"}], "url": "/x"}, "@timestamp": 1_782_886_364_123}
    row = read(source, folder, json.dumps(line).encode())[0]
    assert (row["address"], row["target"], row["time"]) == ("::1", "/x", 1_782_886_364)


# ---- W3C and CloudFront ---------------------------------------------------------------------------------------------

CLOUDFRONT = (
    "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) "
    "cs-uri-query x-forwarded-for"
)
IIS = "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status"


def cloudfront(r: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(r["time"], UTC)
    stem, mark, query = quote(r["target"], safe="/?=&").partition("?")
    return "\t".join(
        [
            f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}", "HEL50-C1", "120", r["address"], r["method"], "x.example", stem,
            str(r["status"]), quote(r["referrer"] or "-", safe="/:"), quote(r["agent"] or "-", safe=""),
            query if mark and query else "-", "-",
        ]
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(records=LISTS)
def test_what_cloudfront_wrote_comes_back(records: list[dict[str, Any]], folder: Path) -> None:
    text = "#Version: 1.0\n#Fields: " + CLOUDFRONT + "\n" + "".join(cloudfront(r) + "\n" for r in records)
    found = read(sources.w3c.W3C(kind="w3c", path="a.log"), folder, text.encode())
    expected = []
    for record in records:
        target = quote(record["target"], safe="/?=&")
        target = target.removesuffix("?") if target.endswith("?") and target.count("?") == 1 else target
        referrer = None if record["referrer"] is None else quote(record["referrer"], safe="/:")
        expected.append(known({**record, "target": target, "referrer": referrer}, str, "account", "language"))
    assert found == expected


def test_iis_writes_spaces_as_plus_and_may_change_its_fields_in_mid_file(folder: Path) -> None:
    text = (
        f"#Software: IIS\r\n#Fields: {IIS}\r\n"
        "2026-07-01 06:12:44 10.0.0.1 GET /a q=1 443 anna 240.1.2.3 Mozilla/5.0+(X11) - 200\r\n"
        "2026-07-01 06:12:44 10.0.0.1 GET /a - 443 - 240.1.2.3 Mozilla/5.0+(X11) -\r\n"
        "#Fields: date time c-ip cs-method cs-uri-stem sc-status\r\n"
        "2026-07-01 06:12:45 240.1.2.4 POST /b 404\r\n"
    )
    found = read(sources.w3c.W3C(kind="w3c", path="a.log"), folder, text.encode())
    assert [(r["address"], r["target"], r["account"], r["agent"], r["time"]) for r in found] == [
        ("240.1.2.3", "/a?q=1", "anna", "Mozilla/5.0 (X11)", 1_782_886_364),
        (None, None, None, None, None),
        ("240.1.2.4", "/b", None, None, 1_782_886_365),
    ]


def test_a_line_of_junk_breaks_no_other_of_its_block(folder: Path) -> None:
    names = "date time c-ip cs-method cs-uri-stem sc-status cs(User-Agent)"
    source = sources.w3c.W3C(kind="w3c", path="a.log")
    for separator, space in ((" ", "+"), ("\t", "%20")):
        good = separator.join(["2026-07-01", "06:12:44", "::1", "GET", "/a", "200", f"Mozilla{space}5"])
        tabs, spaces = "\t".join("junk"), "some words"
        for junk in (tabs, spaces, "\t", " ", "\t" * 6, "\t".join("1234567"), "\0"):
            lines = [junk, good, good, junk, good]
            found = read(source, folder, f"#Fields: {names}\n{chr(10).join(lines)}\n".encode())
            told = [(row["time"], row["agent"]) for row in found if row["time"] is not None]
            assert (len(found), told) == (5, [(1_782_886_364, "Mozilla 5")] * 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-07-01 06:12:44 x\n", r"a\.log: has lines before a #Fields: line"),
        ("#Fields: date time cs-method sc-status\n2026-07-01 06:12:44 GET 200\n", "lacks c-ip, cs-uri-stem"),
    ],
)
def test_a_w3c_log_that_does_not_say_enough_is_an_error(folder: Path, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(sources.w3c.W3C(kind="w3c", path="a.log"), folder, text.encode())


# ---- CSV and Parquet ------------------------------------------------------------------------------------------------


def csv_source(**more: Any) -> tabular.Csv:
    return tabular.Csv(kind="csv", path="a.csv", **more)


@settings(max_examples=60, deadline=None)
@given(
    records=LISTS,
    separator=st.sampled_from([",", ";", "\t"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_was_written_as_csv_comes_back(
    records: list[dict[str, Any]], separator: str, quoting: Literal[0, 1], folder: Path
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n", quoting=quoting)
    writer.writerow(["note", *FIELDS])
    for record in records:
        writer.writerow(["x", *({**record, "time": iso(record["time"])}[name] for name in FIELDS)])
    found = read(csv_source(separator=separator), folder, out.getvalue().encode(), "a.csv")
    assert found == [known(record) for record in records]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(SHORT.map(lambda t: t.replace("|", ",")), st.just("a,b,c")), max_size=8))
def test_a_line_of_csv_is_read_alone_whatever_quotes_stand_in_it(lines: list[str]) -> None:
    found = tabular.rows(pl.Series(lines, dtype=pl.String), ["x", "y", "z"], ",")
    assert found.height == len(lines)
    for line, row in zip(lines, found.rows(), strict=True):
        # Python's reader is the judge where the quotes are those that a writer of CSV makes.
        fields = next(csv.reader([line]), [])
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(fields)
        if out.getvalue() == line and len(fields) == 3:
            assert [value or "" for value in row] == fields
        elif line.count(",") < 2 or line.count('"') % 2:
            assert row == (None, None, None)


@pytest.mark.parametrize("bad", ['a"x"\ry"b"', 'a"b"' + "x" * 200_000], ids=["a bare return", "a long field"])
def test_a_line_that_no_reader_of_csv_takes_is_broken_alone(folder: Path, bad: str) -> None:
    good = "::1,1782886364,/a,GET,200,x\n"
    text = "address,time,target,method,status,agent\n" + good + good.replace("x", bad) + good
    assert [row["time"] is None for row in read(csv_source(), folder, text.encode(), "a.csv")] == [False, True, False]


@pytest.mark.parametrize("text", ["address,time\rtarget\n", "\n::1\n", "a," + "x" * 200_000 + "\n"])
def test_a_header_that_can_not_be_read_is_told(folder: Path, text: str) -> None:
    with pytest.raises(SourceError, match=r"a\.csv: line 1 is no header that can be read; it must name the columns"):
        read(csv_source(), folder, text.encode(), "a.csv")


def test_a_header_that_lacks_a_column_says_which(folder: Path) -> None:
    with pytest.raises(SourceError) as raised:
        read(csv_source(columns={"agent": "browser"}), folder, b"ip,when,target\n", "a.csv")
    for words in (
        "browser (for agent) is not there",
        "neither address nor account",
        "time is missing",
        "fill: {method: GET}",
    ):
        assert words in str(raised.value)
    assert "a.csv" in str(raised.value)


@settings(max_examples=30, deadline=None)
@given(records=LISTS, unit=st.sampled_from(["ms", "us", "ns", "zone", "naive", "text", "epoch", "float"]))
def test_what_was_written_as_parquet_comes_back(records: list[dict[str, Any]], unit: Any, folder: Path) -> None:
    frame = pl.DataFrame(records, schema=sources.PARSED).with_columns(pl.col("agent").cast(pl.Categorical))
    moment = pl.from_epoch("time").dt.replace_time_zone("UTC")
    times = {
        "ms": moment.dt.cast_time_unit("ms"), "us": moment, "ns": pl.col("time") * 1_000_000_000,
        "zone": moment.dt.convert_time_zone("Europe/Helsinki"), "naive": pl.from_epoch("time"),
        "text": moment.dt.strftime("%Y-%m-%d %H:%M:%S+00"), "epoch": pl.col("time"), "float": pl.col("time") + 0.5,
    }  # fmt: skip
    frame.select("address", pl.exclude("address", "time"), ts=times[unit]).write_parquet(folder / "a.parquet")
    source = tabular.Parquet(kind="parquet", path="x", columns={"time": "ts"}, time_zone="UTC")
    files = Files([folder / "a.parquet"])
    assert content(source, files).to_dicts() == [known(record) for record in records]


def test_times_without_a_zone_are_asked_for(folder: Path) -> None:
    text = (
        b"address,time,target,method,status\n::1,2026-07-01 09:12:44,/a,GET,200\n::1,2026-03-29 03:30:00,/a,GET,200\n"
    )
    with pytest.raises(SourceError, match=r"a\.csv: its times carry no time zone; .*time_zone"):
        read(csv_source(), folder, text, "a.csv")
    found = read(csv_source(time_zone="Europe/Helsinki"), folder, text, "a.csv")
    assert [row["time"] for row in found] == [1_782_886_364, None]  # 03:30 was no time that night


@pytest.mark.parametrize("name", ["a.parquet", "b.parquet"])
def test_a_damaged_parquet_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"PAR1 nothing of the kind" if name == "a.parquet" else b"")
    with pytest.raises(SourceError, match=rf"{name}: not readable as Parquet"):
        list(sources.read(tabular.Parquet(kind="parquet", path="x"), Files([folder / name])))


def parquet(folder: Path, names: list[str] | None = None, **columns: pa.Array) -> list[dict[str, Any]]:
    """The rows of a Parquet file of two requests, with other columns in place of those that it would have."""
    two: dict[str, Any] = {
        "address": ["::1", "::2"], "account": ["a", "b"], "time": [1_782_886_364] * 2, "method": ["GET"] * 2,
        "target": ["/a", "/b"], "status": [200, 404], **columns,
    }  # fmt: skip
    pq.write_table(pa.table(list(two.values()), names or list(two)), folder / "types.parquet")
    source = tabular.Parquet(
        kind="parquet", path="x", time_zone="UTC", columns={"agent": "browser"} if "browser" in two else {}
    )
    return content(source, Files([folder / "types.parquet"])).to_dicts()


@pytest.mark.parametrize("name", ["address", "account", "time", "target", "status", "browser"])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"a": 1}, {"a": 2}]), pa.array([["/a"], ["/b"]], pa.list_(pa.field("element", pa.string()))),
        pa.array([1, 2], pa.duration("us")), pa.array([1, 2], pa.time64("us")), pa.array([True, False]),
        pa.array([b"ab", b"cd"], pa.binary(2)),
    ],
    ids=lambda column: str(column.type),
)  # fmt: skip
def test_a_column_of_a_type_that_a_field_is_not_read_from_is_named(folder: Path, name: str, column: pa.Array) -> None:
    field = "agent" if name == "browser" else name
    with pytest.raises(SourceError) as raised:
        parquet(folder, **{name: column})
    assert f"types.parquet: column {name} (for {field}) is {column.type}; it must be text" in str(raised.value)


def test_what_no_frame_holds_is_read_all_the_same(folder: Path) -> None:
    plain = parquet(folder)
    assert [row["time"] for row in plain] == [1_782_886_364] * 2
    nowhere = pa.array([1_782_886_364_000] * 2, pa.timestamp("ms", "Europe/Nowhere"))  # its values are of UTC
    assert parquet(folder, time=nowhere, status=pa.array(["200", "404"]).dictionary_encode()) == plain
    for zone in (None, "UTC"):
        never = pa.array([2**62, None], pa.timestamp("us", zone))
        assert [row["time"] for row in parquet(folder, time=never)] == [None, None]
    no_text = pa.array([b"/\xff", b"/b"])
    for column in (no_text, pa.Array.from_buffers(pa.string(), 2, no_text.buffers())):
        assert [row["target"] for row in parquet(folder, target=column)] == ["/\ufffd", "/b"]
        assert [row["time"] is None for row in parquet(folder, time=column, browser=column)] == [True, True]
    twice = ["address", "account", "time", "method", "target", "status", "status"]
    with pytest.raises(SourceError, match=r"types\.parquet: column status \(for status\) stands twice; keep one"):
        parquet(folder, twice, more=pa.array([1, 2]))
    assert len(parquet(folder, [*twice[:-1], "z", "z"], y=pa.array([1, 2]), z=pa.array([1, 2]))) == 2


# ---- what a file begins with ----------------------------------------------------------------------------------------

REQUEST = {
    "combined": (AccessLog(path="a.log"), '::1 - - [01/Jul/2026:09:12:44 +0300] "GET /a HTTP/1.1" 200 12\n'),
    "format": (
        AccessLog(path="a.log", log_format='$remote_addr [$time_local] "$request" $status'),
        '::1 [01/Jul/2026:09:12:44 +0300] "GET /a HTTP/1.1" 200\n',
    ),
    "json": (
        json_lines.JsonLines(kind="json_lines", path="a.log", preset="nginx"),
        '{"remote_addr": "::1", "time_iso8601": "2026-07-01T06:12:44Z", "request": "GET /a HTTP/1.1", "status": 200}\n',
    ),
    "csv": (csv_source(), "address,time,target,method,status\n::1,1782886364,/a,GET,200\n"),
    "w3c": (
        sources.w3c.W3C(kind="w3c", path="a.log"),
        "#Fields: date time c-ip cs-method cs-uri-stem sc-status\n2026-07-01 06:12:44 ::1 GET /a 200\n",
    ),
}


def zstd(text: bytes) -> bytes:
    return pa.compress(text, "zstd", asbytes=True)


SKIPPED = b"\x50\x2a\x4d\x18\x04\x00\x00\x00size"  # RFC 8878 §3.1.2
BEGINNINGS: dict[str, Callable[[bytes], bytes]] = {
    "a mark": lambda text: b"\xef\xbb\xbf" + text,
    "a mark in gzip": lambda text: gzip.compress(b"\xef\xbb\xbf" + text),
    "a mark in zstd": lambda text: zstd(b"\xef\xbb\xbf" + text),
    "frames as pzstd writes them": lambda text: SKIPPED + zstd(text[:30]) + SKIPPED + zstd(text[30:]),
}


@pytest.mark.parametrize("kind", REQUEST)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_what_a_program_begins_a_file_with_is_no_part_of_its_text(folder: Path, kind: str, beginning: str) -> None:
    source, text = REQUEST[kind]
    (row,) = read(source, folder, BEGINNINGS[beginning](text.encode()))
    assert (row["address"], row["time"], row["target"], row["status"]) == ("::1", 1_782_886_364, "/a", 200)
    assert read(source, folder, BEGINNINGS[beginning](b"")) == []
    assert not sources.logs.is_plain(folder / "a.log")  # so no engine reads it in parts


@pytest.mark.parametrize("kind", REQUEST)
def test_nuls_before_a_line_stay_in_no_address(folder: Path, kind: str) -> None:
    # What a log has that was truncated while its server went on writing where it was.
    source, text = REQUEST[kind]
    *header, line = text.splitlines()
    content = "\n".join([*header, line, "\0" * 5000 + line, line]) + "\n"
    found = [(row["address"], row["time"]) for row in read(source, folder, content.encode())]
    good = ("::1", 1_782_886_364)
    broken = {"json": (None, None), "w3c": ("::1", None)}
    assert found == [good, broken.get(kind, good), good]


def test_nuls_before_an_account_are_no_part_of_it(folder: Path) -> None:
    text = "account,time,target,method,status\n\0\0nl-7,1782886364,/,GET,200\n"
    assert read(csv_source(), folder, text.encode(), "a.csv")[0]["account"] == "nl-7"


OTHERS: dict[str, Callable[[bytes], bytes]] = {
    "compressed with bzip2": bz2.compress,
    "compressed with xz": lzma.compress,
    "compressed with zip": lambda text: b"PK\x03\x04\x14\0" + text,
    "compressed with lz4": lambda text: b"\x04\x22\x4d\x18" + text,
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "UTF-16 ": lambda text: text.decode().encode("utf-16-le"),
    "UTF-16  ": lambda text: text.decode().encode("utf-16-be"),
    "UTF-32": lambda text: text.decode().encode("utf-32"),
    "of UTF-16 or UTF-32": lambda text: gzip.compress(text.decode().encode("utf-16")),
}


@pytest.mark.parametrize("kind", REQUEST)
@pytest.mark.parametrize("other", OTHERS)
def test_what_is_not_read_is_told_by_name_with_what_to_do(folder: Path, kind: str, other: str) -> None:
    source, text = REQUEST[kind]
    with pytest.raises(SourceError, match=rf"a\.log: is .*{other.strip()}.*; (decompress it|convert it)"):
        read(source, folder, OTHERS[other](text.encode()))


# ---- moments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-07-01T06:12:44Z", 1_782_886_364), ("2026-07-01 09:12:44.999+03:00", 1_782_886_364),
        ("2026-07-01T09:12:44,5 +03", 1_782_886_364), ("01/Jul/2026:09:12:44 +0300", 1_782_886_364),
        ("1782886364", 1_782_886_364), ("1782886364.123", 1_782_886_364), ("1782886364123", 1_782_886_364),
        ("1782886364123456", 1_782_886_364), ("1782886364123456789", 1_782_886_364),
        ("2026-02-30T00:00:00Z", None), ("2026-07-01T24:00:00Z", None), ("2026-07-01T06:12:61Z", None),
        ("31/Feb/2026:09:12:44 +0300", None), ("01/Abc/2026:09:12:44 +0300", None), ("2026-07-01", None),
        ("-1782886364", None), ("yesterday", None), ("", None), ("2026-07-01T06:12:44+19:00", None),
    ],
)  # fmt: skip
def test_a_moment_is_read_or_is_none(folder: Path, text: str, seconds: int | None) -> None:
    content = f'address,time,target,method,status\n::1,2026-07-01T00:00:00Z,/,GET,200\n::1,"{text}",/,GET,200\n'
    assert read(csv_source(), folder, content.encode(), "a.csv")[1]["time"] == seconds


# ---- several sources, stores, and a kind of one's own ---------------------------------------------------------------


def test_no_file_is_counted_twice(tmp_path: Path) -> None:
    params = company(tmp_path, people(12))
    (tmp_path / "logs" / "current.log").symlink_to("a.log")
    assert workbook.collect(params, Q3)["account"]["read"] == 12
    before = (params.confidential(Q3) / "collect.json").read_bytes()
    file = tmp_path / "params" / "company.yaml"
    one = "{kind: access_log, path: logs/*.log}"
    for other in ("logs/cur*.log", "logs/a.log"):
        file.write_text(file.read_text().replace(f"[{one}]", f"[{one}, {{kind: access_log, path: {other}}}]"))
        with pytest.raises(SourceError, match=r"\.log stands in sources 0 and 1, and its lines would count twice"):
            workbook.collect(Params.load(tmp_path / "params"), Q3)
        file.write_text(file.read_text().replace(f", {{kind: access_log, path: {other}}}", ""))
    assert (params.confidential(Q3) / "collect.json").read_bytes() == before


def test_every_name_of_a_file_is_that_file(tmp_path: Path) -> None:
    params = company(tmp_path, people(12))
    logs = tmp_path / "logs"
    (logs / "b.log").hardlink_to(logs / "a.log")
    (logs / "c.log").symlink_to("a.log")
    assert [p.name for p in sources.find(AccessLog(path="logs/*.log"), params, Q3).paths] == ["a.log"]
    assert [p.name for p in sources.find(AccessLog(path=f"file://{logs}/*.log"), params, Q3).paths] == ["a.log"]
    (logs / "2026-07-01-2026-07-02.txt").write_text("\n")
    (logs / "2026-07-03.txt").hardlink_to(logs / "2026-07-01-2026-07-02.txt")
    daily = AccessLog(path="logs/*{date}*.txt", allow_missing_days=True)
    assert len(sources.find(daily, params, Q3).paths) == 1
    file = tmp_path / "params" / "company.yaml"
    plain = file.read_text()
    for other in ("logs/b.log", f"'file://{logs}/b.log'"):
        one = "{kind: access_log, path: logs/a.log}"
        two = f"[{one}, {{kind: access_log, path: {other}}}]"
        file.write_text(plain.replace("[{kind: access_log, path: logs/*.log}]", two))
        with pytest.raises(SourceError, match=r"b\.log stands in sources 0 and 1, and its lines would count twice"):
            sources.find_all(Params.load(tmp_path / "params"), Q3)


@pytest.mark.parametrize("paths", [["logs/a.log*"], ["logs/a.log", "logs/*.gz"], ["file://{root}/logs/*"]])
def test_a_log_beside_its_own_compressed_copy_is_an_error(tmp_path: Path, paths: list[str]) -> None:
    company(tmp_path, people(12))
    (tmp_path / "logs" / "a.log.gz").write_bytes(gzip.compress((tmp_path / "logs" / "a.log").read_bytes()))
    file = tmp_path / "params" / "company.yaml"
    given = ", ".join(f"{{kind: access_log, path: '{path.format(root=tmp_path)}'}}" for path in paths)
    file.write_text(file.read_text().replace("{kind: access_log, path: logs/*.log}", given))
    with pytest.raises(SourceError, match=r"a\.log stands beside a\.log\.gz, .* would count twice; take one"):
        workbook.collect(Params.load(tmp_path / "params"), Q3)


@pytest.mark.parametrize("when", ["found", "known"])
def test_a_log_that_goes_while_it_is_collected_is_told_with_what_to_do(
    tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = company(tmp_path, people(12))
    step = {"found": (sources, "find_all"), "known": (collection, "_inputs")}[when]
    before = getattr(*step)

    def found(*given: Any) -> Any:
        made = before(*given)
        (tmp_path / "logs" / "a.log").unlink()
        return made

    monkeypatch.setattr(*step, found)
    with pytest.raises(
        SourceError, match=r"a\.log: has gone since it was found; collect again where logs were rotated"
    ):
        workbook.collect(params, Q3)
    for read_again in (sources.fingerprint, sources.logs.is_plain, sources.logs.identity):
        with pytest.raises(SourceError, match=r"a\.log: has gone since it was found"):
            read_again(tmp_path / "logs" / "a.log")
    with pytest.raises(SourceError, match=r"a\.log: has gone since it was found"):
        content(tabular.Parquet(kind="parquet", path="x"), Files([tmp_path / "logs" / "a.log"]))


@pytest.mark.parametrize("path", ["logs/*.log", "logs/current.log", "logs/{date}.log"])
def test_a_link_to_a_log_that_is_not_there_is_an_error(tmp_path: Path, path: str) -> None:
    params = company(tmp_path, people(12))
    name = path.removeprefix("logs/").replace("{date}", "2026-07-05").replace("*", "current")
    (tmp_path / "logs" / name).symlink_to("gone.log")
    with pytest.raises(
        SourceError, match=rf"{re.escape(name)} is a link to a file that is not there; restore the file"
    ):
        sources.find(AccessLog(path=path, allow_missing_days=True), params, Q3)


@pytest.mark.parametrize(
    ("source", "text", "told"),
    [
        ("{kind: access_log, path: b.log}", '{"a": 1}\n\n', "line 1: nothing of a request stands where"),
        ("{kind: access_log, path: b.log}", people(1, "no-path")[0] + "\n", "line 1: its target is no path"),
        (
            "{kind: access_log, path: b.log, log_format: '$remote_addr|$time_local|$request|$status'}",
            people(1)[0] + "\n",
            "line 1: nothing of a request",
        ),
        ("{kind: json_lines, preset: nginx, path: b.log}", people(1)[0] + "\n", "line 1: nothing of a request stands"),
        ("{kind: csv, path: b.log}", "account,time,target,method,status\na,now,/,GET,200\n", "line 2: its time is no"),
        ("{kind: csv, path: b.log}", "account,time,target,method,status\na,5,/,GET,99\n", "line 2: its status is no"),
        ("{kind: csv, path: b.log}", "account,time,target,method,status\n,5,/,GET,200\n", "line 2: it has neither"),
        (
            "{kind: w3c, path: b.log}",
            "#Version: 1\n#Fields: date time c-ip cs-method cs-uri-stem sc-status\n2026-07-01 06:12:44 ::1 - /a 200\n",
            "line 3: it has no method",
        ),
        (
            "{kind: duckdb, fill: {method: GET, status: '200'}, query: "
            "\"SELECT '::1' AS address, 'now' AS time, '/' AS target\"}",
            "",
            "row 1: its time is no moment",
        ),
    ],
)
def test_a_source_of_which_every_line_is_broken_is_an_error(tmp_path: Path, source: str, text: str, told: str) -> None:
    params = company(tmp_path, people(12))
    workbook.collect(params, Q3)
    before = (params.confidential(Q3) / "collect.json").read_bytes()
    (tmp_path / "b.log").write_text(text)
    file = tmp_path / "params" / "company.yaml"
    one = "{kind: access_log, path: logs/*.log}"
    file.write_text(file.read_text().replace(one, f"{one}, {source}"))
    with pytest.raises(SourceError) as raised:
        workbook.collect(Params.load(tmp_path / "params"), Q3)
    assert "sources.technical.1: every line is broken (" in str(raised.value)
    assert f" the first at {told}" in str(raised.value)
    assert "say what format they have (kind, log_format, columns)" in str(raised.value)
    assert "::1" not in str(raised.value)
    assert (params.confidential(Q3) / "collect.json").read_bytes() == before


def test_a_file_of_broken_lines_among_good_ones_is_a_note(tmp_path: Path) -> None:
    params = company(tmp_path, people(12))
    (tmp_path / "logs" / "b.log").write_text("{}\n" * 3)
    (tmp_path / "logs" / "c.log").write_text("")
    note = "b.log: every line is broken, the first at line 1: nothing of a request stands where the source says"
    record = workbook.collect(params, Q3)
    assert (note in record["notes"], record["account"]["broken"]) == (True, 3)
    (tmp_path / "logs" / "d.log").write_text(people(1)[0] + "\n")
    assert note in workbook.collect(params, Q3)["notes"]  # also where the file is known


def test_several_sources_of_a_quarter_are_one_account(tmp_path: Path) -> None:
    lines = people(12)
    company(tmp_path, [*lines, "broken"])
    objects = [
        nginx_json({**dict.fromkeys(FIELDS), "address": "240.9.9.9", "account": f"j{n}", "time": 1_782_886_364 + n,
                    "method": "GET", "target": "/docs", "status": 200, "agent": "Mozilla"})
        for n in range(15)
    ]  # fmt: skip
    text = "".join(json.dumps(one) + "\n" for one in objects) + "{broken\n\n"
    (tmp_path / "b.json.zst").write_bytes(pa.compress(text.encode(), "zstd", asbytes=True))
    rows = "".join(f"c{n},2026-07-0{1 + n % 9}T10:00:00Z,/docs\n" for n in range(14)) + "c,never,/docs\n"
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(b"user,time,target\n" + rows.encode()))
    params = tmp_path / "params" / "company.yaml"
    more = (
        "[{kind: access_log, path: logs/*.log}, {kind: json_lines, preset: nginx, path: '*.json.zst'}, "
        "{kind: csv, path: c.csv.gz, columns: {account: user}, fill: {method: GET, status: 200}}]"
    )
    params.write_text(
        params.read_text().replace("[{kind: access_log, path: logs/*.log}]", more).replace("200}", "'200'}")
    )
    record = workbook.collect(Params.load(tmp_path / "params"), Q3)
    account = record["account"]
    assert (account["read"], account["used"], account["broken"]) == (13 + 17 + 15, 12 + 15 + 14, 1 + 2 + 1)
    assert account["read"] == sum(count for name, count in account.items() if name != "read")
    assert [one["file"] for one in record["inputs"]][:3] == ["logs/a.log", "b.json.zst", "c.csv.gz"]


def test_files_of_an_object_store_are_found_and_read_like_local_ones(tmp_path: Path) -> None:
    params = company(tmp_path, people(12))
    (tmp_path / "logs" / "deep").mkdir()
    (tmp_path / "logs" / "deep" / "c.log").write_text(people(1)[0] + "\n")
    (tmp_path / "logs" / "b.log").write_bytes(gzip.compress((people(1)[0] + "\n").encode()))
    local = sources.find(AccessLog(path="logs/*.log"), params, Q3)
    remote = sources.find(AccessLog(path=f"file://{tmp_path}/logs/*.log"), params, Q3)
    assert [p.name for p in remote.paths] == [p.name for p in local.paths] == ["a.log", "b.log"]
    assert [sources.fingerprint(p) for p in remote.paths] == [sources.fingerprint(p) for p in local.paths]
    source = AccessLog(path="x")
    assert content(source, remote).equals(content(source, local))
    assert remote.done == local.done
    every = sources.find(AccessLog(path=f"file://{tmp_path}/logs/**/*.log"), params, Q3)
    assert len(every.paths) == 3
    with pytest.raises(SourceError, match="no such file"):
        sources.find(AccessLog(path=f"file://{tmp_path}/logs/none.log"), params, Q3)
    text = (tmp_path / "params" / "company.yaml").read_text().replace("logs/*.log", f"file://{tmp_path}/logs/*.log")
    (tmp_path / "params" / "company.yaml").write_text(text)
    loaded = Params.load(tmp_path / "params")
    assert workbook.collect(loaded, Q3)["account"]["read"] == 13
    assert workbook.collect(loaded, Q3) == workbook.collect(loaded, Q3)


def test_logs_in_a_bucket_of_s3_are_collected_with_the_credentials_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = company(tmp_path, people(400))
    (tmp_path / "logs" / "b.log.gz").write_bytes(gzip.compress("\n".join(people(30, prefix="other")).encode()))
    (tmp_path / "logs" / "deep").mkdir()
    (tmp_path / "logs" / "deep" / "none.log").write_text("not asked for\n")
    expected = workbook.collect(local, Q3)
    before = workbook.sessions(local, Q3)["sessions"]
    params = tmp_path / "params" / "company.yaml"
    text = params.read_text()
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("privacy_metrics.sources.stores.READ_AHEAD", 1000)
    with s3.serving(tmp_path) as options:
        params.write_text(text.replace("logs/*.log", f"'s3://logs/*.log*{options}'"))
        loaded = Params.load(tmp_path / "params")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        with pytest.raises(SourceError, match=r"s3://logs/\*.log\*: the store can't be read .*ACCESS_DENIED") as raised:
            workbook.collect(loaded, Q3)
        assert "hunter2" not in str(raised.value)
        assert workbook.sessions(local, Q3)["sessions"].equals(before)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.KEY_ID)
        record = workbook.collect(loaded, Q3)
        assert [one["file"] for one in record["inputs"]][:2] == ["s3://logs/a.log", "s3://logs/b.log.gz"]
        assert record["account"]["used"] == expected["account"]["used"] + 30
        assert workbook.collect(loaded, Q3) == record


class Numbers(LogFiles):
    """A made kind: a file of epoch seconds."""

    kind: Literal["numbers"]


def read_numbers(source: Numbers, files: Files) -> Iterator[pl.DataFrame]:
    for path in files.paths:
        times = pl.Series([int(text) for text in path.read_text().split()], dtype=pl.Int64)
        row = {"address": "240.1.2.3", "method": "GET", "target": "/made", "status": 200}
        yield pl.DataFrame({**dict.fromkeys(sources.PARSED), **row, "time": times}, schema=sources.PARSED)


def test_a_kind_of_ones_own_is_one_registration(tmp_path: Path) -> None:
    params = company(tmp_path, people(1))
    (tmp_path / "made.txt").write_text("1782886364 1782886365")
    path = tmp_path / "params" / "company.yaml"
    path.write_text(path.read_text().replace("{kind: access_log, path: logs/*.log}", "{kind: numbers, path: made.txt}"))
    with pytest.raises(ParamsError, match="kind 'numbers' is no kind of source; there are access_log, csv"):
        Params.load(params.folder)
    sources.register(Numbers, read_numbers)
    try:
        loaded = Params.load(params.folder)
        assert workbook.collect(loaded, Q3)["account"]["used"] == 2
        assert loaded.as_dict()["sources"]["technical"][0]["path"] == "made.txt"
    finally:
        del SOURCES["numbers"], sources.KINDS["numbers"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{kind: json_lines, path: x}", r"technical.0: give a preset \(nginx, caddy, traefik\), or columns for time"),
        ("{kind: json_lines, preset: iis, path: x}", r"technical.0.preset: is 'iis'; .*'nginx', 'caddy' or 'traefik'"),
        ("{kind: parquet, path: x, columns: {adress: ip}}", r"technical.0.columns.adress"),
        ("{kind: csv, path: x, time_zone: Helsinki}", r"technical.0.time_zone: is 'Helsinki'; .* IANA"),
        ("{kind: csv, path: x, columns: {status: s}, fill: {status: '1'}}", "status stands in columns and in fill"),
        ("{kind: csv, path: x, separator: 'ä'}", r"technical.0.separator: is 'ä'; it must be one ASCII character"),
        ("{kind: csv, path: x, separator: '||'}", r"technical.0.separator: is '\|\|'; it must be one ASCII character"),
        ("{kind: access_log, path: x, secret: 5}", r"technical.0.secret: no such parameter"),
        ("{kind: access_log}", r"technical.0.path: is missing"),
        ("{kind: postgresql, query: SELECT 1, uri: 'host=db password=hunter2'}", r"technical.0: holds a password"),
        ("{kind: postgresql, query: SELECT 1, uri: 'postgresql://u:hunter2@db/x'}", r"technical.0: holds a password"),
        ("{kind: postgresql, query: SELECT 1, uri: 'mysql://u:hunter2@db/x'}", r"technical.0: holds a password"),
        ("{kind: postgresql, query: SELECT 1, uri: 'postgresql://db/x?password=hunter2'}", "password_env names"),
        ("{path: 's3://AKIAX:hunter2@bucket/a.log'}", "credentials come from the environment alone"),
        ("{path: 's3://bucket/a.log?secret_key=hunter2'}", "credentials come from the environment alone"),
        ("{path: 's3://hunter2@bucket/a.log'}", "credentials come from the environment alone"),
    ],
)  # fmt: skip
def test_a_source_that_can_not_be_is_told_with_its_field_and_no_secret(
    tmp_path: Path, source: str, message: str
) -> None:
    params = company(tmp_path, people(1))
    path = tmp_path / "params" / "company.yaml"
    path.write_text(path.read_text().replace("{kind: access_log, path: logs/*.log}", source))
    with pytest.raises(ParamsError, match=message) as raised:
        Params.load(params.folder)
    assert "params/company.yaml: sources.technical.0" in str(raised.value)
    assert "hunter2" not in str(raised.value)
