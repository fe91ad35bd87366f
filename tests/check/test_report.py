"""What a report looks like: its sentence, its table in text, and its table in a notebook."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

import tinygrad_lr as tg
from tinygrad_lr.check.gradcheck import Report, Row


def row(path="x", verdict="ok", index=(), **more):
    return Row(path, (3,), index, 1, 2.0, 4.0, 0.5, verdict, **more)


class Page(HTMLParser):
    """The cells of a table, by row, and all tags and attributes."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.tags, self.attributes, self.text = [], [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def test_sentences():
    assert Report((row(), row("y"))).sentence == "No gradient is wrong: 2 inputs, order 1."
    reserved = Report((row(verdict="kink"), row(verdict="precision"), row(verdict="convention"), row(verdict="convention")))
    assert reserved.sentence == "No gradient is wrong: 1 input, order 1; 1 at a kink, 1 checked no closer than precision allows, 2 symmetric by convention."
    assert Report((row(verdict="unchecked"),)).sentence == "The gradient could not be checked: x."
    assert Report((row(verdict="unchecked"), row(verdict="wrong", index=(1,)))).sentence == "The gradient is wrong: x[1]."


def test_what_fails():
    assert [bool(Report((row(verdict=verdict),))) for verdict in ("ok", "kink", "precision", "convention", "unchecked", "wrong")] == [True] * 4 + [False] * 2


def test_a_notebook_shows_the_same_table():
    report = tg.gradcheck(lambda x: np.sum(x**2), np.array([0.5, -1.0, 2.0]), gradient=lambda x: x * [2, 2, 1], raise_error=False)
    page = Page(report._repr_html_())
    assert page.rows == [
        ["element", "shape", "order", "analytic", "numeric", "rel. error", "verdict", "note"],
        ["x[2]", "(3,)", "1", "2", "4", "5.0e-01", "wrong", "1/2 times the right one"],
    ]
    assert page.text.startswith("The gradient is wrong: x[2].")
    assert "background" in report._repr_html_()
    assert "background" not in Report((row(),))._repr_html_()
    assert not str(report).startswith("<")


def test_names_are_escaped_and_nothing_is_loaded():
    evil = "<script src='http://example.org/x.js'>"
    page = Page(Report((row(evil, note=evil, op=evil),), (evil,))._repr_html_())
    assert set(page.tags) == {"p", "br", "table", "tr", "th", "td"}
    assert page.attributes == {"style"}
    assert page.rows[1][0] == evil


def test_a_long_table_is_cut_in_both():
    report = Report(tuple(row(index=(i,), verdict="kink") for i in range(100)))
    assert len(Page(report._repr_html_()).rows) == 31
    assert "... and 70 more rows" in Page(report._repr_html_()).text
    assert str(report).splitlines()[-1] == "... and 70 more rows"
