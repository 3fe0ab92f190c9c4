"""The example of the page on export."""

from passband.export import export_model
from passband.inference.segmenter import Segmenter
from tests.documents import DOCS, blocks
from tests.segmenters import save_segmenter, write_blobs


def test_the_example_of_the_page_makes_the_mask_that_the_segmenter_makes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = save_segmenter(tmp_path / "weights", size=48)
    export_model(weights, tmp_path / "polyps.onnx")
    image = write_blobs(tmp_path / "data", count=1) / "images" / "0.png"
    image.rename("new.png")
    example = next(text for language, text in blocks(DOCS / "export.md") if language == "python")
    names = {}
    exec(compile(example, "export.md", "exec"), names)
    expected = Segmenter(weights)("new.png").numpy()
    assert names["mask"].shape == expected.shape
    # Pillow rounds resized pixels, and the logits of this network change from pixel to pixel
    assert (names["mask"] == expected).mean() > 0.95
