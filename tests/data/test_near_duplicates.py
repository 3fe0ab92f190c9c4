import numpy as np
import torch
from PIL import Image

from passband.data.near_duplicates import hash_distances, perceptual_hash, sequences_by_likeness
from tests.data.test_leaks import SCENES, pair


def test_sequences_are_pictures_alike_directly_or_through_others(tmp_path):
    pixels = SCENES["coffee"]
    cat, astronaut = (pair(tmp_path, name, Image.fromarray(SCENES[name])) for name in ("cat", "astronaut"))
    frames = [
        pair(tmp_path, f"frame{step}", Image.fromarray(np.roll(pixels, 3 * step, 1)[10:-10, 60:-60]))
        for step in range(4)
    ]
    mixed = [frames[0], cat, *frames[1:], astronaut]
    assert sequences_by_likeness(mixed) == ["frame0", "cat", "frame0", "frame0", "frame0", "astronaut"]
    assert sequences_by_likeness([]) == []


def test_distances_count_the_bits_that_differ():
    bits = torch.rand(7, 255, generator=torch.Generator().manual_seed(0)) < 0.5
    expected = [
        [sum(a != b for a, b in zip(one, other, strict=True)) for other in bits.tolist()] for one in bits[:3].tolist()
    ]
    assert hash_distances(bits[:3], bits).tolist() == expected


def test_the_hash_is_of_shape_and_not_of_brightness():
    thumbnail = torch.rand(32, 32, generator=torch.Generator().manual_seed(1))
    code = perceptual_hash(thumbnail)
    assert code.shape == (255,)
    assert torch.equal(perceptual_hash(0.4 * thumbnail + 0.3), code)
    assert torch.equal(perceptual_hash(1 - thumbnail), ~code)
