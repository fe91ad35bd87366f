"""Whole models in files: layers as JSON, parameters and buffers as arrays, all in one .npz that runs no code when read.

A model is written to a file beside the old one, its headers are read back, and it is put in place as a whole. Reading
trusts nothing: names, headers and sizes are checked before any memory is allocated for arrays, and compression is
refused, so that no array is larger than the file.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, Required, TypedDict, TypeVar, overload
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

import tinygrad_lr.nn.activations as activations
from tinygrad_lr.autodiff.text import quoted, shortened, shown
from tinygrad_lr.nn.activations import Activation
from tinygrad_lr.nn.layers import Dense, Sequential
from tinygrad_lr.nn.module import Module, arrays_of, dotted, mismatches

ACTIVATIONS = {name: kind for name, kind in vars(activations).items() if isinstance(kind, type) and issubclass(kind, Activation) and kind is not Activation}
LAYERS: dict[str, type[Module]] = {"Sequential": Sequential, "Dense": Dense, **ACTIVATIONS}
DEEPEST = 100  # Sequentials within Sequentials; far below Python's recursion limit
M = TypeVar("M", bound=Module)


def save(model: Module, path: str | Path) -> None:
    """Write a model to a file: its layers, parameters and buffers.

    The file replaces an older one in a single step, so that there is a whole model at any time. (A process killed
    meanwhile leaves a ``.model.npz.*.tmp`` behind.) To load modules of your own, pass `load` a model to load into: of them
    only parameters and buffers are written, no settings.

    Parameters
    ----------
    model : Module
    path : str or Path
        The file to write; its name ends in .npz.

    Raises
    ------
    TypeError
        If ``model`` is not a Module, an array holds Python objects or fields, or a buffer is a masked array or a
        Tensor computed from tracked ones.
    ValueError
        If the model could not be loaded again: the file does not end in .npz, layers of a `Sequential` share
        parameters or hold further arrays, or a name cannot be stored.
    OSError
        If the file cannot be written; then nothing is left behind.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from tinygrad_lr import nn
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.npz"
    >>> nn.save(nn.Sequential(nn.Dense(2, 1), nn.Sigmoid()), path)
    >>> nn.load(path)
    Sequential(
      0: Dense(2 -> 1)
      1: Sigmoid()
    )
    """
    if not isinstance(model, Module):
        raise TypeError(f"save takes a model and a path, got a {type(model).__name__} as the model: nn.save(model, path)")
    if Path(path).suffix != ".npz":
        raise ValueError(f"a model is saved as .npz, got {str(path)!r}")
    state = model.state_dict()
    for name, value in state.items():
        if not is_a_member(f"state.{name}.npy"):
            raise ValueError(f"a file cannot store the name {quoted(name)}: rename the layer, key or attribute")
        if not re.fullmatch(DTYPE, value.dtype.str):
            raise TypeError(f"{quoted(name)} is an array of {value.dtype}, but a file holds only numbers and text, which run no code when loaded")
    structure = structure_of(model)
    if "modules" not in structure:
        check_rebuilds(structure, state)
    write_arrays(path, {"structure": np.array(json.dumps(structure)), **{f"state.{name}": value for name, value in state.items()}})


@overload
def load(path: str | Path, into: None = None) -> Module: ...
@overload
def load(path: str | Path, into: M) -> M: ...
def load(path: str | Path, into: Module | None = None) -> Module:
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or Path
        The file.
    into : Module, optional
        The model whose parameters and buffers to set. It must have the same layers, with the same settings, and shapes.
        Of modules that are not part of this package neither classes nor settings are compared. Required if the saved
        model holds such modules, because a file holds no code.

    Returns
    -------
    Module
        ``into``, or a new model with the saved layers.

    Raises
    ------
    TypeError
        If ``into`` is not a Module, but a class for example.
    ValueError
        If the file holds no such model, or one that does not fit ``into``, which is then left unchanged.
    OSError
        If the file cannot be read, or there is not enough memory for it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from tinygrad_lr import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         self.layer = nn.Dense(2, 1)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "net.npz"
    >>> nn.save(Net(), path)
    >>> nn.load(path, into=Net())
    Net(
      layer: Dense(2 -> 1)
    )
    """
    if into is not None and not isinstance(into, Module):
        what, remedy = (f"the class {into.__name__}", f"{into.__name__}(...)") if isinstance(into, type) else (f"a {type(into).__name__}", "model")
        raise TypeError(f"load takes a model to load into, got {what}: nn.load(path, into={remedy})")
    try:
        return read_model(path, into)
    except MemoryError as error:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), str(path)) from error


