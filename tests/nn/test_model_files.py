"""Files of models: one is replaced as a whole or not at all, and other files are refused."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import stat
import subprocess
import sys
import textwrap
import threading
import tracemalloc

import numpy as np
import pytest

from tests.nn.broken_files import crafted, model_file, npy, packed
from tests.nn.test_saving import ENVIRONMENT, FILES, assert_same
from tinygrad_lr import nn
from tinygrad_lr.nn.saving import replacing

# -- the old model is there until the new one is -------------------------------------------------------


def run(code, *arguments):
    return subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)], env=ENVIRONMENT, capture_output=True, text=True)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("room", [0, 100, 5_000, 400_000])
def test_a_full_disk_leaves_the_old_model(tmp_path, room):
    """It used to be lost: the file was overwritten in place."""
    old = nn.Dense(2, 1)
    nn.save(old, tmp_path / "model.npz")
    done = run(
        """
        import resource, sys
        from tinygrad_lr import nn
        model = nn.Sequential(nn.Dense(200, 300), nn.Tanh())
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
        try:
            nn.save(model, sys.argv[1])
        except OSError as error:
            print(error)
        """,
        tmp_path / "model.npz",
        room,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"[Errno 27] File too large: '{tmp_path}/model.npz'\n"
    assert os.listdir(tmp_path) == ["model.npz"]
    assert_same(nn.load(tmp_path / "model.npz"), old)


def test_four_threads_save_at_once(tmp_path):
    models, path = [nn.Dense(50, 60, rng=i) for i in range(4)], tmp_path / "model.npz"
    weights = {model.weight.data.tobytes() for model in models}
    nn.save(models[0], path)
    errors, stop = [], threading.Event()

    def work(act):
        try:
            for _ in range(25):
                act()
        except BaseException as error:
            errors.append(error)

    def read():
        while not stop.is_set():
            assert nn.load(path).weight.data.tobytes() in weights

    writers = [threading.Thread(target=work, args=[lambda model=model: nn.save(model, path)]) for model in models]
    reader = threading.Thread(target=work, args=[read])
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert not errors
    assert os.listdir(tmp_path) == ["model.npz"]
    assert nn.load(path).weight.data.tobytes() in weights


def test_a_save_that_cannot_begin_says_which_file(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    for path, kind in [(tmp_path / "missing" / "model.npz", FileNotFoundError), (tmp_path / "folder.npz", (IsADirectoryError, PermissionError))]:
        with pytest.raises(kind) as caught:
            nn.save(nn.Tanh(), path)
        assert str(caught.value).endswith(f": '{path}'")
    assert os.listdir(tmp_path) == ["folder.npz"]
    assert not list((tmp_path / "folder.npz").iterdir())


@pytest.mark.skipif(os.name == "nt", reason="POSIX's permissions")
def test_links_and_permissions_stay(tmp_path):
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "model.npz", tmp_path / "link.npz"
    link.symlink_to(real)
    nn.save(nn.Tanh(), link)
    usual = tmp_path / "usual"
    usual.touch()
    assert stat.S_IMODE(real.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)
    real.chmod(0o640)
    nn.save(nn.Sigmoid(), link)
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert repr(nn.load(real)) == "Sigmoid()"


@pytest.mark.skipif(os.name == "nt", reason="POSIX's permissions")
def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path):
    done = run(
        """
        import os, sys, tempfile
        from tinygrad_lr import nn
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.npz")
            nn.save(nn.Tanh(), path)
            os.chmod(path, 0o444)
            os.chmod(folder, 0o777)
            if os.getuid() == 0:
                os.seteuid(65534)  # root may write anything
            try:
                nn.save(nn.Sigmoid(), path)
            except PermissionError as error:
                print(error.filename == path, end=" ")
            os.seteuid(os.getuid())
            print(nn.load(path), os.listdir(folder))
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True Tanh() ['model.npz']\n", "")


# -- what is not loaded --------------------------------------------------------------------------------


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    with pytest.raises(ValueError) as caught:
        nn.load(tmp_path / "arrays.npz")
    assert str(caught.value) == (
        f"{tmp_path}/arrays.npz holds no model saved by tinygrad_lr.nn.save: 'a.npy' is not the name of an array of a model, or appears twice"
    )
    with pytest.raises(FileNotFoundError):
        nn.load(tmp_path / "missing.npz")
    with pytest.raises((IsADirectoryError, PermissionError)):
        nn.load(tmp_path)


CRAFTED = crafted()


@pytest.mark.parametrize("name", CRAFTED)
def test_broken_files_are_refused_before_they_take_memory(tmp_path, name):
    """Errors of zlib and LZMA, NotImplemented, Recursion, Overflow, Type and Memory errors used to get out; a file of 3 MB took 3 GB."""
    path = tmp_path / "model.npz"
    path.write_bytes(CRAFTED[name])
    nn.Dense(1, 1)  # loads numpy.random
    tracemalloc.start()
    try:
        with pytest.raises(ValueError) as caught:
            nn.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.isprintable()
    assert len(message) < 1000
    assert peak < 1_000_000 + 20 * len(CRAFTED[name])
    model = nn.Dense(2, 3)
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"model\.npz"):
        nn.load(path, into=model)
    np.testing.assert_array_equal(model.weight.data, before["weight"])


