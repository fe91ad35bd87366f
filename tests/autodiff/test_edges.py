"""Cases at the edge of the core's code that a change of a single word would break unseen; found by mutating it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import tinygrad_lr as tg

NUMBERS = np.arange(24.0).reshape(2, 3, 4)


def tensor(data=NUMBERS):
    return tg.Tensor(data, requires_grad=True)


# -- ndarray's methods ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.mT,
        lambda t: t.real,
        lambda t: t.imag,
        lambda t: t.transpose(),
        lambda t: t.transpose(2, 0, 1),
        lambda t: t.transpose((2, 0, 1)),
        lambda t: t.transpose(None),
        lambda t: t.reshape(6, 4),
        lambda t: t.reshape((6, 4)),
        lambda t: t.reshape(-1),
        lambda t: t.reshape(np.int64(-1)),
        lambda t: t[0, 0].transpose(0),
    ],
)
def test_methods_that_move_axes_do_as_numpys(call):
    got = call(tensor())
    np.testing.assert_array_equal(got.data, call(NUMBERS), strict=True)
    weights = np.random.default_rng(0).normal(size=got.shape)
    slope = tg.grad(lambda x: np.sum(call(x) * weights))(NUMBERS)
    want = np.sum(call(np.ones(NUMBERS.shape)) * weights)  # these functions are linear
    assert np.sum(slope) == pytest.approx(want)


@pytest.mark.parametrize("name", ["sum", "mean", "cumsum", "argmax", "squeeze", "repeat", "dot"])
def test_methods_help_by_name(name):
    """What help(t.sum) shows."""
    assert getattr(tg.Tensor, name).__name__ == name
    assert getattr(tg.Tensor, name).__doc__ == f"`np.{name}` of this array, with the same arguments."


# -- the backward pass ---------------------------------------------------------------------------------


def test_an_argument_without_a_rule_does_not_hide_those_behind_it():
    scaled = tg.primitive(lambda n, x, m: x * 3, None, lambda g, y, n, x, m: g * 3, None)
    n, x, m = tensor([1.0]), tensor([2.0]), tensor([3.0])
    scaled(n, x, m).backward([1.0])
    assert x.grad == 3
    assert n.grad is None
    assert m.grad is None


def test_all_that_was_bypassed_is_freed():
    """A step sends no gradient back, but what it was computed from goes with the rest of the graph, whatever stands beside it."""
    x = tensor([5.0])
    first, second = x * 2, x * 3
    loss = np.sum(np.floor_divide(first, x) * x + np.floor_divide(x, second) * x)
    loss.backward()
    for bypassed in (first, second):
        with pytest.raises(RuntimeError, match=r"^this graph was freed by an earlier backward"):
            bypassed.backward([1.0])


def test_the_function_that_met_complex_numbers_is_named():
    with pytest.raises(TypeError, match=r"^np\.\w+ met complex numbers, whose derivatives no rule knows: compute with real and imaginary parts$"):
        np.sum(np.abs(tensor([1.0, 2.0]) * (3 + 4j))).backward()


# -- no_grad as a decorator ----------------------------------------------------------------------------


def test_no_grad_hands_on_arguments_by_name():
    w = tensor([2.0])

    @tg.no_grad()
    def plain(x, *, factor=1.0):
        return x * w * factor

    @tg.no_grad()
    async def waiting(x, *, factor=1.0):
        return x * w * factor

    for y in (plain(3.0, factor=2.0), asyncio.run(waiting(3.0, factor=2.0))):
        assert y.item() == 12
        assert not y.requires_grad


def test_no_grad_on_an_asynchronous_generator_is_refused():
    with pytest.raises(TypeError, match=r"^@no_grad\(\) on the generator .*values would turn recording off"):

        @tg.no_grad()
        async def values():
            yield 1.0


# -- structures ----------------------------------------------------------------------------------------


class Layers(list):
    """A list with something to say of its own."""

    def __init__(self, items=(), name="layers"):
        super().__init__(items)
        self.name = name


def test_a_list_of_ones_own_type_keeps_it():
    given = Layers([1.0, np.array([2.0, 3.0])], "given")
    found = tg.grad(lambda layers: layers[0] ** 2 + np.sum(layers[1] ** 2))(given)
    assert type(found) is Layers
    assert found.name == "given"
    assert found[0] == 2
    np.testing.assert_array_equal(found[1], [4, 6])
    assert given[0] == 1.0
    assert len(found) == 2
