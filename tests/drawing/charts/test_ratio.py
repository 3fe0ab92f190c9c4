import sys

import numpy as np
import pytest
from PIL import Image

from passband.drawing.charts.ratio import ratio_curves
from passband.drawing.charts.style import save_chart


def found(**changes):
    """An answer as it is written to JSON."""
    answer = {
        "definition": "area",
        "term": "noise",
        "alpha": 1.0,
        "beta": 0.5,
        "ratios": [0.1, 0.4, 0.7, 1.0],
        "saliency": [2.0, 6.0, 4.0, 3.0],
        "penalty": [9.0, 5.0, 3.0, 1.0],
        "objective": [0.5, -0.75, -0.375, -0.25],
        "constant": [],
        "ratio": 0.45,
        "least": -0.8,
        "bracket": [0.1, 0.7],
        "interior": True,
        "words": "Best ratio 0.450 by area, a radius of 5 cycles.",
    }
    return {**answer, **changes}


def lines(figure):
    return {line.get_label().split(",")[0].split(":")[0]: line for line in figure.axes[0].lines}


def test_both_terms_are_drawn_from_0_to_1_and_the_objective_as_it_is():
    figure = ratio_curves(found())
    drawn = lines(figure)
    for line in (drawn["saliency of low + high"], drawn["noise"], drawn["objective"]):
        assert list(line.get_xdata()) == [0.1, 0.4, 0.7, 1.0]
    assert list(drawn["saliency of low + high"].get_ydata()) == [0, 1, 0.5, 0.25]
    assert list(drawn["noise"].get_ydata()) == [1, 0.5, 0.25, 0]
    assert list(drawn["objective"].get_ydata()) == found()["objective"]
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert "objective: 0.5 noise - 1 saliency" in labels
    assert figure.axes[0].get_xlabel() == "frequency ratio by area"


def test_the_best_ratio_and_the_words_are_in_the_picture():
    figure = ratio_curves(found())
    best = lines(figure)["best"]
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([0.45], [-0.8])
    assert figure.axes[0].get_title(loc="left") == found()["words"]
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "How much of the spectrum the network responds to most"
    ]


def test_no_best_ratio_is_drawn_where_there_is_none():
    words = "No best ratio found: the lowest value is at the edge of the range (0.056 by area)."
    ends = ratio_curves(found(interior=False, words=words, ratio=0.056))
    assert ends.axes[0].get_title(loc="left") == words
    assert "best" not in lines(ends)
    labels = [text.get_text() for text in ends.axes[0].get_legend().get_texts()]
    assert not any(word in label for label in labels for word in ("best", "bracket", "0.056"))


def test_a_term_that_is_constant_is_drawn_flat_and_called_so():
    figure = ratio_curves(found(penalty=[5.0, 5.0000001, 5.0, 5.0], constant=["penalty"]))
    line = lines(figure)["noise"]
    assert list(line.get_ydata()) == [0] * 4  # rounding is not blown up
    assert line.get_label() == "noise, constant"


def test_ratios_of_single_pictures_are_marks():
    plain, marked = (ratio_curves(found(), each) for each in ((), [0.2, 0.3]))
    assert len(marked.axes[0].lines) == len(plain.axes[0].lines) + 1
    assert list(marked.axes[0].lines[-1].get_xdata()) == [0.2, 0.3]


def test_a_sweep_of_one_ratio_can_be_drawn(tmp_path):
    one = {name: [1.0] for name in ("ratios", "saliency", "penalty", "objective")}
    save_chart(ratio_curves(found(**one, constant=["saliency", "penalty"], bracket=[1.0, 1.0])), tmp_path / "one.png")
    assert np.asarray(Image.open(tmp_path / "one.png")).std() > 1


def test_drawing_does_not_touch_pyplot_and_writes_whole_files(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    save_chart(ratio_curves(found()), tmp_path / "deep" / "ratio.svg")
    assert "matplotlib.pyplot" not in sys.modules
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["ratio.svg"]
    with pytest.raises(ValueError, match="bmp"):
        save_chart(ratio_curves(found()), tmp_path / "ratio.bmp")
    assert not (tmp_path / "ratio.bmp").exists()
