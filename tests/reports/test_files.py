from passband.reports.files import cell, write_lines
from passband.reports.page import write_page

NAME = "photo\u202egpj.exe"
OTHER = "a|b\nc"


def test_names_cannot_change_lines_or_the_direction_of_writing_in_a_report_and_its_page(tmp_path):
    lines = [f"# {cell(NAME)}", "", "| name |\n|---|", f"| {cell(OTHER)} |", f"| {NAME}\udce9\x1b[2J |"]
    write_lines(tmp_path / "report.md", lines)
    for path in (tmp_path / "report.md", write_page(tmp_path / "report.md")):
        text = path.read_text("utf-8")
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert r"photo\u202egpj.exe" in text
        assert r"photo\u202egpj.exe\xe9\x1b[2J" in text
    assert "<td>a|b c</td>" in (tmp_path / "report.html").read_text("utf-8")
    assert (tmp_path / "report.md").read_text("utf-8").splitlines()[:4] == [
        *(r"# photo\u202egpj.exe", "", "| name |", "|---|")
    ]
