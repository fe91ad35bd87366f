"""The other libraries that tests compare with: the fixtures ``jax``, ``torch`` and ``autograd``.

A test that takes one of them gets the marker ``oracle``. Where the library is not installed the test is skipped, or
fails if the environment says ``TINYGRAD_LR_ORACLES=required``, as continuous integration does.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest

collect_ignore = ["typed_scripts"]  # for a type checker: some of their lines are wrong on purpose

ORACLES = {"jax", "torch", "autograd"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "oracle: compares with another library")


def pytest_itemcollected(item: pytest.Item) -> None:
    if not ORACLES.isdisjoint(getattr(item, "fixturenames", ())):
        item.add_marker("oracle")


def installed(name: str) -> ModuleType | None:
    """The library, or None without it; a failure where it is required."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        if os.environ.get("TINYGRAD_LR_ORACLES") == "required":
            pytest.fail(wanted(name))
        return None


def wanted(name: str) -> str:
    return f"compares with {name}: pip install 'tinygrad_lr[oracles]'"


def oracle(name: str) -> ModuleType:
    """The library; without it the test is skipped."""
    return installed(name) or pytest.skip(wanted(name))


@pytest.fixture(scope="session")
def jax() -> ModuleType:
    jax = oracle("jax")
    jax.config.update("jax_enable_x64", True)
    return jax


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    return oracle("torch")


@pytest.fixture(scope="session")
def autograd() -> ModuleType:
    return oracle("autograd")
