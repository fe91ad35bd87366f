"""Promises about the project as a whole: layers of imports, what importing loads, and doctests of the README."""

from __future__ import annotations

import ast
import doctest
import subprocess
import sys
from pathlib import Path

import tinygrad_lr

ROOT = Path(tinygrad_lr.__file__).parent
README = Path(__file__).parents[1] / "README.md"

FLOORS = [
    *("autodiff.text", "autodiff.trees", "autodiff.rules", "autodiff.methods", "autodiff.graph", "autodiff.tensor"),
    *("autodiff.derivatives", "autodiff.gradcheck", "autodiff"),
    *("nn", "regression", "show", "pytest_plugin", "cli", "__main__"),
]
"""From the ground up; a module belongs to the longest prefix it has here."""


def floor(module: str) -> int:
    homes = [home for home in FLOORS if module == home or module.startswith(home + ".")]
    return FLOORS.index(max(homes, key=len))


def imports_of(path: Path, inside_functions: bool = True) -> set[str]:
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if inside_functions else tree.body:
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


def test_imports_point_down():
    upward = [f"{name} imports {used}" for name, path in modules().items() for used in imports_of(path) if floor(used) > floor(name)]
    assert not upward


def test_imports_have_no_cycle():
    known = modules()
    graph = {name: {used for used in imports_of(path, inside_functions=False) if used in known and used != name} for name, path in known.items()}
    left = dict(graph)
    while left:
        free = [name for name, used in left.items() if not used & left.keys()]
        assert free, f"these import each other in a circle: {sorted(left)}"
        for name in free:
            del left[name]


def test_the_import_test_sees_an_upward_import(tmp_path):
    path = tmp_path / "bad.py"
    path.write_text("from tinygrad_lr import nn\nfrom tinygrad_lr.autodiff.tensor import Tensor\n")
    assert imports_of(path) == {"nn", "autodiff.tensor"}
    assert floor("nn") > floor("autodiff.graph")


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
    assert for_checkers - {"import_module", "Any"} == set(tinygrad_lr.__all__)


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
