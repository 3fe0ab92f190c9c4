"""Packs folders of data sets into shards, which `io.shards` reads."""

from passband.data.shards.contents import CONTENTS, ContentError
from passband.data.shards.packing import Packed, PackError, pack_folder

__all__ = ["CONTENTS", "ContentError", "PackError", "Packed", "pack_folder"]
