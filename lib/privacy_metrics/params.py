"""The parameters of a workbook: the YAML files of one folder, validated, and the period of a report.

A parameters folder holds any number of ``*.yaml`` files. Each top-level section (``organisation``, ``service``,
``sources``, ``disclosure``, ``tables``, ``reports``, ``requests``, ``zones``, ``notice``, ``exemption``, ``engine``)
stands in one of them; what stands in none is the library's default (``defaults.yaml`` here), field by field.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializeAsAny,
    ValidationError,
    WrapValidator,
    model_validator,
)

from .notice import Notice


class WorkbookError(Exception):
    """What the user can mend: bad input, bad parameters, a missing file. Printed without a traceback, exit code 1."""


class ParamsError(WorkbookError):
    """A parameter file or a period that cannot be used; the message names the file and the field."""


_PERIOD = re.compile(r"(?P<year>\d{4})(?:Q(?P<quarter>[1-4])|-(?P<month>0[1-9]|1[0-2]))?")


@dataclass(frozen=True, order=True)
class Period:
    """A calendar quarter, month or year: ``first`` is its first day, ``end`` the day after its last.

    >>> Period.parse("2026Q3").previous().label
    '2026Q2'
    """

    first: date
    months: int

    @classmethod
    def parse(cls, text: str) -> Period:
        """The period that ``text`` names: ``2026Q3``, ``2026-09`` or ``2026``.

        Raises ParamsError for anything else.
        """
        match = _PERIOD.fullmatch(str(text).strip())
        if not match or not 1970 <= int(match["year"]) <= 2200:
            raise ParamsError(
                f"period: {str(text)!r} is no period; write a quarter (2026Q3), a month (2026-09) or a year (2026)"
            )
        year = int(match["year"])
        if match["quarter"]:
            return cls(date(year, 3 * int(match["quarter"]) - 2, 1), 3)
        if match["month"]:
            return cls(date(year, int(match["month"]), 1), 1)
        return cls(date(year, 1, 1), 12)

    @property
    def end(self) -> date:
        """The first day after the period."""
        return self._shift(self.months)

    @property
    def last(self) -> date:
        """The last day of the period."""
        return self.end - timedelta(days=1)

    @property
    def label(self) -> str:
        """``2026Q3``, ``2026-09`` or ``2026``; parses back to the same period."""
        if self.months == 3:
            return f"{self.first.year}Q{(self.first.month + 2) // 3}"
        return f"{self.first.year}-{self.first.month:02}" if self.months == 1 else str(self.first.year)

    @property
    def title(self) -> str:
        """The period in words, as a report's cover says it."""
        if self.months == 12:
            return str(self.first.year)
        first, last = calendar.month_name[self.first.month], calendar.month_name[self.last.month]
        return f"{first} {self.first.year}" if self.months == 1 else f"{first} to {last} {self.first.year}"

    @property
    def kind(self) -> str:
        """``quarter``, ``month`` or ``year``."""
        return {1: "month", 3: "quarter", 12: "year"}[self.months]

    @property
    def days(self) -> list[date]:
        """Every day of the period, in order."""
        return [self.first + timedelta(days=n) for n in range((self.end - self.first).days)]

    def previous(self, n: int = 1) -> Period:
        """The period of the same kind, ``n`` periods earlier."""
        return Period(self._shift(-self.months * n), self.months)

    def history(self, n: int) -> list[Period]:
        """The ``n`` periods before this one and this one, oldest first."""
        return [self.previous(k) for k in range(n, -1, -1)]

    def bounds(self, zone: str) -> tuple[int, int]:
        """Midnight at the start and the end of the period in time zone ``zone``, as epoch seconds; the end is out."""
        tz = ZoneInfo(zone)
        return tuple(int(datetime(d.year, d.month, d.day, tzinfo=tz).timestamp()) for d in (self.first, self.end))  # type: ignore[return-value]

    def _shift(self, months: int) -> date:
        index = self.first.year * 12 + self.first.month - 1 + months
        return date(index // 12, index % 12 + 1, 1)


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is no IANA time zone such as Europe/Helsinki")
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Organisation(_Section):
    """The controller: whose notice, whose holidays and whose midnight count."""

    name: str = Field(min_length=1)
    country: str = Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2 code")
    subdivision: str | None = Field(default=None, description="a part of the country with public holidays of its own")
    extra_holidays: dict[date, str] = Field(default={}, description="holidays that the law adds, with their names")
    time_zone: TimeZone


class AreaRule(_Section):
    """Requests whose path starts with one of ``paths`` belong to ``area``; the first rule that fits counts."""

    area: str = Field(min_length=1)
    paths: list[Annotated[str, Field(pattern=r"^/")]] = Field(min_length=1)


class ProductRule(_Section):
    """A product is viewed under one of ``paths``, and searched for with a search that holds one of ``terms``."""

    product: str = Field(min_length=1)
    paths: list[Annotated[str, Field(pattern=r"^/")]] = []
    terms: list[Annotated[str, Field(min_length=2)]] = []


class SearchRule(_Section):
    """Where the service's own search is: the path, and the query parameter with what was searched for."""

    path: str = Field(default="/search", pattern=r"^/")
    parameter: str = Field(default="q", pattern=r"^[A-Za-z0-9_.-]+$")


class Service(_Section):
    """What the paths of the service mean; with no rules, an area is the first segment of the path."""

    hosts: list[str] = Field(default=[], description="the service's own hosts: a referrer among them is internal")
    areas: list[AreaRule] = []
    products: list[ProductRule] = []
    search: SearchRule = SearchRule()
    static_files: list[str] = Field(
        default=[
            "css",
            "js",
            "map",
            "png",
            "jpg",
            "jpeg",
            "gif",
            "ico",
            "svg",
            "webp",
            "avif",
            "woff",
            "woff2",
            "ttf",
            "otf",
            "eot",
            "mp4",
            "webm",
        ],
        description="requests for files that end so are no page views",
    )


Right = Literal[
    "access", "portability", "rectification", "restriction", "erasure", "consent_withdrawal", "objection",
    "marketing_objection", "automated_decision", "complaint", "other",
]  # fmt: skip
"""The rights that a request exercises, as the register's schema has them."""


_SECRET = re.compile(r"(pass|pwd|secret|token|signature|credential|access_?key|account_?key)\w*\s*=", re.IGNORECASE)


def _without_credentials(address: str, instead: str) -> None:
    """Refuses an address that holds a password or a key; what it holds is not quoted."""
    try:
        parts = urlsplit(address)
    except ValueError:
        raise ValueError("is no address that can be read") from None
    key = parts.username and parts.scheme in ("s3", "gs", "gcs")
    if parts.password is not None or key or _SECRET.search(address):
        raise ValueError(f"holds a password or a key; take it out of the parameters, and change it: {instead}")


class Source(_Section):
    """A source of technical data; each kind adds parameters of its own (``privacy_metrics.sources.register``)."""

    kind: str
    proxies: int = Field(
        default=0, ge=0, le=10, description="own proxies in front: the address is then taken from X-Forwarded-For"
    )


class LogFiles(Source):
    """Files of log lines, plain or gzip or zstd.

    ``{date}`` in ``path`` stands for each day of the period, the day before and the day after. A path that begins with
    s3://, gs://, abfs:// or file:// is in an object store, whose credentials come from the environment alone.
    """

    path: str = Field(min_length=1, description="file, glob, or a path with {date}; relative to the params' parent")
    allow_missing_days: bool = Field(
        default=False, description="with {date}: go on when a day of the period has no file"
    )

    @model_validator(mode="after")
    def _no_credentials(self) -> LogFiles:
        if "://" in self.path:
            _without_credentials(self.path, "an object store's credentials come from the environment alone")
        return self


class AccessLog(LogFiles):
    """Web access logs of one ``log_format``."""

    kind: Literal["access_log"] = "access_log"
    log_format: str = Field(
        default="combined",
        min_length=1,
        description="combined, common, vhost_combined, vhost_common, or the server's own, as nginx or Apache writes it",
    )
    language: bool = Field(default=False, description="a quoted Accept-Language header follows the named format")


class _Database(_Section):
    def located(self, root: Path) -> Any:
        """The same with its path under ``root``."""
        path = getattr(self, "path", None)
        return self.model_copy(update={"path": str(root / Path(path).expanduser())}) if path else self


class PostgreSQL(_Database):
    """A PostgreSQL database, named by a URI without a password."""

    kind: Literal["postgresql"]
    uri: str = Field(default="postgresql://", pattern=r"^postgres(ql)?://", repr=False)
    password_env: str = Field(
        default="PGPASSWORD", pattern=r"^[A-Za-z_]\w*$", description="the environment variable with the password"
    )

    @model_validator(mode="before")
    @classmethod
    def _no_password(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("uri"), str):
            _without_credentials(given["uri"], "password_env names the environment variable that holds it (PGPASSWORD)")
        return given


class SQLite(_Database):
    """An SQLite database: one file."""

    kind: Literal["sqlite"]
    path: str = Field(min_length=1, description="the database's file")


class DuckDB(_Database):
    """A DuckDB database: one file, or none for a query that names files of its own."""

    kind: Literal["duckdb"]
    path: str | None = Field(default=None, min_length=1, description="the database's file")


Database = Annotated[PostgreSQL | SQLite | DuckDB, Field(discriminator="kind")]

FIELDS = Literal[
    "address", "account", "time", "request", "method", "target", "status", "referrer", "agent", "language", "forwarded"
]  # fmt: skip
"""What of a request can be read: ``request`` is method, target and protocol in one, ``forwarded`` X-Forwarded-For."""


class Columns(Source):
    """Where the fields of a request are in records that are not log lines.

    ``columns``: the record's column for a field, where it has another name. ``fill``: the value of a field that the
    records do not have. ``time_zone``: of times that carry no offset.
    """

    columns: dict[FIELDS, str] = {}
    fill: dict[Literal["method", "status"], str] = {}
    time_zone: TimeZone | None = None

    @model_validator(mode="after")
    def _once(self) -> Columns:
        if twice := sorted(set(self.columns) & set(self.fill)):
            raise ValueError(f"{', '.join(twice)} stands in columns and in fill; keep one of them")
        return self


SOURCES: dict[str, type[Source]] = {}
"""The kinds of sources of technical data, by name: the parameters of each."""


def _by_kind(given: Any, _: Any) -> Source:
    # The kinds register themselves when their package is imported; it stands above this module, so by its name.
    import_module("privacy_metrics.sources")
    if isinstance(given, Source):
        return given
    if not isinstance(given, dict):
        raise ValueError("must hold the parameters of a source, such as path: access.log")
    kind = given.get("kind", "access_log")
    if kind not in SOURCES:
        raise ValueError(f"kind {kind!r} is no kind of source; there are {', '.join(sorted(SOURCES))}")
    return SOURCES[kind].model_validate(given)


class Countries(_Section):
    """Where an address' country comes from: an MMDB file, or explicitly nowhere."""

    mmdb: str | None = None
    none: bool = Field(default=False, description="go on without countries: every country is then unknown")

    @model_validator(mode="after")
    def _one_choice(self) -> Countries:
        if (self.mmdb is None) != self.none:
            raise ValueError("give either mmdb: FILE or none: true (to go on without countries)")
        return self


class RegisterInput(_Section):
    """Where a register is, a file or a database and a query, and how it becomes the schema's.

    ``columns``, ``values`` and ``fill`` map another tool's register to the schema's columns and values. ``$start`` and
    ``$end`` in a query are the period's.
    """

    path: str | None = Field(default=None, description="the file")
    database: Database | None = Field(default=None, description="where query is asked")
    query: str | None = Field(default=None, min_length=1, description="SELECT ..., one row per row of the register")
    zone: Annotated[str, AfterValidator(_known_zone)] | None = Field(
        default=None, description="the time zone of times that carry no offset"
    )
    as_of: date | None = Field(default=None, description="the day it was exported")
    columns: dict[str, str] = {}
    values: dict[str, dict[str, str | None]] = {}
    fill: dict[str, str | None] = {}
    date_format: str | None = None
    separator: str = ","

    @model_validator(mode="after")
    def _one_place(self) -> RegisterInput:
        by_query = self.database is not None
        if (self.path is not None) == by_query or (self.query is not None) != by_query:
            raise ValueError("give either path: FILE, or database: with query: SELECT ...")
        return self


class RequestRegister(RegisterInput):
    """The register of data-subject requests: a table (CSV, Parquet or XLSX, by the file's suffix), a tracker's export,
    or a database and a query. Without ``as_of``, its latest entry's day counts.
    """

    kind: Literal["table", "fides", "data_rights_protocol", "opendsr", "jira"] = "table"

    @model_validator(mode="after")
    def _export_is_a_file(self) -> RequestRegister:
        if self.database and self.kind != "table":
            raise ValueError(f"kind {self.kind} is an export and needs path: FILE")
        return self


class RegisterSource(RegisterInput):
    """A register of ``privacy_metrics.registers``: CSV, Parquet or XLSX by its suffix, or a database and a query.

    Without ``as_of``, that of ``sources`` counts.
    """

    kind: str | None = Field(default=None, description="its schema, where that is not the name it is given here")
    may_be_empty: bool = Field(default=False, description="that it holds no row says that there was nothing to note")


class Sources(_Section):
    technical: list[Annotated[SerializeAsAny[Source], WrapValidator(_by_kind)]] = Field(min_length=1)
    countries: Countries
    requests: RequestRegister | None = None
    registers: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], RegisterSource] = {}
    as_of: date | None = Field(default=None, description="the day on which the registers were exported")

    @model_validator(mode="after")
    def _exported_on_a_day(self) -> Sources:
        if undated := [name for name, source in self.registers.items() if not (source.as_of or self.as_of)]:
            raise ValueError(
                f"registers.{undated[0]}: says not when it was exported; give as_of there, or sources.as_of for all"
            )
        return self

    def schemas(self) -> dict[str, str]:
        """By the name of a register under ``registers``, its schema's."""
        return {name: source.kind or name for name, source in self.registers.items()}


