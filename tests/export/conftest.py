"""A small network of which every part matters."""

import pytest
import torch

from passband.models import SFNet


def make_network(**numbers):
    """A network with random modulation vectors and running statistics, which a fresh one has at zero and one."""
    torch.manual_seed(3)
    model = SFNet(**{"width": 16, "depth": 1, **numbers}).eval()
    for name, value in model.state_dict().items():
        if name.endswith((".high", ".low", "running_mean")):
            value.normal_(std=0.3)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    return model


@pytest.fixture(scope="session")
def network():
    return make_network()


@pytest.fixture(scope="session")
def network_weights(network, tmp_path_factory):
    """A folder with its weights."""
    folder = tmp_path_factory.mktemp("network")
    network.save_pretrained(folder)
    return folder
