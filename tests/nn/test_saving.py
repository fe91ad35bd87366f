"""Models in files: what is written is read again, and what is no model is refused."""

import numpy as np
import pytest

from tinygrad_lr import nn


def test_a_nested_model_comes_back(tmp_path):
    model = nn.Sequential(nn.Dense(2, 3, dtype=np.float32), nn.Sequential(inner=nn.Dense(3, 3, bias=False), squash=nn.Tanh()), nn.ReLU(), nn.Sigmoid())
    nn.save(model, tmp_path / "model.npz")
    loaded = nn.load(tmp_path / "model.npz")
    assert repr(loaded) == repr(model)
    for (path, mine), (loaded_path, theirs) in zip(model.named_parameters(), loaded.named_parameters(), strict=True):
        assert (path, mine.dtype) == (loaded_path, theirs.dtype)
        np.testing.assert_array_equal(mine.data, theirs.data)
        assert theirs.requires_grad


def test_a_single_layer_comes_back(tmp_path):
    layer = nn.Dense(2, 1)
    nn.save(layer, tmp_path / "layer.npz")
    np.testing.assert_array_equal(nn.load(tmp_path / "layer.npz")(np.ones((1, 2))).data, layer(np.ones((1, 2))).data)


def test_a_users_module_is_refused_by_name(tmp_path):
    class Mine(nn.Module):
        pass

    with pytest.raises(TypeError, match=r"^layer '1' is a Mine, which save\(\) does not know how to build again: write model\.state_dict\(\)"):
        nn.save(nn.Sequential(nn.Dense(1, 1), Mine()), tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


def test_a_subclass_of_a_layer_is_refused(tmp_path):
    class Sigmoid(nn.Sigmoid):
        pass

    with pytest.raises(TypeError, match=r"^the model is a Sigmoid, which"):
        nn.save(Sigmoid(), tmp_path / "model.npz")


def test_the_suffix_must_be_npz(tmp_path):
    with pytest.raises(ValueError, match=r"^a model is saved as \.npz, got '.*model\.pt'$"):
        nn.save(nn.Sigmoid(), tmp_path / "model.pt")


def test_no_code_is_run_on_loading(tmp_path):
    np.savez(tmp_path / "evil.npz", structure=np.array({"layer": "Sigmoid"}, dtype=object))
    with pytest.raises(ValueError, match="holds no model saved by"):
        nn.load(tmp_path / "evil.npz")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    np.save(tmp_path / "array.npz.npy", np.ones(3))
    for name in ("text.npz", "arrays.npz", "array.npz.npy"):
        with pytest.raises(ValueError, match="holds no model saved by"):
            nn.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        nn.load(tmp_path / "missing.npz")
