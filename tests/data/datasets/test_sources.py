import numpy as np
import pytest
import torch
from PIL import Image

from passband.data.datasets.restoration import CropSchedule, PairTrainingSet, PhotographTrainingSet, Simulation
from passband.data.datasets.sources import MixedTrainingSet


@pytest.fixture
def folders(tmp_path):
    """Photographs and pairs of random pixels; those of the pairs are gray, so that a sample tells where it is from."""
    rng = np.random.default_rng(0)
    for number in range(6):
        for folder in ("photographs", "pairs/degraded", "pairs/clean"):
            pixels = rng.integers(0, 256, (70, 90, 3), np.uint8)
            if "pairs" in folder:
                pixels[:] = pixels[..., :1]
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    return tmp_path


def test_samples_come_from_their_sources_by_weight_and_number(folders):
    photographs = PhotographTrainingSet(folders / "photographs", {"rain": 1.0}, 16, seed=1)
    pairs = PairTrainingSet(folders / "pairs", 16, seed=2)
    data = MixedTrainingSet([photographs, pairs], [3, 1], seed=5)
    assert len(data) == 12
    kinds = [data[number]["kind"] for number in range(300)]
    assert set(kinds) == {"rain", "pair"}
    assert 0.65 < kinds.count("rain") / 300 < 0.85  # four standard deviations
    for number in range(20):
        own = (photographs if kinds[number] == "rain" else pairs)[number]
        assert torch.equal(data[number]["degraded"], own["degraded"])
        assert torch.equal(data[number]["clean"], own["clean"])


def test_a_weight_is_needed_for_each_source(folders):
    with pytest.raises(ValueError, match="got 2 weights for 1 sources"):
        MixedTrainingSet([PairTrainingSet(folders / "pairs", 16)], [1, 2], seed=0)


def test_crops_grow_in_the_course_of_a_run(folders):
    schedule = CropSchedule((16, 24, 40), (8, 16, 40))
    assert [schedule(number) for number in (0, 7, 8, 15, 16, 39, 40, 1000)] == [16, 16, 24, 24, 40, 40, 40, 40]
    for data in (
        PhotographTrainingSet(folders / "photographs", {"snow": 1.0, "clean": 1.0}, schedule, seed=1),
        PairTrainingSet(folders / "pairs", schedule, seed=1),
    ):
        for number in (0, 8, 16, 50):
            assert (
                data[number]["degraded"].shape == data[number]["clean"].shape == (3, schedule(number), schedule(number))
            )


def test_a_share_of_the_samples_has_a_second_kind(folders):
    mixed = Simulation(mixtures=0.5)
    data = PhotographTrainingSet(
        folders / "photographs", {"rain": 1.0, "haze": 1.0, "clean": 1.0}, 16, 0, simulation=mixed
    )
    kinds = [data[number]["kind"] for number in range(200)]
    assert set(kinds) == {"rain", "haze", "clean", "rain+haze", "haze+rain"}
    assert 0.2 < sum("+" in kind for kind in kinds) / 200 < 0.47
    alone = PhotographTrainingSet(folders / "photographs", {"rain": 1.0, "clean": 1.0}, 16, 0, simulation=mixed)
    assert {alone[number]["kind"] for number in range(20)} == {"rain", "clean"}


def test_a_camera_exposes_the_clean_picture_as_well_but_not_clean_samples(folders):
    for share, changed in ((0.0, False), (1.0, True)):
        simulation = Simulation(camera=share)
        data = PhotographTrainingSet(folders / "photographs", {"rain": 1.0, "clean": 1.0}, 16, 0, simulation=simulation)
        plain = PhotographTrainingSet(folders / "photographs", {"rain": 1.0, "clean": 1.0}, 16, 0)
        pairs = [(data[number], plain[number]) for number in range(40)]
        different = {one["kind"] for one, other in pairs if not torch.equal(one["clean"], other["clean"])}
        assert different == ({"rain"} if changed else set())


def test_photographs_are_reduced_by_up_to_the_zoom(folders):
    # random pixels lose contrast when several become one
    spreads = {}
    for zoom in (1.0, 4.0):
        data = PhotographTrainingSet(folders / "photographs", {"clean": 1.0}, 16, 0, simulation=Simulation(zoom=zoom))
        samples = [data[number]["clean"] for number in range(30)]
        assert all(sample.shape == (3, 16, 16) and sample.min() >= 0 and sample.max() <= 1 for sample in samples)
        spreads[zoom] = np.array([float(sample.std()) for sample in samples])
    assert spreads[1.0].min() > 0.25
    assert spreads[4.0].min() < 0.12
    assert spreads[4.0].max() > 0.2


def test_a_photograph_smaller_than_the_zoomed_crop_is_used_as_far_as_it_goes(folders):
    data = PhotographTrainingSet(folders / "photographs", {"clean": 1.0}, 64, 0, simulation=Simulation(zoom=8.0))
    assert all(data[number]["clean"].shape == (3, 64, 64) for number in range(10))
