"""Disclosure control: what may leave the confidential zone, and in which form."""

from .release import Cells, Policy, Release, release, trend
from .suppression import TOTAL

__all__ = ["TOTAL", "Cells", "Policy", "Release", "release", "trend"]
