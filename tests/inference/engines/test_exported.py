"""Predictors that run exported files."""

import pickle

import pytest
import torch

from passband.export import ExportedNetwork, ExportError, export_model, restoration_graph
from passband.inference.classifier import Classifier
from passband.inference.restorer import Restorer
from passband.inference.segmenter import Segmenter
from passband.models import SFNet, task_of
from passband.provenance import weights_checksum
from passband.state_dicts import CheckpointError
from passband.weights_io import load_config
from tests.classifiers import save_classifier, write_textures
from tests.segmenters import save_segmenter, write_blobs


@pytest.fixture(scope="module")
def classifier_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier")
    return export_model(save_classifier(folder / "weights"), folder / "exported.onnx").path


@pytest.fixture(scope="module")
def segmenter_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("segmenter")
    return export_model(save_segmenter(folder / "weights", classes=3), folder / "exported.onnx").path


def test_an_exported_classifier_classifies_files_as_its_weights_do(classifier_file, tmp_path):
    paths = sorted(write_textures(tmp_path, count=1).glob("*/*.jpg"))
    in_torch, exported = Classifier(classifier_file.with_name("weights")), Classifier(classifier_file)
    assert exported.classes == in_torch.classes
    assert exported.preprocessing == in_torch.preprocessing
    for one, other in zip(exported.classify(paths), in_torch.classify(paths), strict=True):
        assert [guess.name for guess in one.guesses] == [guess.name for guess in other.guesses]
        assert [guess.probability for guess in one.guesses] == pytest.approx(
            [guess.probability for guess in other.guesses], rel=1e-4
        )


def test_an_exported_segmentation_network_segments_images_as_its_weights_do(segmenter_file, tmp_path):
    image = write_blobs(tmp_path, count=1) / "images" / "0.png"
    in_torch, exported = Segmenter(segmenter_file.with_name("weights")), Segmenter(segmenter_file)
    torch.testing.assert_close(exported.probabilities(image), in_torch.probabilities(image), rtol=1e-4, atol=1e-5)
    assert exported.size == in_torch.size
    assert exported.classes == in_torch.classes


def test_a_predictor_of_an_exported_file_runs_in_other_processes(segmenter_file):
    again = pickle.loads(pickle.dumps(Segmenter(segmenter_file, provider="CPUExecutionProvider")))
    image = torch.rand(3, 32, 32)
    assert torch.equal(again(image), Segmenter(segmenter_file)(image))
    assert again.model.provider == "CPUExecutionProvider"


def test_an_exported_file_has_the_task_the_config_and_a_checksum_of_its_own(classifier_file, segmenter_file):
    assert [task_of(path) for path in (classifier_file, segmenter_file)] == ["classification", "segmentation"]
    networks = [ExportedNetwork(path) for path in (classifier_file, segmenter_file)]
    assert len({weights_checksum(network) for network in networks}) == 2
    weights = load_config(classifier_file.with_name("weights"))
    assert networks[0].arguments == {
        name: value for name, value in weights.items() if name not in ("model", "preprocessing", "classes_named")
    }


@pytest.mark.usefixtures("unchecked")
def test_inputs_that_do_not_fit_an_exported_network_are_refused_with_what_fits(segmenter_file):
    network = ExportedNetwork(segmenter_file)
    with pytest.raises(ValueError, match=r"unet takes sides that are multiples of 4, got 30x32; use"):
        network(torch.rand(1, 3, 30, 32))
    with pytest.raises(ValueError, match=r"unet needs a batch of shape B 3 H W"):
        network(torch.rand(1, 4, 32, 32))


def test_files_and_options_that_do_not_fit_each_other_are_refused(classifier_file, segmenter_file, tmp_path):
    weights = classifier_file.with_name("weights")
    with pytest.raises(ValueError, match=r"--provider is for exported files \(.onnx\), got the weights .*weights;"):
        Classifier(weights, provider="CPUExecutionProvider")
    with pytest.raises(ValueError, match=r"on the execution provider that --provider names, got the device 'cuda'"):
        Classifier(classifier_file, "cuda")
    with pytest.raises(ExportError, match=r"--provider is one of .*; got 'CUDA'"):
        Classifier(classifier_file, provider="CUDA")
    with pytest.raises(CheckpointError, match=r"exported.onnx' segments images \(unet\); it cannot classify"):
        Classifier(segmenter_file)
    with pytest.raises(ExportError, match=r"a classifier runs from weights or an .onnx file here, got .*a.xml"):
        Classifier(tmp_path / "a.xml")
    with pytest.raises(ExportError, match=r"--size is for restoration networks; a file of .* takes images of any size"):
        export_model(weights, tmp_path / "a.onnx", size=(32, 32))
    with pytest.raises(ExportError, match=r"no file .*missing.onnx"):
        Classifier(tmp_path / "missing.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(CheckpointError, match=r"bad.onnx cannot be read: .*damaged or not an ONNX file"):
        Classifier(tmp_path / "bad.onnx")
    (tmp_path / "sfnet.onnx").write_bytes(restoration_graph(SFNet(width=16, depth=1).eval()).SerializeToString())
    with pytest.raises(CheckpointError, match=r"sfnet.onnx is no exported classifier or .* is for passband restore"):
        Classifier(tmp_path / "sfnet.onnx")
    for engine in ("onnxruntime", "openvino"):
        with pytest.raises(CheckpointError, match=r"exported.onnx' segments images \(unet\); it cannot restore"):
            Restorer(segmenter_file, engine=engine)
