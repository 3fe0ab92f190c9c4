import json

import pytest
import torch

from passband import Restorer, SFNet
from passband.analysis.seams import analyze_seams, seam_figure, seam_ratio
from passband.io.image import read_image, write_image
from passband.metrics import psnr
from passband.ops.tiling import lay_tiles
from tests.models.restoration.test_extra_networks import build
from tests.models.restoration.test_foreign import dncnn


def ramp(height, width):
    """A picture whose steps are 1 down and 2 across."""
    return (torch.arange(height)[:, None] + 2.0 * torch.arange(width)).expand(1, 3, -1, -1).clone()


def test_steps_that_are_the_same_everywhere_have_the_ratio_1():
    assert seam_ratio(ramp(53, 90), lay_tiles(53, 90, 32, 8, 8)) == pytest.approx(1)


def test_the_ratio_is_the_mean_of_the_steps_across_borders_over_those_elsewhere():
    tiles = lay_tiles(24, 90, 64, 16, 8)
    (border,) = {tile.columns.own_start for tile in tiles} - {0}
    image = ramp(24, 90)
    image[..., border:] += 3  # a step of 5 among steps of 2
    assert seam_ratio(image, tiles) == pytest.approx(2.5)
    image[..., border + 1 :] += 3  # beside the border it is content
    assert seam_ratio(image, tiles) == pytest.approx(5 / (2 + 3 / 88))


def test_an_edge_that_the_picture_has_itself_is_no_seam():
    tiles = lay_tiles(70, 24, 48, 16, 8)
    (border,) = {tile.rows.own_start for tile in tiles} - {0}
    whole = ramp(70, 24)
    whole[..., border:, :] += 7
    assert seam_ratio(whole, tiles) == pytest.approx(8)
    assert seam_figure(whole, whole, tiles) == 1
    tiled = whole.clone()
    tiled[..., border:, :] += 2
    assert seam_figure(tiled, whole, tiles) == pytest.approx(10 / 8)


def test_a_single_tile_has_no_seam_to_measure():
    with pytest.raises(ValueError, match="a seam needs two tiles at least"):
        seam_ratio(ramp(20, 30), lay_tiles(20, 30, 64, 16, 8))


@pytest.fixture
def photo(tmp_path, photograph):
    """A file with a photo of 150 x 230 pixels."""
    write_image(tmp_path / "photo.png", photograph[:, :150, :230])
    return tmp_path / "photo.png"


def test_tiles_of_a_network_that_sees_little_have_no_seams(photo, tmp_path):
    torch.save(dncnn().state_dict(), tmp_path / "denoiser.pth")
    found = analyze_seams(photo, tmp_path / "denoiser.pth", side=128, output=tmp_path / "out", device="cpu")
    assert (found.side, found.overlap, found.tiles, found.shares_statistics) == (128, 64, 6, False)
    assert found.reach.pixels <= 10
    assert found.largest < 1e-3
    assert found.ratio == pytest.approx(1, abs=1e-4)
    assert "equal to it, up to rounding" in found.words
    written = json.loads((tmp_path / "out" / "seams.json").read_text())
    assert written["reach"]["pixels"] == found.reach.pixels
    assert read_image(tmp_path / "out" / "difference.png").shape == (3, 150, 230)


def test_seams_of_a_network_with_averages_over_the_image_are_told_in_decibels_and_levels(photo, tmp_path):
    torch.save(build("restormer").state_dict(), tmp_path / "restormer.pth")
    found = analyze_seams(photo, tmp_path / "restormer.pth", side=128, device="cpu")
    assert 10 < found.psnr < 90
    assert found.largest > 0.01
    assert 0 < found.step <= found.largest
    assert f"{found.psnr:.1f} dB from it" in found.words
    without = analyze_seams(photo, tmp_path / "restormer.pth", side=128, overlap=0, device="cpu")
    assert without.step > found.step


def test_an_image_of_one_tile_and_a_side_that_does_not_fit_are_refused(photo, tiny_weights):
    with pytest.raises(ValueError, match="230x150 pixels, which fit into one tile of 256: choose smaller tiles"):
        analyze_seams(photo, tiny_weights, side=256)
    with pytest.raises(ValueError, match="multiple of 64, got 100"):
        analyze_seams(photo, tiny_weights, side=100)


def test_tiles_of_passbands_own_networks_share_averages(photo, tiny_weights):
    found = analyze_seams(photo, tiny_weights, side=128, device="cpu")
    assert found.shares_statistics
    assert found.overlap == 64
    assert found.psnr > 40


def test_own_tiles_are_measured_as_they_are_restored(photo, tmp_path):
    torch.manual_seed(0)
    SFNet(width=16, depth=1, tile=64).save_pretrained(tmp_path / "weights")
    found = analyze_seams(photo, tmp_path / "weights", side=64, device="cpu")
    assert (found.shares_statistics, found.overlap) == (False, 16)
    image = read_image(photo)[None]
    whole, tiled = (Restorer(tmp_path / "weights", "cpu", precision="float32", tile=tile) for tile in (None, 64))
    assert found.psnr == pytest.approx(psnr(tiled.restore(image), whole.restore(image)).item(), abs=1e-3)
