"""Makes small detectors, and compares the instances that they find in noise."""

import torch

from passband.models import FrequencyRCNN

TINY = {
    "classes": 3,
    "backbone": "resnet18",
    "width": 8,
    "features": 8,
    "box_features": 16,
    "norm": "batch",
    "smallest_anchor": 8,
    "rpn_pre_nms_top_n_test": 40,
    "rpn_post_nms_top_n_test": 30,
    "rpn_pre_nms_top_n_train": 40,
    "rpn_post_nms_top_n_train": 30,
    "box_batch_size_per_image": 16,
    "rpn_batch_size_per_image": 32,
}


def noisy_detector(**numbers) -> FrequencyRCNN:
    """Return a detector whose random weights find many instances. Their scores differ enough to be ordered."""
    torch.manual_seed(0)
    model = FrequencyRCNN(**{**TINY, "box_score_thresh": 0.0, **numbers})
    with torch.no_grad():
        for layer in (model.rpn.head.cls_logits, model.roi_heads.box_predictor.cls_score):
            layer.weight.normal_(0, 0.5)
        model.rpn.head.bbox_pred.weight.normal_(0, 0.1)
        model.roi_heads.box_predictor.bbox_pred.weight.normal_(0, 0.5)
        if model.masks:
            model.roi_heads.mask_predictor.mask_fcn_logits.weight.normal_(0, 0.5)
    return model.eval()


def targets(count: int, height: int, width: int, masks: bool = True) -> dict[str, torch.Tensor]:
    """Return random boxes with masks, or none."""
    corners = torch.rand(count, 2) * torch.tensor([width, height]) / 2
    boxes = torch.cat([corners, corners + 4 + torch.rand(count, 2) * torch.tensor([width, height]) / 3], 1)
    target = {"boxes": boxes, "labels": torch.randint(1, 4, (count,))}
    if masks:
        target["masks"] = torch.zeros(count, height, width, dtype=torch.uint8)
        for mask, (left, top, right, bottom) in zip(target["masks"], boxes.int().tolist(), strict=True):
            mask[top:bottom, left:right] = 1
    return target
