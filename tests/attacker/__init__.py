"""An attacker who has every published file, knows the method and can run a solver.

It shares no code with the protection: it reads published folders only, and imports nothing of the library.
"""

from attacker.programme import Attack as Attack
from attacker.programme import Knowledge as Knowledge
from attacker.programme import Value as Value
from attacker.programme import attack as attack
from attacker.programme import recovered as recovered
from attacker.read import read as read
from attacker.reasoning import changes as changes
from attacker.reasoning import complete_groups as complete_groups
from attacker.reasoning import told_by_a_lone_contributor as told_by_a_lone_contributor
from attacker.solve import Contradiction as Contradiction
