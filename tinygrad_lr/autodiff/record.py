"""Whether calls are recorded, and by what: `recording` and `no_grad`.

The setting is a context variable, so threads and async tasks have their own. A generator shares its caller's,
which is why `no_grad` refuses to be entered in one: what it set would hold for whoever iterates.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar

from tinygrad_lr.autodiff.node import Node, node_of

Maker = Callable[..., Node]
P = ParamSpec("P")
T = TypeVar("T")

recorder: ContextVar[Maker | None] = ContextVar("recorder", default=node_of)
"""What makes a node of a tracked call; None where nothing is recorded."""

outer: ContextVar[tuple[Maker | None, ...]] = ContextVar("outer", default=())
"""What each `recording` that is entered found, the innermost last."""


class recording:  # noqa: N801 - it is called like a function
    """Record tracked calls by ``maker``, or with None not at all."""

    def __init__(self, maker: Maker | None = node_of) -> None:
        self.maker = maker

    def __enter__(self) -> None:
        outer.set((*outer.get(), recorder.get()))
        recorder.set(self.maker)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        *others, maker = outer.get()
        outer.set(tuple(others))
        recorder.set(maker)


class no_grad(recording):  # noqa: N801 - it is called like a function
    """Compute without recording: results require no gradients.

    Also decorates functions and coroutine functions.

    Raises
    ------
    TypeError
        If entered in a generator, or given one to decorate: between two of its values the setting would hold for
        the code that iterates. Generators that `contextlib.contextmanager` or a pytest fixture runs are fine.

    Examples
    --------
    >>> import tinygrad_lr as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     print((w * 2).requires_grad)
    False
    """

    def __init__(self, *func: object) -> None:
        if func:
            raise TypeError("no_grad takes no arguments: as a decorator it is written with parentheses, @no_grad()")
        super().__init__(None)

    def __enter__(self) -> None:
        refuse_generator(sys._getframe(1))
        super().__enter__()

    def __call__(self, func: Callable[P, T]) -> Callable[P, T]:
        if isinstance(func, type):
            raise TypeError(f"@no_grad() on the class {func.__qualname__}: decorate its methods")
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            raise TypeError(f"@no_grad() on the generator {func.__qualname__} {WHILE_SUSPENDED}")
        if inspect.iscoroutinefunction(func):

            @functools.wraps(func)
            async def waiting(*args: P.args, **kwargs: P.kwargs) -> object:
                with no_grad():
                    return await func(*args, **kwargs)

            return waiting  # type: ignore[return-value]  # func returns a coroutine, and so does this

        @functools.wraps(func)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            with no_grad():
                return func(*args, **kwargs)

        return call


WHILE_SUSPENDED = (
    "would turn recording off for the code that iterates, too: compute in a function of its own, decorated with @no_grad(), "
    "and yield its result, or make it a context manager with contextlib.contextmanager"
)

GENERATORS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
ON_PURPOSE = ("contextlib", "_pytest.fixtures")  # what runs generators so that a setting holds until they go on


def refuse_generator(frame: FrameType | None) -> None:
    """Refuse to set what a generator's caller shares, unless the generator is run for that very purpose."""
    while frame is not None:
        while frame is not None and module_of(frame) in ON_PURPOSE:
            frame = frame.f_back
        if frame is None or not frame.f_code.co_flags & GENERATORS:
            return
        if frame.f_back is None or module_of(frame.f_back) not in ON_PURPOSE:
            raise TypeError(f"no_grad() in the generator {frame.f_code.co_qualname} {WHILE_SUSPENDED}")
        if module_of(frame.f_back) != "contextlib":
            return
        frame = frame.f_back


def module_of(frame: FrameType) -> str:
    """The module whose code runs in a frame."""
    return str(frame.f_globals.get("__name__"))
