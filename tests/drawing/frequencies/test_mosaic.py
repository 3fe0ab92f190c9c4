import pytest
import torch

from passband.drawing.frequencies.mosaic import CHOSEN, DIMMED, STRONGEST, channel_mosaic, mosaic_cell, mosaic_figure


def tile_of(mosaic, size, v, u):
    height, width = size
    return mosaic[:, v * height + 3 : (v + 1) * height - 3, u * width + 3 : (u + 1) * width - 3]


@pytest.mark.parametrize("shape", [(5, 7), (8, 3), (1, 1), (90, 130)])
def test_each_channel_is_at_its_place_with_v_down_and_u_right(shape):
    channels = torch.zeros(64, *shape)
    channels[8 * 2 + 5] = STRONGEST  # white
    mosaic, size = channel_mosaic(channels), mosaic_cell(*shape)
    assert mosaic.shape == (3, 8 * size[0], 8 * size[1])
    for v in range(8):
        for u in range(8):
            tile = tile_of(mosaic, size, v, u)
            expected = 128 / 255 if (v, u) == (0, 0) else float((v, u) == (2, 5))
            torch.testing.assert_close(tile, torch.full_like(tile, expected))
    assert max(tile_of(mosaic, size, 0, 0).shape) in range(33, 65)  # enlarged by a whole factor, or shrunk to 64


def test_the_lowest_channel_is_a_small_image_and_the_others_are_magnitudes():
    channels = torch.zeros(64, 2, 2)
    channels[0] = torch.tensor([[-1024.0, 0.0], [0.0, 1016.0]])
    channels[1] = torch.tensor([[-8.0, 8.0], [0.0, 1000.0]])
    mosaic, size = channel_mosaic(channels, tile=2), mosaic_cell(2, 2, tile=2)
    gray = 128 / 255
    torch.testing.assert_close(tile_of(mosaic, size, 0, 0)[0], torch.tensor([[0, gray], [gray, 1]]))
    eight = torch.tensor(9.0).log() / torch.tensor(1 + STRONGEST).log()
    torch.testing.assert_close(tile_of(mosaic, size, 0, 1)[0], torch.tensor([[eight, eight], [0, 1]]))


def test_chosen_channels_have_a_frame_and_the_others_are_dimmed():
    mosaic, size = channel_mosaic(torch.full((64, 4, 4), STRONGEST), chosen={9}), mosaic_cell(4, 4)
    frame = mosaic[:, size[0] + 1, size[1] + 1]
    torch.testing.assert_close(frame, torch.tensor(CHOSEN))
    other = mosaic[:, 1, size[1] + 1]
    assert other.unique().numel() == 1  # gray
    assert tile_of(mosaic, size, 1, 1).min() == 1
    assert tile_of(mosaic, size, 0, 1).max() == pytest.approx(DIMMED)


def test_without_a_choice_no_channel_is_dimmed_and_none_has_a_frame():
    mosaic, size = channel_mosaic(torch.full((64, 4, 4), STRONGEST), chosen=None), mosaic_cell(4, 4)
    assert all(tile_of(mosaic, size, v, u).min() == 1 for v in range(8) for u in range(8) if v or u)
    assert mosaic[:, :: size[0]].unique().numel() == 1


def test_a_figure_says_that_a_file_lacks_channels():
    image = torch.rand(3, 16, 24)
    stored = [True] * 64 + [number % 8 < 4 for number in range(64)] * 2
    figure = mosaic_figure(torch.rand(192, 2, 3), [0, 64], stored, image, image, "Title", "Text.")
    notes = [panel.get_title(loc="right") for part in figure.subfigs for panel in part.axes]
    assert notes == ["", *["the file stores only coarse color"] * 2, "", ""]
    assert "Text." in figure.get_supxlabel()
