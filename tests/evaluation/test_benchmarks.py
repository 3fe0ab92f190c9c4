import pytest

from passband.evaluation.benchmarks import BENCHMARKS, beside_published, find_benchmark
from passband.metrics import PROTOCOLS


def test_every_benchmark_is_scored_by_a_protocol_that_exists_and_has_plausible_figures():
    assert len(BENCHMARKS) == 22
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


@pytest.mark.parametrize(
    ("source", "figures"),
    [
        (
            "FSNet",
            {"SOTS-Indoor": (42.45, 0.997), "Haze4K": (34.12, 0.99), "CSD": (38.37, 0.99), "HIDE": (31.05, 0.941)},
        ),
        ("ConvIR-S", {"SOTS-Indoor": (41.53, 0.996), "O-Haze": (25.25, 0.784), "DPDD-single": (26.06, 0.81)}),
        ("ConvIR-B", {"SOTS-Indoor": (42.72, 0.997), "NH-HAZE": (20.66, 0.802), "CSD": (39.10, 0.99)}),
        ("ConvIR-L", {"Haze4K": (34.50, 0.99), "GoPro": (33.28, 0.963), "DPDD-single": (26.36, 0.82)}),
    ],
)
def test_the_rows_of_the_later_networks_are_here_and_rows_without_a_figure_are_not(source, figures):
    for name, figure in figures.items():
        assert BENCHMARKS[name].figures[source] == figure
    absent = {"FSNet": "O-Haze", "ConvIR-S": "GoPro", "ConvIR-B": "GoPro", "ConvIR-L": "HIDE"}
    assert source not in BENCHMARKS[absent[source]].figures


def test_a_name_is_found_in_any_case_and_a_wrong_one_names_the_nearest():
    assert find_benchmark("sots-INDOOR").name == "SOTS-Indoor"
    with pytest.raises(ValueError, match=r"unknown benchmark 'gopo'; did you mean 'GoPro'\?"):
        find_benchmark("gopo")


def test_differences_are_measured_minus_published_and_empty_where_nothing_was_published():
    paper, rerun, *others = beside_published(find_benchmark("SRRS"), 32.0, 0.99)
    assert (paper["source"], rerun["source"]) == ("paper", "rerun")
    assert paper["psnr_difference"] == pytest.approx(-0.40)
    assert paper["ssim_difference"] == pytest.approx(0.01)
    assert rerun["psnr_difference"] == pytest.approx(-0.51)
    assert [row["source"] for row in others] == ["FSNet", "ConvIR-S", "ConvIR-B"]
    (only,) = beside_published(find_benchmark("RealBlur-J"), 26.0, 0.8)
    assert only["psnr_difference"] == pytest.approx(-0.24)
    assert only["ssim_difference"] is only["ssim_published"] is None


NAMES = {
    "SOTS-Indoor": "1400_1",
    "SOTS-Outdoor": "0001_0.8_0.2",
    "Dense-Haze": "51_hazy",
    "I-Haze": "31_indoor_hazy",
    "O-Haze": "41_outdoor_hazy",
    "NH-HAZE": "51_hazy",
    "HIDE": "test/test-close-ups/10fromGOPR1001",
    "DPDD-single": "1P0A0917",
    "DPDD-dual": "1P0A0917",
    "Rain100L": "rain-001",
    "Rain100H": "1",
    "Test2800": "901_14",
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_pictures_are_those_of_a_benchmark_by_count_and_names(name):
    benchmark = BENCHMARKS[name]
    one = NAMES.get(name, "GOPR0384_11_00/000001" if name == "GoPro" else "1")
    assert benchmark.counts
    for count in benchmark.counts:
        assert benchmark.mismatch([one] * count) == ""
    wrong = benchmark.mismatch([one] * 10)
    assert wrong.startswith(f"{name} has ")
    assert wrong.endswith("images, and these data have 10")
    if benchmark.names:
        other = benchmark.mismatch([one] * (benchmark.counts[0] - 1) + ["holiday"])
        assert other == f"1 of these images have other names than those of {name}, such as holiday"
