import torch
from matplotlib import colormaps

from passband.drawing.charts.confusion import LEGIBLE, confusion_chart, confusion_picture
from passband.drawing.charts.style import save_charts


def middle_of(picture, share):
    """Row and column of the picture where the pixels in a share's color lie, by their median."""
    color = torch.tensor(colormaps["Blues"](share)[:3])[:, None, None]
    y, x = ((picture - color).abs().amax(0) < 1 / 255).nonzero().T
    assert len(y) > 60  # a square, not only a line of the color bar
    return int(y.median()), int(x.median())


def test_a_square_has_the_color_of_its_share_of_the_true_class_whose_row_it_is_in():
    names = [f"class {number}" for number in range(LEGIBLE + 1)]
    confusion = torch.eye(len(names), dtype=torch.int64)
    confusion[40, 40], confusion[40, 7] = 3100, 900
    picture = confusion_picture(confusion, names)
    (row, right), (same_row, left) = middle_of(picture, 0.775), middle_of(picture, 0.225)
    assert row == same_row
    assert right - left > 0.3 * picture.shape[-1]
    assert row > 0.6 * picture.shape[-2]


def test_few_classes_have_names_and_counts_and_many_have_not():
    few = torch.tensor([[5, 1, 0], [0, 4, 0], [2, 0, 9]])
    assert not torch.equal(confusion_picture(few, ["a", "b", "c"]), confusion_picture(few, ["a", "b", "d"]))
    assert not torch.equal(confusion_picture(few, ["a", "b", "c"]), confusion_picture(2 * few, ["a", "b", "c"]))
    many = torch.eye(LEGIBLE + 1, dtype=torch.int64)
    names = [f"{number}" for number in range(LEGIBLE + 1)]
    assert torch.equal(confusion_picture(many, names), confusion_picture(many, names[::-1]))


def test_names_are_taken_as_they_are():
    confusion = torch.eye(2, dtype=torch.int64)
    formula, cut = "$\\alpha^$ 5$", "a very long name of a class that would leave no room"
    picture = confusion_picture(confusion, [formula, cut])
    assert picture.shape[0] == 3
    assert 0 <= picture.min() < picture.max() <= 1


def test_the_chart_has_a_title_says_how_many_are_right_and_is_written_as_png_and_svg(tmp_path):
    figure = confusion_chart(torch.tensor([[5, 1], [2, 9]]), ["cat", "dog"])
    assert "Confusion matrix" in [text.get_text() for text in figure.axes[0].texts]
    assert figure.axes[0].get_title(loc="left") == "14 of 17 images are classified correctly"
    save_charts(figure, tmp_path / "confusion.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confusion.png", "confusion.svg"]
    assert (tmp_path / "confusion.svg").read_text().startswith("<?xml")
    first = (tmp_path / "confusion.svg").read_bytes()
    save_charts(confusion_chart(torch.tensor([[5, 1], [2, 9]]), ["cat", "dog"]), tmp_path / "confusion.png")
    assert (tmp_path / "confusion.svg").read_bytes() == first  # no date, no random names
