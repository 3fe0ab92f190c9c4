import runpy

import pytest
from skimage import data

from passband.data.degradations import degrade
from passband.io.arrays import from_array
from passband.io.image import read_image, write_image
from tests.documents import ROOT


def example(name):
    """The function main of an example."""
    return runpy.run_path(str(ROOT / "examples" / name))["main"]


@pytest.fixture
def pairs(tmp_path, photograph):
    """Five pairs in rain."""
    for number in range(5):
        clean = photograph[:, 20 * number : 20 * number + 96, 80:200]
        write_image(tmp_path / "pairs" / "clean" / f"{number}.png", clean)
        degraded = degrade(clean, "rain", seed=number, version=1)
        write_image(tmp_path / "pairs" / "degraded" / f"{number}.png", degraded)
    return tmp_path / "pairs"


def test_restoring_a_folder_gains(pairs, tmp_path):
    scores = example("restore_folder.py")(pairs, tmp_path / "restored")
    assert all(after > before for before, after in scores)
    assert read_image(tmp_path / "restored" / "0.png").shape == (3, 96, 120)


def test_training_on_pairs_leaves_weights_that_restore(pairs, tmp_path):
    losses = example("train_on_pairs.py")(pairs, tmp_path / "weights", steps=3)
    assert len(losses) == 3
    scores = example("restore_folder.py")(pairs, tmp_path / "restored", str(tmp_path / "weights"))
    assert len(scores) == 5


def test_a_loop_learns_from_frequency_channels(tmp_path):
    for name in ("brick", "gravel"):
        texture = from_array(getattr(data, name)())[0]
        for number in range(6):
            tile = texture[:, 96 * (number // 3) :, 96 * (number % 3) :][:, :96, :96]
            write_image(tmp_path / name / f"{number}.jpg", tile)
    assert example("frequency_channels.py")(tmp_path, steps=60) > 0.9


def test_a_plan_saturates_first_where_the_figures_say():
    plan = example("plan_cluster.py")
    figures = {"list": 1e-4, "record": 1e-4, "compute": 10.0, "read_bytes": 1e6, "written_bytes": 1e6}
    few = plan(figures, images=1e9, processes=100, bandwidth=1e9, price=2.0, cores=50)
    assert few["first"] == "processes"
    assert few["seconds"] == pytest.approx(1e8, rel=0.05)
    assert few["money"] == pytest.approx(2 * 2.0 * few["seconds"] / 3600)
    many = plan(figures, images=1e9, processes=20_000, bandwidth=1e9, price=2.0, cores=50)
    assert many["first"] == "store"
    assert many["seconds"] == pytest.approx(2e6, rel=0.05)
    fast = plan(figures, images=1e9, processes=60_000, bandwidth=1e12, price=2.0, cores=50)
    assert fast["first"] == "command"
    assert fast["seconds"] == pytest.approx(2e5, rel=0.05)


@pytest.mark.parametrize("name", ["restore_folder.py", "train_on_pairs.py", "frequency_channels.py", "plan_cluster.py"])
def test_an_example_without_arguments_says_how_it_is_called(name, monkeypatch):
    monkeypatch.setattr("sys.argv", [name])
    with pytest.raises(SystemExit, match=f"python examples/{name}"):
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
