"""``python -m benchmarks [job ...] [--rounds N] [--quick]``."""

from __future__ import annotations

import argparse
import os
from importlib import import_module

from benchmarks.report import report, versions

MODULES = {"one-neuron": "one_neuron", "mlp": "mlp", "full-batch": "full_batch", "chain": "chain", "import": "import_time", "hessian": "hessian"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Time tinygrad_lr beside hand-derived NumPy and its peers.")
    parser.add_argument("jobs", nargs="*", metavar="job", help=f"{', '.join(MODULES)}; all by default")
    parser.add_argument("--rounds", type=int, help="turns per contestant; by default each job's own number")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds, for a first impression")
    options = parser.parse_args()
    if unknown := [job for job in options.jobs if job not in MODULES]:
        parser.error(f"no job called {', '.join(unknown)}; there are {', '.join(MODULES)}")
    if options.rounds is not None and options.rounds < 2:
        parser.error("quartiles need --rounds 2 or more")
    os.environ["JAX_ENABLE_X64"] = "1"  # read when JAX is imported; without it float64 would silently become float32
    print(f"{versions()}\n\nMedians over interleaved rounds; every contestant's results were checked first.")
    for name in options.jobs or MODULES:
        for job in import_module(f"benchmarks.{MODULES[name]}").JOBS:
            rounds = options.rounds or max(3, job.rounds // 10 if options.quick else job.rounds)
            print(f"\n{report(job, rounds)}", flush=True)


if __name__ == "__main__":
    main()
