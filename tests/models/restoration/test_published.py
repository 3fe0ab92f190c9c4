import importlib
import warnings

import pytest
import torch

from passband.analysis.cost import macs
from passband.models import MODELS, load_model
from passband.models.restoration.published import (
    network_by_markers,
    published_file_hint,
    published_network,
    published_networks,
)
from passband.state_dicts import CheckpointError


def entries():
    """Pairs of a published network and weights of it that were counted."""
    return [(network, one) for network in published_networks() for one in network.weights if one.network]


def build(network):
    """The published network without values, as the entry describes it."""
    arguments = dict(network)
    builder = arguments.pop("builder")
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore", FutureWarning)  # torchvision, which some of them import, is older than torch
        if builder in MODELS:
            return MODELS[builder](**arguments)
        module, name = builder.rsplit(".", 1)
        return getattr(importlib.import_module(module), name)(**arguments)


@pytest.mark.parametrize("builder", sorted({one.network["builder"] for _, one in entries()}))
def test_the_parameters_of_published_weights_are_those_of_their_networks(builder):
    counted = {}
    for _, one in entries():
        if one.network["builder"] == builder and str(one.network) not in counted:
            counted[str(one.network)] = sum(value.numel() for value in build(one.network).parameters())
        if one.network["builder"] == builder:
            assert one.parameters == counted[str(one.network)], one.name
            assert one.bytes == 4 * one.parameters


@pytest.mark.parametrize("name", ["convir-s-dehazing", "nafnet-gopro-width32", "mprnet-deraining", "m3snet-width32"])
def test_the_multiply_accumulates_of_published_weights_are_counted(name):
    (found,) = [one for _, one in entries() if one.name == name]
    assert round(macs(build(found.network), (3, 256, 256)) / 1e9, 1) == found.gmacs


def test_every_entry_says_where_its_facts_were_read():
    names = []
    for network in published_networks():
        assert network.page.startswith("https://")
        assert network.license_source.startswith("https://") or network.package == "passband"
        assert network.commercial or "non-commercial use only" in network.license_words
        for one in network.weights:
            names.append(one.name)
            assert one.page.startswith("https://")
            assert one.tasks
            assert one.source.startswith("https://") == bool(one.scores)
            assert bool(one.figures_of) == bool(one.sets)
            assert not (one.figures_of and one.scores)
    assert len(names) == len(set(names))


def test_a_network_is_found_by_its_architecture_or_by_entries_of_its_weights():
    restormer = published_network("Restormer")
    assert restormer is not None
    assert restormer.license_words == "Academic Public License, non-commercial use only"
    assert published_network("Nobody's") is None
    assert network_by_markers([*restormer.markers, "output.weight"]) is restormer
    assert network_by_markers([f"module.{name}" for name in restormer.markers]) is restormer
    assert network_by_markers(restormer.markers[:1]) is None


@pytest.mark.parametrize("name", ["deraining.pth", "weights/Deraining.pth", "restormer-deraining"])
def test_a_published_file_that_is_not_here_is_named_with_its_page_and_license(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    with pytest.raises(CheckpointError, match=r"No weights named .*published for Restormer \(Academic .*releases/tag"):
        load_model(name)
    assert published_file_hint("general") == published_file_hint("") == published_file_hint(tmp_path) == ""
