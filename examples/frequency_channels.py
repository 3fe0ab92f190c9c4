"""Trains a classifier on the frequency channels of images, in a plain PyTorch loop.

    python examples/frequency_channels.py IMAGES [STEPS]

IMAGES holds a folder for each class. The channels are computed from pixels, so any file type will do. Any network
that takes 24 input channels can replace the small one here.
"""

import sys
from pathlib import Path

import torch
from torch import nn

import passband
from passband.layers import channel_subset
from passband.ops.color import jpeg_samples
from passband.ops.dct import block_dct

SIDE = 96
"""Height and width of the part of each image that is used, in pixels; a multiple of 8."""


def main(images: Path, steps: int = 200) -> float:
    """Train, and return the share of training images that are classified correctly.

    Args:
        images: folder with a folder for each class.
        steps: number of optimizer steps.

    Returns:
        Accuracy on the training images, from 0 to 1.
    """
    classes = sorted(folder.name for folder in images.iterdir())
    paths = [(path, label) for label, name in enumerate(classes) for path in sorted((images / name).iterdir())]
    pixels = torch.stack([passband.read_image(path)[:, :SIDE, :SIDE] for path, _ in paths])  # B 3 96 96 in [0, 1]
    labels = torch.tensor([label for _, label in paths])

    # 192 channels: 64 frequencies of Y, Cb and Cr; then the published subset of 24 low ones
    cube = block_dct(jpeg_samples(pixels))[:, list(channel_subset("24S").indices())]  # B 24 12 12
    mean, std = cube.mean((0, 2, 3), keepdim=True), cube.std((0, 2, 3), keepdim=True)
    cube = (cube - mean) / (std + 1e-3)

    network = nn.Sequential(
        nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, len(classes))
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for step in range(steps):
        chosen = torch.randint(len(labels), (16,))
        loss = nn.functional.cross_entropy(network(cube[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 19:
            print(f"step {step + 1}: loss {loss.item():.3f}")
    with torch.no_grad():
        accuracy = float((network(cube).argmax(1) == labels).float().mean())
    print(f"{accuracy:.0%} of the training images are classified correctly")
    return accuracy


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
