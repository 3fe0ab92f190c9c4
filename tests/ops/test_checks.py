import numpy as np
import pytest
import torch

from passband.curriculum import Curriculum, RadialProfile, RatioSchedule, low_pass_ratio, radii_of, ratios_of, saliency
from passband.layers import (
    ChannelGate,
    DynamicFilter,
    GlobalModulation,
    LocalAvgPool2d,
    Modulator,
    WindowModulation,
)
from passband.losses import (
    focal_frequency_loss,
    frequency_loss,
    multiscale_loss,
    relative_multiscale_loss,
    ring_distances,
    segmentation_loss,
    spectral_l1,
)
from passband.metrics import (
    PROTOCOLS,
    confusion_matrix,
    psnr,
    psnr_hvs,
    psnr_hvs_m,
    rank_of,
    ranking,
    ssim,
    wilson_interval,
)
from passband.metrics.mask_scores import SegmentationScores, class_counts, predicted_classes, threshold_curves
from passband.ops.color import (
    jpeg_samples,
    linear_to_srgb,
    rgb_to_ycbcr,
    srgb_to_linear,
    studio_luma,
    studio_luma_8bit,
    ycbcr_to_rgb,
)
from passband.ops.cube import assemble_cube, disassemble_cube, image_cube
from passband.ops.dct import block_dct, dct2, idct2, inverse_block_dct
from passband.ops.fourier import band_split, low_pass, radial_spectrum, spectral_crop, spectral_pad
from passband.ops.frequency_distance import frequency_distances
from passband.ops.tiling import map_tiles, pad_to_multiple, pad_to_size

pytestmark = pytest.mark.usefixtures("unchecked")

SEGMENTATION = [segmentation_loss(name, classes) for name in ("cross_entropy", "dice") for classes in (1, 3)]
ON_PICTURES = {
    "low_pass_ratio": lambda x: low_pass_ratio(x, 0.5),
    "low_pass_ratio of 1": lambda x: low_pass_ratio(x, 1),
    "radii_of": lambda x: radii_of(x, 0.5, "radius"),
    "ratios_of": lambda x: ratios_of(x, 3, "radius"),
    "RadialProfile.of": lambda x: RadialProfile.of([x]),
    "Curriculum": lambda x: Curriculum(RatioSchedule(steps=4, start=0.5), "mask").apply(x, 0.5),
    "saliency": lambda x: saliency(torch.nn.Flatten(), x),
    "low_pass": lambda x: low_pass(x, 3),
    "band_split": lambda x: band_split(x, 3),
    "spectral_crop": lambda x: spectral_crop(x, (8, 8)),
    "spectral_pad": lambda x: spectral_pad(x, (32, 32)),
    "radial_spectrum": radial_spectrum,
    "block_dct": block_dct,
    "inverse_block_dct": inverse_block_dct,
    "dct2": dct2,
    "idct2": idct2,
    "image_cube": image_cube,
    "assemble_cube": lambda x: assemble_cube([x], [(1, 1)]),
    "disassemble_cube": lambda x: disassemble_cube(x, [(1, 1)]),
    "pad_to_multiple": lambda x: pad_to_multiple(x, 32),
    "pad_to_size": lambda x: pad_to_size(x, 64, 64),
    "map_tiles": lambda x: map_tiles(lambda tile: tile, x, 8, 0),
    "srgb_to_linear": srgb_to_linear,
    "linear_to_srgb": linear_to_srgb,
    "rgb_to_ycbcr": rgb_to_ycbcr,
    "ycbcr_to_rgb": ycbcr_to_rgb,
    "jpeg_samples": jpeg_samples,
    "studio_luma": studio_luma,
    "studio_luma_8bit": studio_luma_8bit,
    "psnr": lambda x: psnr(x, x),
    "ssim": lambda x: ssim(x, x),
    **{f"protocol {name}": lambda x, score=score: score(x, x) for name, score in PROTOCOLS.items()},
    "spectral_l1": lambda x: spectral_l1(x, x),
    "frequency_distances": lambda x: frequency_distances(x, x),
    "frequency_loss": lambda x: frequency_loss(x, x),
    "focal_frequency_loss": lambda x: focal_frequency_loss(x, x),
    "ring_distances": lambda x: ring_distances(x, x),
    "psnr_hvs": lambda x: psnr_hvs(x, x),
    "psnr_hvs_m": lambda x: psnr_hvs_m(x, x),
    "multiscale_loss": lambda x: multiscale_loss([x], x),
    "relative_multiscale_loss": lambda x: relative_multiscale_loss([x], x),
    **{f"segmentation loss {number}": lambda x, loss=loss: loss(x, x) for number, loss in enumerate(SEGMENTATION)},
    "ranking": ranking,
    "rank_of": lambda x: rank_of(x, x),
    "predicted_classes": predicted_classes,
    "threshold_curves": lambda x: threshold_curves(x[0, 0], x[0, 0]),
    "DynamicFilter": DynamicFilter(8, 3),
    "Modulator": lambda x: Modulator(8)(x, x),
    "GlobalModulation": GlobalModulation(3),
    "WindowModulation": WindowModulation(3),
    "LocalAvgPool2d": LocalAvgPool2d(),
    "ChannelGate": ChannelGate(3),
}