def read_model(path: str | Path, into: Module | None) -> Module:
    """`load`, once its arguments are checked."""
    where = shown(str(path))
    try:
        with open(path, "rb") as stream, ZipFile(stream) as file:
            size = os.fstat(stream.fileno()).st_size
            arrays = {name: array_of(file, header) for name, header in headers_of(file, size).items()}
        structure, made = structure_in(arrays.pop("structure", None))
        state = {name.removeprefix("state."): value for name, value in arrays.items()}
        problems = [] if made is None else mismatches(arrays_of(made), state)
        if problems:
            raise ValueError("its arrays do not fit its layers: " + "; ".join(problems))
    except (ValueError, BadZipFile, NotImplementedError, EOFError, RecursionError, OverflowError, struct.error, Warning) as error:
        raise ValueError(f"{where} holds no model saved by tinygrad_lr.nn.save: {shown(shortened(str(error), 300))}") from error
    model = made if into is None else into
    if model is None:
        foreign = ", ".join(f"{name} at {place!r}" for place, name in structure["modules"] if name.partition("(")[0] not in LAYERS)
        what = shown(shortened(f"{structure['layer']}, whose modules are not part of this package ({foreign})", 300))
        raise ValueError(f"{where} holds a {what}: pass a model to load it into, nn.load(path, into=model)")
    problems = differing_layers(structure, structure_of(model))
    if problems:
        raise ValueError(f"{where} does not fit {type(model).__name__}: " + "; ".join(problems))
    try:
        model.load_state_dict(state)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return model


# -- what a model is made of ---------------------------------------------------------------------------


class Structure(TypedDict, total=False):
    """A model as plain data: what it takes to build it again or, if not all modules are part of this package, their classes."""

    layer: Required[str]
    layers: list[tuple[str, Structure]]  # of a Sequential, by name
    n_in: int  # of a Dense, as are the next three
    n_out: int
    bias: bool
    dtype: str
    settings: dict[str, float]  # of an activation that has some
    modules: list[tuple[str, str]]  # the path and class of every module; the names of other packages' classes have a dot


def structure_of(model: Module) -> Structure:
    """The structure of any model."""
    modules = [(path, module, type(module)) for path, module in model.named_modules()]
    if all(kind in LAYERS.values() for _, _, kind in modules):
        return structure_of_layer(model)
    names = {path: kind.__name__ if kind in LAYERS.values() else f"{kind.__module__}.{kind.__qualname__}" for path, _, kind in modules}
    names.update((path, named(structure_of_layer(module))) for path, module, kind in modules if kind in ACTIVATIONS.values())
    return {"layer": type(model).__name__, "modules": list(names.items())}


def named(layer: Structure) -> str:
    """The class of a layer and its settings, as text."""
    settings = ", ".join(f"{name}={value!r}" for name, value in sorted(layer.get("settings", {}).items()))
    return f"{layer['layer']}({settings})" if settings else layer["layer"]


def structure_of_layer(module: Module, depth: int = 0) -> Structure:
    """The structure of a layer of this package."""
    kind = type(module).__name__
    if depth > DEEPEST:
        raise ValueError(f"layers are nested more than {DEEPEST} deep")
    if isinstance(module, Sequential):
        return {"layer": kind, "layers": [(name, structure_of_layer(layer, depth + 1)) for name, layer in module.layers.items()]}
    if isinstance(module, Dense):
        return {"layer": kind, "n_in": module.n_in, "n_out": module.n_out, "bias": module.bias is not None, "dtype": str(module.weight.dtype)}
    options = module.options if isinstance(module, Activation) else {}
    settings = {name: float(value) if type(value) is int else value for name, value in options.items()}
    return {"layer": kind, "settings": settings} if settings else {"layer": kind}


