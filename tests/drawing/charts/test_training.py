import math
import sys

import pytest

from passband.drawing.charts.training import POINTS, training_curves


def drawn(panel):
    return {line.get_label(): line for line in panel.lines}


def titles(figure):
    return [panel.get_title(loc="left") for panel in figure.axes if panel.get_visible()]


def test_every_figure_is_drawn_over_its_steps_and_what_belongs_together_shares_a_panel():
    steps = [1, 2, 3, 4]
    trained = {"loss": (steps, [4.0, 3.0, 2.0, 1.0]), "psnr": (steps, [1.0, 2.0, 3.0, 4.0])}
    trained["learning_rate"] = (steps, [0.1] * 4)
    validated = {"psnr": ([2, 4], [5.0, 6.0]), "gain/rain": ([2, 4], [1.0, 2.0]), "gain/haze": ([2, 4], [0.0, 1.0])}
    figure = training_curves(trained, validated, "Training of mine")
    assert figure.get_suptitle() == "Training of mine"
    assert titles(figure) == ["psnr", "gain", "loss", "learning rate"]
    both, gain, loss, _ = figure.axes[:4]
    assert {name: list(line.get_ydata()) for name, line in drawn(both).items()} == {
        "validation": [5, 6],
        "training": [1, 2, 3, 4],
    }
    assert list(drawn(both)["validation"].get_xdata()) == [2, 4]
    assert {text.get_text() for text in gain.get_legend().get_texts()} == {"rain", "haze"}
    assert list(drawn(loss)["training"].get_xdata()) == steps
    assert loss.get_xlabel() == "step"


def test_a_long_run_is_drawn_by_means_and_ranges_and_the_chart_says_so():
    steps = list(range(1, 3 * POINTS + 1))
    figure = training_curves({"loss": (steps, [float(step % 3) for step in steps])}, {}, "long")
    (line,) = figure.axes[0].lines
    assert list(line.get_xdata()[:2]) == [2, 5]
    assert set(line.get_ydata()) == {1}
    assert len(line.get_xdata()) == POINTS
    assert figure.axes[0].get_xlabel() == "step (means and ranges of 3 steps)"
    (band,) = figure.axes[0].collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0, 2)


def test_values_that_are_not_finite_are_gaps_and_spoil_no_mean(tmp_path):
    steps = list(range(1, 2 * POINTS + 1))
    values = [1.0] * len(steps)
    values[0], values[2], values[3] = math.nan, math.inf, -math.inf
    figure = training_curves({"loss": (steps, values)}, {}, "odd")
    found = list(figure.axes[0].lines[0].get_ydata())
    assert found[0] == 1
    assert math.isnan(found[1])
    assert set(found[2:]) == {1}
    figure.savefig(tmp_path / "odd.png")


def test_one_step_is_a_mark_and_none_is_refused():
    figure = training_curves({"loss": ([1], [2.0])}, {}, "short")
    assert figure.axes[0].lines[0].get_marker() == "o"
    with pytest.raises(ValueError, match="curves need at least one step"):
        training_curves({"loss": ([], [])}, {}, "none")


def test_drawing_does_not_touch_pyplot(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    training_curves({"loss": ([1, 2], [2.0, 1.0])}, {}, "short")
    assert "matplotlib.pyplot" not in sys.modules
