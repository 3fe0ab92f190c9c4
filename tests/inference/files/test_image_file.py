import pytest
from PIL import Image

from passband import Restorer
from passband.inference.files.image_file import ImageFile
from passband.inference.restoration.choice import Decision, NetworkChoice
from passband.io.image import open_images
from passband.naming import by_kind


class Nothing(NetworkChoice):
    """Leaves every image alone."""

    fixed = None
    names = ("general",)

    def of_file(self, path, max_pixels):
        return Decision(None, "left alone")


def write_animation(path, *levels):
    """Write an animation of flat gray frames."""
    first, *others = (Image.new("RGB", (24, 16), (level, level, level)) for level in levels)
    first.save(path, save_all=True, append_images=others, duration=100, lossless=True)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_an_animation_that_is_kept_has_all_frames_and_nothing_to_say(tmp_path, name):
    source = write_animation(tmp_path / name, 40, 90, 200)
    target = tmp_path / "out" / name
    assert Restorer("auto", "cpu", choice=Nothing()).restore_file(source, target) == ("left alone",)
    assert target.read_bytes() == source.read_bytes()


def test_a_file_that_is_copied_has_lost_nothing(tmp_path):
    Image.new("CMYK", (24, 16)).save(tmp_path / "a.jpg")
    restorer = Restorer("auto", "cpu", choice=Nothing())
    assert restorer.restore_file(tmp_path / "a.jpg", tmp_path / "b.jpg") == ("left alone",)
    notes = restorer.restore_file(tmp_path / "a.jpg", tmp_path / "b.png")
    assert notes == ("left alone", "its CMYK colors became RGB")


def test_an_animation_that_is_kept_in_another_type_has_all_frames(tmp_path):
    levels = (40, 90, 200)
    source = write_animation(tmp_path / "a.webp", *levels)
    restorer = Restorer("auto", "cpu", choice=Nothing())
    assert restorer.restore_file(source, tmp_path / "a.png") == ("left alone",)
    written = open_images(tmp_path / "a.png")
    assert [round(255 * frame.image.mean().item()) for frame in written.images] == list(levels)
    still = restorer.restore_file(source, tmp_path / "a.jpg")
    assert still == ("left alone", "only the first of its 3 frames is kept")


def changed(image, progress):
    """Stand for a network that changes dark frames a little, and bright ones by much."""
    return (image + (0.001 * image if image.mean() < 0.5 else (image - 0.9).sign()),)


@pytest.mark.parametrize(
    ("levels", "beginning"),
    [
        ((40, 60, 80), "almost nothing changed (by 0.04 of 255 levels"),
        ((40, 230, 80), "in 2 of 3 frames, almost nothing changed (by 0.04 of 255 levels"),
    ],
)
def test_a_warning_about_several_frames_is_said_once_with_their_number(
    tiny_weights, tmp_path, monkeypatch, levels, beginning
):
    network = Restorer(tiny_weights, "cpu").network()
    monkeypatch.setattr(network, "predict", changed)
    source = write_animation(tmp_path / "a.png", *levels)
    file = ImageFile(source, tmp_path / "b.png", None, None, 95, 10_000)
    notes = file.restore(network, 1.0, name_weights=False, report=None)
    assert next(note for note in notes if "almost nothing" in note).startswith(beginning)
    assert len(by_kind(notes)) == len(notes)


def test_notes_of_one_kind_differ_in_numbers_only():
    notes = ("page 1 is 2.5 times larger", "no page", "page 12 is -3 times larger")
    assert list(by_kind(notes).values()) == [[notes[0], notes[2]], [notes[1]]]
