import numpy as np
import pytest

from tests import clips, edits
from tests.joining import joined

MILLISECOND = 1e-3


def _tone(path):
    """Whether the loud tone before the first half second is heard."""
    times, wave = edits.heard(path)
    return np.abs(wave[times < 0.3]).max() > 0.1


@pytest.mark.parametrize(
    ("audio", "suffix"),
    [("aac", ".mp4"), ("aac", ".mov"), ("aac", ".mkv"), ("libopus", ".webm"), ("libopus", ".mkv"), ("flac", ".mkv")],
)
@pytest.mark.parametrize("begin", [0.0, 1.0])
def test_sound_and_pictures_stay_within_a_millisecond(tmp_path, audio, suffix, begin):
    source = edits.write_flash(tmp_path / "clip", 2.4, at=1.4, audio=audio)
    edits.with_edits(source, [(2.4 - begin, begin)])
    joined(source, target := tmp_path / f"out{suffix}")
    assert edits.apart(source) == pytest.approx(0, abs=MILLISECOND)
    assert edits.apart(target) == pytest.approx(0, abs=MILLISECOND)
    assert len(edits.heard(target)[1]) == len(edits.heard(source)[1])


@pytest.mark.parametrize(
    ("audio", "suffix"), [("aac", ".mp4"), ("aac", ".mkv"), ("libopus", ".webm"), ("flac", ".mkv")]
)
def test_what_an_edit_list_hides_stays_hidden(tmp_path, audio, suffix):
    source = edits.write_flash(tmp_path / "clip", 2.4, at=1.4, audio=audio)
    assert _tone(source)
    edits.with_edits(source, [(1.4, 1.0)])
    result = joined(source, target := tmp_path / f"out{suffix}")
    assert not _tone(target)
    assert edits.heard(target)[0][0] == pytest.approx(0, abs=MILLISECOND)
    assert clips.times(target) == clips.times(source)
    (note,) = result.notes
    assert note.endswith(
        f"packets are left out of stream 1 (audio {audio.removeprefix('lib')}): hidden by an edit list"
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("parts", [[(0.6, 0.0), (0.8, 1.2)], [(0.4, 1.6), (0.8, 0.8)], [(0.4, 0.0)] * 3])
def test_several_edits_are_joined_as_they_play(tmp_path, suffix, parts):
    source = edits.with_edits(edits.write_flash(tmp_path / "clip", 2.4, at=0.2), parts)
    joined(source, target := tmp_path / f"out{suffix}")
    assert clips.times(target) == clips.times(source)
    before, after = edits.heard(source), edits.heard(target)
    assert len(before[1]) == len(after[1])
    assert np.abs(before[0] - after[0]).max() < MILLISECOND


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_pause_before_the_first_edit_is_kept(tmp_path, suffix):
    source = edits.with_edits(edits.write_flash(tmp_path / "clip", 2.4, at=1.4), [(0.52, -1), (1.4, 1.0)])
    joined(source, target := tmp_path / f"out{suffix}")
    assert clips.times(target) == clips.times(source)
    assert edits.apart(target) == pytest.approx(0, abs=MILLISECOND)
    assert edits.heard(target)[0][0] > 0.49  # no more than the packet in which the edit begins


def test_sound_in_the_middle_of_a_packet_begins_at_the_right_sample_in_matroska(tmp_path):
    source = edits.with_edits(edits.write_flash(tmp_path / "clip", 2.4, at=1.4), [(1.4, 1.0)])
    joined(source, target := tmp_path / "out.mkv")
    np.testing.assert_array_equal(edits.heard(target)[1], edits.heard(source)[1])


def test_a_further_video_with_several_edits_is_left_out_with_a_note(tmp_path):
    first = clips.write_clip(tmp_path / "first.mp4", clips.even(50), audio=None)
    both = clips.with_further_video(tmp_path / "both.mp4", first, first)
    edits.with_edits(both, [(0.6, 0.0), (0.8, 1.2)])
    result = joined(both, tmp_path / "out.mp4")
    assert result.notes == (".mp4 cannot hold stream 1 (video h264), so it is left out",)
    assert clips.times(tmp_path / "out.mp4") == clips.times(both)
