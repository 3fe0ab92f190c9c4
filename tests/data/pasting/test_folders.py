"""Cut-outs and photographs from files, and the parts that they are kept apart in."""

import numpy as np
import pytest
from PIL import Image

from passband.data.pasting import PARTS, CutoutFolders
from passband.io.image import ImageError
from tests.pasting import write_cutouts, write_photos


@pytest.fixture
def folders(tmp_path):
    return write_cutouts(tmp_path / "objects"), write_photos(tmp_path / "photos")


def test_no_object_and_no_photograph_is_in_both_parts(folders):
    source = CutoutFolders(*folders)
    assert source.classes == ("ball", "box", "cone")
    for name in source.classes:
        parts = [{*source.cutouts[part][name]} for part in PARTS]
        assert [len(part) for part in parts] == [2, 1]
        assert not parts[0] & parts[1]
    assert [len(source.photos[part]) for part in PARTS] == [3, 1]
    assert not {*source.photos["train"]} & {*source.photos["validation"]}


def test_drawings_of_one_object_stay_together(tmp_path):
    objects = write_cutouts(tmp_path / "objects", ["ball"], objects=5)
    for path in list((objects / "ball").iterdir()):
        path.with_name(path.name.replace("_a", "_b")).write_bytes(path.read_bytes())
    for seed in range(4):
        source = CutoutFolders(objects, write_photos(tmp_path / "photos"), held_out=0.4, seed=seed)
        names = [{path.name.split("_")[0] for path in source.cutouts[part]["ball"]} for part in PARTS]
        assert not names[0] & names[1]
        assert len(names[0]) + len(names[1]) == 5


def test_a_cutout_is_cut_to_what_it_shows(folders):
    Image.new("RGBA", (90, 50), (0, 0, 0, 40)).save(folders[0] / "box" / "faint.png")
    source = CutoutFolders(*folders)
    view = source.cutout(0, "train", np.random.default_rng(0))
    assert view.mode == "RGBA"
    assert max(view.size) <= 40
    source.cutouts["train"]["box"] = [folders[0] / "box" / "faint.png"]
    with pytest.raises(ImageError, match=r"faint.png shows nothing: all of its pixels are nearly transparent"):
        source.cutout(1, "train", np.random.default_rng(0))


@pytest.mark.parametrize("size", [(32, 32), (97, 41), (300, 200)])
def test_backgrounds_have_the_size_that_is_asked_for_and_no_border(folders, size):
    source = CutoutFolders(*folders)
    view = np.asarray(source.background("validation", size, np.random.default_rng(1)))
    assert view.shape == (*size, 3)
    assert view.min() == view.max()


def test_a_cutout_without_alpha_is_refused_by_name(folders):
    Image.new("RGB", (20, 20)).save(folders[0] / "cone" / "opaque.png")
    source = CutoutFolders(*folders)
    source.cutouts["train"]["cone"] = [folders[0] / "cone" / "opaque.png"]
    with pytest.raises(ImageError, match=r"opaque.png has no alpha; a cut-out needs a transparent background"):
        source.cutout(2, "train", np.random.default_rng(0))


def test_runs_in_the_folder_of_objects_are_no_class(folders):
    for run in ("runs/tiny", "tuned"):
        (folders[0] / run / "validation").mkdir(parents=True)
        (folders[0] / run / "run.json").write_text("{}")
        Image.new("RGB", (9, 9)).save(folders[0] / run / "validation" / "step-1.png")
    assert CutoutFolders(*folders).classes == ("ball", "box", "cone")


def test_folders_that_cannot_make_a_set_are_refused(tmp_path):
    objects, photos = write_cutouts(tmp_path / "objects"), write_photos(tmp_path / "photos")
    (objects / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="is a class and needs cut-outs; without images: empty"):
        CutoutFolders(objects, photos)
    (objects / "empty").rmdir()
    with pytest.raises(ValueError, match="the class ball has cut-outs of one object"):
        CutoutFolders(write_cutouts(tmp_path / "one", objects=1), photos)
    with pytest.raises(FileNotFoundError, match="needs a sub-folder of cut-outs for each class.*3 images and no sub"):
        CutoutFolders(objects / "ball", photos)
    (tmp_path / "bare").mkdir()
    with pytest.raises(FileNotFoundError, match="it holds nothing"):
        CutoutFolders(tmp_path / "bare", photos)
    with pytest.raises(FileNotFoundError, match="holds 0 photographs; at least 2 are needed"):
        CutoutFolders(objects, tmp_path / "bare")
    with pytest.raises(ValueError, match="holds 1 photograph; at least 2 are needed"):
        CutoutFolders(objects, write_photos(tmp_path / "alone", count=1))
    with pytest.raises(FileNotFoundError, match="no folder"):
        CutoutFolders(tmp_path / "missing", photos)
    with pytest.raises(ValueError, match="above 0 and below 1; got 1"):
        CutoutFolders(objects, photos, held_out=1.0)
