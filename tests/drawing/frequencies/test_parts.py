import torch

from passband.drawing.frequencies.parts import ROWS, parts_figure


def test_each_definition_has_a_column_with_its_disc_its_parts_and_its_shares():
    image = torch.rand(3, 24, 40)
    definitions = {"one": "all magnitudes", "other": "all frequencies"}
    figures = {"radius": 4.0, "coefficients": 0.00005, "energy": 0.97123}
    columns = [
        {**figures, "definition": name, "share_of_nyquist": share, "low": image, "high": image, "gain": gain}
        for name, share, gain in (("one", 0.25, 1), ("other", 0.5, 4))
    ]
    figure = parts_figure(image, columns, 0.3, definitions)
    panels = figure.axes
    assert len(panels) == 2 * len(ROWS)
    assert [panel.get_ylabel() for panel in panels[::2]] == list(ROWS)
    assert [panel.get_title(loc="left") for panel in panels[:2]] == ["one", "other"]
    assert [panel.patches[0].get_radius() for panel in panels[:2]] == [0.25, 0.5]
    assert [panel.texts[-1].get_text() for panel in panels[:2]] == ["30 % of all magnitudes", "30 % of all frequencies"]
    assert panels[0].get_xlabel() == "below 0.01 % of all frequencies,\n97.1 % of the contrast energy"
    assert [panel.get_xlabel() for panel in panels[-2:]] == ["", "amplified 4 times"]
