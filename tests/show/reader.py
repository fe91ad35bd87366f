"""Reads the formulas of the page and computes them, for the tests that compare them with the numbers beside them."""

from __future__ import annotations

import re

import numpy as np

import tinygrad_lr as tg
from tests.nn.rows import ACTIVATIONS
from tinygrad_lr.autodiff.rules.elementwise import sigmoid
from tinygrad_lr.autodiff.rules.reductions import softmax
from tinygrad_lr.show.formulas import plain_name


def as_rows(array):
    array = np.asarray(array)
    return array if array.ndim in (0, 2) else np.atleast_2d(array).reshape(-1, array.shape[-1])


FUNCTIONS = {
    "log": np.log,
    "exp": np.exp,
    "sin": np.sin,
    "cos": np.cos,
    "sqrt": np.sqrt,
    "square": np.square,
    "sigmoid": sigmoid,
    "softmax": softmax,
    **{plain_name(row.kind.about.function): row.make() for row in ACTIVATIONS},
}
SEVERAL = {"max": np.maximum, "min": np.minimum, "clip": np.clip}
SLOPES = {plain_name(row.kind.about.function): lambda z, row=row: tg.grad(lambda z: np.sum(row.make()(z)))(z) for row in ACTIVATIONS}


class Claim:
    """A formula, read by the rules of its notation: a space is a product of matrices, * a product of elements."""

    def __init__(self, text, names, activation, rows):
        """``names`` are the arrays by what the formula calls them, ``activation`` is what s stands for, ``rows`` are the samples."""
        self.names = {name: as_rows(array) for name, array in names.items()}
        words = ["mean of", "sum of the rows of", "sum of", "onehot", "log 2", *(f"{f}′" for f in FUNCTIONS), "s'", "s′", "where", "else", *FUNCTIONS, *SEVERAL]
        known = sorted([*self.names, *words, "m", "n"], key=len, reverse=True)
        pattern = "|".join(
            [
                *(re.escape(word) + (r"(?![\w])" if word[-1].isalnum() else "") for word in known),
                r"\d+\.?\d*(?:e[+-]\d+)?",
                r"\^T",
                r"\*\*",
                r"[-+*/^@()\[\],|<]",
            ]
        )
        text = re.sub(r", \w+=[\d.]+", "", text)  # `FUNCTIONS` have their settings
        self.tokens, at = [], 0
        for match in re.finditer(rf"\s*({pattern})", text):
            assert not text[at : match.start()].strip(), f"cannot read {text[at : match.start()]!r} in {text!r}"
            self.tokens.append(match[1])
            at = match.end()
        assert not text[at:].strip(), f"cannot read {text[at:]!r} in {text!r}"
        self.activation, self.rows = activation, rows
        self.each = False  # within a mean or sum of elements every product is one of elements
        self.pairs = None  # what the last product of matrices, or sum of rows, summed over

    def value(self):
        total = self.tokens[0] if self.tokens[0] in ("mean of", "sum of") else None
        if total:
            self.tokens.pop(0)
            self.each = True
        result = self.choice()
        assert not self.tokens, f"left over: {self.tokens}"
        return {None: lambda a: a, "mean of": np.mean, "sum of": np.sum}[total](result)

    def peek(self):
        return self.tokens[0] if self.tokens else ""

    def take(self, *expected):
        if self.peek() in expected:
            return self.tokens.pop(0)
        return None

    def choice(self):
        result = self.sum()
        if self.take("where"):
            below, bound = self.sum(), self.take("<") and self.sum()
            assert self.take(",")
            assert self.take("else")
            result = np.where(below < bound, result, self.sum())
        return result

    def sum(self):
        result = -self.term() if self.take("-") else self.term()
        while sign := self.take("+", "-"):
            result = result + self.term() if sign == "+" else result - self.term()
        return result

    def term(self):
        result = self.product()
        while sign := self.take("*", "/", "@"):
            right = self.product()
            result = {"*": np.multiply, "/": np.divide, "@": np.matmul}[sign](result, right)
        return result

    def product(self):
        result = self.power()
        while self.peek() and self.peek() not in {"+", "-", "*", "/", "@", ")", "]", "^", "**", "^T", "[", ",", "|", "<", "where", "else"}:
            right = self.power()
            if self.each or not np.ndim(result) or not np.ndim(right):
                result = result * right
            else:
                self.pairs = (result, right)
                result = result @ right
        return result

    def power(self):
        result = self.atom()
        while sign := self.take("^T", "^", "**", "["):
            if sign == "^T":
                result = result.T
            elif sign == "[":
                result = np.take_along_axis(result, self.sum().reshape(-1, 1), axis=1)
                assert self.take("]")
            else:
                result = result ** (-self.atom() if self.take("-") else self.atom())
        return result

    def atom(self):
        token = self.tokens.pop(0)
        if token == "(":
            result = self.sum()
            assert self.take(")")
            return result
        if token == "|":
            result = np.abs(self.sum())
            assert self.take("|")
            return result
        if token in self.names:
            return self.names[token]
        if token in SEVERAL:
            assert self.take("(")
            arguments = [self.sum()]
            while self.take(","):
                arguments.append(self.sum())
            assert self.take(")")
            return SEVERAL[token](*arguments)
        if token in FUNCTIONS:
            return FUNCTIONS[token](self.atom())
        if token in ("s'", "s′") or token.endswith("′"):
            return SLOPES[self.activation if token[0] == "s" and len(token) == 2 else token[:-1]](self.atom())
        if token == "onehot":
            return np.eye(self.rows[1])[self.atom().ravel()]
        if token == "sum of the rows of":
            self.pairs = (self.atom(),)
            return self.pairs[0].sum(axis=0, keepdims=True)
        if token == "log 2":
            return np.log(2)
        return {"m": self.rows[0], "n": self.rows[1]}[token] if token in "mn" else float(token)
