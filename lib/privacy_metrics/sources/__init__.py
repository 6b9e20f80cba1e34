"""Sources of technical data: what a company has, read into frames of the columns PARSED."""

from .logs import PARSED as PARSED
from .logs import Files as Files
from .logs import SourceError as SourceError
from .logs import _lines as _lines
from .logs import find as find
from .logs import fingerprint as fingerprint
from .logs import parse as parse
from .logs import read as read
