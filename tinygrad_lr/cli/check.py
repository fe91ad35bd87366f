"""``python -m tinygrad_lr check``: every rule and layer against differences."""

from __future__ import annotations

from argparse import Namespace

from tinygrad_lr.check.everything import check_everything


def run(options: Namespace) -> bool:
    """Check all of them and print their errors; returns whether all are right."""
    correct, table = check_everything()
    print(table)
    return correct
