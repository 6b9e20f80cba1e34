"""A compliance analytics workbook: usage and compliance reports from anonymised data."""

from importlib.metadata import version

__version__ = version("privacy-metrics")
