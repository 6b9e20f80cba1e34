"""``python -m privacy_metrics`` is the command ``privacy-metrics``."""

from .cli import main

main()
