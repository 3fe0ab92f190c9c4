import numpy as np
import pytest

from passband.data.pasting import PARTS
from passband.demos import classification
from passband.demos.classification import demonstrate_classification
from passband.demos.textures import CONTRAST, TEXTURES, draw_texture, write_textures
from passband.io.image import read_image
from passband.runs import read_run


def test_a_network_is_trained_and_its_answers_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(classification, "COUNTS", (12, 12))
    monkeypatch.setitem(classification.RECIPE, "data", {**classification.RECIPE["data"], "batch": 4})
    monkeypatch.setitem(classification.RECIPE, "model", {"name": "dct-resnet18", "arguments": {"width": 4}})
    steps = []
    answers = demonstrate_classification(tmp_path, steps=2, device="cpu", report=steps.append)
    assert [step.step for step in steps] == [1, 2]
    assert answers.count == 12
    assert 0 <= answers.right <= 12
    assert read_run(tmp_path / "run")["network"]["classes_named"] == list(TEXTURES)
    for name in ("classify.png", "confusion.png"):
        assert min(read_image(tmp_path / name).shape[-2:]) > 64
    with pytest.raises(FileExistsError, match="must be a new or empty folder"):
        demonstrate_classification(tmp_path, steps=2, device="cpu")


def test_a_set_of_textures_has_all_classes_in_both_parts_and_depends_on_the_seed_alone(tmp_path):
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_textures(tmp_path / folder, (6, 6), 32, seed)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.jpg"))
    assert [path.parts[:2] for path in files] == [(part, name) for part in PARTS for name in TEXTURES]
    contents = {name: [(tmp_path / name / path).read_bytes() for path in files] for name in "abc"}
    assert contents["a"] == contents["b"] != contents["c"]


@pytest.mark.parametrize("name", TEXTURES)
def test_a_texture_shows_two_colors_that_differ(name):
    image = draw_texture(name, 48, np.random.default_rng(3)).astype(float)
    assert image.shape == (48, 48, 3)
    spread = np.sort(image.reshape(-1, 3), 0)
    low, high = spread[: 48 * 5].mean(0), spread[-48 * 5 :].mean(0)
    assert (high - low).max() > CONTRAST
