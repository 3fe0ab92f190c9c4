import pytest
import torch
from focal_frequency_loss import FocalFrequencyLoss as Published
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from passband.config import RecipeError, parse_recipe
from passband.layers import ChannelGate
from passband.losses import (
    FocalFrequencyLoss,
    FrequencyLoss,
    focal_frequency_loss,
    frequency_loss,
    gate_weights,
    multiscale_loss,
    ring_distances,
)
from passband.models import GatedClassifier
from passband.ops.frequency_distance import frequency_distances, frequency_weights
from passband.state_dicts import CheckpointError
from passband.tasks.restoration import Restoration
from passband.weights_io import save_weights


def pair(batch=2, height=32, width=48, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, batch, 3, height, width, generator=generator, dtype=dtype).unbind(0)


class TestFrequencyLoss:
    def test_it_is_the_mean_of_the_distances_and_moves_with_the_network(self):
        restored, clean = pair()
        expected = frequency_distances(restored, clean, "jpeg", masking=True).mean()
        torch.testing.assert_close(frequency_loss(restored, clean, "jpeg", masking=True), expected)
        loss = FrequencyLoss("jpeg", masking=True)
        torch.testing.assert_close(loss(restored, clean), expected)
        assert loss.to(torch.bfloat16).weights.dtype == torch.bfloat16
        assert not loss.state_dict()

    def test_options_are_those_of_the_table(self):
        restored, clean = pair()
        table = frequency_weights("jpeg", quality=20)
        torch.testing.assert_close(
            FrequencyLoss("jpeg", quality=20)(restored, clean), frequency_loss(restored, clean, table)
        )
        with pytest.raises(ValueError, match="unknown table of frequency weights 'cfs'; did you mean 'csf'"):
            FrequencyLoss("cfs")

    def test_a_gate_weighs_what_it_opened(self, tmp_path):
        model = GatedClassifier.from_arguments(depth=18, channels=192, classes=3, width=8)
        gate = model.gate
        assert isinstance(gate, ChannelGate)
        save_weights(model, tmp_path / "fresh", {"model": model.name, **model.arguments})
        with pytest.raises(CheckpointError, match="no gate over 192 frequency channels that has seen images"):
            gate_weights(tmp_path / "fresh")
        gate.opened += torch.arange(192)
        gate.seen += 200
        save_weights(model, tmp_path / "trained", {"model": model.name, **model.arguments})
        found = gate_weights(tmp_path / "trained")
        assert found[2, 1, 3].item() == pytest.approx((128 + 8 + 3) / 200)
        loss = FrequencyLoss("gate", gate=tmp_path / "trained")
        torch.testing.assert_close(loss.weights, found.float())
        for arguments in ({"weights": "gate"}, {"weights": "csf", "gate": tmp_path / "trained"}):
            with pytest.raises(ValueError, match='weights="gate" and gate belong together'):
                FrequencyLoss(**arguments)