class Limits(_Section):
    """What a released table must hold to; what is not given here is as ``disclosure`` says."""

    threshold: int | None = Field(default=None, ge=2)
    p_percent: float | None = Field(default=None, ge=0, le=100)
    dominance: float | None = Field(default=None, ge=50, le=100)
    group: int | None = Field(default=None, ge=2)
    protection: float | None = Field(default=None, ge=2)
    relative: float | None = Field(default=None, ge=0, le=10)


class Budget(_Section):
    """How much all noisy tables of a period may tell of one person: ``epsilon`` (at ``delta``), or ``rho``."""

    epsilon: float | None = Field(default=None, gt=0, le=20)
    delta: float = Field(default=0, ge=0, le=1e-3, description="0 for Laplace noise on public keys alone")
    rho: float | None = Field(default=None, gt=0, le=20)

    @model_validator(mode="after")
    def _one_choice(self) -> Budget:
        if (self.epsilon is None) == (self.rho is None):
            raise ValueError("give either epsilon (with delta) or rho")
        return self


class Disclosure(_Section):
    """The disclosure policy: what a released table must hold to; ``internal`` and ``public`` change it for one."""

    audience: Literal["internal", "public"] = "internal"
    threshold: int = Field(default=10, ge=2, description="fewest distinct people in a published cell")
    p_percent: float = Field(default=10, ge=0, le=100, description="the second largest contributor's best estimate")
    dominance: float = Field(default=90, ge=50, le=100, description="largest share of one person in a cell, in percent")
    group: int = Field(default=30, ge=2, description="fewest people of a group that may all share one category")
    protection: float | None = Field(default=None, ge=2, description="width of the interval of a withheld value")
    relative: float = Field(default=0.1, ge=0, le=10, description="and its width as a share of an unsafe value")
    internal: Limits = Limits()
    public: Limits = Limits()
    ipv4_bits: int = Field(default=16, ge=0, le=16, description="bits kept of an IPv4 address")
    ipv6_bits: int = Field(default=32, ge=0, le=48, description="bits kept of an IPv6 address")
    session_gap: int = Field(default=1800, ge=60, le=86400, description="seconds without a request that end a session")
    budget: Budget | None = Field(default=None, description="what the noisy tables of a period may tell of a person")

    @property
    def limits(self) -> dict[str, Any]:
        """The limits in force for the audience, as ``disclosure.Policy`` takes them."""
        common = {name: getattr(self, name) for name in Limits.model_fields}
        return common | getattr(self, self.audience).model_dump(exclude_none=True)