def built(structure: object, depth: int = 0) -> Module:
    """The layer of a structure that was read from a file. Its weights take no memory: each is a single number, repeated."""
    match structure:
        case {"layer": "Sequential", "layers": [*layers]} if depth <= DEEPEST:
            model = Sequential()
            for layer in layers:
                match layer:
                    case [str(name), inner] if name not in model.layers:
                        model.layers[name] = built(inner, depth + 1)
                    case _:
                        raise ValueError(f"{quoted(layer)} is not a layer with a name of its own")
            return model
        case {"layer": "Dense", "n_in": int(n_in), "n_out": int(n_out), "bias": bool(bias), "dtype": str(dtype)} if n_in > 0 and n_out > 0:
            if not re.fullmatch("(float|[<>]f)[0-9]{1,3}", dtype):
                raise ValueError(f"a layer has the dtype {quoted(dtype)}")
            dense = Dense(1, 1, bias, dtype_of(dtype))
            dense.n_in, dense.n_out = int(n_in), int(n_out)
            dense.weight.data = np.broadcast_to(dense.weight.data, (n_out, n_in))
            if dense.bias is not None:
                dense.bias.data = np.broadcast_to(dense.bias.data, (n_out,))
            return dense
        case {"layer": str(kind), **rest} if kind in ACTIVATIONS:
            layer, settings = ACTIVATIONS[kind](), rest.get("settings", {})
            if isinstance(settings, dict) and settings.keys() == layer.options.keys() and all(type(value) in (int, float) for value in settings.values()):
                return ACTIVATIONS[kind](**settings)
    raise ValueError(f"{quoted(structure)} is not a layer")


def check_rebuilds(structure: Structure, state: dict[str, np.ndarray]) -> None:
    """Refuse layers that would not hold these arrays when built again."""
    again = arrays_of(built(structure))
    if again.keys() - state.keys():
        raise ValueError("layers of the model share parameters, which a file cannot express: write model.state_dict() with numpy.savez instead")
    problems = mismatches(again, state)
    for path, thing in again.items():
        if thing.dtype != state[path].dtype:
            problems.append(f"{path!r} is {state[path].dtype}, its layer {thing.dtype}")
    if problems:
        raise ValueError(f"the model holds arrays that its layers would not have when built again, so make it a Module of your own: {'; '.join(problems)}")


def classes_in(structure: Structure, path: str = "") -> dict[str, str]:
    """The class of each module, with its settings, by its path."""
    if "modules" in structure:
        return dict(structure["modules"])
    classes = {path: named(structure)}
    for name, inner in structure.get("layers", ()):
        classes.update(classes_in(inner, dotted(path, name)))
    return classes


def differing_layers(theirs: Structure, mine: Structure) -> list[str]:
    """Where two models have different layers; the classes of modules that are not part of this package may differ."""
    a, b = classes_in(theirs), classes_in(mine)
    paths = [path for path in {**a, **b} if a.get(path) != b.get(path)]
    if "modules" in theirs or "modules" in mine:
        paths = [path for path in paths if all(side.get(path, "").partition("(")[0] in LAYERS for side in (a, b))]
    return [f"layer {quoted(path)} is {a.get(path, 'missing')} in the file and {b.get(path, 'missing')} in the model" for path in paths]


# -- files ---------------------------------------------------------------------------------------------


def is_a_member(name: str) -> bool:
    """Whether a member of a zip file can have this name."""
    try:
        return ZipInfo(name).filename == name and len(name.encode()) < 2**16  # zipfile cuts it at a NUL
    except UnicodeEncodeError:
        return False


