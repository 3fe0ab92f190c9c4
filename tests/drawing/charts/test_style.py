from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from passband.drawing.charts.style import new_chart, png_bytes, save_charts


def test_the_layout_of_a_chart_is_found_once_for_all_its_files_and_again_after_a_change(tmp_path, monkeypatch):
    found = []
    execute = ConstrainedLayoutEngine.execute
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", lambda *given: found.append(1) or execute(*given))
    figure = new_chart(4, 3)
    axes = figure.subplots()
    image = axes.imshow([[0, 1]])
    figure.colorbar(image)  # matplotlib keeps a layout engine for figures with a colorbar
    save_charts(figure, tmp_path / "a.png")
    before = axes.get_position()
    assert len(found) == 1
    axes.set_ylabel("a label\nof two lines")
    (tmp_path / "b.png").write_bytes(png_bytes(figure))
    assert len(found) == 2
    assert axes.get_position().x0 > before.x0
    with Image.open(tmp_path / "a.png") as first, Image.open(tmp_path / "b.png") as second:
        assert first.size == second.size == (600, 450)
        assert first.tobytes() != second.tobytes()