class Noise(_Section):
    """Noise instead of withholding: differential privacy of a table, with the visitor of the period as the unit.

    ``gaussian`` takes ``rho``, or ``epsilon`` with ``delta``; ``laplace`` takes ``epsilon``; ``keys: threshold`` needs
    a ``delta`` as well. A visitor counts in at most ``cells`` cells of the table, and with at most ``per_cell`` of a
    measure in each (one number, or one by measure; people are 1 by themselves).
    """

    mechanism: Literal["gaussian", "laplace"] = "gaussian"
    epsilon: float | None = Field(default=None, gt=0, le=20)
    delta: float = Field(default=0, ge=0, le=1e-3)
    rho: float | None = Field(default=None, gt=0, le=20)
    cells: int = Field(ge=1, le=1000, description="most cells of the table that one visitor counts in")
    per_cell: Annotated[int, Field(ge=1, le=100_000)] | dict[str, Annotated[int, Field(ge=1, le=100_000)]]
    keys: Literal["public", "threshold"] = "public"
    confidence: float = Field(default=0.95, ge=0.5, le=0.999, description="of the interval of every figure")

    @model_validator(mode="after")
    def _whole(self) -> Noise:
        if (self.epsilon is None) == (self.rho is None):
            raise ValueError("give either epsilon or rho")
        if self.mechanism == "laplace" and self.rho is not None:
            raise ValueError("Laplace noise takes epsilon; rho is for mechanism: gaussian")
        if self.mechanism == "gaussian" and self.epsilon is not None and not self.delta:
            raise ValueError("Gaussian noise with epsilon needs a delta too (such as 1e-6), or give rho")
        if self.keys == "threshold" and not self.delta:
            raise ValueError(
                "keys: threshold needs a delta (such as 1e-6): how likely a key of one person may slip out"
            )
        if self.delta and self.keys == "public" and (self.mechanism == "laplace" or self.rho is not None):
            raise ValueError("delta is of no use here: with rho or Laplace noise, only keys: threshold spends it")
        return self

    def bound(self, measure: str) -> int:
        """The most that one visitor adds to a cell of ``measure``."""
        if measure == "people":
            return 1
        return self.per_cell if isinstance(self.per_cell, int) else self.per_cell[measure]


