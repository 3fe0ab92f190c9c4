from pathlib import Path

import pytest

from passband.data.datasets.classification import find_classes
from passband.data.finding import find_sources
from passband.data.images import find_images
from passband.data.masks import find_mask_pairs
from passband.data.pairs import find_pairs
from passband.data.pasting.folders import CutoutFolders
from passband.data.shards.contents import find_content
from passband.data.splits import named_pairs
from passband.io.image import SUFFIXES
from tests.pasting import write_cutouts, write_photos
from tests.pictures import make


def found(sources):
    """Paths of the images that sources name, each once."""
    return [source.path for source in find_sources(sources, SUFFIXES, "images", once=True)]


def test_pictures_of_every_kind_are_found_at_any_depth_in_order(tmp_path):
    names = [f"a/b/{suffix[1:]}{suffix.upper() if number % 2 else suffix}" for number, suffix in enumerate(SUFFIXES)]
    made = make(tmp_path, *names, "z.png", "A.jpg", "a.png", "b/0.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    assert find_images(tmp_path) == sorted(made)


HIDDEN = [".a.png", "._a.png", "sub/.a.png", ".cache/a.png", "sub/.checkpoints/x/a.png"]
MADE_BY_SYSTEMS = ["@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", "sub/@eaDir/x.jpg", "#recycle/a.png", "__MACOSX/sub/a.png"]


@pytest.mark.parametrize("hidden", [*HIDDEN, *MADE_BY_SYSTEMS])
def test_hidden_files_and_folders_are_left_out(tmp_path, hidden):
    (visible,) = make(tmp_path, "sub/a.png")
    make(tmp_path, hidden)
    assert find_images(tmp_path) == [visible]
    assert found([tmp_path / "**" / "*.[jp][pn]g"]) == [visible]


def test_folders_that_only_look_like_those_of_a_system_are_looked_into(tmp_path):
    made = make(tmp_path, "# O-HAZY NTIRE 2018/a.png", "@home/a.png", "_x/a.png")
    assert find_images(tmp_path) == sorted(made)


@pytest.mark.parametrize("folder", ["@eaDir", ".trash"])
def test_a_hidden_folder_is_searched_where_it_is_named(tmp_path, folder):
    made = make(tmp_path, f"{folder}/a.png")
    assert find_images(tmp_path / folder) == made
    assert found([tmp_path / folder / "*.png"]) == made
    with pytest.raises(FileNotFoundError, match="no file, folder or match"):
        found([tmp_path / "*" / "*.png"])


def test_a_folder_may_itself_be_in_a_hidden_one(tmp_path):
    folder = tmp_path / ".cache" / "photographs"
    assert find_images(make(folder, "a.png")[0].parent) == [folder / "a.png"]


def test_a_folder_without_pictures_gives_none(tmp_path):
    assert find_images(tmp_path) == []


def test_a_missing_folder_and_a_file_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        find_images(tmp_path / "nowhere")
    (file,) = make(tmp_path, "a.png")
    with pytest.raises(NotADirectoryError, match=r"a folder of images is needed, but .*a\.png is a file"):
        find_images(file)


def test_an_unreadable_folder_is_an_error_and_not_an_empty_one(tmp_path, monkeypatch):
    make(tmp_path, "a.png")

    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)  # because permissions do not bind root
    with pytest.raises(PermissionError, match=tmp_path.name):
        find_images(tmp_path)


def test_an_unreadable_folder_below_is_told_and_the_others_are_looked_at(tmp_path, close_folder):
    make(tmp_path, "a/1.png", "b/2.png", "b/deep/3.png", "c/4.png")
    close_folder(tmp_path / "b")
    told = []
    assert find_images(tmp_path, unreadable=told.append) == [tmp_path / "a/1.png", tmp_path / "c/4.png"]
    assert [error.filename for error in told] == [str(tmp_path / "b")]
    with pytest.warns(UserWarning, match=r"/b cannot be read \(Permission denied\) and is left out"):
        find_images(tmp_path)


def test_a_file_that_may_not_be_looked_at_is_told(tmp_path, monkeypatch):
    make(tmp_path, "a.png", "b.png")
    looked = Path.is_file

    def refuse(path):
        if path.name == "a.png":
            raise PermissionError(13, "Permission denied", str(path))
        return looked(path)

    monkeypatch.setattr(Path, "is_file", refuse)
    told = []
    assert find_images(tmp_path, unreadable=told.append) == [tmp_path / "b.png"]
    assert told[0].filename == str(tmp_path / "a.png")


def test_sources_are_files_folders_and_patterns_each_once(tmp_path):
    make(tmp_path, "fine/0.png", "fine/1.png", "coarse/0.png", "coarse/1.png")
    paths = found([tmp_path / "fine" / "1.png", tmp_path / "fine", str(tmp_path / "*" / "0.png")])
    names = [path.relative_to(tmp_path).as_posix() for path in paths]
    assert names == ["fine/1.png", "fine/0.png", "coarse/0.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no file, folder or match for"):
        found([tmp_path / "none*.jpg"])
    with pytest.raises(FileNotFoundError, match="holds no images"):
        found([tmp_path / "empty"])


