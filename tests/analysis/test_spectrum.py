import json

import pytest
import torch

from passband.analysis.spectrum import analyze_spectrum
from passband.io.image import read_image, write_image
from passband.metrics.spectral_error import PARTS


@pytest.fixture
def folders(tmp_path):
    """Degraded, restored and clean images of two scenes, in folders of these names."""
    random = torch.Generator().manual_seed(0)
    for name in ("a", "sub/b"):
        clean = torch.rand(3, 24, 33, generator=random)
        for part, strength in (("degraded", 0.2), ("restored", 0.05), ("clean", 0)):
            noise = strength * torch.randn(clean.shape, generator=random)
            write_image(tmp_path / part / f"{name}.png", (clean + noise).clamp(0, 1))
    return {part: tmp_path / part for part in ("restored", "clean", "degraded")}


def test_the_report_of_a_folder_adds_up_to_the_errors_of_its_images(folders, tmp_path):
    seen = []
    analysis = analyze_spectrum(
        folders["restored"], folders["clean"], tmp_path / "out", degraded=folders["degraded"],
        report=lambda name, count: seen.append((name, count)),
    )  # fmt: skip
    assert seen == [("a", 2), ("sub/b", 2)]
    written = json.loads((tmp_path / "out/spectrum.json").read_text())
    for row, name in zip(written["each"], analysis.names, strict=True):
        degraded, restored, clean = (
            read_image(folders[part] / f"{name}.png").double() for part in ("degraded", "restored", "clean")
        )
        assert row["before"] == pytest.approx(float((degraded - clean).square().mean()), rel=1e-6)
        assert row["after"] == pytest.approx(float((restored - clean).square().mean()), rel=1e-6)
        assert row["restored"] - row["lost"] - row["invented"] == pytest.approx(row["before"] - row["after"])
    for part in PARTS:
        assert written["total"][part] == pytest.approx(sum(row[part] for row in written["each"]) / 2)
    page = (tmp_path / "out/report.html").read_text()
    assert "data:image/png;base64," in page
    assert "sub/b" in page


def test_single_images_of_any_names_are_compared(folders, tmp_path):
    analysis = analyze_spectrum(folders["restored"] / "a.png", folders["clean"] / "a.png", tmp_path / "out", block=16)
    assert analysis.names == ("a",)
    assert float(analysis.errors.restored.sum()) == 0


def test_names_that_do_not_match_are_listed(folders, tmp_path):
    (folders["clean"] / "a.png").rename(folders["clean"] / "other.png")
    with pytest.raises(ValueError, match=r"2 images in .* have no partner .*restored/a\.png, .*clean/other\.png"):
        analyze_spectrum(folders["restored"], folders["clean"], tmp_path / "out")
    with pytest.raises(ValueError, match="must be images or folders, but not both"):
        analyze_spectrum(folders["restored"] / "a.png", folders["clean"], tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="no file or folder .*missing"):
        analyze_spectrum(folders["restored"], tmp_path / "missing", tmp_path / "out")


def test_an_image_that_cannot_be_measured_is_named_and_the_others_are_measured(folders, tmp_path):
    write_image(folders["clean"] / "a.png", torch.rand(3, 24, 32))
    analysis = analyze_spectrum(folders["restored"], folders["clean"], tmp_path / "out")
    assert analysis.names == ("sub/b",)
    assert "a.png is 33x24 but" in analysis.failed[0]["reason"]
    with pytest.raises(ValueError, match="blocks of 32 pixels need images of at least 32x32 pixels"):
        analyze_spectrum(folders["restored"], folders["clean"], tmp_path / "out", block=32)
