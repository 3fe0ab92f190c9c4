"""Restoration on a GPU: agreement with the CPU, precisions, a cap on memory, CUDA graphs and compilation."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from passband.inference import Restorer
from passband.inference.engines import TorchEngine
from passband.metrics import psnr
from passband.models import SFNet, build_model

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


BLENDED = {"blend_windows": True}


@pytest.mark.parametrize(
    ("name", "arguments"), [("sfnet-small", BLENDED), ("fsnet-small", BLENDED), ("convir-tiny", {})]
)
def test_the_gpu_never_waits_for_the_processor(name, arguments, photograph, waiting_refused):
    image = photo(photograph, 64, 96).cuda()
    with torch.inference_mode():
        model = build_model(name, **arguments).eval().cuda()
        model(image)  # the first call may look for the fastest algorithms
        with waiting_refused():
            model(image)
        with waiting_refused(), pytest.raises(RuntimeError, match="synchroniz"):  # the mode works at all
            image.sum().item()


@pytest.mark.parametrize("is_blended", [False, True], ids=["", "blended"])
def test_a_cuda_graph_replays_the_network_on_other_images(is_blended, photograph):
    torch.manual_seed(0)
    model = SFNet(width=16, depth=1, blend_windows=is_blended).eval().cuda()
    first, second = photo(photograph, 64, 96).cuda(), photo(photograph.flip(-1), 64, 96).cuda()
    place = first.clone()
    with torch.inference_mode():
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            model(place)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = model(place)[-1]
        place.copy_(second)
        graph.replay()
        torch.testing.assert_close(output, model(second)[-1], rtol=0, atol=1e-5)


COMPILED = """
import torch
from skimage import data
from passband.inference.engines import TorchEngine
from passband.models import SFNet, build_model

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