WORDS = {
    "a bomb": "'structure' is compressed or encrypted",
    "encrypted": "'structure' is compressed or encrypted",
    "declared larger twice": "'structure' lies outside the file",
    "half of the file each": "its arrays are declared larger than the file",
    "all members in one place": "File name in directory 'state.weight.npy' and header b'structure.npy' differ.",
    "no structure": "it says nothing about layers",
    "objects": "'state.weight.npy' is not an array of plain numbers or text",
    "a header of a terabyte": ("'state.weight.npy' has 129 bytes, which is not what an array of shape (100000, 1000000) takes"),
    "a header of odd floats": "there is no dtype '<f3' here",
    "layers of integers": "a layer has the dtype 'int64'",
    "layers of no size": "\"{'layer': 'Dense', 'n_in': 0,...': True, 'dtype': 'float64'}\" is not a layer",
    "layers that repeat a name": """"['a', {'layer': 'ReLU'}]" is not a layer with a name of its own""",
    "modules that are no list": """"{'layer': 'Mine', 'modules': 7}" is not a list of modules""",
    "layers of another size": "its arrays do not fit its layers: 'weight' has shape (3, 2), expected (3, 5)",
    "text as weights": "its arrays do not fit its layers: 'weight' is <U1, expected float64",
    "members outside": "'structure' lies outside the file",
}


@pytest.mark.parametrize("name", WORDS)
def test_what_is_wrong_with_a_file_is_said(tmp_path, name):
    path = tmp_path / "model.npz"
    path.write_bytes(CRAFTED[name])
    with pytest.raises(ValueError) as caught:
        nn.load(path)
    assert str(caught.value) == f"{path} holds no model saved by tinygrad_lr.nn.save: {WORDS[name]}"


def test_the_crafted_files_would_load_but_for_what_is_wrong_with_them(tmp_path):
    (tmp_path / "model.npz").write_bytes(model_file())
    assert repr(nn.load(tmp_path / "model.npz")) == "Dense(2 -> 3)"
    (tmp_path / "model.npz").write_bytes(packed([("structure.npy", npy(np.array(json.dumps({"layer": "Tanh"}))))]))
    assert repr(nn.load(tmp_path / "model.npz")) == "Tanh()"


def test_a_file_name_is_shown_on_one_line(tmp_path):
    path = tmp_path / "a\nb\x1b[2J.npz"
    path.write_text("hello")
    with pytest.raises(ValueError) as caught:
        nn.load(path)
    assert str(caught.value) == rf"{tmp_path}/a\nb\x1b[2J.npz holds no model saved by tinygrad_lr.nn.save: File is not a zip file"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on memory")
def test_a_model_beyond_memory_is_an_error_of_the_system(tmp_path):
    nn.save(nn.Dense(2000, 2000), tmp_path / "model.npz")
    done = run(
        """
        import pathlib, resource, sys
        from tinygrad_lr import nn
        nn.Dense(1, 1)
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 20_000_000, -1))
        try:
            nn.load(sys.argv[1])
        except OSError as error:
            print(error)
        """,
        tmp_path / "model.npz",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"[Errno 12] Cannot allocate memory: '{tmp_path}/model.npz'\n", "")


def test_swapped_arguments_are_named(tmp_path):
    path = tmp_path / "model.npz"
    with pytest.raises(TypeError) as caught:
        nn.save(path, nn.Dense(1, 1))
    assert str(caught.value) == f"save takes a model and a path, got a {type(path).__name__} as the model: nn.save(model, path)"
    nn.save(nn.Dense(1, 1), path)
    for into, text in [
        (nn.Dense, "got the class Dense: nn.load(path, into=Dense(...))"),
        ({"weight": 1}, "got a dict: nn.load(path, into=model)"),
    ]:
        with pytest.raises(TypeError) as caught:
            nn.load(path, into=into)
        assert str(caught.value) == f"load takes a model to load into, {text}"


def test_the_first_error_is_reported_if_nothing_can_be_cleaned_up(tmp_path):
    """A folder that is gone while it is written to: neither the file can be put in place nor the temporary one removed."""
    path = tmp_path / "folder" / "model.npz"
    path.parent.mkdir()

    def gone():
        with replacing(path):
            shutil.rmtree(path.parent)
            path.parent.write_text("a file where the folder was")

    with pytest.raises(OSError) as caught:
        gone()
    assert caught.value.filename == str(path)


def test_a_model_that_version_0_1_pickled():
    model = pickle.loads((FILES / "model_0_1.pickle").read_bytes())
    np.testing.assert_allclose(model(np.array([[0.5, -1.0]])).numpy(), [[0.29615865]], rtol=1e-7)
