"""An attacker who has every published file, knows the method and can run a solver.

It shares no code with the protection: it reads published folders only, and imports nothing of the library.
"""

from attacker.programme import Attack, Knowledge, Value, attack, recovered
from attacker.read import Publication, Table, read

__all__ = [
    "Attack",
    "Knowledge",
    "Publication",
    "Table",
    "Value",
    "attack",
    "read",
    "recovered",
]
