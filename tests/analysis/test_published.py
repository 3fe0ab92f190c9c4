import pytest

from passband.analysis.published import BENCHMARKS, beside_published, find_benchmark
from passband.metrics import PROTOCOLS


def test_every_benchmark_is_scored_by_a_protocol_that_exists_and_has_plausible_figures():
    assert len(BENCHMARKS) == 20
    for name, benchmark in BENCHMARKS.items():
        assert benchmark.name == name
        assert benchmark.protocol in PROTOCOLS
        assert benchmark.figures
        for psnr, ssim in benchmark.figures.values():
            assert 10 < psnr < 45
            assert ssim is None or 0.5 < ssim < 1


@pytest.mark.parametrize(
    ("name", "protocol", "window", "psnr"),
    [
        ("SOTS-Indoor", "sfnet", 246, 41.24),
        ("GoPro", "rgb", 80, 33.27),
        ("CSD", "sfnet", 200, 38.41),
        ("Rain100L", "y-matlab", None, 38.21),
        ("DPDD-dual", "rgb", None, 26.34),
    ],
)
def test_the_papers_rows_are_here(name, protocol, window, psnr):
    benchmark = find_benchmark(name)
    assert (benchmark.protocol, benchmark.pool_window, benchmark.figures["paper"][0]) == (protocol, window, psnr)


def test_a_name_is_found_in_any_case_and_a_wrong_one_names_the_nearest():
    assert find_benchmark("sots-INDOOR").name == "SOTS-Indoor"
    with pytest.raises(ValueError, match=r"unknown benchmark 'gopo'; did you mean 'GoPro'\?"):
        find_benchmark("gopo")


def test_differences_are_measured_minus_published_and_empty_where_nothing_was_published():
    paper, rerun = beside_published(find_benchmark("SRRS"), 32.0, 0.99)
    assert (paper["source"], rerun["source"]) == ("paper", "rerun")
    assert paper["psnr_difference"] == pytest.approx(-0.40)
    assert paper["ssim_difference"] == pytest.approx(0.01)
    assert rerun["psnr_difference"] == pytest.approx(-0.51)
    (only,) = beside_published(find_benchmark("RealBlur-J"), 26.0, 0.8)
    assert only["psnr_difference"] == pytest.approx(-0.24)
    assert only["ssim_difference"] is only["ssim_published"] is None
