"""``python -m tinygrad_lr``."""

import sys

from tinygrad_lr.cli import main

sys.exit(main())
