import csv

import pytest
import torch

from passband.drawing.frequencies.errors import spectral_error_figure
from passband.metrics import spectral_errors
from passband.metrics.spectral_error import PARTS, SpectralErrors
from passband.reports.spectrum import findings, spectrum_figures, spectrum_table, write_spectrum


def parts(**values):
    """Errors of two images with values for cells of an 8 x 8 map, such as before={(0, 0): 4}."""
    maps = {name: torch.zeros(2, 8, 8, dtype=torch.float64) for name in PARTS}
    for name, cells in values.items():
        for (v, u), value in cells.items():
            maps[name][:, v, u] = value
    return SpectralErrors(**maps)


REMOVED = parts(
    before={(0, 0): 8.0, (0, 3): 1.0, (7, 7): 1.0},
    after={(0, 0): 2.0, (0, 3): 0.5, (7, 7): 1.5},
    restored={(0, 0): 6.0, (0, 3): 0.5},
    invented={(7, 7): 0.5},
)


def test_the_result_in_words_names_what_is_removed_and_what_is_added():
    title, balance, means, remaining = findings(REMOVED)
    assert title == (
        "The restoration removes 75 % of the error at low and 50 % at middle frequencies and adds 50 % of the error at "
        "high frequencies"
    )
    assert balance == "Removed: 65.0 % restored - 0.0 % lost - 5.0 % invented = 60.0 % of the error."
    assert means == "MSE 10 before, 4 after, 2 images."
    assert remaining == "50 % of the remaining error is at low frequencies."


def test_without_degraded_images_the_error_itself_is_described():
    errors = parts(after={(0, 0): 3.0, (7, 0): 1.0}, lost={(0, 0): 3.0}, invented={(7, 0): 1.0})
    title, kinds, means = findings(errors)
    assert title == "75 % of the error is at low frequencies"
    assert kinds == "It is 75 % lost and 25 % invented."
    assert means == "MSE 4, 2 images."
    assert spectrum_table(errors)[2] == "| low: below 1/4 of Nyquist | 3.000e+00 | 100.0 % | 0.0 % |"
    assert findings(parts())[0] == "The images equal the clean ones"


def test_the_table_and_the_figures_add_up():
    low, middle, high, whole = spectrum_table(REMOVED)[2:]
    assert low == "| low: below 1/4 of Nyquist | 8.000e+00 | 2.000e+00 | 75.0 % | 0.0 % | 0.0 % |"
    assert "| 50.0 % | 0.0 % | 0.0 % |" in middle
    assert "| 0.0 % | 0.0 % | 50.0 % |" in high
    assert whole == "| all | 1.000e+01 | 4.000e+00 | 65.0 % | 0.0 % | 5.0 % |"
    figures = spectrum_figures(REMOVED)
    for name in PARTS:
        assert sum(figures["bands"][name]) == pytest.approx(figures["total"][name])
        assert sum(map(sum, figures["maps"][name])) == pytest.approx(figures["total"][name])


def test_all_files_are_written_and_the_tables_hold_every_band_and_image(tmp_path):
    degraded, restored, clean = torch.rand(3, 2, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    errors = spectral_errors(restored, clean, degraded, block=16)
    write_spectrum(tmp_path, ["a", "b"], errors)
    assert (tmp_path / "spectrum.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "spectrum.svg").read_text()
    rows = {}
    for name in ("spectrum", "spectrum_maps", "spectrum_images"):
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            rows[name] = list(csv.DictReader(file))
    assert [len(rows[name]) for name in rows] == [17, 256, 34]
    mean = float((degraded.double() - clean.double()).square().mean())
    for name in ("spectrum", "spectrum_maps"):
        assert sum(float(row["before"]) for row in rows[name]) == pytest.approx(mean)
    assert sum(int(row["frequencies"]) for row in rows["spectrum"]) == 256
    assert {row["name"] for row in rows["spectrum_images"]} == {"a", "b"}


@pytest.mark.parametrize("values", [{}, {"after": {(7, 0): 1.0}, "lost": {(7, 0): 1.0}}], ids=["none", "after"])
def test_errors_that_are_nowhere_or_only_after_are_drawn_without_a_warning(tmp_path, values):
    write_spectrum(tmp_path, ["a", "b"], parts(**values), is_short=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spectrum.csv", "spectrum.png"]


def test_the_maps_have_one_scale_and_leave_out_what_cannot_be():
    bands = REMOVED.in_bands()
    arguments = ([0.1] * 9, [1] * 9, "Title", "Text")
    whole = {name: getattr(REMOVED, name) for name in PARTS}
    curves = {name: getattr(bands, name) for name in PARTS}
    figure = spectral_error_figure(whole, curves, *arguments)
    maps = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title(loc="left") for axes in maps] == ["Restored: 65 %", "Lost: 0.0 %", "Invented: 5.0 %"]
    assert len({(axes.images[0].norm.vmin, axes.images[0].norm.vmax) for axes in maps}) == 1
    empty = {**whole, "before": 0 * whole["before"]}, {**curves, "before": 0 * curves["before"]}
    alone = spectral_error_figure(*empty, *arguments)
    titles = [axes.get_title(loc="left") for axes in alone.axes if axes.images]
    assert [title.split(":")[0] for title in titles] == ["Lost", "Invented"]
