"""Networks of spandrel_extra_arches with random weights: small ones, saved as their authors save them."""

import sys
import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from passband.models import load_model
from passband.models.restoration.foreign import Foreign
from passband.models.restoration.whole import restore_batch
from passband.state_dicts import CheckpointError

LICENSE = "Academic Public License, non-commercial use only"
NAMES = {"restormer": "Restormer", "mprnet": "MPRNet", "mirnet2": "MIRNet2", "m3snet": "M3SNet", "nafnet": "NAFNet"}


def build(name, **changes):
    """A small network of a published architecture, whose parameters are all random."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the packages import what newer versions of torch discourage
        from spandrel.architectures.NAFNet import NAFNet
        from spandrel_extra_arches.architectures.M3SNet import M3SNet
        from spandrel_extra_arches.architectures.MIRNet2 import MIRNet2
        from spandrel_extra_arches.architectures.MPRNet import MPRNet
        from spandrel_extra_arches.architectures.Restormer import Restormer
    blocks = {"middle_blk_num": 1, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]}
    builders = {
        "restormer": (Restormer, {"dim": 8, "num_blocks": [1] * 4, "num_refinement_blocks": 1, "heads": [1] * 4}),
        "mprnet": (MPRNet, {"n_feat": 8, "scale_unetfeats": 4, "scale_orsnetfeats": 4, "num_cab": 2}),
        "mirnet2": (MIRNet2, {"n_feat": 16, "chan_factor": 1.5, "n_MRB": 1}),
        "m3snet": (M3SNet, {"width": 4, **blocks}),
        "nafnet": (NAFNet, {"width": 4, **blocks}),
    }
    torch.manual_seed(2)
    builder, arguments = builders[name]
    network = builder(**{**arguments, **changes}).eval()
    for parameter in network.parameters():
        if not parameter.abs().sum():  # published weights are not zero
            nn.init.normal_(parameter, std=0.1)
    return network


@pytest.fixture(scope="module")
def restormer(tmp_path_factory):
    """A small Restormer, and the file in which its authors would save it."""
    network = build("restormer")
    path = tmp_path_factory.mktemp("restormer") / "motion_deblurring.pth"
    torch.save({"params": network.state_dict()}, path)
    return network, path


def run(network, image):
    """The first output of a network for an image whose sides it takes."""
    with torch.no_grad():
        out = network(image)
    return (out[0] if isinstance(out, list | tuple) else out).clamp(0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_each_network_is_recognized_and_restores_as_its_own_code_does(tmp_path, name):
    network = build(name)
    torch.save({"epoch": 3, "state_dict": network.state_dict(), "optimizer": {"lr": 1e-4}}, tmp_path / "published.pth")
    loaded = load_model(tmp_path / "published.pth")
    assert isinstance(loaded, Foreign)
    assert (loaded.name, type(loaded.network)) == (NAMES[name], type(network))
    assert loaded.license == ("MIT" if name == "nafnet" else LICENSE)
    image = torch.rand(1, 3, 32, 48)
    torch.testing.assert_close(restore_batch(loaded, image), run(network, image))
    for size in ((1, 1), (5, 70), (33, 18)):
        with torch.no_grad():
            restored = restore_batch(loaded, torch.rand(1, 3, *size))
        assert restored.shape == (1, 3, *size)
        assert restored.isfinite().all()


@pytest.mark.parametrize(
    "wrapper", ["params", "params_ema", "params-ema", "state_dict", "model", "netG", "generator", None]
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_ways_in_which_training_programs_save_are_read(tmp_path, restormer, wrapper, prefix):
    state = {prefix + key: value for key, value in restormer[0].state_dict().items()}
    torch.save({wrapper: state} if wrapper else state, tmp_path / "a.pth")
    loaded = load_model(tmp_path / "a.pth").state_dict()
    assert all(torch.equal(loaded[f"network.{key}"], value) for key, value in restormer[0].state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("suffix", ["pth", "safetensors", "ckpt"])
def test_half_precision_and_other_files_are_read_as_float32(tmp_path, restormer, dtype, suffix):
    state = {key: value.to(dtype) for key, value in restormer[0].state_dict().items()}
    path = tmp_path / f"half.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    loaded = load_model(path)
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    image = torch.rand(1, 3, 16, 24)
    with torch.no_grad():
        torch.testing.assert_close(restore_batch(loaded, image), run(restormer[0], image), rtol=0, atol=0.05)


def test_two_views_and_gray_images_are_refused_with_the_number_of_channels(tmp_path):
    dual = build("restormer", inp_channels=6, dual_pixel_task=True)
    torch.save({"params": dual.state_dict()}, tmp_path / "dual.pth")
    with pytest.raises(CheckpointError, match=r"dual\.pth is a Restormer of 6 channels in and 3 out"):
        load_model(tmp_path / "dual.pth")
    gray = build("restormer", inp_channels=1, out_channels=1)
    torch.save({"params": gray.state_dict()}, tmp_path / "gray.pth")
    with pytest.raises(
        CheckpointError, match=r"for RGB images is needed, but .*gray\.pth is a Restormer of 1 channels"
    ):
        load_model(tmp_path / "gray.pth")


def test_damaged_weights_and_options_of_other_networks_are_refused(tmp_path, restormer):
    state = restormer[0].state_dict()
    torch.save({key: value for key, value in state.items() if key != "output.weight"}, tmp_path / "less.pth")
    with pytest.raises(CheckpointError, match=r"less\.pth"):
        load_model(tmp_path / "less.pth")
    torch.save({**state, "output.weight": torch.zeros(3, 4, 3, 3)}, tmp_path / "shape.pth")
    with pytest.raises(CheckpointError, match="spandrel knows the architecture, but not these weights"):
        load_model(tmp_path / "shape.pth")
    with pytest.raises(CheckpointError, match="is a Restormer, which has no pool_window"):
        load_model(restormer[1], pool_window=80)


def test_where_the_package_is_missing_its_name_and_the_license_are_told(restormer, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    with pytest.raises(CheckpointError) as caught:
        load_model(restormer[1])
    assert "motion_deblurring.pth: these weights are for Restormer, whose code is in a package of its own" in str(
        caught.value
    )
    assert f"({LICENSE}): pip install spandrel_extra_arches" in str(caught.value)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(CheckpointError, match=r"pip install 'passband\[spandrel-extra\]'\. Its license: Academic"):
        load_model(restormer[1])


def test_networks_without_conditions_load_without_the_package(tmp_path, monkeypatch):
    torch.save(build("nafnet").state_dict(), tmp_path / "nafnet.pth")
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    assert load_model(tmp_path / "nafnet.pth").name == "NAFNet"


def test_spandrels_own_registry_stays_as_it_was(restormer):
    from spandrel import MAIN_REGISTRY

    load_model(restormer[1])
    assert "Restormer" not in MAIN_REGISTRY