def write_arrays(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays to a file, and compare its headers with them before it replaces an older one."""
    with replacing(path) as stream:
        with ZipFile(stream, "w") as file:  # as numpy.savez does it
            for name, value in arrays.items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, value, allow_pickle=False)
        with ZipFile(stream) as file:
            kept = {name: (header.shape, header.dtype) for name, header in headers_of(file, stream.seek(0, os.SEEK_END)).items()}
        if kept != {name: (value.shape, value.dtype) for name, value in arrays.items()}:
            raise ValueError("the model could not be loaded again: its file holds other arrays than it should")


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A new file that replaces ``path`` once it is complete and on the disk; if that fails it is removed."""
    target = Path(os.path.realpath(path))  # a link stays a link
    temporary = target.with_name(f".{target.name[:40]}.{os.urandom(8).hex()}.tmp")
    try:
        if target.exists():
            with open(target, "r+b"):
                pass  # a file that may not be written must not be replaced either
        with open(temporary, "x+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):  # the first error is the one to report
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


class Header(NamedTuple):
    """What is known of an array in a file before it is read."""

    member: ZipInfo
    start: int
    dtype: np.dtype
    shape: tuple[int, ...]
    order: Literal["C", "F"]


UTF8 = 0x800  # the flag of a name in UTF-8
DTYPE = r"[<>|][biufcSU][1-9][0-9]{0,8}|[<>][mM]8(?:\[\w+\])?"
SHAPE = r"(?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?"
HEADER = rf"\{{'descr': '({DTYPE})', 'fortran_order': (True|False), 'shape': \(({SHAPE})\), \}} *\n"
"""A header exactly as NumPy writes it; nothing in it is evaluated."""


def headers_of(file: ZipFile, size: int) -> dict[str, Header]:
    """The headers of the arrays in a file of ``size`` bytes, by name."""
    found: dict[str, ZipInfo] = {}
    for member in file.infolist():
        name = member.filename.removesuffix(".npy")
        if member.filename != f"{name}.npy" or not (name == "structure" or name.startswith("state.")) or name in found:
            raise ValueError(f"{quoted(member.filename)} is not the name of an array of a model, or appears twice")
        if member.flag_bits & ~UTF8 or member.compress_type != ZIP_STORED or member.compress_size != member.file_size:
            raise ValueError(f"{quoted(name)} is compressed or encrypted")
        if not 0 <= member.header_offset <= size - member.file_size:
            raise ValueError(f"{quoted(name)} lies outside the file")
        found[name] = member
    if sum(member.file_size for member in found.values()) > size:
        raise ValueError("its arrays are declared larger than the file")
    return {name: header_of(file, member) for name, member in found.items()}


def header_of(file: ZipFile, member: ZipInfo) -> Header:
    """The header of a member, which must agree with its size."""
    with file.open(member) as content:
        magic = content.read(10)
        length = int.from_bytes(magic[8:], "little")
        header = re.fullmatch(HEADER, content.read(length).decode("latin-1"))
    if magic[:8] != b"\x93NUMPY\x01\x00" or header is None:
        raise ValueError(f"{quoted(member.filename)} is not an array of plain numbers or text")
    dtype, shape = dtype_of(header[1]), tuple(int(n) for n in header[3].split(",") if n)
    if math.prod(shape) * dtype.itemsize != member.file_size - len(magic) - length:
        raise ValueError(f"{quoted(member.filename)} has {member.file_size} bytes, which is not what an array of shape {shortened(str(shape), 60)} takes")
    return Header(member, len(magic) + length, dtype, shape, "F" if header[2] == "True" else "C")


def dtype_of(name: str) -> np.dtype:
    try:
        return np.dtype(name)
    except TypeError as error:
        raise ValueError(f"there is no dtype {quoted(name)} here") from error


def array_of(file: ZipFile, header: Header) -> np.ndarray:
    """The array itself, read-only."""
    content = file.read(header.member)  # which verifies its checksum
    array: np.ndarray = np.ndarray(header.shape, header.dtype, content, header.start, order=header.order)
    if array.dtype.kind == "U":
        text_of(array)  # NumPy does not check that it is text
    return array


def text_of(array: np.ndarray) -> str:
    """All characters of an array of text."""
    return array.astype(array.dtype.newbyteorder("<")).tobytes().decode("utf-32-le", "surrogatepass")


def structure_in(array: np.ndarray | None) -> tuple[Structure, Module | None]:
    """The structure that a file holds, and the model if all its layers are part of this package."""
    if array is None or array.shape or array.dtype.kind != "U":
        raise ValueError("it says nothing about layers")
    structure: object = json.loads(text_of(array).rstrip("\0"))
    match structure:
        case {"layer": str(kind), "modules": [*pairs]} if all(isinstance(pair, list) and list(map(type, pair)) == [str, str] for pair in pairs):
            return {"layer": kind, "modules": [(path, name) for path, name in pairs]}, None
        case {"modules": _}:
            raise ValueError(f"{quoted(structure)} is not a list of modules")
    model = built(structure)
    return structure_of_layer(model), model
