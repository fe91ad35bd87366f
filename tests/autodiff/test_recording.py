"""What is recorded in threads, under no_grad and in generators, and what Ctrl-C leaves: right, or refused by name."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.autodiff.test_silent import X, tracked

# -- recording, in threads, in no_grad and in generators -----------------------------------------------


def test_an_inner_derivative_in_a_worker_thread_stays_in_the_outer_one():
    def inner(w):
        return tg.grad(lambda x: x**2 * w)(3.0)  # 6 w

    def outer(w):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(inner, w).result() * w

    assert tg.grad(outer)(1.0) == 12.0
    assert tg.grad(lambda w: inner(w) * w)(1.0) == 12.0
    assert type(inner(2.0)) is np.float64


def test_an_inner_derivative_in_another_thread_stays_plain_beside_an_unrelated_one():
    w, results, waiting, done = tracked(2.0), [], threading.Event(), threading.Event()

    def other():
        waiting.wait(10)
        results.append(tg.grad(lambda x: x**2 * w)(3.0))  # w is a leaf of nobody's derivative
        done.set()

    def slow(x):
        waiting.set()
        done.wait(10)
        return x * x

    thread = threading.Thread(target=other)
    thread.start()
    assert tg.grad(slow)(3.0) == 6.0
    thread.join()
    assert results == [12.0]
    assert type(results[0]) is np.float64


@pytest.mark.parametrize("capture", [True, False], ids=["captured", "argument"])
def test_no_grad_around_an_inner_derivative_makes_it_a_constant(capture):
    def outer(w):
        with tg.no_grad():
            slope = tg.grad(lambda x: x**2 * w)(3.0) if capture else tg.grad(lambda x: x**3)(w)
        return slope * w

    assert tg.grad(outer)(2.0) == 12.0  # 6 w at 2, or 3 w^2 at 2: the slope itself
    with tg.no_grad():
        assert tg.grad(lambda x: x**3)(2.0) == 12.0
        assert not tg.value_and_grad(lambda x: x**3)(tracked(2.0))[0].requires_grad
        assert tg.jvp(np.square, 3.0, 1.0) == (9.0, 6.0)
        assert tg.hessian(lambda x: x**3)(2.0) == 12.0


def test_no_grad_in_a_generator_is_refused():
    def values():
        with tg.no_grad():
            yield 1.0

    with pytest.raises(
        TypeError, match=r"^no_grad\(\) in the generator .*values would turn recording off for the code that iterates, too: compute in a function"
    ):
        next(values())
    assert (tracked() * 2).requires_grad

    async def waiting():
        with tg.no_grad():
            yield 1.0

    async def iterate():
        async for _ in waiting():
            pass

    with pytest.raises(TypeError, match="in the generator"):
        asyncio.run(iterate())


def test_no_grad_on_a_generator_is_refused():
    with pytest.raises(TypeError, match=r"^@no_grad\(\) on the generator .*values would turn recording off"):

        @tg.no_grad()
        def values():
            yield 1.0


def test_no_grad_in_a_context_manager_is_what_it_says():
    @contextlib.contextmanager
    def evaluating():
        with tg.no_grad():
            yield

    with evaluating():
        assert not (tracked() * 2).requires_grad
    assert (tracked() * 2).requires_grad


def test_no_grad_decorates_functions_and_coroutine_functions():
    @tg.no_grad()
    def double(t, again=1):
        return double(t, again - 1) if again else t * 2

    @tg.no_grad()
    async def later(t):
        await asyncio.sleep(0)
        return t * 2

    async def both():
        task = asyncio.create_task(later(tracked()))
        await asyncio.sleep(0)
        return (tracked() * 2).requires_grad, (await task).requires_grad

    assert not double(tracked()).requires_grad
    assert asyncio.run(both()) == (True, False)


def test_no_grad_in_a_generator_is_refused_by_detours_too():
    @contextlib.contextmanager
    def quiet():
        with tg.no_grad():
            yield

    def by_manager():
        with quiet():
            yield 1.0

    def by_stack():
        with contextlib.ExitStack() as stack:
            stack.enter_context(tg.no_grad())
            yield 1.0

    for values in (by_manager, by_stack):
        with pytest.raises(TypeError, match=f"in the generator .*{values.__name__} would turn recording off"):
            next(values())
        assert (tracked() * 2).requires_grad


@pytest.fixture
def recording_off():
    with tg.no_grad():
        yield


def test_no_grad_in_a_fixture(recording_off):
    assert not (tracked() * 2).requires_grad


def test_one_no_grad_in_two_threads():
    off, both = tg.no_grad(), threading.Barrier(2, timeout=10)

    def use(_):
        with off:
            both.wait()
            inside = (tracked() * 2).requires_grad
            both.wait()
        return inside, (tracked() * 2).requires_grad

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(use, range(2))) == [(False, True)] * 2


def test_no_grad_written_wrongly():
    with pytest.raises(TypeError, match=r"^no_grad takes no arguments: as a decorator it is written with parentheses, @no_grad\(\)$"):

        @tg.no_grad
        def double(t):
            return t * 2

    with pytest.raises(TypeError, match=r"^@no_grad\(\) on the class .*Net: decorate its methods$"):

        @tg.no_grad()
        class Net:
            pass


def test_a_tensor_of_a_leaf_where_nothing_is_recorded():
    with tg.no_grad():
        assert tg.Tensor(tracked()).tolist() == X.tolist()


def test_one_no_grad_entered_twice():
    off = tg.no_grad()
    with off:
        with off:
            pass
        assert not (tracked() * 2).requires_grad
    assert (tracked() * 2).requires_grad


# -- Ctrl-C --------------------------------------------------------------------------------------------


def test_an_interrupted_backward_leaves_all_gradients_or_none():
    """The signal comes at a different moment each time; gradients of all leaves are from the same pass."""
    leaves = [tracked(np.array(1.0)) for _ in range(200)]

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    seen = set()
    try:
        for i in range(300):
            for leaf in leaves:
                leaf.zero_grad()
            loss = sum(leaves[1:], leaves[0])
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + i * 5e-6)
                loss.backward()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                pass
            there = {leaf.grad is not None for leaf in leaves}
            assert len(there) == 1, "some gradients are from this pass and others are not"
            seen |= there
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert seen == {True, False}
