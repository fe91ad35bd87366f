"""Names as they are shown: one line, whatever characters a user's name holds."""

from __future__ import annotations


def shown(words: str) -> str:
    r"""The text with line breaks, control characters and halves of characters as Python writes them.

    So a file's or layer's name can neither break a line nor steer the terminal that it is printed on.

    Examples
    --------
    >>> print(shown("größe\n\x1b[2J"))
    größe\n\x1b[2J
    """
    return words if words.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)
