import sys

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image

from passband.drawing.charts.style import save_chart
from passband.drawing.frequencies.gates import COLORS, channel_maps
from passband.ops.dct import zigzag


def probabilities():
    return torch.rand(192, generator=torch.Generator().manual_seed(0))


def test_each_component_has_its_map_with_v_down_and_u_right():
    probability = probabilities()
    figure = channel_maps(probability)
    panels = figure.axes[:3]
    assert [panel.get_title() for panel in panels] == ["Y", "Cb", "Cr"]
    for component, panel in enumerate(panels):
        shown = panel.images[0].get_array()
        for v, u in ((0, 0), (2, 5), (7, 1)):
            assert shown[v, u] == pytest.approx(probability[64 * component + 8 * v + u].item())
        assert panel.get_ylim()[0] > panel.get_ylim()[1]  # rows run down
    assert len(figure.axes) == 4  # the fourth is the color bar


def test_the_picture_itself_is_bright_where_a_channel_is_open(tmp_path):
    # a picture of the file, not of the figure's parts: left half of Cr open
    probability = torch.zeros(3, 8, 8)
    probability[2, :, :4] = 1
    save_chart(channel_maps(probability.flatten()), tmp_path / "channels.png")
    pixels = np.asarray(Image.open(tmp_path / "channels.png").convert("RGB")).astype(int)
    bright, dark = (np.array(colormaps[COLORS](value, bytes=True)[:3]).astype(int) for value in (1.0, 0.0))
    rows, columns = np.nonzero((abs(pixels - bright) <= 3).all(-1))
    inside = columns < 0.9 * pixels.shape[1]  # the color bar is to the right of it
    left, right = columns[inside].min(), columns[inside].max()
    top, bottom = rows[inside].min(), rows[inside].max()
    assert 2 / 3 * 0.9 < left / pixels.shape[1] < right / pixels.shape[1] < 0.85
    assert (bottom - top) / (right - left) == pytest.approx(2, rel=0.05)
    closed = pixels[top + 3, right + (right - left) // 2]
    assert (abs(closed - dark) <= 3).all()


@pytest.mark.parametrize("order", ["raster", "zigzag"])
def test_squares_carry_their_number_in_the_order_asked_for(order):
    for component, panel in enumerate(channel_maps(probabilities(), order).axes[:3]):
        numbers = {text.get_position()[::-1]: int(text.get_text()) for text in panel.texts}
        assert len(numbers) == 64
        for (v, u), number in numbers.items():
            assert (8 * v + u) == (number - 64 * component if order == "raster" else zigzag()[number])
    if order == "zigzag":  # figure A.6 of the standard
        assert [numbers[place] for place in ((0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (7, 7))] == [1, 2, 3, 4, 5, 63]


def test_kept_channels_have_a_frame_at_their_place_and_numbers_as_in_the_list():
    kept = [0, 9, 64, 191]
    figure = channel_maps(probabilities(), "raster", kept)
    framed = [
        64 * component + 8 * round(frame.get_y() + 0.46) + round(frame.get_x() + 0.46)
        for component, panel in enumerate(figure.axes[:3])
        for frame in panel.patches
    ]
    assert framed == kept
    written = {int(text.get_text()) for panel in figure.axes[:3] for text in panel.texts}
    assert written == set(range(192))
    assert "channels.toml" in figure.get_supxlabel()
    assert "4 channels that are kept" in figure.get_supxlabel()
    assert figure.get_suptitle()


def test_numbers_can_be_read_on_every_color():
    def luminance(color):
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color]
        return np.dot([0.2126, 0.7152, 0.0722], linear)

    for panel in channel_maps(torch.linspace(0, 1, 192)).axes[:3]:
        shown = panel.images[0].get_array()
        for text in panel.texts:
            u, v = text.get_position()
            ground, ink = (
                luminance(colormaps[COLORS](float(shown[v, u]))[:3]),
                {"black": 0, "white": 1}[text.get_color()],
            )
            light, dark = max(ground, ink), min(ground, ink)
            assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.1, level AA


def test_drawing_does_not_touch_pyplot(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    save_chart(channel_maps(probabilities()), tmp_path / "deep" / "channels.svg")
    assert "matplotlib.pyplot" not in sys.modules
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["channels.svg"]
    assert (tmp_path / "deep" / "channels.svg").read_text().startswith("<?xml")


def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"0 to 1; got -0\.5 to"):
        channel_maps(torch.linspace(-0.5, 1, 192))
    with pytest.raises(ValueError, match="0 to 1; got nan"):
        channel_maps(torch.full((192,), torch.nan))
    with pytest.raises(ValueError, match=r"a\.bmp cannot be drawn: its suffix '\.bmp' is not one of .*png"):
        save_chart(channel_maps(probabilities()), tmp_path / "a.bmp")
    with pytest.raises(ValueError, match="raster or zigzag; got 'spiral'"):
        channel_maps(probabilities(), "spiral")
    assert list(tmp_path.iterdir()) == []
