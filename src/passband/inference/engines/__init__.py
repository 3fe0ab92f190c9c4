"""Engines that run networks: how they are loaded, chosen, checked for precision, and fed with tiles."""

from passband.inference.engines.loading import ENGINES, Engine, TorchEngine, load_engine

__all__ = ["ENGINES", "Engine", "TorchEngine", "load_engine"]
