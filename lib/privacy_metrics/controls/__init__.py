"""The promises of a privacy notice, measured: small named functions over registers, each with a verdict."""

from . import consent, processing, recipients, retention, rights, security
from .evaluation import CONTROLS, VERDICTS, Control, Evidence, Figures, Finding, Result, Scope, control, evaluate, fault
from .results import ABOUT_NOBODY, STAFF, WHOLE, exceptions_of, load, register_account, save, tables

__all__ = [
    "ABOUT_NOBODY", "CONTROLS", "STAFF", "VERDICTS", "WHOLE", "Control", "Evidence", "Figures", "Finding", "Result",
    "Scope", "consent", "control", "evaluate", "exceptions_of", "fault", "load", "processing", "recipients",
    "register_account", "retention", "rights", "save", "security", "tables",
]  # fmt: skip
