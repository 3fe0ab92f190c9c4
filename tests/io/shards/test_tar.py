"""Tar files as the standard library and the package webdataset read and write them."""

import io
import tarfile

import pytest

from passband.io.shards.tar import ShardError, TarWriter, read_members

NAMES = ["a.jpg", "deep/er/b c.png", "päper/ü.cls", "x" * 150 + ".jpg", "line\nbreak.png", "-~#?.png"]


def written(path, members):
    with path.open("wb") as file:
        tar = TarWriter(file)
        made = [tar.add(name, content) for name, content in members]
        tar.end()
    return made


def test_members_of_any_name_and_length_are_where_the_writer_says(tmp_path):
    members = [(name, bytes([number]) * (511 + number)) for number, name in enumerate(NAMES)] + [("empty.txt", b"")]
    made = written(tmp_path / "a.tar", members)
    data = (tmp_path / "a.tar").read_bytes()
    assert [data[one.offset : one.offset + one.size] for one in made] == [content for _, content in members]
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {one.name: tar.extractfile(one).read() for one in tar} == dict(members)
    found = read_members(tmp_path / "a.tar", "a.tar")
    assert [(one.name, one.offset, one.size) for one in found] == [(one.name, one.offset, one.size) for one in made]
    assert len(data) % 10240 == 0


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_files_of_other_programs_are_listed_without_folders_and_links(form, tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
        folder = tarfile.TarInfo("./deep")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "deep/a.jpg"
        tar.addfile(link)
        file = tarfile.TarInfo("./deep/a.jpg")
        file.size = 3
        tar.addfile(file, io.BytesIO(b"abc"))
    (member,) = read_members(tmp_path / "a.tar", "a.tar")
    assert (member.name, member.size) == ("deep/a.jpg", 3)
    assert (tmp_path / "a.tar").read_bytes()[member.offset : member.offset + 3] == b"abc"


@pytest.mark.parametrize("kept", [0, 100, 600, 1024 + 512, 2048])
def test_an_incomplete_tar_file_is_refused_wherever_it_ends(kept, tmp_path):
    written(tmp_path / "a.tar", [("a.jpg", b"a" * 512), ("b.jpg", b"b" * 512)])
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:kept])
    with pytest.raises(ShardError, match=r"here/a\.tar is"):
        read_members(tmp_path / "a.tar", "here/a.tar")


def test_a_compressed_tar_file_is_refused_with_the_advice_to_unpack_it(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a.jpg"))
    with pytest.raises(ShardError, match="not an uncompressed tar file.*unpack it"):
        read_members(tmp_path / "a.tar", "a.tar")
