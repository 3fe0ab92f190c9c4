import re

import pytest
import torch

from passband.analysis.cost import macs
from passband.models import MODELS, build_model

SAID = re.compile(
    r"(?:(?P<millions>[\d.]+) M|(?P<exactly>\d[\d,]+)) parameters|(?P<gmacs>[\d.]+) GMAC(?: at (?P<side>\d+) x \d+)?"
)
COUNTED = [name for name, builder in MODELS.items() if SAID.search(builder.__doc__.split("\n")[0])]


def decimals(number):
    return len(number.partition(".")[2])


@pytest.mark.parametrize("name", COUNTED)
def test_a_builder_says_the_true_number_of_parameters_and_the_true_cost(name):
    with torch.device("meta"):
        model = build_model(name).eval()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    channels, side, _ = getattr(model, "input_shape", (3, 256, 256))
    for said in SAID.finditer(MODELS[name].__doc__.split("\n")[0]):
        if said["exactly"]:
            assert parameters == int(said["exactly"].replace(",", ""))
        elif said["millions"]:
            assert f"{parameters / 1e6:.{decimals(said['millions'])}f}" == said["millions"]
        else:
            size = int(said["side"] or side)
            assert f"{macs(model, (channels, size, size)) / 1e9:.{decimals(said['gmacs'])}f}" == said["gmacs"]


def test_most_builders_say_their_cost():
    assert len(COUNTED) > len(MODELS) / 2
