"""The register of data-subject requests: read, validated and counted."""

from .register import *  # noqa: F403
from .statistics import ABOUT_NOBODY as ABOUT_NOBODY
from .statistics import CALIFORNIA as CALIFORNIA
from .statistics import CHANCE as CHANCE
from .statistics import CLOSED as CLOSED
from .statistics import DUE as DUE
from .statistics import ENDED as ENDED
from .statistics import EXTENDED as EXTENDED
from .statistics import MET as MET
from .statistics import ON_TIME as ON_TIME
from .statistics import OPEN as OPEN
from .statistics import REFUSED as REFUSED
from .statistics import STANDS as STANDS
from .statistics import as_known as as_known
from .statistics import differs as differs
from .statistics import forecast as forecast
from .statistics import limits as limits
from .statistics import percent as percent
from .statistics import rank as rank
from .statistics import request_tables as request_tables
from .statistics import share_limits as share_limits
from .statistics import shares_differ as shares_differ
from .statistics import waiting as waiting
from .statistics import wilson as wilson
from .trackers import TRACKERS as TRACKERS
from .trackers import mapping_of as mapping_of
from .trackers import read_export as read_export
from .trackers import read_source as read_source
