"""Samples and whole runs from shards, compared with those from the folder that was packed."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "scale"))
from small_runs import small_recipe, write_data

from passband.config import changed_recipe, parse_recipe
from passband.data.datasets.classification import find_classes
from passband.data.pairs import find_pairs
from passband.data.splits import split_classes, split_pairs
from passband.evaluation import evaluate
from passband.models import load_model
from passband.tasks import TASKS
from passband.training import train
from tests.shards import packed
from tests.tiny_runs import recipe as restoration_recipe
from tests.tiny_runs import rows

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")

CASES = {
    "photographs": "restoration",
    "pairs": "restoration",
    "coefficients": "classification",
    "pixels": "classification",
    "masks": "segmentation",
    "instances": "detection",
    "inspection": "inspection",
}
"""Task of each kind of samples."""


def same(one, other):
    """Tell whether two values are equal to the last bit."""
    if isinstance(one, Tensor):
        return torch.equal(one, other) or bool((one.isnan() & other.isnan()).any())
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    return one == other


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """For each task a folder, and its files in shards of one sample, so that there are many."""
    root = tmp_path_factory.mktemp("data")
    found = {}
    for case, task in CASES.items():
        if case == "pairs":
            for number, part in enumerate(("degraded", "clean")):
                write_data(root / case / part, task, 7)
                (root / case / part / task).rename(root / case / f"part{number}")
                (root / case / part).rmdir()
                (root / case / f"part{number}").rename(root / case / part)
            folder = root / case
        else:
            folder = write_data(root / case, task, 7)
        packed(folder, root / f"{case}-shards", count=1, seed=2)
        found[case] = (folder, root / f"{case}-shards")
    return found


def recipe_of(case, steps=3):
    if case == "pairs":
        return restoration_recipe(data={"source": "pairs", "batch": 4}, optim={"steps": steps})
    recipe = small_recipe(CASES[case], steps)
    if case == "pixels":
        content = recipe.model_dump()
        content["model"] = {"name": "resnet18", "arguments": {"width": 8}}
        content["data"] |= {"input": "rgb", "size": 48}
        return parse_recipe(content, "test")
    return recipe


@pytest.mark.parametrize("case", CASES)
def test_samples_from_shards_are_those_of_the_folder_to_the_last_bit(case, folders):
    recipe = recipe_of(case)
    networks, sets, scored = [], [], []
    for place in folders[case]:
        task = TASKS[recipe.task](recipe)
        networks.append(task.network_config(place, None))
        sets.append(task.training_data(place, networks[0]))
        scored.append(task.validation_data(place, None, networks[0]))
    for network in networks:
        statistics = network.get("preprocessing", {}).get("statistics")
        if isinstance(statistics, dict):
            statistics.pop("of")  # the name of the folder
    assert networks[0] == networks[1]
    plain, shards = sets
    assert len(plain) == len(shards)
    if hasattr(plain, "order"):
        plain.order = shards.order  # shards are read in another order, so compare the samples of equal numbers
    root, other = (str(place) for place in folders[case])
    for number in range(2 * min(len(plain), 7)):
        one, two = plain[number], shards[number]
        assert not one.get("problem")
        assert same({**one, "name": str(one.get("name")).replace(root, other)}, {**two, "name": str(two.get("name"))})
    assert len(scored[0]) == len(scored[1])
    for number in range(len(scored[0])):
        one, two = scored[0][number], scored[1][number]
        assert same({**one, "name": str(one.get("name")).replace(root, other)}, {**two, "name": str(two.get("name"))})


@pytest.mark.parametrize("case", ["photographs", "coefficients", "masks", "instances"])
def test_a_run_from_shards_that_is_interrupted_in_mid_epoch_ends_with_the_same_bits(case, folders, tmp_path):
    recipe, shards = recipe_of(case, 4), folders[case][1]

    def stop(step):
        if step.step == 3:
            raise KeyboardInterrupt

    train(recipe, tmp_path / "whole", data=shards, device="cpu")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "parts", data=shards, device="cpu", report=stop)
    train(recipe, tmp_path / "parts", data=shards, device="cpu", resume=True)
    assert rows(tmp_path / "parts" / "log.csv") == rows(tmp_path / "whole" / "log.csv")
    assert len(rows(tmp_path / "whole" / "log.csv")) == 5
    states = [load_model(tmp_path / run / "weights" / "last").state_dict() for run in ("whole", "parts")]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_few_shards_train_as_the_folder_does_also_with_workers_and_are_evaluated_alike(folders, tmp_path):
    folder, _ = folders["masks"]
    packed(folder, tmp_path / "shards", count=4)
    recipe = recipe_of("masks", 2)
    train(recipe, tmp_path / "folder", data=folder, device="cpu")
    train(changed_recipe(recipe, {"data.workers": 2}), tmp_path / "run", data=tmp_path / "shards", device="cpu")
    assert rows(tmp_path / "run" / "log.csv") == rows(tmp_path / "folder" / "log.csv")
    weights = tmp_path / "run" / "weights" / "last"
    results = [
        evaluate(weights, place, tmp_path / name, device="cpu")
        for name, place in (("a", folder), ("b", tmp_path / "shards"))
    ]
    assert results[0]["mean"] == results[1]["mean"]


def test_a_damaged_member_is_skipped_or_stops_the_run_as_a_damaged_file_does(folders, tmp_path):
    packed(folders["photographs"][0], tmp_path / "shards", count=4)
    shard = tmp_path / "shards" / "restoration-000000.tar"
    content = bytearray(shard.read_bytes())
    content[700] ^= 1
    shard.write_bytes(content)
    recipe = changed_recipe(recipe_of("photographs", 2), {"validation.count": 1})
    with pytest.raises(ValueError, match=r"restoration-000000\.tar has changed since it was packed"):
        train(recipe, tmp_path / "run", data=tmp_path / "shards", device="cpu")
    skipping = changed_recipe(recipe, {"data.skip_bad": True})
    progress = train(
        skipping, tmp_path / "more", data=tmp_path / "shards", validation_data=folders["photographs"][0], device="cpu"
    )
    assert progress.step == 2


def test_pairs_and_classes_are_held_out_from_shards_as_from_the_folder(folders):
    parts = [split_pairs(find_pairs(place), 0.3, 4) for place in folders["pairs"]]
    assert [[pair.name for pair in side] for side in parts[0]] == [[pair.name for pair in side] for side in parts[1]]
    places = folders["coefficients"]
    parts = [split_classes(find_classes(place), place, 0.3, 4) for place in places]
    names = [
        [[path.relative_to(place).as_posix() for path in side.paths] for side in part]
        for part, place in zip(parts, places, strict=True)
    ]
    assert names[0] == names[1]
