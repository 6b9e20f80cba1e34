"""``python -m privacy_metrics`` is the command ``privacy-metrics``."""

import gc

gc.disable()  # what modules make while they load is no garbage: a sixth of the time to start goes into looking for it
from .cli import main  # noqa: E402

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main()
