import numpy as np
import pytest
import torch
from PIL import Image

from passband.inference import Job, Restorer, demonstrate, plan_jobs, restore_files
from passband.io.image import read_picture, write_image
from passband.models import pick_device


@pytest.fixture(scope="module")
def identity(identity_weights):
    return Restorer(identity_weights, "cpu")


@pytest.fixture(scope="module")
def tiny(tiny_weights):
    return Restorer(tiny_weights, "cpu")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_pil_picture_comes_back_in_its_mode_with_its_pixels(identity, mode):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (13, 21, 4), dtype=np.uint8)).convert(mode)
    restored = identity(picture)
    assert restored.mode == mode
    np.testing.assert_array_equal(np.asarray(restored), np.asarray(picture))


@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 1), (9, 14, 2), (9, 14, 3), (9, 14, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_an_array_comes_back_in_its_shape_and_dtype_with_its_values(identity, shape, dtype):
    array = np.random.default_rng(0).random(shape)
    array = (array * np.iinfo(dtype).max).astype(dtype) if np.issubdtype(dtype, np.integer) else array.astype(dtype)
    restored = identity(array)
    assert restored.shape == array.shape
    assert restored.dtype == array.dtype
    # a float64 picture passes through float32
    np.testing.assert_allclose(restored, array, rtol=0, atol=1e-6 if dtype in (np.float32, np.float64) else 0)


@pytest.mark.parametrize("shape", [(3, 20, 33), (2, 3, 20, 33)])
def test_a_tensor_comes_back_in_its_shape(identity, shape):
    image = torch.rand(shape)
    torch.testing.assert_close(identity(image), image)


def test_a_path_gives_a_pil_picture(identity, tmp_path):
    image = torch.rand(3, 10, 12)
    write_image(tmp_path / "a.png", image)
    restored = identity(str(tmp_path / "a.png"))
    assert isinstance(restored, Image.Image)
    np.testing.assert_array_equal(np.asarray(restored), np.asarray(Image.open(tmp_path / "a.png")))


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (1, 40), (16, 16), (17, 31)])
def test_any_size_is_restored_within_the_range(tiny, size):
    restored = tiny(torch.rand(3, *size))
    assert restored.shape == (3, *size)
    assert restored.min() >= 0
    assert restored.max() <= 1


def test_padding_does_not_show_where_none_is_needed(tiny):
    image = torch.rand(1, 3, 24, 32)
    with torch.inference_mode():
        torch.testing.assert_close(tiny.restore(image), tiny.model(image)[-1].clamp(0, 1))


@pytest.mark.parametrize(
    ("thing", "error", "message"),
    [
        (torch.zeros(4, 5, 5), ValueError, r"3 H W or B 3 H W"),
        (torch.zeros(3, 5, 5, dtype=torch.uint8), ValueError, r"torch\.uint8"),
        (np.zeros((5, 5, 7)), ValueError, r"got shape \(5, 5, 7\)"),
        (np.zeros((5, 5), dtype=np.int64), ValueError, "got int64"),
        (3, TypeError, "int|3"),  # or what checks types while tests run
    ],
)
def test_another_kind_of_thing_is_refused_with_what_is_needed(tiny, thing, error, message):
    with pytest.raises(error, match=message):
        tiny(thing)


def test_too_little_memory_is_said_with_the_size(tiny, monkeypatch):
    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setattr("passband.inference.restore_batch", full)
    with pytest.raises(
        MemoryError, match=r"33x20 pixels in tiles of \d+ need more memory than cpu has free; choose a smaller tile"
    ):
        tiny(torch.rand(3, 20, 33))


def test_a_large_picture_is_restored_in_tiles_close_to_the_whole(tiny_weights, photograph):
    whole, tiled = Restorer(tiny_weights, "cpu"), Restorer(tiny_weights, "cpu", tile=384)
    image = photograph.repeat(1, 2, 1)  # 600 x 451
    difference = (whole(image) - tiled(image)).abs()
    assert 0 < difference.max() < 0.1
    with pytest.raises(ValueError, match="tile is at least 384 pixels"):
        Restorer(tiny_weights, "cpu", tile=100)


def test_a_device_that_is_not_here_is_refused():
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match="device 'warp' cannot be used here: .*; try auto or cpu"):
        pick_device("warp")


def test_files_keep_type_depth_and_metadata(identity, tmp_path):
    array = np.random.default_rng(0).integers(0, 65536, (9, 11), dtype=np.uint16)
    Image.fromarray(array).save(tmp_path / "deep.png")
    exif = Image.Exif()
    exif[0x010F] = "camera"
    Image.fromarray(np.zeros((9, 11, 3), np.uint8)).save(tmp_path / "photo.jpg", exif=exif)
    outcomes = list(restore_files(identity, plan_jobs([tmp_path], tmp_path / "out")))
    assert [outcome.status for outcome in outcomes] == ["restored", "restored"]
    deep = read_picture(tmp_path / "out" / "deep.png")
    assert (deep.meta.bits, deep.meta.gray) == (16, True)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "deep.png")), array)
    with Image.open(tmp_path / "out" / "photo.jpg") as photo:
        assert photo.getexif()[0x010F] == "camera"


