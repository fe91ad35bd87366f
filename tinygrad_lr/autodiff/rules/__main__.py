"""``python -m tinygrad_lr.autodiff.rules [--markdown]``: every supported function, and how its gradient is computed."""

from __future__ import annotations

import argparse

from tinygrad_lr.autodiff.rules.table import markdown, plain_text


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tinygrad_lr.autodiff.rules", description="Print every supported function and how its gradient is computed."
    )
    parser.add_argument("--markdown", action="store_true", help="as Markdown: what README.md beside the rules holds")
    print(markdown() if parser.parse_args().markdown else plain_text(), end="")


if __name__ == "__main__":
    main()
