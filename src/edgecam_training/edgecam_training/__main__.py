"""``python -m edgecam_training`` is ``edgecam``."""

import sys

from edgecam_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
