"""Trains the judge of an inspector on a table of trials, in a minute on one core."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from passband.data.splits import is_held_out
from passband.models.inspection.inspector import GAIN_SCALE, PSNR_MIDDLE, PSNR_SCALE, InspectorNetwork
from passband.studies.trial_table import TrialTable
from passband.tasks.inspection import GAIN_RANGE, PSNR_RANGE

BATCH = 64
"""Number of images in a step of each member."""
RATE, DECAY = 3e-3, 0.05
"""Learning rate at its highest, and weight decay."""
NOISE = 0.1
"""Deviation of the noise that is added to normalized features, so that the judge does not rely on small differences."""
PSNR_WEIGHT = 0.3
"""Weight of the error of the PSNR; those of kinds and gains have the weight 1."""


def train_judge(model: InspectorNetwork, table: TrialTable, *, steps: int = 1000, seed: int = 0) -> None:
    """Train the judge of an inspector on the images of a table that are not held out.

    Args:
        model: inspector with a judge, whose weights are replaced.
        table: trials of images.
        steps: number of steps.
        seed: seed of the first weights and of the order.

    Raises:
        ValueError: if the inspector has no judge, or the table has no images to learn from.
    """
    if model.judge is None:
        raise ValueError("the inspector has no judge: build it with judged=48, the number of hidden values")
    numbers = [number for number in table.rows if not is_held_out(number)]
    if not numbers:
        raise ValueError("the table of trials has no images to learn from")
    torch.manual_seed(seed)
    features, kinds, psnr, gains = table.parts(numbers)
    judge = model.new_judge()
    arranged = judge.arranged(features)
    judge.get_buffer("mean").copy_(arranged.mean((0, 1)))
    judge.get_buffer("deviation").copy_(arranged.std((0, 1), correction=0).clamp(min=1e-3))
    wanted = torch.cat(
        [kinds, (psnr.clamp(*PSNR_RANGE) - PSNR_MIDDLE) / PSNR_SCALE, gains.clamp(*GAIN_RANGE) / GAIN_SCALE], 1
    )
    normalized = judge.normalized(arranged)
    optimizer = torch.optim.AdamW(judge.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=max(2, steps))
    judge.train()
    for _ in range(max(2, steps)):
        loss = torch.zeros(())
        for member in judge.members:
            drawn = torch.randint(len(numbers), (BATCH,))
            x = normalized[drawn]
            loss = loss + _loss(member(x + NOISE * torch.randn_like(x)), wanted[drawn], kinds.shape[1])
        optimizer.zero_grad()
        loss.backward()
        for member in judge.members:
            nn.utils.clip_grad_norm_(member.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.judge.load_state_dict(judge.state_dict())
    model.eval()


def _loss(predicted: Tensor, wanted: Tensor, kinds: int) -> Tensor:
    """Return the loss of one member."""
    found = F.binary_cross_entropy_with_logits(predicted[..., :kinds], wanted[..., :kinds])
    strength = F.smooth_l1_loss(predicted[..., kinds], wanted[..., kinds])
    gains = F.smooth_l1_loss(predicted[..., kinds + 1 :] * 2, wanted[..., kinds + 1 :] * 2)
    return found + PSNR_WEIGHT * strength + gains
