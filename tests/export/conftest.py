"""Makes a small network of which every part affects the output."""

import pytest
import torch

from passband.models import SFNet


def make_network(**numbers):
    """Return a network with random modulation vectors and running statistics, which are 0 and 1 in a new network."""
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
    """Return a folder with the weights of the network."""
    folder = tmp_path_factory.mktemp("network")
    network.save_pretrained(folder)
    return folder
