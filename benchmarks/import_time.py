"""What importing and reaching for Tensor and nn costs a program that would import NumPy anyway: whole processes, start to end."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

from benchmarks.timing import Contestant, Job, Target

# As installed packages have it: the checked runs leave the bytecode there for the timed ones.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def process(code: str) -> Contestant:
    def step() -> float:
        subprocess.run([sys.executable, "-c", code], check=True, env=ENVIRONMENT)
        return 0.0

    return Contestant(step, list)


JOBS = [
    Job(
        "Import: a Python process that imports and ends",
        {
            "import numpy": partial(process, "import numpy"),
            "import tinygrad_lr": partial(process, "from tinygrad_lr import Tensor, grad, nn"),
            "no import": partial(process, "pass"),
        },
        reference=partial(process, "pass"),
        rounds=40,
        targets=(Target("at most 1.3 times `import numpy`", "import tinygrad_lr", 1.3, "import numpy"),),
    )
]
