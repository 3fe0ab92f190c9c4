"""What predictors show of themselves, and what they say of options that they do not have."""

import pytest

from passband.inference import Classifier, Restorer, Segmenter
from passband.inference.engines import load_engine
from tests.classifiers import save_classifier
from tests.segmenters import save_segmenter


def test_predictors_show_their_weights_and_what_they_run_on(tmp_path, tiny_weights):
    save_classifier(tmp_path / "classes")
    save_segmenter(tmp_path / "masks")
    assert repr(Restorer(tiny_weights, "cpu", memory="2GB", precision="float32")) == (
        f"Restorer('{tiny_weights}', device=cpu, engine=torch, precision=float32, memory=2000000000)"
    )
    shown = repr(Classifier(tmp_path / "classes", "cpu"))
    assert shown == f"Classifier('{tmp_path / 'classes'}', classes=[coarse, fine, middle], device=cpu)"
    shown = repr(Segmenter(tmp_path / "masks", "cpu"))
    assert shown == f"Segmenter('{tmp_path / 'masks'}', classes=[background, foreground], device=cpu)"


@pytest.mark.parametrize(
    ("option", "meant"),
    [("devise", "device"), ("gpu", "device"), ("memori", "memory"), ("pool_windw", "pool_window"), ("widht", "width")],
)
def test_an_option_that_is_none_names_the_nearest_of_the_restorer_and_of_its_network(tiny_weights, option, meant):
    with pytest.raises(
        ValueError, match=rf"^Restorer has no option '{option}'\. Did you mean '{meant}'\? Options: weights"
    ):
        Restorer(tiny_weights, **{option: 1})


def test_an_option_like_nothing_lists_all(tiny_weights):
    with pytest.raises(
        ValueError,
        match=r"^Restorer has no option 'zzz'\. Options: weights, device, .* blend_windows, windows, tile\.$",
    ):
        Restorer(tiny_weights, zzz=1)


def test_engines_and_precisions_have_a_nearest(tiny_weights):
    with pytest.raises(ValueError, match=r"got 'onnx'\. Did you mean 'onnxruntime'\?"):
        load_engine(tiny_weights, "onnx")
    with pytest.raises(ValueError, match=r"got 'fp16'\. Did you mean 'float16'\?"):
        load_engine(tiny_weights, precision="fp16")
