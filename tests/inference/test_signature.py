"""The weights in the metadata of restored images."""

import pytest
import torch
from PIL import Image

from passband import Restorer
from passband.inference import plan_jobs, restore_files
from passband.inference.restoration.choice import Decision, NetworkChoice
from passband.io.image import write_image
from passband.models import load_model
from passband.naming import short_name
from passband.provenance import weights_checksum


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    write_image(path, torch.rand(3, 24, 32))
    return path


def opened(path):
    """Return the pixels of a file and what it says about them."""
    with Image.open(path) as image:
        return image.tobytes(), dict(image.info)


def test_the_metadata_name_the_weights_and_their_checksum_only_if_asked(tiny_weights, photo, tmp_path):
    restorer = Restorer(tiny_weights, "cpu")
    restorer.restore_file(photo, tmp_path / "plain.png")
    restorer.restore_file(photo, tmp_path / "named.png", name_weights=True)
    (plain, without), (named, info) = (opened(tmp_path / f"{name}.png") for name in ("plain", "named"))
    assert "Software" not in without
    checksum = weights_checksum(load_model(tiny_weights))
    assert info["Software"].startswith("passband ")
    assert info["Software"].endswith(f", weights {short_name(tiny_weights)}, sha256 {checksum[:16]}")
    assert plain == named


def test_every_page_of_a_file_names_them(tiny_weights, tmp_path):
    pages = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    Restorer(tiny_weights, "cpu").restore_file(tmp_path / "pages.tif", tmp_path / "named.tif", name_weights=True)
    with Image.open(tmp_path / "named.tif") as file:
        for page in range(2):
            file.seek(page)
            assert str(file.tag_v2[305]).startswith("passband ")


def test_an_image_that_is_left_alone_names_none(photo, tmp_path):
    class Nothing(NetworkChoice):
        """Leaves every image alone."""

        fixed = None
        names = ("general",)

        def of_file(self, path, max_pixels):
            return Decision(None, "left alone")

    Restorer("auto", "cpu", choice=Nothing()).restore_file(photo, tmp_path / "named.png", name_weights=True)
    assert (tmp_path / "named.png").read_bytes() == photo.read_bytes()


def test_a_file_is_restored_again_if_it_does_not_name_the_weights_yet(tiny_weights, photo, tmp_path):
    jobs = plan_jobs([photo], tmp_path / "out")
    for name_weights, status in ((False, "restored"), (False, "skipped"), (True, "restored"), (True, "skipped")):
        (outcome,) = restore_files(Restorer(tiny_weights, "cpu"), jobs, name_weights=name_weights)
        assert outcome.status == status
    assert "Software" in opened(jobs[0].target)[1]
