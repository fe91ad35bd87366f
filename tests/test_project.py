"""Promises about the project as a whole: no cycle of imports, what importing loads, the README's examples, and what it says that is needed."""

from __future__ import annotations

import ast
import doctest
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tinygrad_lr

ROOT = Path(tinygrad_lr.__file__).parent
PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"
CONFIGURATION = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
PYPROJECT, HATCH = CONFIGURATION["project"], CONFIGURATION["tool"]["hatch"]


def imports_of(path: Path) -> set[str]:
    """The modules of this package that a file imports when it is imported itself; .ci/run lints the direction of all imports."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tinygrad_lr."):
            found.add(node.module.removeprefix("tinygrad_lr."))
        elif isinstance(node, ast.ImportFrom) and node.module == "tinygrad_lr":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("tinygrad_lr.") for alias in node.names if alias.name.startswith("tinygrad_lr.")}
    return found


def modules() -> dict[str, Path]:
    named = {}
    for path in ROOT.rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if name != "__init__":
            named[name] = path
    return named


def test_imports_have_no_cycle():
    known = modules()
    left = {name: {used for used in imports_of(path) if used in known and used != name} for name, path in known.items()}
    while left:
        free = [name for name, used in left.items() if not used & left.keys()]
        assert free, f"these import each other in a circle: {sorted(left)}"
        for name in free:
            del left[name]


def test_that_test_sees_imports_of_both_kinds(tmp_path):
    path = tmp_path / "some.py"
    path.write_text("from tinygrad_lr import nn\nfrom tinygrad_lr.autodiff.tensor import Tensor\nimport tinygrad_lr.show\n")
    assert imports_of(path) == {"nn", "autodiff.tensor", "show"}


def test_importing_loads_numpy_and_nothing_heavier():
    code = "import sys, numpy; before = set(sys.modules); from tinygrad_lr import Tensor, grad, nn; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"scipy", "matplotlib", "graphviz", "pygraphviz", "dask", "numba", "tqdm", "sklearn", "pandas", "numpy.random", "numpy.testing", "pytest"}
    assert not heavy & set(loaded)
    assert {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"tinygrad_lr"} == set()


def test_importing_alone_does_not_even_load_numpy():
    subprocess.run([sys.executable, "-c", "import sys, tinygrad_lr; assert 'numpy' not in sys.modules"], check=True)


def test_type_checkers_see_the_names_that_load_when_used():
    for_checkers = {alias.name for node in ast.walk(ast.parse((ROOT / "__init__.py").read_text())) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert for_checkers - {"import_module"} == set(tinygrad_lr.__all__)


def test_readme_examples():
    results = doctest.testfile(str(README), module_relative=False, optionflags=doctest.REPORT_NDIFF)
    assert results.attempted > 20
    assert results.failed == 0


def test_public_names_have_docstrings_with_examples():
    for name in dir(tinygrad_lr):
        thing = getattr(tinygrad_lr, name)
        if not name.startswith("_") and callable(thing):
            assert thing.__doc__, name
            assert ">>>" in thing.__doc__, f"{name} has no example"


def test_readme_names_the_oldest_python_and_numpy():
    python, numpy = PYPROJECT["requires-python"], next(need for need in PYPROJECT["dependencies"] if need.startswith("numpy"))
    assert f"It needs Python {python.removeprefix('>=')} and NumPy {numpy.removeprefix('numpy>=')}, or newer" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("extra", sorted(PYPROJECT["optional-dependencies"].keys() - {"test", "all"}))
def test_something_imports_what_an_extra_brings(extra):
    """The package itself; of the oracles tests and benchmarks."""
    rooms = ("tests", "benchmarks") if extra == "oracles" else ("tinygrad_lr",)
    text = "\n".join(path.read_text(encoding="utf-8") for room in rooms for path in (PROJECT / room).rglob("*.py"))
    for need in PYPROJECT["optional-dependencies"][extra]:
        module = re.match(r"[\w-]+", need)[0]
        assert re.search(rf"""^ *(import|from) {module}\b|importorskip\("{module}\b""", text, re.MULTILINE), f"nothing imports {module}"


def test_commits_are_checked_by_the_commands_of_ci():
    hooks = re.findall(r"^ *entry: (.+)$", (PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    step = re.search(r'^step "Lint, format, types, import layers"\n((?:.+\n)+)', (PROJECT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert hooks == step[1].splitlines()


def test_the_version_is_in_one_place():
    assert PYPROJECT["dynamic"] == ["version"]
    assert HATCH["version"] == {"path": "tinygrad_lr/__init__.py"}
