from pathlib import Path

import pytest

from passband.inference import Classifier, InstanceFinder, Restorer, Segmenter
from tests.classifiers import save_classifier
from tests.detectors import save_detector
from tests.segmenters import save_segmenter


@pytest.mark.parametrize(
    ("predictor", "save"), [(Classifier, save_classifier), (Segmenter, save_segmenter), (InstanceFinder, save_detector)]
)
def test_a_predictor_reads_the_config_of_its_weights_once(predictor, save, tmp_path, reads):
    predictor(save(tmp_path / "weights"), "cpu")
    assert reads == [tmp_path / "weights" / "config.json"]


def test_a_restorer_reads_the_config_of_its_weights_once_also_with_changed_arguments(tiny_weights, reads):
    Restorer(tiny_weights, "cpu", precision="float32", pool_window=90)
    assert reads == [tiny_weights / "config.json"]


@pytest.fixture
def reads(monkeypatch):
    """The configs that are read, in their order."""
    paths = []
    read = Path.read_text

    def watched(path, *args, **options):
        if path.name == "config.json":
            paths.append(path)
        return read(path, *args, **options)

    monkeypatch.setattr(Path, "read_text", watched)
    return paths
