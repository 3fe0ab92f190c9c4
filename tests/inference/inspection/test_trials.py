import pytest
import torch

from passband.config import parse_recipe
from passband.data.gains import GainTableError
from passband.inference import Inspector
from passband.inference.inspection.trials import Trials, window_places
from passband.models.inspector import InspectorNetwork
from passband.studies.trial_judge import train_judge
from passband.studies.trial_table import measure_trials, read_trials
from tests.inspecting import photograph, photographs, saved


@pytest.mark.parametrize(("height", "width", "count"), [(512, 768, 6), (768, 512, 6), (256, 256, 4), (100, 300, 2)])
def test_windows_lie_inside_the_image_on_the_grid_of_jpeg(height, width, count):
    places = window_places(height, width)
    assert len(set(places)) == count
    for top, left, tall, wide in places:
        assert 0 <= top <= height - tall
        assert 0 <= left <= width - wide
        assert top % 16 == left % 16 == 0
        assert (tall, wide) == (min(128, height), min(128, width))


def recipe():
    data = {"samples": 40, "crop": 64, "zoom": 1.2}
    return parse_recipe(
        {"name": "mine", "task": "inspection", "data": data, "optim": {"steps": 1, "learning_rate": 1e-3}}, "test"
    )


def test_a_judge_learns_from_a_table_and_the_inspector_uses_it(tmp_path, tiny_weights, identity_weights):
    data, names = photographs(tmp_path / "data"), [str(tiny_weights), str(identity_weights)]
    model = InspectorNetwork(networks=names, width=8, hidden=8).eval()
    trials = Trials(names)
    whole = measure_trials(recipe(), data, tmp_path / "whole.npz", model, trials, count=4)
    measure_trials(recipe(), data, tmp_path / "part.npz", model, trials, count=2)
    again = measure_trials(recipe(), data, tmp_path / "part.npz", model, trials, count=4)
    assert all((again.rows[number] == row).all() for number, row in whole.rows.items())
    assert (whole.parts(range(4))[3][:, 1].abs() < 1e-3).all()  # the identity gains nothing
    assert read_trials(tmp_path / "whole.npz").rows.keys() == whole.rows.keys()
    judged = model.with_judge(8, {names[0]: "rain"})
    before = judged.judge.members[0].gain.weight.clone()
    train_judge(judged, whole, steps=3)
    assert not torch.equal(judged.judge.members[0].gain.weight, before)
    judged.known.distance.copy_(torch.tensor([100.0, 1.0]))  # nothing is strange
    folder, image = saved(judged, tmp_path / "judged"), photograph(1)
    tried, quick = Inspector(folder), Inspector(folder, trial=False)
    assert tried(image).gains != quick(image).gains
    assert tried(image[:, :40]).gains == quick(image[:, :40]).gains  # too small for a trial
    other = model.with_judge(8, {})
    with pytest.raises(GainTableError, match="choose another output"):
        measure_trials(recipe(), data, tmp_path / "whole.npz", other, trials, count=4)
    with pytest.raises(ValueError, match="has no judge"):
        train_judge(model, whole, steps=1)
    for damaged in (b"nothing", b"", (tmp_path / "whole.npz").read_bytes()[:100]):
        (tmp_path / "whole.npz").write_bytes(damaged)
        with pytest.raises(GainTableError, match="make it again"):
            read_trials(tmp_path / "whole.npz")
