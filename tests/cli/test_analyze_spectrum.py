import pytest
import torch

from passband.io.image import write_image

pytestmark = pytest.mark.usefixtures("without_charts")


def test_the_table_is_printed_and_a_failed_image_ends_badly(run, tmp_path):
    for part in ("restored", "clean", "degraded"):
        write_image(tmp_path / part / "a.png", torch.rand(3, 16, 24))
    arguments = ("analyze", "spectrum", tmp_path / "restored", tmp_path / "clean", "-o", tmp_path / "out")
    status, out, _ = run(*arguments, "--degraded", tmp_path / "degraded")
    assert status == 0
    assert out.startswith("The restoration ")
    assert "| frequencies | MSE before | MSE after | restored | lost | invented |" in out
    assert out.splitlines()[-1] == f"Report: {tmp_path / 'out' / 'report.html'}"
    write_image(tmp_path / "restored" / "b.png", torch.rand(3, 16, 24))
    write_image(tmp_path / "clean" / "b.png", torch.rand(3, 16, 25))
    status, _, err = run(*arguments)
    assert status == 1
    assert "b.png is 24x16 but" in err
