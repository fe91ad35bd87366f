"""What a gradient check found, as data and as a table: in text, or in HTML for notebooks."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 30  # rows of a table
NUMBERS = {"order", "analytic", "numeric", "rel. error"}  # columns that are aligned right
RESERVES = {"kink": "at a kink", "precision": "checked no closer than precision allows", "convention": "symmetric by convention"}


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
        The element: one that is wrong or, if all are right, the largest of the gradient.
    order : int
        1 for the gradient; 2 for the second derivatives' sum over random weights.
    analytic, numeric : float
        The gradient in question, and what differences yield.
    error : float
        |analytic - numeric| / max(|analytic|, |numeric|), unless both are below rounding.
    verdict : str
        "ok"; "wrong"; "kink": the function has no derivative there, and the analytic value lies between the slopes
        on both sides, or several kinks meet and it is right at a nearby point; "precision": noise or rounding in the function,
        or float32, does not allow a closer look; "convention": the function reads one triangle of its matrix, and the gradient
        is the symmetric one; "unchecked": the function changes from call to call, or has no finite slope here.
    note : str
        What is known about the error.
    op : str
        The functions that the input went into; for a wrong gradient the one whose rule is at fault, if it was found.
    equation : str
        The equation of backpropagation for this gradient (models only).
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
    def fails(self) -> bool:
        """Whether the element is wrong, or could not be checked."""
        return self.verdict in ("wrong", "unchecked")

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
        For every input and order the wrong elements, or a single row if there are none.
    notes : tuple of str
        Remarks on gradients as a whole: how they are wrong, and why something could not be checked.
    evaluations : int
        How often the function was evaluated at first order.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    evaluations: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong and everything could be checked. Kinks, conventions and limits of precision are not errors."""
        return not any(row.fails for row in self.rows)

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
        if not self.ok:
            what = "is wrong" if self.wrong else "could not be checked"
            names = list(dict.fromkeys(row.element + ("" if row.order == 1 else f" at order {row.order}") for row in self.wrong or self.having("unchecked")))
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            return f"The gradient {what}: {', '.join(names[:3])}{more}."
        inputs = len({row.path for row in self.rows})
        start = f"No gradient is wrong: {inputs} input{'s' * (inputs != 1)}, order {' and '.join(sorted({str(row.order) for row in self.rows}))}"
        found = {verdict: len(self.having(verdict)) for verdict in RESERVES}
        reserves = [f"{number} {RESERVES[verdict]}" for verdict, number in found.items() if number]
        return f"{start}{'; ' * bool(reserves)}{', '.join(reserves)}."

    def __str__(self) -> str:
        return "\n".join([self.sentence, *(f"  {note}" for note in self.notes), "", table(self.rows[:SHOWN]), *self.rest()])

    def _repr_html_(self) -> str:
        notes = "".join(f"<br>{html.escape(note)}" for note in (*self.notes, *self.rest()))
        return f"<p>{html.escape(self.sentence)}{notes}</p>\n{html_table(self.rows[:SHOWN])}"

    def rest(self) -> list[str]:
        """A line about the rows that are not shown, if there are any."""
        return [f"... and {len(self.rows) - SHOWN} more rows"] if len(self.rows) > SHOWN else []


def columns(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The columns of the tables, by heading; empty ones are left out."""
    found = {
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
    return {name: cells for name, cells in found.items() if any(cells)}


def table(rows: Sequence[Row]) -> str:
    """Rows with aligned columns."""
    lines = [[name, *cells] for name, cells in columns(rows).items()]
    widths = [max(map(len, line)) for line in lines]
    placed = [[cell.rjust(width) if line[0] in NUMBERS else cell.ljust(width) for cell in line] for line, width in zip(lines, widths)]
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*placed))


def html_table(rows: Sequence[Row]) -> str:
    """The same for a notebook, with translucent colours only: its page may be light or dark."""
    shown = columns(rows)

    def line(tag: str, cells: Sequence[str]) -> str:
        styles = ["right" if name in NUMBERS else "left" for name in shown]
        return "".join(f'<{tag} style="text-align: {style}">{html.escape(cell)}</{tag}>' for style, cell in zip(styles, cells))

    marks = [' style="background: rgba(255, 60, 60, 0.3)"' if row.fails else "" for row in rows]
    body = [f"<tr{mark}>{line('td', cells)}</tr>" for mark, cells in zip(marks, zip(*shown.values()))]
    return "\n".join(["<table>", f"<tr>{line('th', list(shown))}</tr>", *body, "</table>"])


class GradientError(AssertionError):
    """A gradient is wrong, or could not be checked. The message is the printed report; the report itself is in ``report``.

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