def test_the_pictures_of_a_run_are_no_data_unless_it_is_named(tmp_path):
    *own, picture = make(tmp_path, "a.png", "other/b.png", "runs/tiny/validation/step-1.png")
    (tmp_path / "runs" / "tiny" / "run.json").write_text("{}")
    assert find_images(tmp_path) == own
    assert find_images(tmp_path / "runs" / "tiny") == [picture]


def test_runs_in_a_folder_of_classes_are_no_class(tmp_path):
    own = make(tmp_path, "cat/a.png", "dog/b.png")
    make(tmp_path, "runs/tiny/validation/step-1.png", "tuned/validation/step-1.png")
    for run in ("runs/tiny", "tuned"):
        (tmp_path / run / "run.json").write_text("{}")
    for classes in (None, ("cat", "dog")):
        found = find_classes(tmp_path, classes)
        assert (found.classes, found.paths) == (("cat", "dog"), tuple(own))
    make(tmp_path, "runs/c.png")
    assert find_classes(tmp_path).classes == ("cat", "dog", "runs")


def test_links_to_themselves_are_no_folders_wherever_folders_are_looked_for(tmp_path):
    make(tmp_path / "pairs", "degraded/a.png", "clean/a.png")
    make(tmp_path / "masks", "images/a.png", "masks/a.png")
    make(tmp_path / "classes", "cat/a.png", "dog/a.png")
    for name in ("pairs", "masks", "classes"):
        for link in ("loop", "loop.png", "degraded2"):
            (tmp_path / name / link).symlink_to(link)
    assert len(find_pairs(tmp_path / "pairs")) == 1
    assert len(find_pairs(tmp_path)) == 1  # below a folder that holds other folders
    assert len(find_mask_pairs(tmp_path / "masks")) == 1
    assert find_classes(tmp_path / "classes").classes == ("cat", "dog")


def test_folders_that_a_layout_names_may_be_links_in_every_kind_of_set(tmp_path):
    make(tmp_path / "disk", "images/a.png", "masks/a.png", "degraded/b.png", "clean/b.png", "cat/c.png", "dog/d.png")
    write_cutouts(tmp_path / "disk")
    write_photos(tmp_path / "disk" / "photos")
    layouts = {
        "masks": ("images", "masks"),
        "pairs": ("degraded", "clean"),
        "classes": ("cat", "dog"),
        "objects": ("ball", "box"),
    }
    for name, inside in layouts.items():
        (tmp_path / name).mkdir()
        for folder in inside:
            (tmp_path / name / folder).symlink_to(tmp_path / "disk" / folder)
    (tmp_path / "photos").symlink_to(tmp_path / "disk" / "photos")
    assert [pair.name for pair in find_mask_pairs(tmp_path / "masks")] == ["a"]
    assert [pair.name for pair in find_pairs(tmp_path / "pairs")] == ["b"]
    assert find_classes(tmp_path / "classes").classes == ("cat", "dog")
    source = CutoutFolders(tmp_path / "objects", tmp_path / "photos")
    assert source.classes == ("ball", "box")
    assert len(source.photos["train"]) + len(source.photos["validation"]) == 4
    for content in ("masks", "pairs", "classes"):
        assert len(find_content(tmp_path / content, content).samples) == (2 if content == "classes" else 1)


def test_other_linked_folders_are_passed_over_with_a_warning_in_every_kind_of_set(tmp_path):
    make(tmp_path / "set", "images/a.png", "masks/a.png", "degraded/b.png", "clean/b.png", "cat/c.png", "dog/d.png")
    for folder in ("images", "degraded", "cat"):
        (tmp_path / "set" / folder / "circle").symlink_to(tmp_path / "set")
    for find in (find_images, find_mask_pairs, find_pairs, find_classes):
        with pytest.warns(UserWarning, match="/circle is a linked folder, which is passed over: replace"):
            find(tmp_path / "set")


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def test_names_are_equal_however_their_accents_are_stored(tmp_path):
    make(tmp_path / "pairs", f"degraded/{COMPOSED}.png", f"clean/{DECOMPOSED}.png")
    (pair,) = find_pairs(tmp_path / "pairs")
    assert pair.name == COMPOSED
    make(tmp_path / "masks", f"images/{DECOMPOSED}.png", f"masks/{COMPOSED}_mask.png", "images/b.png", "masks/b.png")
    pairs = find_mask_pairs(tmp_path / "masks")
    assert {pair.name for pair in pairs} == {"b", COMPOSED}
    (tmp_path / "list.txt").write_text(f"{DECOMPOSED}.png\n", encoding="utf-8")
    assert [pair.image.stem for pair in named_pairs(pairs, tmp_path / "list.txt")] == [DECOMPOSED]
    make(tmp_path / "classes", f"{DECOMPOSED}/a.png", "tea/a.png")
    assert find_classes(tmp_path / "classes", ["tea", COMPOSED]).labels == (1, 0)
