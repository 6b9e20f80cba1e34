"""Disclosure control: what may leave the confidential zone, and in which form."""

from .audit import TOTAL, DisclosureError, Group, Nesting
from .budget import BudgetError, Ledger
from .noise import OTHER, Contributions, noisy
from .release import (
    Audit,
    Cells,
    Policy,
    Release,
    audit_tables,
    budget_table,
    control,
    load,
    release,
    save,
    trend,
    view,
)

__all__ = [
    "OTHER", "TOTAL", "Audit", "BudgetError", "Cells", "Contributions", "DisclosureError", "Group", "Ledger", "Nesting",
    "Policy", "Release", "audit_tables", "budget_table", "control", "load", "noisy", "release", "save", "trend", "view",
]  # fmt: skip
