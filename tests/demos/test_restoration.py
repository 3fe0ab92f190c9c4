import pytest

from passband.demos.restoration import demonstrate
from passband.inference import Restorer
from passband.io.image import read_stored_image


@pytest.fixture(scope="module")
def identity(identity_weights):
    return Restorer(identity_weights, "cpu")


def test_the_demonstration_says_both_figures_and_writes_a_row_per_kind(identity, tmp_path):
    gains = demonstrate(identity, tmp_path, ["haze", "rain"])
    assert list(gains) == ["haze", "rain"]
    assert all(before == pytest.approx(after, abs=1e-6) for before, after in gains.values())
    assert read_stored_image(tmp_path / "demo.png").image.shape == (3, 2 * (32 + 300) + 8 + 24, 3 * 451 + 2 * 8 + 24)
