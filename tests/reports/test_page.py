import re
from base64 import b64decode

import torch

from passband.io.image import write_image
from passband.reports.page import write_page


def test_a_page_holds_the_title_the_tables_and_the_images_of_the_report(tmp_path):
    write_image(tmp_path / "curves of a run.png", torch.rand(3, 8, 8))
    report = tmp_path / "report.md"
    report.write_text("# Networks <A> & B\n\n| name | dB |\n|---|---|\n| a | 3 |\n\n![Curves](<curves of a run.png>)\n")
    page = write_page(report)
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "report.html"
    assert "<title>Networks &lt;A&gt; &amp; B</title>" in text
    assert "<td>a</td>" in text
    [image] = re.findall(r'src="data:image/png;base64,([^"]+)" alt="Curves"', text)
    assert b64decode(image) == (tmp_path / "curves of a run.png").read_bytes()


def test_html_in_a_report_is_shown_as_text(tmp_path):
    (tmp_path / "report.md").write_text("a <script>alert(1)</script> b\n\n<img src=x onerror=alert(1)>\n")
    text = write_page(tmp_path / "report.md").read_text()
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;" in text


def test_images_that_are_missing_or_outside_the_folder_stay_links(tmp_path):
    write_image(tmp_path / "outside.png", torch.rand(3, 8, 8))
    (tmp_path / "report").mkdir()
    (tmp_path / "report/report.md").write_text("![a](../outside.png) ![b](missing.png) ![c](https://a.test/c.png)\n")
    text = write_page(tmp_path / "report/report.md").read_text()
    assert 'src="../outside.png"' in text
    assert 'src="missing.png"' in text
    assert 'src="https://a.test/c.png"' in text
