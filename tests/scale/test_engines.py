"""Ray, and another engine that holds a predictor: each starts real processes, so each is tried once."""

import re
import sys
from pathlib import Path

import pytest
import torch

from passband.inference import Restorer, plan_jobs, restore_files
from passband.io.image import read_image, write_image
from passband.scale import RayActors, ScaleError, choose_executor

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


@pytest.mark.filterwarnings("ignore")  # of Ray
def test_actors_of_ray_write_what_one_process_does(tiny_weights, tmp_path, monkeypatch):
    import ray

    monkeypatch.setenv("RAY_worker_niceness", "0")  # a busy machine would let the actors wait
    for number in range(2):
        write_image(tmp_path / "in" / f"{number}.png", torch.rand(3, 9, 9))
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    restorer = Restorer(tiny_weights, "cpu")
    try:
        jobs = plan_jobs([tmp_path / "in"], tmp_path / "out")
        outcomes = list(restore_files(restorer, jobs, executor=RayActors(1, in_order=True)))
    finally:
        ray.shutdown()
    assert [one.status for one in outcomes] == ["restored", "restored", "failed"]
    for number in range(2):
        restorer.restore_file(tmp_path / "in" / f"{number}.png", tmp_path / "alone.png")
        assert (tmp_path / "out" / f"{number}.png").read_bytes() == (tmp_path / "alone.png").read_bytes()


def test_ray_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ScaleError, match=r"pip install 'passband\[ray\]'"):
        choose_executor(2, "ray")


def test_the_example_for_dask_restores_images(tiny_weights, tmp_path, monkeypatch):
    (example,) = (text for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S) if "dask" in text)
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        write_image(tmp_path / "photos" / f"{number}.png", torch.rand(3, 9, 9))
    script = tmp_path / "example.py"
    script.write_text(example.replace('"general"', repr(str(tiny_weights))).replace("num_workers=2", "num_workers=1"))
    import runpy

    runpy.run_path(str(script), run_name="__main__")
    restorer = Restorer(tiny_weights, "cpu")
    for number in range(2):
        restorer.restore_file(tmp_path / "photos" / f"{number}.png", tmp_path / "alone.png")
        assert torch.equal(read_image(tmp_path / "restored" / f"{number}.png"), read_image(tmp_path / "alone.png"))