class TableSpec(_Section):
    """One published table of the usage data."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = Field(min_length=1)
    dimensions: list[str] = Field(max_length=4)
    measures: list[Literal["sessions", "hits", "people"]] = Field(default=["sessions", "people"], min_length=1)
    noise: Noise | None = Field(default=None, description="noise instead of withholding; needs disclosure.budget")

    @model_validator(mode="after")
    def _bounded(self) -> TableSpec:
        if self.noise and isinstance(self.noise.per_cell, dict):
            given, wanted = set(self.noise.per_cell), {m for m in self.measures if m != "people"}
            if given != wanted:
                raise ValueError(
                    f"noise.per_cell has {', '.join(sorted(given)) or 'nothing'}; it must have one number for each of "
                    f"{', '.join(sorted(wanted))}"
                )
        return self


class ReportSpec(_Section):
    title: str
    notebooks: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]] = Field(min_length=1)


class Reports(_Section):
    """Which notebooks make which report; ``history`` is how many earlier periods a trend shows."""

    history: int = Field(default=3, ge=0, le=12)
    usage: ReportSpec
    compliance: ReportSpec


class California(_Section):
    """Which rights are which kind of request in the metrics of 11 CCR 7102; a kind without rights is left out."""

    delete: list[Right] = ["erasure"]
    correct: list[Right] = ["rectification"]
    know: list[Right] = ["access", "portability"]
    opt_out_of_sale: list[Right] = []
    limit: list[Right] = []

    @model_validator(mode="after")
    def _once(self) -> California:
        rights = [right for kind in self.model_dump().values() for right in kind]
        if twice := sorted({right for right in rights if rights.count(right) > 1}):
            raise ValueError(f"{', '.join(twice)} stands twice; a request is of one kind")
        return self


class Requests(_Section):
    """How requests are counted."""

    ask_within: int = Field(
        default=5, ge=0, le=30, description="working days in which identity must be asked for, to credit the pause"
    )
    california: California | None = Field(default=None, description="{}: add the table of 11 CCR 7102")


class Condition(_Section):
    """A condition of an exemption, in the authority's words or close to them, and the check that shows it."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    says: str = Field(min_length=1)
    check: str
    options: dict[str, Any] = {}


