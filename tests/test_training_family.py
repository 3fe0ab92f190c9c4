"""FSNet and ConvIR in the training loop and in fine-tuning."""

import pytest
import torch

from passband.config import changed_recipe, load_recipe
from passband.data.degradations import degrade_files
from passband.finetuning import finetune
from passband.finetuning.settings import fitting_crop
from passband.models import ConvIR, FSNet, SFNet, build_from, load_model
from passband.training import train
from tests.tiny_runs import recipe

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")

NETWORKS = {
    "fsnet-small": ({"width": 16, "depth": 1}, 32),
    "convir-tiny": ({"width": 8, "dilations": [1, 1, 1]}, 64),
}
"""Small networks, and the sides of their crops in pixels."""


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_of_the_loop_trains_every_part_and_its_weights_restore(tmp_path, photographs, name):
    arguments, crop = NETWORKS[name]
    short = recipe(
        model={"name": name, "arguments": arguments},
        data={"crop": crop},
        optim={"steps": 1, "warmup_steps": 0},
        validation={"every": 1, "count": 1, "crop": crop},
    )
    train(short, tmp_path / "run", data=photographs, device="cpu")
    torch.manual_seed(short.seed)
    fresh = build_from({"model": name, **arguments})
    trained = load_model(tmp_path / "run" / "weights" / "last")
    assert type(trained) is type(fresh)
    assert trained.arguments["width"] == arguments["width"]
    with torch.no_grad():
        assert torch.isfinite(trained(torch.rand(1, 3, 64, 64))[-1]).all()


def test_crops_that_a_network_cannot_take_are_refused_before_the_run_with_a_side_that_fits(tmp_path, photographs):
    for crop, fitting in ((96, 256), (264, 288)):
        wrong = recipe(
            model={"name": "convir-s", "arguments": {"width": 8, "depth": 1}},
            data={"crop": crop},
            validation={"every": 4, "count": 1, "crop": 32},
        )
        needed = rf"convir-s needs crops divisible by 32 and at least 256 pixels, got {crop}; set data\.crop={fitting}"
        with pytest.raises(ValueError, match=needed):
            train(wrong, tmp_path / f"run{crop}", data=photographs, device="cpu")


@pytest.mark.parametrize("name", ["dehaze-indoor", "deblur-gopro", "desnow-csd", "defocus-single"])
@pytest.mark.parametrize("model", ["fsnet", "convir-s", "convir-b", "convir-l"])
def test_recipes_of_published_rows_train_each_network_by_one_change(name, model):
    changed = changed_recipe(load_recipe(name), {"model.name": model})
    with torch.device("meta"):
        network = build_from({"model": changed.model.name, **changed.model.arguments})
    assert changed.data.crop % network.multiple == 0
    assert changed.data.crop >= network.minimum


def test_convir_is_fine_tuned_with_crops_that_it_takes(tmp_path, photographs):
    ConvIR(width=8, depth=1, dilations=(1, 1, 1)).save_pretrained(tmp_path / "weights")
    list(degrade_files(photographs, tmp_path / "pairs", "haze"))
    result = finetune(tmp_path / "weights", tmp_path / "pairs", tmp_path / "run", steps=1, device="cpu")
    assert result["steps"] == 1
    assert isinstance(load_model(tmp_path / "run" / "weights" / "best"), ConvIR)


def test_crops_of_fine_tuning_fit_the_network_and_the_images():
    near, published = ConvIR(width=8, depth=1, dilations=(1, 1, 1)), ConvIR(width=8, depth=1)
    assert fitting_crop(near, 150, 160) == 128
    assert fitting_crop(near, 40, 96) == 64
    assert fitting_crop(published, 1000, 160) == 256
    for network in (SFNet(width=16, depth=1), FSNet(width=16, depth=1)):
        assert fitting_crop(network, 100, 128) == 96
