import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "speed"))
import gpu
from gpu_rows import Bench, NotHereError, Row


@pytest.fixture
def bench(tmp_path):
    return Bench(torch.device("cpu"), True, torch.rand(2, 3, 96, 96), tmp_path)


def fails(bench):
    raise ValueError("no such thing")


def is_not_here(bench):
    raise NotHereError("needs a GPU")


ROWS = [
    Row("speed", "broken", 1, fails),
    Row("speed", "absent", 1, is_not_here),
    Row("speed", "long", 1000, lambda bench: {"ms": 1.0}),
    Row("speed", "good", 1, lambda bench: {"ms": 2.5, "batch": 8}),
]


def test_a_row_that_fails_or_takes_too_long_does_not_stop_the_others(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu, "rows_of", lambda parts: ROWS)
    monkeypatch.setattr(gpu, "load_photos", lambda *settings: torch.rand(2, 3, 96, 96))
    monkeypatch.setattr(gpu, "is_tiny", lambda device: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--minutes", "1", "-o", str(tmp_path / "gpu.json")])
    gpu.main()
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert rows["speed: broken"]["error"] == "ValueError: no such thing"
    assert any("fails" in line for line in rows["speed: broken"]["traceback"])
    assert rows["speed: absent"]["left_out"] == "needs a GPU"
    assert rows["speed: long"]["left_out"].startswith("needs about 1000 s, and ")
    assert rows["speed: good"]["ms"] == 2.5
    assert "| good | 2.50 | 8 |" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["losses and operations", "sfnet 256 x8 eager float32"])
def test_rows_run_on_a_cpu_with_tiny_images(bench, name):
    row = next(row for row in gpu.rows_of(list(gpu.PARTS)) if row.name == name)
    figures = gpu.measure(bench, row)
    assert "error" not in figures, figures
    assert len(figures) > 2


def test_all_kinds_of_recipes_are_trained():
    rows = [row.name for row in gpu.rows_of(["training"])]
    for task in ("restoration", "classification", "segmentation", "detection", "inspection"):
        assert any(task in name for name in rows)
