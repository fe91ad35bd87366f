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


def shortened(words: str, width: int) -> str:
    """The text, with its middle left out where it is wider: long names tend to differ at the end.

    Examples
    --------
    >>> shortened("the mean of all heights", 15)
    'the me...eights'
    """
    head = (width - 2) // 2
    return words if len(words) <= width else words[:head] + "..." + words[head + 3 - width :]


def quoted(thing: object) -> str:
    r"""A name or other text in quotes, on one line, shortened where it is long.

    Examples
    --------
    >>> print(quoted("two\nlines"))
    'two\nlines'
    """
    return repr(shortened(str(thing), 60))
