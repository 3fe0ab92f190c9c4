import json

import pytest
import torch
from torchvision.models import get_model
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import FrozenBatchNorm2d

from passband.analysis.cost import macs
from passband.data.cubes.channel_statistics import shipped_statistics
from passband.layers.channels import channel_subset
from passband.models import FrequencyRCNN, build_model, load_model
from passband.models.classification.dct_resnet import FrequencyResNet
from passband.models.detection.stem import CubeStem, batch_cubes, imagenet_statistics
from passband.ops.color import ycbcr_to_rgb
from passband.ops.cube import assemble_cube
from passband.ops.dct import inverse_block_dct
from passband.ops.dct_geometry import downscale_by_two
from passband.weights_io import save_weights
from tests.models.detection.detectors import TINY, noisy_detector, targets

LISTS = channel_subset("24S").lists(4)


def planes(height: int, width: int, ratio: int) -> list[torch.Tensor]:
    """Coefficients of a smooth picture's Y, Cb and Cr, as a file whose chroma is so many times smaller holds them."""
    torch.manual_seed(height + width + ratio)
    falling = 1 / (1 + torch.arange(64) % 8 + torch.arange(64) // 8).double() ** 2
    sides = [(height, width), *[(height // ratio, width // ratio)] * 2]
    return [torch.randn(1, 64, h // 8, w // 8).double() * 150 * falling[:, None, None] for h, w in sides]


def decoded(components: list[torch.Tensor], ratio: int) -> torch.Tensor:
    """Their picture by the inverse DCT, chroma repeated, nothing rounded or clipped."""
    samples = [inverse_block_dct(component) for component in components]
    samples[1:] = [plane.repeat_interleave(ratio, -1).repeat_interleave(ratio, -2) for plane in samples[1:]]
    return ycbcr_to_rgb((torch.cat(samples, 1) + 128) / 255)[0]


def cube_of(components: list[torch.Tensor], ratio: int) -> torch.Tensor:
    chroma = [downscale_by_two(plane) for plane in components[1:]] if ratio == 1 else components[1:]
    return assemble_cube([components[0], *chroma], [(1, 1), (2, 2), (2, 2)], 4, LISTS)[0]


@torch.no_grad()
@pytest.mark.parametrize("masks", [True, False])
def test_pixels_and_coefficients_give_the_same_instances(masks):
    sizes = [(96, 128), (64, 160)]
    taken = [planes(*size, ratio) for size, ratio in zip(sizes, (1, 2), strict=True)]
    by_pixels = noisy_detector(masks=masks, min_size=64, max_size=999).double()
    by_cubes = noisy_detector(masks=masks, input="coefficients").double()
    by_cubes.load_state_dict(by_pixels.state_dict())
    cubes = [cube_of(one, ratio) for one, ratio in zip(taken, (1, 2), strict=True)]
    for place, (components, ratio) in enumerate(zip(taken, (1, 2), strict=True)):
        by_pixels.transform.min_size = (min(sizes[place]),)
        expected = by_pixels([decoded(components, ratio)])[0]
        found = by_cubes([cubes[place]], sizes=[sizes[place]])[0]
        assert len(expected["boxes"]) > 20
        assert torch.equal(found["labels"], expected["labels"])
        torch.testing.assert_close(found["boxes"], expected["boxes"], rtol=0, atol=1e-8)
        torch.testing.assert_close(found["scores"], expected["scores"])
        if masks:
            torch.testing.assert_close(found["mask_probs"], expected["mask_probs"])


@torch.no_grad()
def test_a_batch_of_cubes_finds_what_one_of_pictures_does():
    sizes = [(64, 96), (64, 160)]
    taken = [planes(*size, 2) for size in sizes]
    by_pixels = noisy_detector(min_size=64, max_size=999)
    by_cubes = noisy_detector(input="coefficients")
    by_cubes.load_state_dict(by_pixels.state_dict())
    expected = by_pixels([decoded(one, 2).float() for one in taken])
    found = by_cubes([cube_of(one, 2).float() for one in taken], sizes=sizes)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one["labels"], other["labels"])
        torch.testing.assert_close(one["boxes"], other["boxes"], rtol=0, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("size", [(61, 97), (33, 127)])
def test_boxes_of_cubes_lie_in_the_true_picture(size):
    height, width = size
    whole = planes(-(-height // 16) * 16, -(-width // 16) * 16, 2)
    found = noisy_detector(input="coefficients")([cube_of(whole, 2).float()], sizes=[size])[0]
    assert len(found["boxes"]) > 10
    assert found["boxes"].min() >= 0
    assert found["boxes"][:, ::2].max() <= width
    assert found["boxes"][:, 1::2].max() <= height
    assert found["boxes"][:, ::2].max() > 0.8 * width
    assert found["boxes"][:, 1::2].max() > 0.8 * height


@torch.no_grad()
def test_cells_beyond_the_picture_are_not_looked_at():
    model = noisy_detector(input="coefficients")
    cube = cube_of(planes(48, 64, 2), 2).float()
    changed = cube.clone()
    changed[:, 9:], changed[:, :, 13:] = 1e3, -1e3
    one, other = (model([values], sizes=[(35, 50)])[0] for values in (cube, changed))
    assert torch.equal(one["boxes"], other["boxes"])


@torch.no_grad()
def test_on_pixels_it_is_torchvision_s_network():
    torch.manual_seed(0)
    reference = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=4, min_size=64, max_size=128, box_score_thresh=0.0,
        box_detections_per_img=20,
    )  # fmt: skip
    model = FrequencyRCNN(
        "rgb", 3, norm="batch", min_size=64, max_size=128, box_score_thresh=0.0, box_detections_per_img=20
    )
    model.load_state_dict(reference.state_dict())
    image = torch.rand(3, 71, 101)
    expected, found = reference.eval()([image])[0], model.eval()([image])[0]
    assert len(found["boxes"]) == 20
    for name in ("boxes", "labels", "scores"):
        assert torch.equal(found[name], expected[name])
    pasted = paste_masks_in_image(found["mask_probs"], found["boxes"], (71, 101))
    assert torch.equal(pasted, expected["masks"])
    target = targets(2, 71, 101)
    losses = []
    for network in (reference.train(), model.train()):
        torch.manual_seed(7)
        losses.append(network([image], [target]))
    assert losses[0] == losses[1]


@torch.no_grad()
def test_frequency_channels_cost_no_more_than_pixels():
    size = (3, 160, 224)
    for backbone in ("resnet50", "resnet18"):
        with torch.device("meta"):
            pixels = macs(FrequencyRCNN("rgb", backbone=backbone).backbone, size)
            for name, count in (("24S", 24), ("48S", 48), ("64S", 64)):
                statistics = {"mean": [0.0] * count, "std": [1.0] * count}
                doubled = {} if name == "24S" else {"doubled": True, "chroma_ratio": 1, **statistics}
                assert macs(FrequencyRCNN(name, backbone=backbone, **doubled).backbone, size) <= pixels


def test_constants_are_the_shipped_statistics():
    subset = channel_subset([64 * c + 8 * v + u for c in range(3) for v in range(4) for u in range(4)])
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in imagenet_statistics(subset))
    shipped = shipped_statistics("imagenet-4")
    torch.testing.assert_close(std, shipped.std, rtol=6e-3, atol=0)  # three digits
    assert ((mean - shipped.mean).abs() < 0.03 * shipped.std).all()


def test_stems_of_48_and_64_published_channels_are_of_the_doubled_picture():
    torch.manual_seed(0)
    pixels = torch.rand(1, 3, 32, 64)
    subset = channel_subset("64S")
    stem = CubeStem(subset, [0.0] * 64, [1.0] * 64, chroma_ratio=1, doubled=True)
    cube = stem(pixels - 128 / 255)
    assert cube.shape == (1, 64, 8, 16)
    twice = torch.nn.functional.interpolate(pixels, scale_factor=2, mode="bilinear")
    luma = 255 * (twice[0, 0] * 0.299 + twice[0, 1] * 0.587 + twice[0, 2] * 0.114) - 128
    means = luma.reshape(8, 8, 16, 8).mean((1, 3))
    torch.testing.assert_close(cube[0, 0], 8 * means, rtol=1e-4, atol=1e-3)  # the lowest of 8 x 8 is 8 times the mean


@pytest.mark.parametrize("norm", ["batch", "group", "frozen"])
@pytest.mark.parametrize("input", ["pixels", "coefficients"])
def test_it_learns_of_pictures_with_instances_and_without(input, norm):
    torch.manual_seed(0)
    model = FrequencyRCNN(**{**TINY, "norm": norm, "input": input, "min_size": (48, 64), "max_size": 100}).train()
    sizes = [(64, 80), (45, 71)]
    pictures = [torch.rand(3, *size) for size in sizes]
    given = {"sizes": sizes} if input == "coefficients" else {}
    if input == "coefficients":
        pictures = [torch.randn(24, -(-height // 4), -(-width // 4)) for height, width in sizes]
    losses = model(pictures, [targets(2, *sizes[0]), targets(0, *sizes[1])], **given)
    assert set(losses) == {
        "loss_classifier", "loss_box_reg", "loss_mask", "loss_objectness", "loss_rpn_box_reg"
    }  # fmt: skip
    sum(losses.values()).backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    assert gradients["backbone.body.layer1.0.conv1.weight"].any()


def test_frozen_layers_do_not_learn():
    model = FrequencyRCNN("rgb", **{**TINY, "norm": "frozen", "frozen_layers": 1})
    still = {name.split(".")[2] for name, weight in model.named_parameters() if not weight.requires_grad}
    assert still == {"conv1", "layer1"}
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in model.modules())
    assert any(isinstance(layer, FrozenBatchNorm2d) for layer in model.modules())


def test_a_backbone_starts_from_a_classifier_of_pixels():
    torch.manual_seed(0)
    state = get_model("resnet18").state_dict()
    model = FrequencyRCNN(**{**TINY, "width": 64, "norm": "frozen"})
    mapped = model.load_backbone(state)
    body = model.backbone.body.state_dict()
    assert torch.equal(body["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"][:, :24])
    for name in ("layer1.1.conv2.weight", "layer4.1.bn2.running_var", "layer2.0.downsample.0.weight"):
        assert torch.equal(body[name], state[name])
    assert "layer1.0.conv1.weight" in mapped.sliced
    pixels = FrequencyRCNN("rgb", **{**TINY, "width": 64})
    pixels.load_backbone(state)
    assert torch.equal(pixels.backbone.body.state_dict()["conv1.weight"], state["conv1.weight"])


def test_a_backbone_starts_from_a_classifier_of_the_same_channels():
    torch.manual_seed(0)
    classifier = FrequencyResNet(24, 5, 18, 8)
    model = FrequencyRCNN(**TINY)
    model.load_backbone(classifier.state_dict())
    for name, value in model.backbone.body.state_dict().items():
        if not name.startswith("stem"):
            assert torch.equal(value, classifier.state_dict()[name]), name
    with pytest.raises(ValueError, match="norm"):
        FrequencyRCNN(**{**TINY, "norm": "group"}).load_backbone(classifier.state_dict())
    with pytest.raises(ValueError, match="do not fit"):
        model.load_backbone(FrequencyResNet(24, 5, 18, 4).state_dict())


@torch.no_grad()
def test_saved_weights_come_back(tmp_path):
    torch.manual_seed(0)
    model = build_model("dct-mask-rcnn-resnet18", **{**TINY, "min_size": (40, 48), "max_size": 80}).eval()
    config = json.loads(json.dumps({"model": model.name, **model.arguments}))
    save_weights(model, tmp_path / "mine", config)
    again = load_model(tmp_path / "mine")
    assert again.arguments == model.arguments
    image = torch.rand(3, 37, 53)
    for one, other in zip(again([image])[0].values(), model([image])[0].values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"channels": "64S"}, "24S"),
        ({"channels": "64S", "doubled": True, "chroma_ratio": 1}, "mean and std of doubled images are needed"),
        ({"channels": "rgb", "input": "coefficients"}, "input"),
        ({"channels": "24S", "doubled": True, "chroma_ratio": 1, "input": "coefficients"}, "take input = pixels"),
        ({"channels": "24S", "mean": [0.0], "std": [1.0]}, "24 channels"),
        ({"channels": [0, 2, 66], "chroma_ratio": 2}, "chroma_ratio to 1"),
        ({"norm": "layer"}, "norm"),
        ({"backbone": "resnet19"}, "resnet18"),
        ({"min_size": 0}, "min_size"),
        ({"frozen_layers": 5}, "frozen_layers"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        FrequencyRCNN(**{**TINY, **numbers})


def test_images_that_do_not_fit_are_refused():
    model = FrequencyRCNN(**TINY).train()
    picture = torch.rand(3, 40, 40)
    with pytest.raises(ValueError, match="needs targets"):
        model([picture])
    flat = {"boxes": torch.tensor([[3.0, 4, 3, 9]]), "labels": torch.tensor([1])}
    with pytest.raises(ValueError, match="image 0"):
        model([picture], [flat])
    with pytest.raises(ValueError, match="images of 3"):
        model.eval()([torch.rand(24, 10, 10)])
    with pytest.raises(ValueError, match="needs the sizes"):
        FrequencyRCNN(**{**TINY, "input": "coefficients"}).eval()([torch.rand(24, 10, 10)])
    with pytest.raises(ValueError, match="10 x 20 cells"):
        batch_cubes([torch.rand(24, 9, 20)], [(40, 80)])


def test_a_network_is_saved_and_comes_back_with_its_weights(tmp_path):
    network = FrequencyRCNN(**{**TINY, "rpn_pre_nms_top_n_train": 2000})  # more than any side of these weights
    network.save_pretrained(tmp_path)
    again = FrequencyRCNN.from_pretrained(tmp_path)
    assert (again.name, again.arguments, again.training) == (network.name, network.arguments, False)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("masks", [True, False])
def test_the_strides_of_features_do_not_depend_on_the_padding_of_the_first_batch(masks):
    model = FrequencyRCNN(**{**TINY, "masks": masks, "min_size": 40, "max_size": 80}).eval()
    model([torch.rand(3, 40, 40)])  # padded to 64 pixels, as if features had strides of 2.5
    pools = [model.roi_heads.box_roi_pool, *([model.roi_heads.mask_roi_pool] if masks else [])]
    assert [pool.scales for pool in pools] == [[1 / 4, 1 / 8, 1 / 16, 1 / 32]] * len(pools)


def test_random_choices_for_an_image_depend_on_its_seed_and_not_on_the_batch():
    model = FrequencyRCNN(**{**TINY, "norm": "group", "min_size": (40, 48, 56), "max_size": 90}).train()
    images, labels = [torch.rand(3, 48, 56) for _ in range(2)], torch.arange(40) % 3
    sizes, entries = [], []
    for own in ([0, 1], [1, 0], [1]):
        for part in (model.transform, model.rpn.fg_bg_sampler):
            part.seeds = own
        sizes.append(dict(zip(own, model.transform([images[one] for one in own])[0].image_sizes, strict=True)))
        entries.append(dict(zip(own, model.rpn.fg_bg_sampler([labels] * len(own))[1], strict=True)))
    for one in (1, 2):
        assert sizes[one][1] == sizes[0][1]
        assert torch.equal(entries[one][1], entries[0][1])
    assert sizes[0][0] == sizes[1][0]


@pytest.mark.parametrize("input", ["pixels", "coefficients"])
def test_losses_with_seeds_are_the_same_whatever_was_drawn_before(input):
    model = FrequencyRCNN(**{**TINY, "norm": "group", "input": input, "min_size": (40, 48), "max_size": 90}).train()
    images = [torch.rand(3, 48, 56)] if input == "pixels" else [torch.rand(24, 12, 14)]
    sizes = {"sizes": [(48, 56)]} if input == "coefficients" else {}
    goal, losses = targets(2, 48, 56), []
    for _ in range(2):
        torch.rand(1 + len(losses))
        losses.append(model(images, [goal], **sizes, seeds=[3]))
    assert losses[0] == losses[1]
