import dataclasses
import io

import numpy as np
from PIL import Image

from passband.data.degradations.parts.camera import Camera, develop, sample_camera

PLAIN = Camera(1.0, 1.0, (1.0, 1.0, 1.0), 0.0, 0.0, 0.0, None)


def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((3, 37, 41), dtype=np.float32), rng.random((3, 37, 41), dtype=np.float32)


def test_drawn_parameters_lie_in_the_documented_ranges_and_shares():
    cameras = [sample_camera(np.random.default_rng([0, number])) for number in range(400)]
    for camera in cameras:
        assert 0.4 <= camera.exposure <= 1.6
        assert 0.7 <= camera.gamma <= 1.5
        assert all(0.87 <= factor <= 1.15 for factor in camera.balance)
        assert 0 <= camera.read_noise <= 0.02
        assert 0 <= camera.shot_noise <= 0.001
        assert 0 <= camera.sharpening <= 0.8
        assert camera.quality is None or 40 <= camera.quality <= 100
    assert 0.4 < np.mean([camera.exposure != 1 for camera in cameras]) < 0.6
    assert 0.23 < np.mean([camera.quality is not None for camera in cameras]) < 0.43


def test_a_plain_camera_changes_nothing():
    degraded, clean = pair()
    taken = develop(degraded, clean, PLAIN, np.random.default_rng(0))
    np.testing.assert_array_equal(taken[0], degraded)
    np.testing.assert_array_equal(taken[1], clean)


def test_exposure_and_color_reach_both_pictures_alike():
    same, _ = pair()
    camera = dataclasses.replace(PLAIN, exposure=0.7, gamma=1.2, balance=(1.1, 1.0, 0.9), sharpening=0.4)
    degraded, clean = develop(same, same, camera, np.random.default_rng(0))
    np.testing.assert_array_equal(degraded, clean)
    expected = np.clip(same[0] * np.float32(0.7 * 1.1), 0, 1) ** np.float32(1.2)
    unsharpened = develop(same, same, dataclasses.replace(camera, sharpening=0.0), np.random.default_rng(0))[1]
    np.testing.assert_allclose(unsharpened[0], expected, atol=1e-6)


def test_noise_has_the_stated_variance_and_spares_the_clean_picture():
    gray = np.full((3, 200, 200), 0.5, np.float32)
    camera = dataclasses.replace(PLAIN, read_noise=0.01, shot_noise=0.001)
    degraded, clean = develop(gray, gray, camera, np.random.default_rng(1))
    np.testing.assert_array_equal(clean, gray)
    assert abs(degraded.var() / (0.01**2 + 0.0005) - 1) < 0.03


def test_jpeg_is_that_of_the_file_format_and_of_the_degraded_picture_alone():
    degraded, clean = pair()
    taken, kept = develop(degraded, clean, dataclasses.replace(PLAIN, quality=50), np.random.default_rng(0))
    file = io.BytesIO()
    Image.fromarray((degraded.transpose(1, 2, 0) * 255).round().astype(np.uint8)).save(file, "JPEG", quality=50)
    np.testing.assert_allclose(taken.transpose(1, 2, 0) * 255, np.asarray(Image.open(file)), atol=1e-3)
    np.testing.assert_array_equal(kept, clean)
