"""The page about other networks: its commands run as they are written, with random weights under published names."""

import pytest
import torch

from passband.data.degradations import degrade_files
from passband.io.image import write_image
from tests.docs.test_tutorials import run_commands
from tests.documents import DOCS, blocks
from tests.models.restoration.test_extra_networks import build


def test_every_command_of_the_page_about_other_networks_runs(tmp_path, monkeypatch, photograph, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save({"params": build("restormer").state_dict()}, "deraining.pth")
    write_image(tmp_path / "rainy.jpg", photograph[:, :40, :50])
    write_image(tmp_path / "large.jpg", photograph[:, :100, :270])
    write_image(tmp_path / "photos" / "a.png", photograph[:, :48, :56])
    list(degrade_files(tmp_path / "photos", tmp_path / "pairs", "rain"))
    names = {}
    for language, text in blocks(DOCS / "other-networks.md"):
        if language == "sh":
            run_commands(text, monkeypatch)
        elif language == "python":
            exec(compile(text, "other-networks.md", "exec"), names)
    out = capsys.readouterr().out
    assert "mixdehazenet-l MIT https://" in out
    assert "parameters=84, macs=5308416" in out
    for path in (
        "rainy_restored.jpg",
        "report/report.md",
        "both/report.html",
        "seams/seams.json",
        "mine-and-general/report.html",
    ):
        assert (tmp_path / path).exists()


@pytest.mark.parametrize("name", ["SFNet", "NAFNet", "Restormer", "MPRNet", "MIRNet-v2", "M3SNet"])
def test_the_page_names_each_network_of_the_list(name):
    assert name in (DOCS / "other-networks.md").read_text(encoding="utf-8")
