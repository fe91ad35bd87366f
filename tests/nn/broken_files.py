"""Model files that are broken or malicious: crafted ones by name, and random damage to good ones."""

from __future__ import annotations

import functools
import io
import json
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from tinygrad_lr import nn

DENSE = {"layer": "Dense", "n_in": 2, "n_out": 3, "bias": True, "dtype": "float64"}
ARRAYS = {"weight": np.ones((3, 2)), "bias": np.zeros(3)}


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def header(text, data=b"", version=b"\x01\x00"):
    """An array with a given header."""
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text.encode("latin-1") + data


def packed(members, compression=zipfile.ZIP_STORED):
    """A zip of (name, content) pairs."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        for name, content in members:
            with file.open(zipfile.ZipInfo(name) if compression == zipfile.ZIP_STORED else name, "w") as member:
                member.write(content)
    return stream.getvalue()


def model_file(structure=DENSE, arrays=ARRAYS, extra=(), compression=zipfile.ZIP_STORED):
    """A file such as `nn.save` writes, of any structure and arrays; bytes are written unchanged."""
    text = structure if isinstance(structure, bytes) else npy(np.array(structure if isinstance(structure, str) else json.dumps(structure)))
    members = [("structure.npy", text), *((f"state.{path}.npy", a if isinstance(a, bytes) else npy(a)) for path, a in arrays.items()), *extra]
    return packed(members, compression)


def patched(content, field, value):
    """The file with a field of every local header (offset, directory's offset, format) set to another value."""
    local, central, form = field
    content = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        at = content.find(mark)
        while at >= 0:
            if offset is not None:
                struct.pack_into(form, content, at + offset, value)
            at = content.find(mark, at + 4)
    return bytes(content)


FLAGS, METHOD, VERSION = (6, 8, "<H"), (8, 10, "<H"), (4, 6, "<H")
CRC, STORED_SIZE, SIZE, OFFSET = (14, 16, "<I"), (18, 20, "<I"), (22, 24, "<I"), (None, 42, "<I")


def nested(depth):
    text = '{"layer": "Sequential", "layers": [["0", ' * depth + '{"layer": "Tanh"}' + "]]}" * depth
    return model_file(text, {})


def saved(model):
    with tempfile.TemporaryDirectory() as folder:
        nn.save(model, Path(folder) / "model.npz")
        return (Path(folder) / "model.npz").read_bytes()


def weight_header(text, data=b"\0" * 48):
    return model_file(arrays={"weight": header(text, data), "bias": np.zeros(3)})


@functools.cache
def crafted():
    """Name to content."""
    good = saved(nn.Dense(2, 3))
    zeros = np.zeros((500, 500))
    large = {**DENSE, "n_in": 500, "n_out": 500}
    tanh = npy(np.array('{"layer": "Tanh"}'))
    weight = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }"
    return {
        "empty": b"",
        "text": b"hello",
        "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94.",
        "an array": npy(np.ones(3)),
        "no members": packed([]),
        "cut in the middle": good[: len(good) // 2],
        "cut at the end": good[:-40],
        "cut by one byte": good[:-1],
        "without a beginning": good[100:],
        "only the directory": good[good.find(b"PK\x01\x02") :],
        "zeros in the middle": good[:200] + b"\0" * 100 + good[300:],
        "a bomb": model_file(large, {"weight": zeros, "bias": np.zeros(500)}, compression=zipfile.ZIP_DEFLATED),
        "a bomb in LZMA": model_file(large, {"weight": zeros, "bias": np.zeros(500)}, compression=zipfile.ZIP_LZMA),
        "a bomb in bzip2": model_file(large, {"weight": zeros, "bias": np.zeros(500)}, compression=zipfile.ZIP_BZIP2),
        "deflated, but not": patched(good, METHOD, 8),
        "LZMA, but not": patched(good, METHOD, 14),
        "unknown compression": patched(good, METHOD, 99),
        "encrypted": patched(good, FLAGS, 1),
        "strongly encrypted": patched(good, FLAGS, 0x41),
        "patched data": patched(good, FLAGS, 0x20),
        "with a data descriptor": patched(good, FLAGS, 8),
        "of a later zip": patched(good, VERSION, 255),
        "wrong checksums": patched(good, CRC, 12345),
        "declared larger": patched(good, SIZE, 2**31),
        "declared larger twice": patched(patched(good, SIZE, 2**31), STORED_SIZE, 2**31),
        "declared smaller": patched(good, SIZE, 10),
        "all members in one place": patched(good, OFFSET, 0),
        "half of the file each": patched(patched(patched(good, OFFSET, 0), SIZE, len(good) // 2), STORED_SIZE, len(good) // 2),
        "members outside": patched(good, OFFSET, 2**32 - 2),
        "a member twice": packed([("structure.npy", tanh), ("structurf.npy", tanh)]).replace(b"structurf", b"structure"),
        "no structure": packed([("state.weight.npy", npy(np.ones((3, 2))))]),
        "an array of no model": packed([("structure.npy", tanh), ("w.npy", npy(np.ones(2)))]),
        "a path out of the folder": model_file(extra=[("../../evil.npy", npy(np.ones(2)))]),
        "a member that is no array": model_file(extra=[("state.x.npy", b"hello")]),
        "a member that is a text": model_file(extra=[("state.x.txt", b"hello")]),
        "a name that would steer a terminal": model_file(extra=[("a\n\x1b[2J.npy", npy(np.ones(2)))]),
        "objects": model_file(arrays={"weight": np.array([[1, "a"], [None, 2.0], [3, 4]], object), "bias": np.zeros(3)}),
        "objects as structure": model_file(npy(np.array({"layer": "Tanh"}, object)), {}),
        "fields": model_file(arrays={"weight": np.zeros((3, 2), [("a", "f8")]), "bias": np.zeros(3)}),
        "text as weights": model_file(arrays={"weight": np.full((3, 2), "1"), "bias": np.zeros(3)}),
        "complex weights": model_file(arrays={"weight": np.ones((3, 2), complex), "bias": np.zeros(3)}),
        "dates as weights": model_file(arrays={"weight": np.zeros((3, 2), "M8[s]"), "bias": np.zeros(3)}),
        "a later npy": model_file(arrays={"weight": header(weight, b"\0" * 48, b"\x02\x00"), "bias": np.zeros(3)}),
        "an npy of no version": model_file(arrays={"weight": header(weight, b"\0" * 48, b"\x09\x00"), "bias": np.zeros(3)}),
        "a header of a terabyte": weight_header("{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 1000000), }\n"),
        "a header beyond all numbers": weight_header("{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999999999, 999999999999999999), }\n"),
        "a header of long numbers": weight_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({'9' * 5000},), }}\n"),
        "a header of a negative shape": weight_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-3, -2), }\n"),
        "a header of code": weight_header("__import__('os').abort()\n"),
        "a header of brackets": weight_header("(" * 5000 + "\n"),
        "a header of wide text": weight_header("{'descr': '<U999999999', 'fortran_order': False, 'shape': (3, 2), }\n"),
        "a header of no width": weight_header("{'descr': '<U0', 'fortran_order': False, 'shape': (999999999999,), }\n", b""),
        "a header of odd floats": weight_header("{'descr': '<f3', 'fortran_order': False, 'shape': (16,), }\n"),
        "a header of nothing": weight_header(""),
        "a header of many axes": weight_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({'1, ' * 100}), }}\n", b"\0" * 8),
        "structure that is no text": model_file(npy(np.ones(3)), {}),
        "structure of many texts": model_file(npy(np.array(["{}", "{}"])), {}),
        "structure beyond Unicode": model_file(header("{'descr': '<U1', 'fortran_order': False, 'shape': (), }\n", b"\xff" * 4), {}),
        "structure that is no JSON": model_file("hello", {}),
        "structure nested 200 deep": nested(200),
        "structure nested 100,000 deep": model_file("[" * 100_000, {}),
        "layers of a terabyte": model_file({**DENSE, "n_in": 10**6, "n_out": 10**6}),
        "layers beyond all numbers": model_file({**DENSE, "n_in": 10**30}),
        "layers of an endless number": model_file(json.dumps(DENSE).replace("2", "9" * 5000)),
        "layers of no size": model_file({**DENSE, "n_in": 0}, {"weight": np.ones((3, 0)), "bias": np.zeros(3)}),
        "layers of negative size": model_file({**DENSE, "n_in": -2}),
        "layers of half a size": model_file({**DENSE, "n_in": 2.5}),
        "layers of a size in words": model_file({**DENSE, "n_in": "two"}),
        "layers of an unknown dtype": model_file({**DENSE, "dtype": "float77"}),
        "layers of a dtype of millions": model_file({**DENSE, "dtype": "(100000,100000)f8"}),
        "layers of integers": model_file({**DENSE, "dtype": "int64"}),
        "layers of another size": model_file({**DENSE, "n_in": 5}),
        "layers without arrays": model_file(DENSE, {}),
        "layers with too many arrays": model_file(DENSE, {**ARRAYS, "more": np.ones(3)}),
        "layers that repeat a name": model_file({"layer": "Sequential", "layers": [["a", {"layer": "Tanh"}], ["a", {"layer": "ReLU"}]]}, {}),
        "layers without names": model_file({"layer": "Sequential", "layers": [{"layer": "Tanh"}]}, {}),
        "layers by number": model_file({"layer": "Sequential", "layers": [[0, {"layer": "Tanh"}]]}, {}),
        "layers that are none": model_file({"layer": "Sequential", "layers": [["0", None], ["1", 7]]}, {}),
        "layers that are no list": model_file({"layer": "Sequential", "layers": "Tanh"}, {}),
        "two arrays of one path": model_file({"layer": "Sequential", "layers": [["a.b", DENSE], ["a", {"layer": "Sequential", "layers": [["b", DENSE]]}]]}),
        **{f"structure {text}": model_file(text, {}) for text in ("null", "[]", "7", "{}", '{"layer": null}', '{"layer": "Dense"}', '{"layer": "os"}', "NaN")},
        "modules that are no list": model_file({"layer": "Mine", "modules": 7}, {}),
        "modules that are no names": model_file({"layer": "Mine", "modules": [["", 7], ["a"]]}, {}),
        "modules of others": model_file({"layer": "Mine", "modules": [["", "Mine"]]}, {}),
        "modules of others with a name that would steer a terminal": model_file({"layer": "Mi\n\x1b[2Jne" * 50, "modules": [["", "Mine"]]}, {}),
    }


