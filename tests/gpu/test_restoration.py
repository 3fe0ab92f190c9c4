"""Restoration on a GPU: agreement with the CPU, precisions, a cap on memory, CUDA graphs and compilation."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F

from passband.inference import Restorer
from passband.inference.engines import TorchEngine
from passband.metrics import psnr
from passband.models import SFNet
from passband.models.padded import restore_batch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch's compiler
]
LEAST = {"float32": 80.0, "bfloat16": 55.0, "float16": 60.0}
"""Least PSNR in dB against the CPU in float32, by precision."""


@pytest.fixture(scope="module")
def exact(photograph):
    """Return the photo as the CPU restores it."""
    return Restorer("general", "cpu", precision="float32").restore(photograph[None])


def photo(photograph, height, width):
    return F.interpolate(photograph[None], (height, width), mode="bilinear", antialias=True).clamp(0, 1)


@pytest.mark.parametrize("precision", LEAST)
def test_a_gpu_restores_as_the_cpu_does(photograph, exact, precision):
    restored = Restorer("general", "cuda", precision=precision).restore(photograph[None])
    assert restored.is_cuda
    assert psnr(restored.cpu(), exact).item() >= LEAST[precision]


def test_the_automatic_precision_of_a_gpu_agrees_with_float32(photograph, exact):
    restored = Restorer("general", "cuda").restore(photograph[None])
    assert psnr(restored.cpu(), exact).item() >= LEAST["bfloat16"]


def test_channels_last_changes_no_value(photograph, exact):
    engine = TorchEngine(SFNet(width=16, depth=1).eval(), "float32", torch.device("cuda"))
    image = photo(photograph, 64, 96).cuda()
    expected = engine(image)
    engine.model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(engine(image.to(memory_format=torch.channels_last)), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("megabytes", "mode"), [(700, "bands"), (360, "tiles")])
def test_a_cap_on_memory_is_kept_and_changes_little(photograph, megabytes, mode):
    image = photo(photograph, 768, 1024)
    whole, plan = Restorer("general", "cuda", precision="float32").restore_views(image)
    assert plan.mode == "whole"
    whole = whole.cpu()
    restorer = Restorer("general", "cuda", f"{megabytes}MB", precision="float32")
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    restored, plan = restorer.restore_views(image)
    assert plan.mode == mode
    assert torch.cuda.max_memory_allocated() <= megabytes * 1e6
    assert psnr(restored.cpu(), whole).item() >= (80 if mode == "bands" else 40)  # tiles only come close


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_small_images_are_replayed_as_graphs_with_the_values_of_the_network(photograph, precision):
    restorer = Restorer("general", "cuda", precision=precision)
    small, other = photo(photograph, 64, 100), photo(photograph, 50, 72)
    images = [
        small,
        small.flip(-1),
        other,
        small.flip(-2),
        other.flip(-1),
        small.mean(1, keepdim=True).expand_as(small),
    ]
    restored = [restorer.restore(image) for image in images]
    for image, each in zip(images, restored, strict=True):
        expected = TorchEngine(restorer.network().engine.model, "float32", torch.device("cuda"))
        with torch.inference_mode(), restorer.network().engine.autocast():
            exact = restore_batch(expected.model, image.cuda())
        assert psnr(each, exact.float().clamp(0, 1)).item() >= 70


def test_graphs_are_replayed_in_several_threads(photograph):
    restorer = Restorer("general", "cuda", precision="float32")
    images = [photo(photograph, 64, 96).roll(8 * number, -1) for number in range(8)]
    expected = [restorer.restore(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        restored = list(pool.map(restorer.restore, images))
    assert all(psnr(*both).item() >= 70 for both in zip(restored, expected, strict=True))


COMPILED = """
import torch
from skimage import data
from passband.inference.engines import TorchEngine
from passband.models import SFNet
from passband.models.padded import restore_batch

torch.manual_seed(0)
model, device = SFNet(width=16, depth=1).eval(), torch.device("cuda")
torch.backends.cudnn.allow_tf32 = False
image = torch.from_numpy(data.astronaut()[:64, :96] / 255).permute(2, 0, 1)[None].float()
expected = TorchEngine(model, "float32", device)(image)
compiled = TorchEngine(model, "float32", device, compile=True)
restored = [compiled(image) for _ in range(3)]  # the third run replays a CUDA graph
compiled(image.flip(-1))  # which must not overwrite the images before
for each in restored:
    torch.testing.assert_close(each, expected, rtol=0, atol=1e-4)
"""


def test_a_compiled_network_restores_as_the_eager_one():
    # in a process of its own, because torch cannot compile the type checks that tests add to all functions
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", COMPILED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
