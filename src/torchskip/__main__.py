"""``python -m torchskip`` is ``torchskip``."""

import sys

from torchskip.cli import main

sys.exit(main())
