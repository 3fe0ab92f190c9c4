import pytest
import torch

from passband.config import parse_recipe
from passband.data.gains import GainTableError
from passband.inference import Inspector
from passband.inference.inspection.trials import Trials, region_places, window_places
from passband.models.inspection.inspector import InspectorNetwork
from passband.models.inspection.trials import trial_features
from passband.studies.trial_judge import train_judge
from passband.studies.trial_table import measure_trials, read_trials
from tests.inspecting import photograph, photographs, saved


@pytest.mark.parametrize(
    ("places", "height", "width", "count", "side"),
    [
        (region_places, 512, 768, 1, 256),
        (region_places, 1600, 512, 2, 256),
        (region_places, 6000, 4000, 3, 256),
        (region_places, 256, 520, 1, 256),
        (region_places, 100, 300, 1, 256),
        (window_places, 256, 256, 4, 128),
        (window_places, 100, 256, 2, 128),
        (window_places, 192, 192, 1, 128),
    ],
)
def test_places_lie_inside_the_image_on_the_grid_of_jpeg(places, height, width, count, side):
    found = places(height, width)
    assert len(set(found)) == count
    for top, left, tall, wide in found:
        assert 0 <= top <= height - tall
        assert 0 <= left <= width - wide
        assert top % 16 == left % 16 == 0
        assert (tall, wide) == (min(side, height), min(side, width))
    first, last = found[0], found[-1]
    assert first.left <= 16 + width - (last.left + last.width) <= first.left + 32  # they are in the middle


def test_a_trial_describes_windows_of_regions_that_are_restored_as_a_whole(tiny_weights):
    """Networks average over what they see, so a window on its own would be restored in another way."""
    torch.manual_seed(0)
    trials, image = Trials([str(tiny_weights)]), torch.rand(3, 140, 300)
    features = trials(image)
    region = image[:, :, 16:272]
    change = trials.changes(region)
    expected = [
        trial_features(region[None, :, :128, left : left + 128], change[:, None, :, :128, left : left + 128])
        for left in (0, 128)
    ]
    torch.testing.assert_close(features, torch.stack(expected))
    alone = trials.changes(region[:, :128, :128])
    assert not torch.allclose(alone, change[..., :128, :128], atol=1e-3)


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
