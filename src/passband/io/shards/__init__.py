"""Reads folders of shards, which are tar files as the package webdataset writes them, as if they were folders of files.

`data_folder` returns a `ShardPath` for such a folder, on this machine or at an address. Its files are listed and read
like any others, by the paths that they had in the folder that was packed.
"""

from passband.io.shards.opening import data_folder, is_shards, location
from passband.io.shards.path import ShardPath
from passband.io.shards.tar import ShardError

__all__ = ["ShardError", "ShardPath", "data_folder", "is_shards", "location"]
