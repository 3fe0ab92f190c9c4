import numpy as np
import pytest
from PIL import Image
from skimage import data

from passband.data.leaks import leak_report
from passband.data.masks import MaskPair
from passband.data.near_duplicates import ALIKE

SCENES = {
    "cat": data.chelsea(),
    "rocket": data.rocket(),
    "coffee": data.coffee(),
    "astronaut": data.astronaut(),
    "coins": np.repeat(data.coins()[..., None], 3, -1),
    "page": np.repeat(data.page()[..., None], 3, -1),
}


def pair(folder, name, image, suffix="png", **options):
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.{suffix}"
    image.save(path, **options)
    return MaskPair(path, path, name)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    return [pair(folder, name, Image.fromarray(pixels)) for name, pixels in SCENES.items()]


def test_the_same_file_under_another_name_is_found(learned, tmp_path):
    (tmp_path / "copy.png").write_bytes(learned[2].image.read_bytes())
    scored = [MaskPair(tmp_path / "copy.png", tmp_path / "copy.png", "copy")]
    report = leak_report(learned, scored)
    assert report.identical == (("copy", "coffee"),)
    assert report.alike == ()
    assert report.lines() == ["1 of 1 validation images are also training images, byte for byte: copy is coffee"]


def test_recompressed_resized_and_brighter_pictures_are_found_and_others_are_not(learned, tmp_path):
    cat, rocket = (Image.fromarray(SCENES[name]) for name in ("cat", "rocket"))
    scored = [
        pair(tmp_path, "recompressed", cat, "jpg", quality=40),
        pair(tmp_path, "small", cat.resize((cat.width // 2, cat.height // 2))),
        pair(tmp_path, "brighter", rocket.point([min(255, round(1.2 * level)) for level in range(256)] * 3)),
        pair(tmp_path, "new", Image.fromarray(data.retina())),
    ]
    report = leak_report(learned, scored)
    assert [(one, other) for one, other, _ in report.alike] == [
        ("recompressed", "cat"),
        ("small", "cat"),
        ("brighter", "rocket"),
    ]
    assert all(0 <= bits <= ALIKE for *_, bits in report.alike)
    (line,) = report.lines(most=2)
    assert line.startswith("3 of 4 validation images are nearly the same as training images")
    assert line.endswith("recompressed is like cat; small is like cat; and 1 more")


def test_nothing_leaks_into_other_pictures(learned):
    report = leak_report(learned[:3], learned[3:])
    assert (report.scored, report.identical, report.alike, report.lines()) == (3, (), (), [])


def test_files_that_cannot_be_read_are_passed_over(learned, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    report = leak_report([*learned, MaskPair(broken, broken, "x")], [MaskPair(broken, broken, "broken"), learned[0]])
    assert report.identical == (("broken", "x"), ("cat", "cat"))
    assert leak_report([], learned).lines() == []
