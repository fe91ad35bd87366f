"""What keeps the code small enough to read: lengths of files and functions, and README's reading order with its line counts."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tinygrad_lr

ROOT = Path(tinygrad_lr.__file__).parent
PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"
SOURCES = sorted(ROOT.rglob("*.py"))
BESIDE = sorted(path for folder in ("tests", "benchmarks", "examples") for path in (PROJECT / folder).rglob("*.py"))

LONGEST_FILE, LONGEST_FUNCTION = 550, 60
MOST_ANY = 150  # outside the rules, which take whatever speaks NumPy's protocols


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT if path.is_relative_to(ROOT) else PROJECT))


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "show" / "page").iterdir()), *BESIDE], ids=name_of)
def test_no_file_is_too_long(path):
    assert lines_of(path) <= LONGEST_FILE


def test_no_function_is_too_long():
    found = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= LONGEST_FUNCTION:
                found[f"{name_of(path)}: {node.name}"] = node.end_lineno - node.lineno + 1
    assert not found


def test_any_is_rare_outside_the_rules():
    found = {}
    for path in SOURCES:
        if "rules" not in path.parts:
            names = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Name) and node.id == "Any"]
            found[name_of(path)] = len(names)
    assert sum(found.values()) < MOST_ANY, sorted(found.items(), key=lambda item: -item[1])[:10]


READING = re.findall(r"^\| \[`[^`]+`\]\(tinygrad_lr/([\w/.]+)\) \| ([\d,]+) \|", README.read_text(encoding="utf-8"), re.MULTILINE)


def test_readme_has_a_reading_order():
    assert len(READING) >= 10


@pytest.mark.parametrize("place, stated", READING, ids=[place for place, _ in READING])
def test_readme_counts_lines_right(place, stated):
    path = ROOT / place
    actual = lines_of(path) if path.is_file() else sum(map(lines_of, path.rglob("*.py")))
    assert abs(int(stated.replace(",", "")) - actual) <= max(5, actual // 20), f"{place} has {actual} lines"
