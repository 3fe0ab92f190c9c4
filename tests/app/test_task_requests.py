import json
import shlex

import pytest

from passband.app.files.checks import UploadError
from passband.app.html import tasks as markup
from passband.app.work.requests import Predictors
from passband.app.work.tasks import ChangeRequest, ClassifyRequest, FindRequest, SegmentRequest
from passband.cli import main
from passband.inference import Classifier, InstanceFinder, Segmenter
from passband.io.image import read_image, write_image
from passband.io.mask import read_stored_mask
from passband.layers.channels import channel_subset
from tests.classifiers import save_classifier
from tests.detectors import save_detector, write_shapes
from tests.segmenters import save_segmenter


@pytest.fixture
def image(tmp_path, photograph):
    path = tmp_path / "photo.png"
    write_image(path, photograph[:, 40:104, 100:180])
    return path


def test_a_classifier_of_ones_own_gives_the_probabilities_of_the_library(image, tmp_path):
    weights = str(save_classifier(tmp_path / "weights"))
    classes = ClassifyRequest(image, weights).do(Predictors())
    assert classes.guesses == Classifier(weights)(image)
    assert classes.command == f"passband classify photo.png --weights {weights}"
    html = markup.classes(classes)
    assert f"{100 * classes.guesses[0].probability:.1f} %" in html


def test_a_gate_shows_the_channels_that_it_opens_for_one_image(image, tmp_path):
    weights = str(save_classifier(tmp_path / "weights", model="gated-dct-resnet18", channels="192"))
    predictors = Predictors()
    classes = ClassifyRequest(image, weights).do(predictors)
    gate = predictors.get(Classifier, weights).model.gate
    assert classes.channels == tuple((gate.opened > 0).nonzero().flatten().tolist())
    assert classes.is_gated
    assert ClassifyRequest(image, weights).do(predictors).channels == classes.channels
    html = markup.classes(classes)
    assert f"Channels that the gate opened for this image: {len(classes.channels)}" in html
    assert ", ".join(map(str, classes.channels)) in html


def test_a_network_without_a_gate_shows_the_channels_that_it_always_takes(image, tmp_path):
    weights = str(save_classifier(tmp_path / "weights", channels="24S"))
    classes = ClassifyRequest(image, weights).do(Predictors())
    assert classes.channels == tuple(channel_subset("24S").indices())
    html = markup.classes(classes)
    assert "Channels: 24 of 192" in html
    assert "the same channels of every image" in html


def test_a_network_of_pixels_shows_no_channels(image, tmp_path):
    weights = str(save_classifier(tmp_path / "weights", "resnet18", "rgb"))
    classes = ClassifyRequest(image, weights).do(Predictors())
    assert (classes.channels, classes.is_gated) == ((), False)
    assert "hannels" not in markup.classes(classes)


def test_a_segmenter_of_ones_own_gives_the_mask_of_the_library_and_of_the_command_line(image, tmp_path, monkeypatch):
    weights = str(save_segmenter(tmp_path / "weights"))
    mask = SegmentRequest(image, weights, tmp_path / "out").do(Predictors())
    assert (read_stored_mask(mask.file).values > 0).equal(Segmenter(weights)(image) > 0)
    assert sum(mask.shares.values()) == pytest.approx(1)
    assert read_image(mask.overlay).shape == read_image(image).shape
    assert mask.command == f"passband segment photo.png --weights {weights} --overlay"
    assert "background" in markup.segmented(mask, lambda path: path.name)
    monkeypatch.chdir(image.parent)
    monkeypatch.setattr("sys.argv", shlex.split(mask.command))
    with pytest.raises(SystemExit):
        main()
    assert (image.parent / "photo_mask.png").read_bytes() == mask.file.read_bytes()
    (overlay,) = image.parent.glob("*overlay.png")
    assert overlay.read_bytes() == mask.overlay.read_bytes()


def test_a_detector_of_ones_own_gives_the_instances_of_the_library(tmp_path):
    source = next(write_shapes(tmp_path / "shapes", count=1).rglob("*.jpg"))
    weights = str(save_detector(tmp_path / "weights"))
    found = FindRequest(source, weights, tmp_path / "out", score=0.3).do(Predictors())
    expected = list(InstanceFinder(weights).find_in_files([source], tmp_path / "expected", score=0.3))
    content, own = (json.loads(path.read_text()) for path in (found.file, tmp_path / "expected" / "instances.json"))
    assert content == {**own, "images": [{**own["images"][0], "file_name": source.name}]}
    assert sum(found.counts.values()) == len(expected[0].instances.labels) > 0
    assert read_image(found.overlay).shape == read_image(source).shape
    page = markup.segmented(found, lambda path: path.name)
    assert f"<th scope='row'>{next(iter(found.counts))}</th>" in page
    assert 'href="instances.json?download=1"' in page
    assert found.command.endswith(f"--weights {weights} --overlay --score 0.3")
    usual = FindRequest(source, weights, tmp_path / "usual").do(Predictors())
    assert usual.command.endswith(f"--weights {weights} --overlay")
    none = FindRequest(source, weights, tmp_path / "none", score=1).do(Predictors())
    assert "No instance has this score" in markup.segmented(none, lambda path: path.name)


def test_spectra_need_a_clean_image_of_the_same_size_to_tell_restored_from_invented(image, tmp_path, photograph):
    restored, clean, other = (tmp_path / f"{name}.png" for name in ("restored", "clean", "other"))
    write_image(restored, read_image(image) * 0.9)
    write_image(clean, read_image(image) * 0.8)
    write_image(other, photograph)
    two = ChangeRequest(image, restored, tmp_path / "two").do(Predictors())
    assert "Without a clean version" in two.sentences[1]
    with_clean = ChangeRequest(image, restored, tmp_path / "three", clean).do(Predictors())
    assert "restored" in " ".join(with_clean.sentences)
    for picture in (two, with_clean):
        assert picture.path.is_file()
        assert picture.table.is_file()
    with pytest.raises(UploadError, match="The clean image has 451 x 300 pixels, and the photo 80 x 64"):
        ChangeRequest(image, restored, tmp_path / "four", other).do(Predictors())