class TestFocalFrequencyLoss:
    @pytest.mark.parametrize(
        ("ours", "published"),
        [
            ({}, {}),
            ({"alpha": 0.5}, {"alpha": 0.5}),
            ({"patch_factor": 4}, {"patch_factor": 4}),
            ({"average_spectrum": True}, {"ave_spectrum": True}),
            ({"log_matrix": True, "alpha": 2.0}, {"log_matrix": True, "alpha": 2.0}),
            ({"batch_matrix": True}, {"batch_matrix": True}),
        ],
    )
    def test_it_is_that_of_its_authors(self, ours, published):
        restored, clean = pair(3)
        expected = Published(**published)(restored, clean)
        torch.testing.assert_close(focal_frequency_loss(restored, clean, **ours), expected, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(FocalFrequencyLoss(**ours)(restored, clean), expected, atol=1e-6, rtol=1e-6)

    def test_a_matrix_replaces_the_weights(self):
        restored, clean = pair(dtype=torch.float64)
        ones = torch.ones(2, 1, 3, 32, 48, dtype=torch.float64)
        error = (restored - clean).square().mean()
        torch.testing.assert_close(focal_frequency_loss(restored, clean, matrix=ones), error)  # Parseval

    def test_gradients_are_those_of_finite_differences_where_the_weights_are_constants(self):
        restored, clean = pair(1, 6, 8, torch.float64)
        matrix = torch.rand(1, 1, 3, 6, 8, dtype=torch.float64)
        assert torch.autograd.gradcheck(
            lambda image: focal_frequency_loss(image, clean, matrix=matrix), restored.clone().requires_grad_()
        )

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    @pytest.mark.parametrize("value", [0.0, 1.0, 6e4])
    def test_half_precision_gives_no_nan(self, dtype, value):
        flat = torch.full((1, 3, 16, 16), value, dtype=dtype).requires_grad_()
        for other in (flat.detach(), torch.rand(1, 3, 16, 16).to(dtype)):
            loss = focal_frequency_loss(flat, other)
            loss.backward()
            assert loss.isfinite()
            assert flat.grad.isfinite().all()

    def test_patches_have_to_fit(self):
        with pytest.raises(ValueError, match="a divisor of the height and width of 32 x 48, got 5"):
            focal_frequency_loss(*pair(), patch_factor=5)

    @pytest.mark.parametrize("alpha", [-1.0, float("nan")])
    def test_a_negative_exponent_would_give_infinite_weights_and_is_refused(self, alpha):
        with pytest.raises(ValueError, match="an exponent of at least 0, got"):
            focal_frequency_loss(*pair(), alpha=alpha)


class TestRings:
    @settings(deadline=None, max_examples=25)
    @given(st.integers(1, 33), st.integers(1, 33), st.integers(1, 9))
    def test_rings_add_up_to_the_mean_squared_error(self, height, width, rings):
        restored, clean = pair(2, height, width, torch.float64)
        found = ring_distances(restored, clean, rings)
        assert found.shape == (2, rings)
        torch.testing.assert_close(found.sum(1), (restored - clean).square().mean((1, 2, 3)))

    def test_a_wave_lies_in_the_ring_of_its_frequency(self):
        clean = torch.zeros(1, 3, 64, 64, dtype=torch.float64)
        wave = torch.cos(2 * torch.pi * 16 / 64 * torch.arange(64, dtype=torch.float64)).expand(1, 3, 64, 64)
        found = ring_distances(clean + wave, clean, rings=8)[0]  # 1/4 cycle per pixel, of 1/sqrt 2 at most
        assert found.argmax() == int(0.25 * 2**0.5 * 8)
        assert found.max() / found.sum() > 0.999

    def test_absolute_differences_have_gradients_also_where_nothing_differs(self):
        restored, clean = pair(dtype=torch.float64)
        same = clean.clone().requires_grad_()
        ring_distances(same, clean, power=1).sum().backward()
        assert same.grad.isfinite().all()
        # the absolute values of all frequencies, half of which rfft2 leaves out
        whole = torch.fft.fft2(restored - clean, norm="ortho").abs().mean((1, 2, 3))
        torch.testing.assert_close(ring_distances(restored, clean, power=1).sum(1), whole)

    def test_arguments_have_a_range(self):
        for arguments, message in (({"rings": 0}, "at least 1"), ({"power": 3}, "1 or 2")):
            with pytest.raises(ValueError, match=message):
                ring_distances(*pair(), **arguments)


RECIPE = {"name": "mine", "optim": {"steps": 10}}


class Sizes(nn.Module):
    """Predicts its input in two sizes."""

    def forward(self, image):
        return [image[..., ::4, ::4], image]


class TestRecipes:
    def loss(self, **settings):
        recipe = parse_recipe({**RECIPE, "loss": settings}, "test")
        torch.manual_seed(0)
        restored, clean = pair()
        batch = {"degraded": restored, "clean": clean, "problem": ["", ""]}
        return Restoration(recipe).loss(Sizes(), batch, 0.0)[0]

    def test_what_a_recipe_adds_is_added_at_every_size_that_has_a_block(self):
        restored, clean = pair()
        plain = self.loss()
        predictions = [restored[..., ::4, ::4], restored]
        torch.testing.assert_close(plain, multiscale_loss(predictions, clean))
        small = torch.nn.functional.interpolate(clean, (8, 12), mode="bilinear")
        added = sum(frequency_loss(a, b, "csf", power=1.0) for a, b in ((predictions[0], small), (restored, clean)))
        torch.testing.assert_close(self.loss(frequency={"weight": 0.3, "power": 1.0}), plain + 0.3 * added)
        focal = sum(focal_frequency_loss(a, b, alpha=2.0) for a, b in ((predictions[0], small), (restored, clean)))
        torch.testing.assert_close(self.loss(focal={"weight": 2.0, "alpha": 2.0}), plain + 2 * focal)
        assert self.loss(frequency={}, relative=True) != self.loss(relative=True)

    @pytest.mark.parametrize(
        ("frequency", "message"),
        [
            ({"weights": "cfs"}, r"loss\.frequency\.weights"),
            ({"quality": 50}, 'quality is an option of weights = "jpeg"'),
            ({"weights": "gate"}, "needs gate, the weights of a classifier"),
            ({"stride": 3}, "stride must be 1, 2, 4 or 8 pixels"),
            ({"power": 0.5}, r"loss\.frequency\.power"),
        ],
    )
    def test_settings_that_do_not_fit_are_refused(self, frequency, message):
        with pytest.raises(RecipeError, match=message):
            parse_recipe({**RECIPE, "loss": {"frequency": frequency}}, "test")
