import sys

import torch

from passband.drawing.charts.style import save_chart
from passband.drawing.frequencies.filters import PARTS, filters_figure, kernel_mosaic


def one_filter(block, side, low, groups=8):
    kernels = torch.rand(groups, side, side, dtype=torch.float64)
    kernels /= kernels.sum((-2, -1), keepdim=True)
    return {"block": block, "kernels": kernels, "responses": torch.rand(groups, 5), "attention": (low, 1 - low)}


def test_kernels_are_arranged_in_two_rows_with_gaps():
    kernels = torch.arange(5 * 9.0).view(5, 3, 3)
    mosaic = kernel_mosaic(kernels)
    assert mosaic.shape == (7, 11)
    for number in range(5):
        top, left = 4 * (number // 3), 4 * (number % 3)
        assert torch.equal(mosaic[top : top + 3, left : left + 3], kernels[number])
    assert mosaic[3].isnan().all()
    assert mosaic[:, 3].isnan().all()
    assert mosaic[4:, 8:].isnan().all()  # the sixth kernel is missing


def test_each_block_has_a_row_with_its_filters_and_their_attention(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    filters = [one_filter("first", 3, 0.3), one_filter("first", 5, 0.6), one_filter("second", 3, 0.05)]
    image = torch.rand(3, 16, 16)
    figure = filters_figure(filters, torch.linspace(0, 1.4, 5), image, "Title", "Text.")
    panels = figure.subfigs[1].axes
    assert len(panels) == 2 * 7
    assert [panel.get_ylabel() for panel in panels if panel.get_ylabel()] == ["first", "second"]
    first, second = panels[6], panels[13]
    assert [round(bar.get_width(), 9) for bar in first.patches] == [0.3, 0.7, 0.6, 0.4]
    assert [text.get_text() for text in first.texts] == [
        "high 70 %",
        "low 60 %",
        "high 40 %",
    ]  # only bars with room have a label
    assert [text.get_text() for text in second.texts] == ["high 95 %"]
    assert not panels[10].axison  # the second block has one filter
    assert len({*PARTS.values()}) == 2
    save_chart(figure, tmp_path / "filters.png")
    assert "matplotlib.pyplot" not in sys.modules
