"""Training on a GPU: every task at both precisions, the table `cuda` of a recipe, resuming, and the way to the CPU."""

import csv

import pytest
import torch

from passband.config import parse_recipe
from passband.models import load_model
from passband.runs import read_run
from passband.training import train
from tests.classifiers import write_textures
from tests.detectors import write_shapes
from tests.inspecting import photographs as write_inspected
from tests.models.detection.detectors import TINY
from tests.pictures import write_photographs
from tests.segmenters import write_blobs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of tensorboard
    pytest.mark.filterwarnings("ignore:the schedule ends at a frequency ratio:UserWarning"),
]
RECIPES = {
    "restoration": {
        "model": {"name": "sfnet", "arguments": {"width": 16, "depth": 1}},
        "data": {"crop": 32, "batch": 2, "workers": 1},
        "validation": {"every": 4, "count": 2, "crop": 32},
    },
    "classification": {
        "model": {"name": "gated-dct-resnet18", "arguments": {"width": 8}},
        "data": {"channels": "24S", "size": 64, "scale": (0.25, 1.0), "batch": 6, "workers": 1},
        "validation": {"every": 4},
    },
    "segmentation": {
        "model": {"arguments": {"width": 4, "depth": 2}},
        "data": {"size": 32, "batch": 4, "workers": 1, "scale": (0.7, 1.0)},
        "curriculum": {"mode": "mask", "definition": "magnitude"},
        "validation": {"every": 4, "batch": 2},
    },
    "detection": {
        "model": {
            "name": "dct-mask-rcnn-resnet18",
            "arguments": {key: value for key, value in TINY.items() if key not in ("classes", "backbone")}
            | {"norm": "group"},
        },
        "data": {"min_size": [48, 64], "max_size": 90, "batch": 2, "workers": 1},
        "validation": {"every": 4, "batch": 2},
    },
    "inspection": {
        "model": {"name": "inspector", "arguments": {"width": 8}},
        "data": {"samples": 60, "batch": 4, "workers": 1, "gains": ""},
        "validation": {"every": 4, "count": 4},
    },
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory, photograph):
    """Return the folder to train on, by task."""
    root = tmp_path_factory.mktemp("data")
    for name in ("restoration", "inspection"):
        (root / name).mkdir()
    return {
        "restoration": write_photographs(root / "restoration", photograph),
        "classification": write_textures(root / "classification", classes=("coarse", "fine"), count=8),
        "segmentation": write_blobs(root / "segmentation", 8),
        "detection": write_shapes(root / "detection"),
        "inspection": write_inspected(root / "inspection"),
    }


def recipe(task, **changes):
    optim = {"steps": 4, "optimizer": "adamw", "learning_rate": 1e-3, "ema": 0.5}
    if task == "detection":
        optim["milestones"] = []
    content = {"name": "tiny", "task": task, "seed": 1, "checkpoint_every": 2, "optim": optim, **RECIPES[task]}
    return parse_recipe(content | changes, "test")


def losses(run):
    with (run / "log.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("task", RECIPES)
def test_every_task_trains_and_its_weights_load_on_the_cpu(task, precision, folders, tmp_path):
    progress = train(recipe(task, precision=precision), tmp_path / "run", data=folders[task], device="cuda")
    assert progress.step == 4
    assert all(torch.isfinite(torch.tensor(losses(tmp_path / "run"))))
    model = load_model(tmp_path / "run" / "weights" / "last")
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.parametrize("task", ["restoration", "segmentation"])
def test_a_stopped_run_goes_on_also_on_the_cpu(task, device, folders, tmp_path):
    def stop(done):
        if done.step == 3:
            raise KeyboardInterrupt

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(recipe(task), whole, data=folders[task], device="cuda")
    with pytest.raises(KeyboardInterrupt):
        train(recipe(task), parts, data=folders[task], device="cuda", report=stop)
    progress = train(recipe(task), parts, data=folders[task], device=device, resume=True)
    assert progress.step == 4
    # torch adds the gradients of reflected edges on a GPU in any order, so the last bits differ
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-2)


def test_a_gpu_has_the_losses_of_the_cpu(folders, tmp_path):
    for device in ("cpu", "cuda"):
        train(recipe("restoration"), tmp_path / device, data=folders["restoration"], device=device)
    assert losses(tmp_path / "cuda") == pytest.approx(losses(tmp_path / "cpu"), rel=1e-2)


def test_the_table_cuda_of_a_recipe_applies(folders, tmp_path):
    settings = recipe("restoration", cuda={"data.batch": 3, "optim.steps": 2})
    train(settings, tmp_path / "run", data=folders["restoration"], device="cuda")
    done = read_run(tmp_path / "run")["recipe"]
    assert (done.data.batch, done.optim.steps) == (3, 2)
