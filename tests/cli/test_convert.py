import torch

from tests.cli.test_cli import one_sentence
from tests.models.test_foreign import dncnn


def test_a_network_of_another_project_is_not_converted(run, tmp_path):
    torch.save(dncnn().state_dict(), tmp_path / "denoiser.pth")
    status, _, err = run("convert", tmp_path / "denoiser.pth", tmp_path / "out")
    assert one_sentence(status, err, "convert needs weights of an SFNet", "denoiser.pth is a ")
    assert not (tmp_path / "out").exists()
