import json

from tests.cli.test_cli import one_sentence


def test_the_list_has_all_kinds_with_license_size_cost_score_and_page(run, tmp_path):
    status, out, _ = run("weights", "list", "--folder", tmp_path)
    assert status == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith("  ")}
    assert "MIT" in lines["general"]
    assert "rain of a second generator +7.4 dB" in lines["general"]
    assert "Academic Public License (NC)" in lines["restormer-deraining"]
    for part in ("about 105 MB", "26.1 M", "154.9", "Test100 32.03 dB"):
        assert part in lines["restormer-deraining"]
    assert "SOTS-Indoor 42.72 dB / 0.997" in lines["convir-b-dehazing"]
    assert "https://github.com/swz30/Restormer/releases/tag/v1.0" in out
    assert "(NC): the license allows non-commercial use only." in out
    assert "The license of FSNet, ConvIR was not read at its source" in out


def test_a_part_of_the_list_is_printed_as_asked(run, tmp_path):
    status, out, _ = run("weights", "list", "--kind", "shipped", "--task", "derain", "--folder", tmp_path)
    assert status == 0
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert listed == ["name", "derain-small", "general"]
    status, out, _ = run("weights", "list", "--json", "--task", "denoise", "--folder", tmp_path)
    facts = {one["name"]: one for one in json.loads(out)}
    assert facts["nafnet-sidd-width64"]["scores"] == [{"set": "SIDD", "figures": {"psnr": 40.3, "ssim": 0.961}}]
    assert facts["restormer-denoising"]["commercial"] is False
    assert facts["restormer-denoising"]["is_installed"] is True
    status, out, _ = run("weights", "list", "--kind", "own", "--folder", tmp_path)
    assert (status, out) == (0, "There are no such weights. Leave out --task or --kind to see all.\n")


def test_a_package_that_is_missing_is_named_with_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setattr("passband.catalog.entries.find_spec", lambda name: None if "extra" in name else object())
    _, out, _ = run("weights", "list", "--kind", "published", "--folder", tmp_path)
    assert (
        "Restormer, MPRNet, MIRNet-v2, M3SNet need a package that is not installed: pip install spandrel_extra_arches"
        in out
    )
    _, out, _ = run("weights", "show", "restormer-deblurring", "--folder", tmp_path)
    assert "pip install spandrel_extra_arches\npassband restore photo.jpg --weights motion_deblurring.pth" in out


def test_one_entry_is_shown_with_its_license_and_the_commands_that_use_it(run, tmp_path):
    status, out, _ = run("weights", "show", "motion_deblurring.pth", "--folder", tmp_path)
    assert status == 0
    for line in (
        "license     Academic Public License: non-commercial use only",
        "license at  https://github.com/swz30/Restormer/blob/main/LICENSE.md",
        "fetch from  https://github.com/swz30/Restormer/releases/tag/v1.0",
        "scores      GoPro 32.93 dB / 0.950",
        "passband evaluate motion_deblurring.pth --data pairs/ --benchmark GoPro -o report/",
    ):
        assert line in out.splitlines()
    assert "passband compare general motion_deblurring.pth --data pairs/ -o both/" in out.splitlines()
    _, out, _ = run("weights", "show", "general", "--folder", tmp_path)
    assert "passband compare derain-small general --data pairs/ -o both/" in out.splitlines()
    _, out, _ = run("weights", "show", "inspector", "--folder", tmp_path)
    assert "passband inspect photo.jpg" in out
    _, out, _ = run("weights", "show", "convir-s-dehazing", "--folder", tmp_path)
    assert "license at  not read; see the page" in out


def test_mistakes_are_one_sentence_each(run, tmp_path):
    status, _, err = run("weights", "list", "--task", "hazy")
    assert one_sentence(status, err, "unknown task of weights 'hazy'", "dehaze")
    status, _, err = run("weights", "list", "--folder", tmp_path / "nowhere")
    assert one_sentence(status, err, "is no folder")
    status, _, err = run("weights", "show", "restormr-defocus", "--folder", tmp_path)
    assert one_sentence(status, err, "Did you mean 'restormer-defocus'")
