"""Classifiers, segmenters, detectors and inspectors answer on a GPU as on the CPU."""

import pytest
import torch

from passband.inference import Classifier, Inspector, InstanceFinder, Segmenter
from tests.classifiers import save_classifier, write_textures
from tests.detectors import save_detector, write_shapes
from tests.segmenters import blob, save_segmenter

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("model", ["dct-resnet18", "gated-dct-resnet18"])
def test_files_are_classified_from_coefficients(tmp_path, model):
    weights = save_classifier(tmp_path / "weights", model)
    paths = sorted(write_textures(tmp_path / "images").glob("*/*.jpg"))
    scores = [list(Classifier(weights, device).score_files(paths)) for device in ("cpu", "cuda")]
    for (_, expected), (_, found) in zip(*scores, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_an_image_is_segmented(tmp_path):
    weights, image = save_segmenter(tmp_path / "weights"), blob(1)[0]
    expected, found = (Segmenter(weights, device)(image) for device in ("cpu", "cuda"))
    assert (expected == found.cpu()).double().mean() > 0.995


@pytest.mark.parametrize("input", ["pixels", "coefficients"])
def test_instances_are_found(tmp_path, input):
    weights = save_detector(tmp_path / "weights", input=input)
    path = next(write_shapes(tmp_path / "shapes").glob("train2017/*.jpg"))
    expected, found = (InstanceFinder(weights, device).find_in(path) for device in ("cpu", "cuda"))
    assert abs(len(expected) - len(found)) <= 1 + len(expected) // 10  # scores near the threshold may cross it


def test_an_image_is_inspected(photograph):
    expected, found = (Inspector(device=device)(photograph) for device in ("cpu", "cuda"))
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-3)
    assert found.gains == pytest.approx(expected.gains, abs=1e-2)