class Exemption(_Section):
    """Under which conditions an authority lets an audience be measured without consent; ``source`` says where."""

    title: str = Field(min_length=1)
    authority: str = Field(min_length=1)
    source: str = Field(min_length=1)
    conditions: list[Condition] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_once(self) -> Exemption:
        ids = [condition.id for condition in self.conditions]
        if twice := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"conditions: {', '.join(twice)} stands twice")
        return self


class Zones(_Section):
    """The two folders the workbook writes to, relative to the params folder's parent."""

    confidential: str = "confidential"
    outputs: str = "outputs"


class Spark(_Section):
    """Where ``engine: spark`` runs: a master's address, and Spark's own settings."""

    master: str = Field(default="local[*]", pattern=r"^(local(\[.+\])?|spark://.+|yarn|k8s://.+)$")
    config: dict[str, str] = {}


class Params(_Section):
    """All parameters of a workbook; ``root`` is the folder that relative paths start from."""

    organisation: Organisation
    service: Service = Service()
    sources: Sources
    disclosure: Disclosure = Disclosure()
    tables: list[TableSpec]
    reports: Reports
    requests: Requests = Requests()
    zones: Zones = Zones()
    engine: Literal["polars", "duckdb", "spark"] = Field(
        default="polars", description="what cuts sessions and counts tables; each gives the same"
    )
    spark: Spark = Spark()
    notice: Notice | None = None
    exemption: Exemption | None = None
    _root: Path = PrivateAttr()
    _folder: Path = PrivateAttr()

    @model_validator(mode="after")
    def _names_once(self) -> Params:
        names = [table.name for table in self.tables]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"tables: {', '.join(twice)} stands twice; a table's name is its file's name")
        noisy = [table.name for table in self.tables if table.noise]
        if noisy and not self.disclosure.budget:
            raise ValueError(
                f"tables: {', '.join(noisy)} has noise; say in disclosure.budget how much the noisy tables of a period "
                "may tell of a person, such as {epsilon: 1, delta: 1e-6}"
            )
        return self

    @property
    def root(self) -> Path:
        return self._root

    @property
    def folder(self) -> Path:
        """The parameters folder itself."""
        return self._folder

    def path(self, relative: str) -> Path:
        """``relative`` under the root; an absolute path stays as it is."""
        return self.root / Path(relative).expanduser()

    def confidential(self, period: Period) -> Path:
        return self.path(self.zones.confidential) / period.label

    def outputs(self, period: Period) -> Path:
        return self.path(self.zones.outputs) / period.label

    def as_dict(self) -> dict[str, Any]:
        """The parameters as plain data: what the manifest holds and fingerprints."""
        return self.model_dump(mode="json")

    @classmethod
    def load(cls, folder: str | Path | None = None) -> Params:
        """The parameters in ``folder``; without one, in the nearest ``params/`` here or above.

        Raises ParamsError with the file and field of every fault.
        """
        folder = _find_folder() if folder is None else Path(folder).expanduser().resolve()
        if not folder.is_dir():
            raise ParamsError(f"{folder}: no such folder; a parameters folder holds *.yaml files")
        sections, origin = _read(folder)
        defaults = yaml.load(files("privacy_metrics").joinpath("defaults.yaml").read_text("utf-8"), _YAML)
        for name, fields in defaults.items():
            if isinstance(fields, dict) and isinstance(given := sections.get(name), dict):
                sections[name] = {**fields, **given}
        try:
            params = cls.model_validate({**defaults, **sections})
        except ValidationError as error:
            raise ParamsError("\n".join(_explain(e, folder, origin) for e in error.errors())) from None
        params._root, params._folder = folder.parent, folder
        params._check_promises(origin)
        return params

    def _check_promises(self, origin: dict[str, str]) -> None:
        """Raises ParamsError for a register, promise or condition that no schema, control or check fits."""
        if not self.notice and not self.sources.registers and not self.exemption:
            return
        # Above this module, as controls read registers: asked for only where there is something to check.
        from . import exemption
        from .controls import fault
        from .registers import REGISTERS

        schemas = self.sources.schemas()
        problems = [
            f"{origin['sources']}: sources.registers.{name}: there is no register {schema}; there are "
            f"{', '.join(REGISTERS)} (kind: SCHEMA names one)"
            for name, schema in schemas.items()
            if schema not in REGISTERS
        ]
        if "requests" in schemas.values():
            problems.append(f"{origin['sources']}: sources.registers: requests is read from sources.requests")
        for promise in self.notice.promises if self.notice and not problems else []:
            if found := fault(promise, schemas):
                field, reason = found
                problems.append(f"{origin['notice']}: notice.promises {promise.id}: {field} {reason}")
        for condition in self.exemption.conditions if self.exemption else []:
            if wrong := exemption.fault(condition):
                problems.append(f"{origin['exemption']}: exemption.conditions {condition.id}: {wrong}")
        if problems:
            raise ParamsError("\n".join(problems))


