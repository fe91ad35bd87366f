"""What a gradient check found, as data and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 30  # rows of a table


@dataclass(frozen=True)
class Row:
    """One element of one gradient.

    Attributes
    ----------
    path : str
        The input: the argument's name, or a parameter's path in its model.
    shape : tuple of int
        The input's shape.
    index : tuple of int
        The element: one that is wrong, or where all are right the largest of the gradient.
    order : int
        1 for the gradient; 2 for the second derivatives' sum over random weights.
    analytic, numeric : float
        The gradient in question, and what differences say.
    error : float
        |analytic - numeric| / max(|analytic|, |numeric|), where these are not both below rounding.
    verdict : str
        "ok"; "wrong"; "kink": the function has no derivative there, and the analytic value lies between the slopes
        on both sides; "precision": the function's noise, or float32, does not allow a closer look.
    note : str
        What is known about the kind of error.
    op : str
        The functions that the input went into; for a wrong gradient the one whose rule is at fault, where that was found.
    equation : str
        The equation of backpropagation that gives this gradient (models only).
    """

    path: str
    shape: tuple[int, ...]
    index: tuple[int, ...]
    order: int
    analytic: float
    numeric: float
    error: float
    verdict: str
    note: str = ""
    op: str = ""
    equation: str = ""

    @property
    def element(self) -> str:
        """The element as one would write it: ``weight[3, 1]``."""
        return self.path + (f"[{', '.join(map(str, self.index))}]" if self.index else "")


@dataclass(frozen=True)
class Report:
    """All rows of a gradient check, and a sentence about them.

    Attributes
    ----------
    rows : tuple of Row
        For every input and order the wrong elements, or a single row where there are none.
    notes : tuple of str
        What shows a pattern across elements: the kind of error.
    evaluations : int
        How often the function was evaluated at first order.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    evaluations: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong. Kinks and limits of precision are no errors."""
        return not self.wrong

    @property
    def wrong(self) -> tuple[Row, ...]:
        """The rows of wrong elements."""
        return self.having("wrong")

    def having(self, verdict: str) -> tuple[Row, ...]:
        """The rows with that verdict."""
        return tuple(row for row in self.rows if row.verdict == verdict)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def sentence(self) -> str:
        """The outcome in a sentence."""
        if self.wrong:
            names = list(dict.fromkeys(row.element + ("" if row.order == 1 else f" at order {row.order}") for row in self.wrong))
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            return f"The gradient is wrong: {', '.join(names[:3])}{more}."
        inputs = len({row.path for row in self.rows})
        start = f"No gradient is wrong: {inputs} input{'s' * (inputs != 1)}, order {' and '.join(sorted({str(row.order) for row in self.rows}))}"
        kinks, limited = len(self.having("kink")), len(self.having("precision"))
        reserves = [f"{kinks} at a kink"] * bool(kinks) + [f"{limited} checked no closer than precision allows"] * bool(limited)
        return f"{start}{'; ' * bool(reserves)}{', '.join(reserves)}."

    def __str__(self) -> str:
        lines = [self.sentence, *(f"  {note}" for note in self.notes), "", table(self.rows[:SHOWN])]
        if len(self.rows) > SHOWN:
            lines.append(f"... and {len(self.rows) - SHOWN} more rows")
        return "\n".join(lines)


def table(rows: Sequence[Row]) -> str:
    """Rows with aligned columns; columns that are empty throughout are left out."""
    columns: dict[str, list[str]] = {
        "element": [row.element for row in rows],
        "shape": [str(row.shape) for row in rows],
        "op": [row.op for row in rows],
        "rule": [row.equation for row in rows],
        "order": [str(row.order) for row in rows],
        "analytic": [f"{row.analytic:.9g}" for row in rows],
        "numeric": [f"{row.numeric:.9g}" for row in rows],
        "rel. error": [f"{row.error:.1e}" for row in rows],
        "verdict": [row.verdict for row in rows],
        "note": [row.note for row in rows],
    }
    numbers = {"order", "analytic", "numeric", "rel. error"}
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    widths = {name: max(len(name), *map(len, cells)) for name, cells in shown.items()}
    lines = [[name, *cells] for name, cells in shown.items()]
    placed = [[cell.rjust(widths[line[0]]) if line[0] in numbers else cell.ljust(widths[line[0]]) for cell in line] for line in lines]
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*placed))


class GradientError(AssertionError):
    """A gradient that is wrong. The message is the report; the report itself is in ``report``.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> try:
    ...     tg.gradcheck(np.sum, np.ones(2), gradient=lambda x: 2 * np.ones(2))
    ... except tg.GradientError as error:
    ...     print(error.report.ok)
    False
    """

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report
