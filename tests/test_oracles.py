"""Comparisons with other libraries: skipped where a library is not installed, failures where it has to be."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ORACLES

TESTS = Path(__file__).parent


@pytest.mark.parametrize("setting, outcome, status", [("", "1 skipped", 0), ("required", "1 error", 1)])
def test_a_comparison_without_its_library(setting, outcome, status):
    comparison = "tests/autodiff/test_functions.py::test_autograd_agrees_on_vectors[product]"
    code = f"import sys, pytest; sys.modules['autograd'] = None; sys.exit(pytest.main(['-q', '-rs', '-p', 'no:cacheprovider', {comparison!r}]))"
    environment = {**os.environ, "TINYGRAD_LR_ORACLES": setting}
    finished = subprocess.run([sys.executable, "-c", code], cwd=TESTS.parent, env=environment, capture_output=True, text=True)
    assert "compares with autograd: pip install 'tinygrad_lr[oracles]'" in finished.stdout
    assert outcome in finished.stdout
    assert finished.returncode == status


def test_a_test_that_takes_a_library_is_marked():
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-m", "oracle", "tests/nn/test_optim.py"]
    listed = subprocess.run(command, cwd=TESTS.parent, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {line.partition("[")[0] for line in listed if "::" in line} == {"tests/nn/test_optim.py::test_torch_agrees"}


def test_no_test_imports_a_library_past_the_fixtures():
    """Else it would be neither marked nor required."""
    found = []
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    imported = [alias.name for alias in names]
                case ast.ImportFrom(module=str(module)):
                    imported = [module]
                case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(module)), *_]) if "import" in called:
                    imported = [module]
                case _:
                    continue
            found += [f"{path.relative_to(TESTS)}:{node.lineno} imports {name}" for name in imported if name.split(".")[0] in ORACLES]
    assert not found, "take the fixtures of tests/conftest.py instead"