def damaged(content, rng):
    """The file with random damage: bytes changed, removed, repeated, or cut off."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        if not content:
            break
        kind, at = rng.integers(6), int(rng.integers(len(content)))
        length = int(min(2 ** rng.integers(0, 9), len(content) - at))
        if kind == 0:
            content[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            content[at : at + length] = rng.integers(0, 256, length, np.uint8).tobytes()
        elif kind == 2:
            del content[at : at + length]
        elif kind == 3:
            content[at:at] = content[at : at + length]
        elif kind == 4:
            content[at : at + 4] = struct.pack("<I", int(rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1])))
        elif rng.random() < 0.3:
            del content[at:]
    return bytes(content)


def edited(rng):
    """A valid zip file with random text in its structure or headers."""
    text = json.dumps({"layer": "Sequential", "layers": [["0", DENSE], ["1", {"layer": "Tanh"}]]})
    arrays = {"0.weight": npy(ARRAYS["weight"]), "0.bias": npy(ARRAYS["bias"])}
    for _ in range(rng.integers(1, 3)):
        if rng.random() < 0.5:
            at = int(rng.integers(len(text)))
            text = text[:at] + str(rng.choice(list('{}[],:"0123456789.-eE\\ntrufals\0'))) + text[at + int(rng.integers(2)) :]
        else:
            path = str(rng.choice(list(arrays)))
            array, at = bytearray(arrays[path]), int(rng.integers(128))
            array[at] = int(rng.integers(256))
            arrays[path] = bytes(array)
    return model_file(text, arrays)
