import pytest

from passband.app.files.checks import UploadError
from passband.app.tabs.tasks import classes_html
from passband.app.work.requests import Predictors
from passband.app.work.tasks import ChangeRequest, ClassifyRequest, SegmentRequest
from passband.inference import Classifier, Segmenter
from passband.io.image import read_image, write_image
from passband.io.mask import read_stored_mask
from tests.classifiers import save_classifier
from tests.segmenters import save_segmenter


@pytest.fixture
def image(tmp_path, photograph):
    path = tmp_path / "photo.png"
    write_image(path, photograph[:, 40:104, 100:180])
    return path


def test_a_classifier_of_ones_own_gives_the_probabilities_of_the_library(image, tmp_path):
    weights = str(save_classifier(tmp_path / "weights"))
    classes = ClassifyRequest(image, weights, tmp_path).do(Predictors())
    assert classes.guesses == Classifier(weights)(image)
    assert classes.channels is None
    html = classes_html(classes, "")
    assert f"{100 * classes.guesses[0].probability:.1f} %" in html


def test_a_gate_shows_the_channels_that_it_opens_for_one_image(image, tmp_path):
    weights = str(save_classifier(tmp_path / "weights", model="gated-dct-resnet18", channels="192"))
    predictors = Predictors()
    classes = ClassifyRequest(image, weights, tmp_path).do(predictors)
    assert classes.opened == int((predictors.get(Classifier, weights).model.gate.opened > 0).sum())
    assert ClassifyRequest(image, weights, tmp_path).do(predictors).opened == classes.opened
    assert classes.channels == tmp_path / "channels.png"
    assert read_image(classes.channels).shape[0] == 3
    assert f"Channels that the gate opened: {classes.opened}" in classes_html(classes, "channels.png")


def test_a_segmenter_of_ones_own_gives_the_mask_of_the_library(image, tmp_path):
    weights = str(save_segmenter(tmp_path / "weights"))
    mask = SegmentRequest(image, weights, tmp_path / "out").do(Predictors())
    assert (read_stored_mask(mask.mask).values > 0).equal(Segmenter(weights)(image) > 0)
    assert sum(mask.shares.values()) == pytest.approx(1)
    assert read_image(mask.overlay).shape == read_image(image).shape


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