class TestPlan:
    def test_a_file_goes_beside_itself_into_a_folder_or_to_a_name(self, tmp_path):
        photo = tmp_path / "a.jpg"
        photo.touch()
        assert plan_jobs([photo]) == [Job(photo, tmp_path / "a_restored.jpg")]
        assert plan_jobs([photo], tmp_path / "out") == [Job(photo, tmp_path / "out" / "a.jpg")]
        assert plan_jobs([photo], tmp_path / "b.png") == [Job(photo, tmp_path / "b.png")]

    def test_a_folder_keeps_its_tree_and_leaves_out_what_an_earlier_run_wrote(self, tmp_path):
        for name in ("a.png", "deep/b.JPG", "deep/notes.txt", ".hidden.png", "out/a.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        jobs = plan_jobs([tmp_path], tmp_path / "out")
        assert [job.target for job in jobs] == [tmp_path / "out" / "a.png", tmp_path / "out" / "deep" / "b.JPG"]
        assert plan_jobs([tmp_path])[0].target == tmp_path.with_name(f"{tmp_path.name}_restored") / "a.png"

    def test_a_glob_is_expanded(self, tmp_path):
        for name in ("a.png", "b.png", "c.jpg"):
            (tmp_path / name).touch()
        assert [job.source.name for job in plan_jobs([str(tmp_path / "*.png")], tmp_path / "out")] == ["a.png", "b.png"]

    def test_nothing_to_do_is_an_error(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no file, folder or match for .*missing"):
            plan_jobs([tmp_path / "missing.png"])
        with pytest.raises(FileNotFoundError, match="holds no pictures"):
            plan_jobs([tmp_path])

    def test_two_files_never_become_one(self, tmp_path):
        for folder in ("x", "y"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "a.png").touch()
        with pytest.raises(ValueError, match=r"x/a\.png and .*y/a\.png would both become"):
            plan_jobs([tmp_path / "x", tmp_path / "y"], tmp_path / "out")
        with pytest.raises(ValueError, match="would be replaced by its restored picture"):
            plan_jobs([tmp_path / "x"], tmp_path / "x" / ".." / "x")

    def test_a_folder_that_cannot_be_read_is_named(self, tmp_path, monkeypatch):
        def refused(self):
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr("pathlib.Path.iterdir", refused)
        with pytest.raises(PermissionError, match="Permission denied"):
            plan_jobs([tmp_path])


class TestFiles:
    def test_a_bad_file_is_named_and_the_others_are_done(self, identity, tmp_path):
        write_image(tmp_path / "in" / "a.png", torch.rand(3, 8, 8))
        (tmp_path / "in" / "b.png").write_text("this is text")
        (tmp_path / "in" / "c.jpg").touch()
        write_image(tmp_path / "in" / "d.png", torch.rand(3, 8, 8))
        outcomes = list(restore_files(identity, plan_jobs([tmp_path / "in"], tmp_path / "out")))
        assert [outcome.status for outcome in outcomes] == ["restored", "failed", "failed", "restored"]
        assert "b.png is not a" in outcomes[1].reason
        assert "c.jpg is empty" in outcomes[2].reason
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "d.png"]

    def test_done_files_are_skipped_unless_overwritten(self, identity, tmp_path):
        write_image(tmp_path / "a.png", torch.rand(3, 8, 8))
        jobs = plan_jobs([tmp_path / "a.png"], tmp_path / "out")
        assert [o.status for o in restore_files(identity, jobs)] == ["restored"]
        (tmp_path / "out" / "a.png").write_bytes(b"mine")
        assert [o.status for o in restore_files(identity, jobs)] == ["skipped"]
        assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"
        assert [o.status for o in restore_files(identity, jobs, overwrite=True)] == ["restored"]
        assert (tmp_path / "out" / "a.png").read_bytes() != b"mine"

    def test_compare_writes_before_and_after_side_by_side(self, tiny, tmp_path):
        write_image(tmp_path / "a.png", torch.rand(3, 20, 20))
        list(restore_files(tiny, plan_jobs([tmp_path / "a.png"], tmp_path / "out"), compare=True))
        both = read_picture(tmp_path / "out" / "a_compare.png").image
        assert both.shape == (3, 20, 44)
        torch.testing.assert_close(both[..., :20], read_picture(tmp_path / "a.png").image)
        torch.testing.assert_close(both[..., 24:], read_picture(tmp_path / "out" / "a.png").image)

    def test_a_full_disk_fails_each_file_by_name_and_leaves_nothing(self, identity, tmp_path, monkeypatch):
        write_image(tmp_path / "a.png", torch.rand(3, 8, 8))

        def full(self, data):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("pathlib.Path.write_bytes", full)
        (outcome,) = restore_files(identity, plan_jobs([tmp_path / "a.png"], tmp_path / "out"))
        assert outcome.status == "failed"
        assert outcome.reason.endswith("out/a.png: No space left on device")
        assert list((tmp_path / "out").iterdir()) == []

    def test_ctrl_c_leaves_no_half_file(self, identity, tmp_path, monkeypatch):
        write_image(tmp_path / "a.png", torch.rand(3, 8, 8))

        def interrupted(self, data):
            with self.open("wb") as file:
                file.write(data[:10])
            raise KeyboardInterrupt

        monkeypatch.setattr("pathlib.Path.write_bytes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(restore_files(identity, plan_jobs([tmp_path / "a.png"], tmp_path / "out")))
        assert list((tmp_path / "out").iterdir()) == []


def test_the_demonstration_says_both_figures_and_writes_a_row_per_kind(identity, tmp_path):
    gains = demonstrate(identity, tmp_path, ["haze", "rain"])
    assert list(gains) == ["haze", "rain"]
    assert all(before == pytest.approx(after, abs=1e-6) for before, after in gains.values())
    assert read_picture(tmp_path / "demo.png").image.shape == (3, 2 * 300 + 4, 3 * 451 + 8)
