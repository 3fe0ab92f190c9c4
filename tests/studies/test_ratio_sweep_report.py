from PIL import Image

from passband.studies.ratio_sweep_report import FOREGROUND, SCORES, draw_sweep, sweep_chart


def rows(*ratios):
    names = (*SCORES, *FOREGROUND)
    background = dict.fromkeys(names, 0.4)
    return [
        {"final_ratio": ratio, "images": 12, "background": background, **dict.fromkeys(names, 0.5 + ratio / 4)}
        for ratio in ratios
    ]


def test_curves_have_a_title_their_own_marks_and_a_line_for_finding_nothing():
    figure = sweep_chart(rows(0.3, 1.0, 0.6), fixed=False)
    (panel,) = figure.axes
    assert [text.get_text() for text in panel.texts] == ["Scores over the frequency ratio"]
    assert panel.get_title(loc="left") == "3 runs, scored on 12 whole images"
    curves = panel.lines[:-1]
    assert list(curves[0].get_xdata()) == [1.0, 0.6, 0.3]
    assert len({line.get_marker() for line in curves}) == len({line.get_color() for line in curves}) == len(curves)
    assert panel.lines[-1].get_label() == "IoU without any foreground"
    assert list(panel.lines[-1].get_ydata()) == [40, 40]


def test_a_sweep_is_drawn_as_png_and_svg(tmp_path):
    draw_sweep(rows(1.0), tmp_path / "plot.png", fixed=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plot.png", "plot.svg"]
    with Image.open(tmp_path / "plot.png") as drawn:
        assert drawn.size[0] > 800
