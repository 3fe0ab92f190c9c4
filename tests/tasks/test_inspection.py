import math

import pytest

from passband.config import parse_recipe
from passband.data.gains import read_gains
from passband.studies.gain_table import measure_gains
from passband.tasks.inspection import Inspection, made_of
from passband.training import train
from passband.weights_io import load_config
from tests.inspecting import photographs

RECIPE = {
    "name": "mine",
    "task": "inspection",
    "model": {"arguments": {"width": 8, "hidden": 8}},
    "data": {"samples": 40, "crop": 64, "zoom": 1.2, "batch": 8, "workers": 0},
    "optim": {"steps": 3, "learning_rate": 1e-3, "optimizer": "adamw"},
    "validation": {"count": 3, "batch": 2},
}


def brighter(degraded):
    """Stands for a network: halves the distance to white."""
    return (degraded + 1) / 2


def recipe(**data):
    return parse_recipe({**RECIPE, "data": {**RECIPE["data"], **data}}, "test")


def test_a_table_and_a_training_are_two_steps_and_the_network_knows_the_tables_networks(tmp_path):
    data, run = photographs(tmp_path / "data"), tmp_path / "run"
    networks = {"general": brighter, "derain-small": brighter}
    measure_gains(recipe(), data, data / "gains.npz", networks, count=12)
    progress = train(recipe(), run, data=data, device="cpu")
    assert {"right", "loss", "psnr_error", "gain_error", "strange"} <= set(progress.figures)
    config = load_config(run / "weights" / "best")
    assert config["networks"] == ["general", "derain-small"]
    assert config["kinds"][-1] == "clean"
    assert (run / "validation").is_dir()


def test_a_training_that_was_resumed_goes_the_way_of_one_that_was_not(tmp_path):
    data = photographs(tmp_path / "data")
    whole = train(recipe(gains=""), tmp_path / "whole", data=data, device="cpu")
    with pytest.raises(KeyboardInterrupt):
        train(recipe(gains=""), tmp_path / "part", data=data, device="cpu", report=_stop_at(2))
    rows = [(tmp_path / name / "log.csv").read_text().splitlines()[:3] for name in ("whole", "part")]
    assert rows[0] == rows[1]
    assert whole.step == 3


def _stop_at(step):
    def report(progress):
        if progress.step == step:
            raise KeyboardInterrupt

    return report


def test_a_table_that_was_stopped_goes_on_and_gives_the_same(tmp_path):
    data = photographs(tmp_path / "data")
    networks = {"general": brighter, "derain-small": brighter, "desnow-small": brighter}
    whole = measure_gains(recipe(), data, tmp_path / "whole.npz", networks, count=6, most=2)
    measure_gains(recipe(), data, tmp_path / "part.npz", networks, count=2, most=2)
    again = measure_gains(recipe(), data, tmp_path / "part.npz", networks, count=6, most=2)
    assert again.rows.keys() == whole.rows.keys() == set(range(6))
    for number, row in whole.rows.items():
        assert again.rows[number] == pytest.approx(row, nan_ok=True, rel=1e-5)
        assert sum(map(math.isfinite, row)) == 2
        assert math.isfinite(row[0])  # general is always measured
    assert read_gains(tmp_path / "whole.npz", made_of(recipe())).networks == tuple(networks)
    with pytest.raises(ValueError, match="choose another output"):
        measure_gains(recipe(), data, tmp_path / "whole.npz", {"general": brighter}, count=6)


def test_a_table_of_other_pictures_is_refused_before_a_training_begins(tmp_path):
    data = photographs(tmp_path / "data")
    measure_gains(recipe(), data, data / "gains.npz", {"general": brighter}, count=2)
    with pytest.raises(ValueError, match="make the table again"):
        train(recipe(crop=72), tmp_path / "run", data=data, device="cpu")


def test_pairs_have_the_kind_that_their_source_says(tmp_path):
    photographs(tmp_path / "set" / "degraded", 5)
    photographs(tmp_path / "set" / "clean", 5)
    sources = [{"folder": "set", "content": "pairs", "kind": "rain"}]
    pictures = Inspection(recipe(sources=sources, gains="", clean=0.4)).images(tmp_path)
    assert {pictures(number).kind for number in range(20)} == {"rain", "clean"}
    with pytest.raises(ValueError, match="set kind, the degradation, for pairs"):
        recipe(sources=[{"folder": "set", "content": "pairs"}])
