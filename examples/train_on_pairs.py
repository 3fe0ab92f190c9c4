"""Trains a small SFNet on your own pairs, in a loop that you can change.

    python examples/train_on_pairs.py PAIRS WEIGHTS [STEPS]

PAIRS holds degraded/ and clean/ with files of the same names. The weights are saved as a folder, to be used with
`passband restore --weights`. `passband train` and `passband finetune` add validation, checkpoints and a record.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import passband
from passband.losses import multiscale_loss


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    """Random crops of pairs.

    Args:
        folder: folder with degraded/ and clean/.
        crop: side of the crops in pixels, a multiple of 8.
    """

    def __init__(self, folder: Path, crop: int = 64):
        names = sorted(path.name for path in (folder / "degraded").iterdir())
        self.pairs = [[passband.read_image(folder / part / name) for part in ("degraded", "clean")] for name in names]
        self.crop = crop

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Cut the same part out of both images of a pair."""
        degraded, clean = self.pairs[index]
        top = int(torch.randint(clean.shape[1] - self.crop + 1, ()))
        left = int(torch.randint(clean.shape[2] - self.crop + 1, ()))
        part = (slice(None), slice(top, top + self.crop), slice(left, left + self.crop))
        return degraded[part], clean[part]


def main(pairs: Path, output: Path, steps: int = 1000) -> list[float]:
    """Train, starting with the weights of `general`.

    Args:
        pairs: folder with degraded/ and clean/.
        output: folder for the weights.
        steps: number of optimizer steps.

    Returns:
        The loss of each step.
    """
    model = passband.load_model("general").train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
    loader = DataLoader(Pairs(pairs), batch_size=4, shuffle=True, drop_last=True)
    losses: list[float] = []
    while len(losses) < steps:
        for degraded, clean in loader:
            loss = multiscale_loss(model(degraded), clean)  # the network returns quarter, half and full size
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            losses.append(loss.item())
            if len(losses) % 10 == 0:
                print(f"step {len(losses)}: loss {losses[-1]:.4f}")
            if len(losses) == steps:
                break
    model.save_pretrained(output)
    return losses


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
