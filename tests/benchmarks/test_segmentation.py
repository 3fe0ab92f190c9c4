import json
import sys
from itertools import chain
from pathlib import Path

import pytest
import torch

from tests.segmenters import write_blobs

FOLDER = Path(__file__).parents[2] / "benchmarks" / "segmentation"


@pytest.fixture
def script(monkeypatch):
    """The module of the measurement, with the modules beside it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("segmentation", "segmentation_steps", "segmentation_tables", "segmentation_robustness"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import segmentation

    return segmentation


def test_both_rows_see_the_same_samples_and_a_cut_measurement_still_has_tables(script, tmp_path, monkeypatch, capsys):
    train, held = write_blobs(tmp_path / "train", 8), write_blobs(tmp_path / "held", 3, seed=1)
    changes = ["data.size=32", "data.batch=4", "curriculum.sizes=[16,24]", "model.arguments={width=4, depth=2}"]
    changes += ["data.batch_augmentation.rotation=20", "optim.ema=0.9"]
    command = ["segmentation.py", "--data", str(train), "--validation-data", str(held), "-o", str(tmp_path / "out")]
    command += ["--recipe", "segment-kvasir-crop", "--device", "cpu", "--seeds", "0", "1", "--epochs", "2"]
    monkeypatch.setattr(sys, "argv", [*command, *(part for change in changes for part in ("--set", change))])
    threads = torch.get_num_threads()
    try:
        script.main()
    finally:
        torch.set_num_threads(threads)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(run["row"], run["seed"]) for run in results["runs"]] == [
        ("full", 0),
        ("crop", 0),
        ("crop", 1),
        ("full", 1),
    ]
    sizes = [run["sizes"] for run in results["runs"]]
    assert sizes[0] == sizes[3] == {"32": 4}
    assert sizes[1] == sizes[2] == {"16": 2, "24": 1, "32": 1}
    assert all(len(run["clean"]) == len(run["JPEG, quality 10"]["mean_dice"]) == 3 for run in results["runs"])
    assert results["leaks"] == []

    results["runs"] = results["runs"][:1]  # as after a stop
    (tmp_path / "out" / "results.json").write_text(json.dumps(results))
    monkeypatch.setattr(sys, "argv", ["segmentation.py", "-o", str(tmp_path / "out"), "--report"])
    capsys.readouterr()
    script.main()
    printed = capsys.readouterr().out
    assert "| full | " in printed
    assert "| crop | " not in printed


def test_each_epoch_shows_each_image_once_and_seeds_differ(script):
    order = script.order(12, 4, 6, seed=0)
    assert sorted(chain(*order[:3])) == sorted(chain(*order[3:])) == list(range(12))
    assert order[:3] != order[3:]
    assert order != script.order(12, 4, 6, seed=1)