_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same with a compiled parser, where there is one: about ten times as fast."""


def _find_folder() -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params").is_dir():
            return folder / "params"
    raise ParamsError(f"{here}: no params/ folder here or above; give one with --params DIR")


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    sections: dict[str, Any] = {}
    origin: dict[str, str] = {}
    paths = sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml"))
    if not paths:
        raise ParamsError(f"{folder}: holds no *.yaml file; at least organisation and sources must be given")
    for path in paths:
        where = f"{folder.name}/{path.name}"
        try:
            content = yaml.load(path.read_text("utf-8"), _YAML)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark else ""
            reason = getattr(error, "problem", None) or "not UTF-8"
            raise ParamsError(f"{where}{line}: not readable as YAML ({reason})") from None
        if content is None:
            continue
        if not isinstance(content, dict):
            raise ParamsError(f"{where}: holds a {type(content).__name__}; it must hold sections such as organisation:")
        for name, value in content.items():
            if name in sections:
                raise ParamsError(f"{where}: {name} stands in {origin[name]} too; keep one of them")
            sections[name], origin[name] = value, where
    return sections, origin


def _explain(error: Any, folder: Path, origin: dict[str, str]) -> str:
    loc = [str(part) for part in error["loc"]]
    where = origin.get(loc[0], folder.name) if loc else folder.name
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "no such parameter; the documentation lists those there are (README, Parameters)"
    elif error["type"] == "missing":
        message = "is missing"
    elif not isinstance(error["input"], dict | list):
        message = f"is {error['input']!r}; {message}"
    return f"{where}: {'.'.join(loc)}: {message}" if loc else f"{where}: {message}"
