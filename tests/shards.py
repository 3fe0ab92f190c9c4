"""Packs small folders into several shards, and reads files of folders of shards."""

from contextlib import ExitStack

from webdataset.tariterators import group_by_keys, tar_file_expander

from passband.data.shards import pack_folder
from passband.io.shards import data_folder


def packed(source, output, count=2, **options):
    """Pack a folder into shards of a few samples, and return the opened folder of shards."""
    pack_folder(source, output, count=count, **options)
    return data_folder(output)


def contents(folder):
    """Return the content of all files below a folder, by their paths."""
    found = {}
    waiting = [folder]
    while waiting:
        for path in waiting.pop().iterdir():
            if path.is_dir():
                waiting.append(path)
            else:
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def webdataset_samples(folder):
    """Return the samples of all tar files of a folder as webdataset reads them; its own data set leaves files open."""
    with ExitStack() as opened:
        urls = sorted(folder.glob("*.tar"))
        streams = [{"url": str(url), "stream": opened.enter_context(url.open("rb"))} for url in urls]
        return list(group_by_keys(tar_file_expander(streams)))
