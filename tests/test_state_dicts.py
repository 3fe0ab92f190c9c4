import os
import pickle
import shutil

import pytest
import torch

from passband.models import sfnet
from passband.state_dicts import CheckpointError
from passband.weights_io import load_weights
from tests import golden


def test_every_published_key_has_a_place_of_its_shape_and_every_place_a_key(tmp_path):
    torch.save({"model": golden.published_state(), "epoch": 300, "optimizer": {}}, tmp_path / "best.pkl")
    state = load_weights(tmp_path / "best.pkl")
    own = sfnet().state_dict()
    assert set(state) == set(own)
    assert all(state[key].shape == own[key].shape for key in own)


def test_keys_of_a_data_parallel_network_and_a_bare_state_dict_load(tmp_path):
    state = golden.published_state()
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "a.pth")
    loaded = load_weights(tmp_path / "a.pth")
    assert set(loaded) == set(sfnet().state_dict())


class Payload:
    """Runs code when unpickled by a careless loader."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_pickle_with_code_in_it_is_refused_and_the_code_does_not_run(tmp_path):
    path, marker = tmp_path / "evil.pkl", tmp_path / "code-ran"
    torch.save({"model": {"weight": Payload(marker)}}, path)
    with pytest.raises(CheckpointError, match=r"evil\.pkl was refused, and nothing in it was run: .*mkdir"):
        load_weights(path)
    assert not marker.exists()
    plain = tmp_path / "plain.pkl"
    plain.write_bytes(pickle.dumps(Payload(marker)))
    with pytest.raises(CheckpointError, match=r"plain\.pkl was refused, and nothing in it was run"):
        load_weights(plain)
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the proof that it would have run
    assert marker.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
@pytest.mark.parametrize("suffix", [".pkl", ".safetensors"])
def test_a_damaged_file_is_an_error_with_its_name(tmp_path, content, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"weights{suffix}"):
        load_weights(path)


def test_what_a_damaged_header_holds_is_quoted_without_control_characters(tiny_weights, tmp_path):
    shutil.copytree(tiny_weights, tmp_path / "bad")
    path = tmp_path / "bad" / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"\x1b3\n"'[:5].ljust(5, b'"'), 1))
    with pytest.raises(CheckpointError) as caught:
        load_weights(tmp_path / "bad")
    assert str(caught.value).replace("\n", "").isprintable()
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\x80\x02.", b"\x80\x02a."], ids=["nothing on the stack", "too little"])
def test_a_pickle_that_ends_in_the_middle_of_a_step_is_a_checkpoint_error(content, tmp_path):
    (tmp_path / "bad.pkl").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"bad\.pkl"):
        load_weights(tmp_path / "bad.pkl")


@pytest.mark.parametrize("content", [b"", b"hello\n"])
def test_a_file_that_is_no_pickle_is_refused_without_the_number_of_a_byte(tmp_path, content):
    path = tmp_path / "weights.pkl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged or not a checkpoint: it holds no pickle of tensors$"):
        load_weights(path)
