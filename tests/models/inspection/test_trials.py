import pytest
import torch

from passband.models.inspection.inspector import InspectorNetwork, joined_windows
from passband.models.inspection.trials import SMALLEST, TrialJudge, feature_count, trial_features


def changed(seed=0, height=24, width=40):
    """Return a window and the changes of three networks: none, a darker image, and half of that."""
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    darker = -0.2 * image
    return image, torch.stack([torch.zeros_like(image), darker, darker / 2])


def test_the_first_feature_is_the_size_of_the_change_and_the_second_its_sign():
    features = trial_features(*changed())
    assert features[0, 0] == pytest.approx(torch.tensor(SMALLEST).log10().item(), abs=1e-6)
    assert features[1, 0] - features[2, 0] == pytest.approx(torch.tensor(4.0).log10().item(), abs=1e-3)
    assert features[0, 1] == 0
    assert features[1, 1] < 0


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 13), (24, 40)])
def test_features_are_finite_and_do_not_change_when_the_image_is_mirrored(height, width):
    image, changes = changed(1, height, width)
    features = trial_features(image, changes)
    assert features.isfinite().all()
    if width % 8 == 0:
        mirrored = trial_features(image.flip(-1), changes.flip(-1))
        torch.testing.assert_close(mirrored, features, atol=2e-3, rtol=1e-3)  # sums in another order


def test_windows_count_as_one_image():
    image, changes = changed(2)
    torch.testing.assert_close(
        trial_features(image.expand(2, -1, -1, -1), changes.expand(-1, 2, -1, -1, -1))[:, :2],
        trial_features(image, changes)[:, :2],
    )


def test_a_judge_predicts_for_each_image_by_itself_whatever_its_batch():
    torch.manual_seed(0)
    judge = TrialJudge(3, [0, None, 1], width=8, members=2).eval()
    x = torch.randn(4, 3 * feature_count(3) + 3 + 1 + 3 + 1)
    both = judge(x)
    assert both.shape == (4, 3 + 1 + 3)
    torch.testing.assert_close(judge(x[1:2]), both[1:2])


def test_windows_with_larger_errors_decide_the_gain_of_an_image():
    psnr, gains = joined_windows(torch.tensor([10.0, 40.0]), torch.tensor([[6.0, 0.0], [0.0, 6.0]]))
    assert psnr.item() == pytest.approx(13.0, abs=0.02)
    assert gains[0].tolist() == pytest.approx([6.0, 0.0], abs=0.02)
    psnr, gains = joined_windows(torch.tensor([20.0, 20.0]), torch.tensor([[3.0], [3.0]]))
    assert (psnr.item(), gains.item()) == pytest.approx((20.0, 3.0), abs=1e-4)


def test_an_inspector_without_a_judge_says_how_to_get_one():
    model = InspectorNetwork(["rain", "clean"], ["general"], width=8, hidden=8).eval()
    findings = model(torch.zeros(1, 1, *model.input_shape), torch.zeros(1, 6, 16, 16))
    with pytest.raises(ValueError, match="inspector_trials"):
        model.after_trial(findings, torch.zeros(1, 1, feature_count(1)))
    judged = model.with_judge(8, {"derain-small": "rain"}).after_trial(findings, torch.zeros(2, 1, feature_count(1)))
    assert [len(part[0]) for part in (judged.kinds, judged.gains)] == [2, 1]
    assert judged.strangeness is findings.strangeness
