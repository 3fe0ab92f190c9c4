import json
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "classification"))
import classification_rows
import classification_set
import classification_tables

from passband.ops.dct import block_dct
from tests.classifiers import texture


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    """The files of a small set in memory, with the options of the script."""
    folder = tmp_path_factory.mktemp("rows")
    data = folder / "data"
    for part, count in (("train", 3), ("validation", 2)):
        for name in ("coarse", "fine", "middle"):
            (data / part / name).mkdir(parents=True)
            for number in range(count):
                image = Image.fromarray(texture(name, number, (288, 288)))
                image.save(data / part / name / f"{number}.jpg", quality=92)
    options = Namespace(
        output=folder / "out",
        scratch=folder / "out",
        workers=1,
        seeds=[0],
        device="cpu",
        epochs=1,
        fresh_epochs=1,
        precision="float32",
    )
    plain = classification_set.plain_preprocessing()
    stored = options.scratch / "memory"
    stored.mkdir(parents=True)
    for part in classification_set.PARTS:
        images = classification_set.start_arrays(stored, data, part, None)
        classification_set.prepare_files(plain, stored, part, list(images.paths), 0)
    (stored / "classes.json").write_text(json.dumps(images.classes))
    return options


def test_a_view_of_coefficients_is_the_view_of_the_pixels(memory):
    folder, device = memory.scratch / "memory", torch.device("cpu")
    cubes = classification_set.Memory(folder, "train", list(range(192)), device)
    pixels = classification_set.Memory(folder, "train", None, device)
    places, generator = torch.arange(6), torch.Generator().manual_seed(0)
    draw = classification_set.draws(6, generator, device)
    assert draw["flip"].any()
    assert not draw["flip"].all()
    coefficients, image = cubes.view(places, draw)[:, :64], pixels.view(places, draw)
    luma = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True) * 255 - 128
    # the mean of a block of 8 x 8 pixels is that of 4 x 4 pixels of the reduced image, without any rounding of JPEG
    mean = block_dct(luma, block=4)[:, :1] / 4
    torch.testing.assert_close(coefficients[:, :1] / 8, mean, atol=1.5, rtol=0)  # decoders round pixels and clip them


def test_a_row_is_trained_scored_and_put_into_the_table(memory, monkeypatch):
    monkeypatch.setattr(classification_rows, "BATCH", 4)
    monkeypatch.setattr(classification_rows, "network", lambda name, channels, classes: small(channels, classes))
    for row in ("rgb", "24S"):
        line = classification_rows.run(("lite0", row, 0), memory)
        assert len(line["right"]) == 6
        with (memory.output / "runs.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    monkeypatch.setattr(classification_tables, "LARGEST_DIFFERENCE", 9)  # the small networks differ in their cost
    classification_tables.write_tables(memory.output)
    text = (memory.output / "table.md").read_text()
    assert "| 24S | 24 x 32 x 32 |" in text
    assert "1 pairs of rows" in text
    rows = json.loads((memory.output / "table.json").read_text())["lite0"]["rows"]
    assert [row["row"] for row in rows] == ["rgb", "24S"]


def small(channels, classes):
    """Return a small network in place of the large ones."""
    count = 3 if channels is None else channels
    pool = torch.nn.AdaptiveAvgPool2d(1)
    return torch.nn.Sequential(torch.nn.Conv2d(count, 4, 3), pool, torch.nn.Flatten(), torch.nn.Linear(4, classes))


def test_the_cost_of_the_rows_of_a_network_differs_little():
    from passband.analysis.cost import macs

    counts = {"rgb": None, "24S": 24, "48S": 48, "64S": 64}  # a gate learns 24 channels
    for name in {name.split("-")[0] for name in classification_rows.NETWORKS}:
        with torch.device("meta"):
            costs = {
                row: macs(classification_rows.network(name, count, 20), classification_rows.input_shape(count))
                for row, count in counts.items()
                if row in classification_rows.NETWORKS[name]
            }
        assert all(abs(cost / costs["rgb"] - 1) <= classification_tables.LARGEST_DIFFERENCE for cost in costs.values())


def test_as_many_images_as_the_formula_says_find_the_difference_four_times_of_five():
    first_alone, second_alone = 0.10, 0.06  # shares of images on which exactly one of two rows is right
    marks = np.array([[1, 0]] * 10 + [[0, 1]] * 6 + [[1, 1]] * 84).T[:, None, :]
    needed = round(classification_tables.pictures_needed(*marks))
    random, found = np.random.default_rng(1), 0
    for _ in range(2000):
        counts = random.multinomial(needed, [first_alone, second_alone, 1 - first_alone - second_alone])
        discordant = counts[0] + counts[1]
        found += abs(counts[0] - counts[1]) > 1.96 * discordant**0.5
    assert found / 2000 == pytest.approx(0.8, abs=0.035)  # four standard errors
    assert classification_tables.pictures_needed(np.ones((1, 4)), np.ones((1, 4))) == np.inf


def test_holm_marks_only_differences_that_survive_all_comparisons():
    pairs = [{"p": p} for p in (0.001, 0.03, 0.02, 0.5)]
    classification_tables.holm(pairs)
    assert [pair["holm"] for pair in pairs] == [True, False, False, False]
