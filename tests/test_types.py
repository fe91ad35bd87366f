"""What users' scripts look like to a type checker: the names that are known, and the mistakes that are seen.

In `tests/typed_scripts` each line that is wrong on purpose ends in a comment: ``# error: `` and how mypy's message begins.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent / "typed_scripts").glob("*.py"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], str]:
    """mypy's messages by file and line."""
    cache = tmp_path_factory.mktemp("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}", "--hide-error-codes", *map(str, SCRIPTS)]
    output = subprocess.run(command, capture_output=True, text=True).stdout
    lines = re.findall(r"([\w]+\.py):(\d+): error: (.*)", output)
    return {(name, int(number)): message for name, number, message in lines}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_understood_and_its_mistakes_are_seen(script, found):
    expected = {}
    for number, line in enumerate(script.read_text(encoding="utf-8").splitlines(), start=1):
        if "  # error: " in line:
            expected[number] = line.partition("  # error: ")[2]
    assert expected
    mine = {number: message for (name, number), message in found.items() if name == script.name}
    assert mine.keys() == expected.keys(), mine
    for number, start in expected.items():
        assert mine[number].startswith(start), number