@pytest.mark.parametrize("name", ON_PICTURES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_integers_are_refused_everywhere_with_how_to_convert_them(name, dtype):
    with pytest.raises(TypeError, match=r"floating-point values, got torch\.\w+\. Convert it with image\.float\(\)"):
        ON_PICTURES[name](torch.ones(2, 3, 16, 16, dtype=dtype))


@pytest.mark.parametrize("name", [name for name in ON_PICTURES if "threshold" not in name])
def test_arrays_and_lists_are_refused_everywhere_with_how_to_convert_them(name):
    with pytest.raises(TypeError, match=r"got a numpy array of shape 2 x 3 x 16 x 16.* passband\.as_tensor"):
        ON_PICTURES[name](np.zeros((2, 3, 16, 16), np.float32))
    if name != "RadialProfile.of":
        with pytest.raises(TypeError, match=r"got a list\. Join the images with torch\.stack"):
            ON_PICTURES[name]([torch.zeros(3, 16, 16)])


@pytest.mark.parametrize("name", [name for name in ON_PICTURES if "threshold" not in name])
@pytest.mark.parametrize("shape", [(0, 3, 16, 16), (2, 3, 0, 16)])
def test_an_empty_batch_is_refused_everywhere_and_not_by_the_fourier_transform(name, shape):
    with pytest.raises(ValueError, match=f"needs a tensor with values, got {' x '.join(map(str, shape))}"):
        ON_PICTURES[name](torch.zeros(shape))


def test_eight_bits_are_not_wrapped_around():
    levels = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    with pytest.raises(TypeError, match=r"low_pass_ratio needs .* got torch\.uint8\. .* image\.float\(\) / 255"):
        low_pass_ratio(levels, 0.9)


@pytest.mark.parametrize(
    "name", ["low_pass_ratio", "radii_of", "Curriculum", "pad_to_multiple", "psnr", "ssim", "GlobalModulation"]
)
def test_a_picture_without_its_batch_is_refused_with_what_to_add(name):
    with pytest.raises(ValueError, match=r"B \w H W, got 3 x 16 x 16\. Add the axis of the batch: image\[None\]"):
        ON_PICTURES[name](torch.zeros(3, 16, 16))


@pytest.mark.parametrize(
    ("image", "advice"),
    [
        (torch.zeros(16, 16, 3), r"channels come before height and width: image\.movedim\(-1, -3\)"),
        (torch.zeros(2, 4, 16, 16), r"got 2 x 4 x 16 x 16"),
        (torch.zeros(3), "got 3"),
        (torch.tensor(0.5), "a single number"),
    ],
)
@pytest.mark.parametrize("function", [rgb_to_ycbcr, ycbcr_to_rgb, jpeg_samples, studio_luma, studio_luma_8bit])
def test_colors_need_three_channels(function, image, advice):
    with pytest.raises(ValueError, match=advice):
        function(image)


BY_FREQUENCY = [frequency_distances, frequency_loss, focal_frequency_loss, ring_distances, psnr_hvs, psnr_hvs_m]


@pytest.mark.parametrize("score", [psnr, ssim, *PROTOCOLS.values(), spectral_l1, *BY_FREQUENCY])
@pytest.mark.parametrize("other", [(1, 3, 16, 16), (2, 1, 16, 16), (2, 3, 16, 1), (2, 3, 32, 16)])
def test_what_compares_two_batches_refuses_other_shapes_and_names_both(score, other):
    image, reference = torch.zeros(2, 3, 16, 16), torch.zeros(other)
    shapes = "2 x 3 x 16 x 16", " x ".join(map(str, other))
    with pytest.raises(ValueError, match=f"of shape {shapes[0]} and .* of shape {shapes[1]}"):
        score(image, reference)
    with pytest.raises(ValueError, match=f"of shape {shapes[1]} and .* of shape {shapes[0]}"):
        score(reference, image)


@pytest.mark.parametrize("loss", [multiscale_loss, relative_multiscale_loss])
@pytest.mark.parametrize(
    "size",
    [(2, 3, 16, 31), (2, 3, 32, 8), (2, 3, 24, 48), (1, 3, 16, 24), (2, 1, 16, 24), (4, 3, 16, 24), (2, 3, 16, 1)],
)
def test_a_prediction_of_another_size_batch_or_number_of_channels_is_refused_with_both_shapes(loss, size):
    clean = torch.zeros(2, 3, 16, 24)
    message = rf"Prediction 1 is {' x '.join(map(str, size))}, clean is 2 x 3 x 16 x 24"
    with pytest.raises(ValueError, match=message):
        loss([torch.zeros(2, 3, 8, 12), torch.zeros(size)], clean)


@pytest.mark.parametrize("loss", [multiscale_loss, relative_multiscale_loss])
def test_one_tensor_in_the_place_of_the_list_is_refused_with_both_shapes(loss):
    with pytest.raises(
        ValueError, match=r"a list .* tensor of shape 2 x 3 x 8 x 8 .* 2 x 3 x 8 x 8\. Pass \[prediction\]"
    ):
        loss(torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"clean of \w+ needs a batch of shape B C H W, got 3 x 8 x 8"):
        loss([torch.zeros(1, 3, 8, 8)], torch.zeros(3, 8, 8))


@pytest.mark.parametrize("loss", SEGMENTATION)
@pytest.mark.parametrize("mask", [(1, 8, 8), (2, 8), (2, 1, 8, 8), (2, 8, 1), (2, 4, 8)])
def test_a_mask_of_another_batch_or_size_is_refused_with_both_shapes(loss, mask):
    logits = torch.zeros(2, 1 if loss in SEGMENTATION[::2] else 3, 8, 8)
    shape = " x ".join(map(str, mask))
    with pytest.raises(ValueError, match=rf"a mask of {shape} and logits of 2 x \d x 8 x 8"):
        loss(logits, torch.zeros(mask, dtype=torch.int64))
    with pytest.raises(TypeError, match="mask, got a numpy array"):
        loss(logits, np.zeros((2, 8, 8), np.int64))


@pytest.mark.parametrize("count", [confusion_matrix, class_counts])
def test_numbers_that_are_no_classes_and_shapes_that_differ_are_refused_when_counting(count):
    numbers = torch.tensor([0, 1, 2])
    with pytest.raises(ValueError, match="numbers from 0 to 1, got 0 to 2"):
        count(numbers, numbers, 2)
    with pytest.raises(ValueError, match="numbers from 0 to 2, got -1 to 2"):
        count(numbers, torch.tensor([0, -1, 2]), 3)
    with pytest.raises(ValueError, match=r"one shape, got \w+ of shape [13] and \w+ of shape [13]"):
        count(numbers, numbers[:1], 3)
    with pytest.raises(
        TypeError, match=r"integers, the numbers of classes, got a tensor of shape 3 and type torch\.float"
    ):
        count(numbers.float(), numbers, 3)


def test_scores_that_have_not_their_shapes_are_refused():
    with pytest.raises(ValueError, match="one label for each row .* labels of 3 and logits of 2 x 5"):
        rank_of(torch.zeros(2, 5), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="logits of shape B classes, got 5"):
        ranking(torch.zeros(5))
    with pytest.raises(ValueError, match="got 3 of 0"):
        wilson_interval(3, 0)
    with pytest.raises(ValueError, match="one size, got 4 x 4 and 4 x 1"):
        threshold_curves(torch.zeros(4, 4), torch.zeros(4, 1, dtype=torch.int64))
    with pytest.raises(ValueError, match="logits of 1 x 1 x 4 x 4 and a mask of 4 x 4"):
        SegmentationScores("binary", 1).add(torch.zeros(1, 1, 4, 4), torch.zeros(4, 4, dtype=torch.int64))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (DynamicFilter(8, 3), (1, 16, 9, 9), "DynamicFilter needs a batch of shape B 8 H W, got 1 x 16 x 9 x 9"),
        (DynamicFilter(8, 5), (1, 8, 2, 9), "needs H and W above 2, got 2x9"),
        (GlobalModulation(8), (1, 1, 9, 9), "GlobalModulation needs a batch of shape B 8 H W, got 1 x 1"),
        (WindowModulation(8), (1, 4, 8, 8), "WindowModulation needs a batch of shape B 8 H W, got 1 x 4"),
        (ChannelGate(6), (4, 8, 8), "ChannelGate needs a batch of shape B C H W, got 4 x 8 x 8"),
    ],
)
def test_layers_refuse_maps_of_other_channels_or_too_small(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(torch.zeros(shape))


def test_a_modulator_refuses_parts_of_two_shapes():
    with pytest.raises(ValueError, match="low of shape 1 x 8 x 4 x 4 and high of shape 1 x 8 x 4 x 1"):
        Modulator(8)(torch.zeros(1, 8, 4, 4), torch.zeros(1, 8, 4, 1))
