"""The privacy notice as data: what it declares, the dated table of regions, and its promises.

A company's notice is the section ``notice`` of its parameters. Codes (``contract``, ``newsletter``, …) are the words
that its registers use; their names are for the reports.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Layer = Literal["notice", "law", "policy"]
LAYERS: tuple[Layer, ...] = ("notice", "law", "policy")
"""Whose rule is kept or broken: what the notice says, what the law says, what the company set itself."""

Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


def _quoted(code: Any) -> Any:
    if code is False:
        raise ValueError('NO without quotes means "no" in YAML; write "NO" for Norway')
    return code


Country = Annotated[str, BeforeValidator(_quoted), Field(pattern=r"^[A-Z]{2}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


class _Dated(_Section):
    """``start`` to ``until``, both included; without ``until``, it goes on. ``source``: where that can be read."""

    start: date = Field(alias="from")
    until: date | None = None
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> _Dated:
        if self.until and self.until < self.start:
            raise ValueError(f"until {self.until} is before from {self.start}")
        return self


class Membership(_Dated):
    """Countries that belong to a region."""

    countries: list[Country] = Field(min_length=1)


class Adequacy(_Dated):
    """A decision of the European Commission under GDPR Art. 45; with a ``scope``, for that part of the country only."""

    country: Country
    scope: str | None = None


class Regions(_Section):
    """Who belongs to the European Union and the European Economic Area, and which countries are adequate, by date.

    ``eea`` are the members of the Area that are not in the Union, and those that are treated like one.
    """

    eu: list[Membership] = Field(min_length=1)
    eea: list[Membership] = []
    adequacy: list[Adequacy] = []

    def membership(self, eea: bool) -> pl.DataFrame:
        """Columns country, from, until (Date; null: it goes on): of the Union, with ``eea`` of the whole Area."""
        rows = [
            (country, entry.start, entry.until)
            for entry in [*self.eu, *(self.eea if eea else [])]
            for country in entry.countries
        ]
        return pl.DataFrame(
            rows, schema={"country": pl.String, "from": pl.Date, "until": pl.Date}, orient="row"
        )  # fmt: skip

    def adequate(self) -> pl.DataFrame:
        """Columns country, scope (null: the whole country), from, until."""
        rows = [(entry.country, entry.scope, entry.start, entry.until) for entry in self.adequacy]
        schema = {"country": pl.String, "scope": pl.String, "from": pl.Date, "until": pl.Date}
        return pl.DataFrame(rows, schema=schema, orient="row")


class Promise(_Section):
    """One promise, and how it is measured.

    ``quote`` is a short part of the notice, word for word; a duty that only the law knows has none, names its ``law``,
    and is not judged by the notice's words. ``registers`` are those that the control reads, in its order: names of
    ``sources.registers`` or of schemas.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")
    section: str = ""
    quote: str | None = None
    law: str | None = Field(default=None, description="the article, where the law has a rule of its own")
    control: str
    registers: list[str] = Field(min_length=1)
    tolerance: float = Field(
        default=0, ge=0, lt=1, description="share of the cases that may be exceptions; not of the law's"
    )
    warning: int = Field(default=30, ge=0, le=366, description="days before a due date in which a promise is at risk")
    expected: int = Field(default=0, ge=0, description="fewest cases in a period without which there is no evidence")
    owner: str = ""
    strength: Literal["unconditional", "hedged", "information"] = "unconditional"
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _says_whose_rule(self) -> Promise:
        if self.quote is None and self.law is None:
            raise ValueError("give a quote of the notice, or the law that has the rule")
        return self


class Notice(_Section):
    """What a privacy notice declares and promises."""

    version: str
    source: str = Field(default="", description="whose notice it is, where and when it was read")
    groups: dict[Code, str] = Field(min_length=1)
    technical: dict[Code, str] = Field(default={}, description="the categories of technical data")
    data: dict[Code, dict[Code, str]] = Field(default={}, description="the categories of data by group of people")
    purposes: dict[Code, dict[Code, str]] = Field(default={}, description="the purposes by group of people")
    grounds: dict[Code, list[Code]] = Field(default={}, description="the legal grounds by group of people")
    recipients: dict[Code, str] = {}
    prospect_sources: dict[Code, str] = {}
    ranking_inputs: dict[Code, str] = {}
    regions: Regions
    promises: list[Promise] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Notice:
        ids = [promise.id for promise in self.promises]
        if twice := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"promises: {', '.join(twice)} stands twice")
        for name in ("data", "purposes", "grounds"):
            if unknown := sorted(set(getattr(self, name)) - set(self.groups)):
                raise ValueError(f"{name}: {', '.join(unknown)} is no group; there are {', '.join(self.groups)}")
        return self

    def all_purposes(self) -> list[str]:
        """The codes of the purposes of every group, each once."""
        return sorted({code for purposes in self.purposes.values() for code in purposes})
