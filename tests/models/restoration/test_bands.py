from functools import partial
from itertools import pairwise

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from passband.models import ConvIR, FSNet, SFNet
from passband.models.restoration.bands import restore_in_bands
from passband.models.restoration.bands.statistics import Moments
from passband.models.restoration.tiles import restore_in_tiles

POOLING = [(None, "fraction"), (80, "fraction"), (246, "fraction"), (40, "tlc"), (210, "first")]


def network(pool_window=None, pool_mode="fraction", **numbers):
    """A small network in which every branch matters: fresh modulation is zero."""
    torch.manual_seed(0)
    model = SFNet(**{"width": 16, "depth": 2, "pool_window": pool_window, "pool_mode": pool_mode, **numbers}).eval()
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.ndim == 1:
                torch.nn.init.normal_(parameter, mean=float(parameter.detach().mean()), std=0.2)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return model


@pytest.mark.parametrize(("pool_window", "pool_mode"), POOLING)
@pytest.mark.parametrize(("size", "rows"), [((48, 72), 4), ((16, 16), 6), ((104, 40), 10), ((56, 24), None)])
@torch.no_grad()
def test_bands_give_what_the_whole_picture_gives(pool_window, pool_mode, size, rows):
    model = network(pool_window, pool_mode)
    images = torch.rand(2, 3, *size)
    banded = restore_in_bands(model, images, rows=rows)
    whole = model(images)[-1]
    assert (whole - images).abs().max() > 0.1
    torch.testing.assert_close(banded, whole, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_network_with_one_window_gives_the_same_in_bands():
    model, image = network(windows=1), torch.rand(1, 3, 56, 40)
    torch.testing.assert_close(restore_in_bands(model, image, rows=6), model(image)[-1], rtol=0, atol=1e-5)


@torch.no_grad()
def test_two_views_in_bands_are_restored_to_one_picture():
    model = network(in_channels=6)
    views = torch.rand(1, 6, 40, 24)
    torch.testing.assert_close(restore_in_bands(model, views, rows=6), model(views)[-1], rtol=0, atol=1e-5)


@torch.no_grad()
def test_bands_in_bfloat16_differ_from_the_whole_by_less_than_bfloat16_from_float32():
    model, image = network(), torch.rand(1, 3, 64, 48)
    exact = model(image)[-1]
    with torch.autocast("cpu", torch.bfloat16):
        whole, banded = model(image)[-1], restore_in_bands(model, image, rows=8)
    assert banded.dtype == whole.dtype
    assert (banded - whole).square().mean() < (whole - exact).square().mean()


@torch.no_grad()
def test_the_picture_and_the_weights_stay_as_they_are():
    model, image = network(), torch.rand(1, 3, 32, 40)
    before, state = image.clone(), {key: value.clone() for key, value in model.state_dict().items()}
    restore_in_bands(model, image, rows=4)
    assert torch.equal(image, before)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@torch.no_grad()
def test_bands_make_no_more_than_three_tensors_as_large_as_a_full_map():
    class LargeOnes(TorchDispatchMode):
        storages = frozenset()

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.untyped_storage().nbytes() >= 16 * 96 * 64 * 4:
                self.storages |= {out.untyped_storage()._cdata}
                self.kept.append(out)  # so that no storage takes another's place
            return out

    model, image = network(depth=1), torch.rand(1, 3, 96, 64)
    with LargeOnes() as banded:
        banded.kept = []
        restore_in_bands(model, image, rows=4)
    with LargeOnes() as whole:
        whole.kept = []
        model(image)
    # the first map, and one between the convolutions of the encoder's block and of the decoder's
    assert len(banded.storages) == 3
    assert len(whole.storages) > 10


def test_a_network_in_training_a_size_and_bands_that_do_not_fit_are_refused():
    model = network(depth=1)
    with pytest.raises(ValueError, match=r"divisible by 8.*got 20x24.*pad_to_multiple"):
        restore_in_bands(model, torch.rand(1, 3, 20, 24))
    with pytest.raises(ValueError, match="even number of rows, at least 4; got 5"):
        restore_in_bands(model, torch.rand(1, 3, 16, 16), rows=5)
    with pytest.raises(ValueError, match=r"needs a network in evaluation; call model\.eval\(\)"):
        restore_in_bands(model.train(), torch.rand(1, 3, 16, 16))


def test_moments_of_parts_are_those_of_all_even_far_from_zero():
    x = torch.randn(1, 3, 17, 5) + 1000
    moments = Moments()
    for part in x.split((4, 1, 12), dim=-2):
        moments.add(part)
    torch.testing.assert_close(moments.mean, x.double().mean((0, -2, -1)).float(), rtol=0, atol=1e-3)
    torch.testing.assert_close(moments.variance, x.double().var((0, -2, -1), correction=0).float(), rtol=1e-3, atol=0)


@pytest.mark.parametrize(("size", "rows"), [((48, 72), 4), ((104, 40), 10), ((56, 24), None)])
@torch.no_grad()
def test_bands_give_what_the_whole_picture_gives_with_blended_windows(size, rows):
    model, unblended = network(blend_windows=True), network()
    images = torch.rand(2, 3, *size)
    whole = model(images)[-1]
    assert (whole - unblended(images)[-1]).abs().max() > 0.01
    torch.testing.assert_close(restore_in_bands(model, images, rows=rows), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("numbers", [{}, {"depth": 1}, {"pool_window": 40}])
@pytest.mark.parametrize("rows", [4, 10, None])
@torch.no_grad()
def test_bands_tell_what_share_of_the_work_is_done(numbers, rows):
    seen = []
    restore_in_bands(network(**numbers), torch.rand(2, 3, 48, 24), rows=rows, report=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1, abs=1e-9)
    # of each picture a half, and no jump at its end: all loops over bands are counted
    half = max(share for share in seen if share < 0.5 + 1e-9)
    assert half == pytest.approx(0.5)
    assert max(after - before for before, after in pairwise(seen)) < 0.05


@pytest.mark.parametrize(("family", "side"), [(SFNet, 32), (FSNet, 32), (ConvIR, 256)])
@torch.no_grad()
def test_bands_and_tiles_compute_in_the_precision_of_the_weights(family, side):
    torch.manual_seed(0)
    model, image = family(width=8 if family is ConvIR else 16, depth=1).double().eval(), torch.rand(1, 3, side, side)
    image = image.double()
    whole = model(image)[-1]
    torch.testing.assert_close(restore_in_bands(model, image, rows=side // 2), whole, rtol=0, atol=1e-12)
    if family is not ConvIR:  # tiles of the size that it needs would take long
        assert restore_in_tiles(model, image, 16, 8).dtype == torch.float64
    assert restore_in_bands(model.bfloat16(), image.bfloat16(), rows=side // 2).dtype == torch.bfloat16


RESTORE = [restore_in_bands, partial(restore_in_tiles, side=32, overlap=16)]


@pytest.mark.parametrize("restore", RESTORE)
def test_images_that_a_network_does_not_take_are_refused_in_bands_and_tiles(restore):
    model = network(depth=1)
    with pytest.raises(ValueError, match="SFNet needs a tensor with values, got 0 x 3 x 64 x 64"):
        restore(model, torch.rand(0, 3, 64, 64))
    with pytest.raises(TypeError, match=r"SFNet has weights of torch\.float32, but the batch is torch\.float64"):
        restore(model, torch.rand(1, 3, 64, 64, dtype=torch.float64))
    with pytest.raises(ValueError, match="SFNet needs a batch of shape B 3 H W, got 1 x 1 x 64 x 64"):
        restore(model, torch.rand(1, 1, 64, 64))
