"""Disclosure control: what may leave the confidential zone, and in which form."""

from .audit import TOTAL, DisclosureError, Nesting
from .release import Audit, Cells, Policy, Release, audit_tables, control, load, release, save, trend, view

__all__ = [
    "TOTAL", "Audit", "Cells", "DisclosureError", "Nesting", "Policy", "Release", "audit_tables", "control", "load",
    "release", "save", "trend", "view",
]  # fmt: skip
