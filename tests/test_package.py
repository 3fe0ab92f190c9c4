import pkgutil
import pydoc
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import passband
from passband import naming


def fresh(script):
    """What a script prints in an interpreter of its own."""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def test_every_module_is_an_attribute_after_a_bare_import():
    known = {module.name for module in pkgutil.iter_modules(passband.__path__)} - {"cli", "__main__"}
    for name in known:  # other tests have imported them already, so that getattr would not ask passband
        assert passband.__getattr__(name).__name__ == f"passband.{name}"
    assert known <= set(dir(passband))


def test_one_import_loads_nothing_heavy_and_is_enough_for_a_loop():
    heavy = {"torch", "numpy", "PIL", "pydantic", "importlib.metadata"}
    script = f"""
import sys, passband
print(sorted({heavy} & set(sys.modules)))
import torch
x = torch.rand(1, 3, 16, 16)
schedule = passband.curriculum.RatioSchedule(steps=4, start=0.5)
y = passband.curriculum.low_pass_ratio(x, schedule(0))
passband.losses.multiscale_loss([y], x)
passband.metrics.psnr(y, x)
passband.layers.ChannelGate(3)
print(passband.finetune.__name__, passband.as_tensor(x[0]).shape[0])
"""
    assert fresh(script).splitlines() == ["[]", "finetune 3"]


def test_restoring_loads_nothing_that_only_training_needs():
    heavy = {"torchvision", "scipy", "skimage", "pydantic", "accelerate", "matplotlib", "torch._dynamo"}
    script = f"""
import sys
from passband.inference import Restorer, plan_jobs, restore_files
from passband.inference.files.restoring import RestoreWork
from passband.scale import LocalProcesses, run_addresses
print(sorted({heavy} & set(sys.modules)))
"""
    assert fresh(script) == "[]"


def test_every_listed_name_is_there_and_every_public_name_is_listed():
    for name in dir(passband):
        assert getattr(passband, name) is not None
    beside = {"Any", "TYPE_CHECKING", "import_module", "cli", "jaxtyping"}  # the last is of the tests' own
    assert {name for name in vars(passband) if not name.startswith("_")} <= {*dir(passband), *beside}


def test_help_fits_on_a_page_and_names_what_there_is():
    shown = pydoc.plain(pydoc.render_doc(passband))
    assert len(shown.splitlines()) < 80
    for name in ("Restorer", "Classifier", "Segmenter", "InstanceFinder", "train", "finetune", "evaluate", "degrade"):
        assert name in shown


@pytest.mark.parametrize(
    ("wrong", "right"), [("Restorr", "Restorer"), ("curiculum", "curriculum"), ("loses", "losses")]
)
def test_a_misspelled_attribute_names_the_nearest(wrong, right):
    with pytest.raises(AttributeError, match=f"has no attribute '{wrong}'. Did you mean '{right}'"):
        getattr(passband, wrong)
    assert not hasattr(passband, "__wrapped__")


def test_the_type_checker_sees_the_same_names():
    lines = Path(passband.__file__).read_text(encoding="utf-8").splitlines()
    seen = {line.rsplit(" as ", 1)[1] for line in lines if line.startswith("    from passband") and " as " in line}
    assert seen == set(dir(passband)) - {"__version__"}


def test_the_version_is_the_one_of_the_project():
    project = Path(__file__).parents[1] / "pyproject.toml"
    assert passband.__version__ == tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]


def test_a_source_checkout_that_is_not_installed_has_the_version_of_the_project(monkeypatch):
    def not_installed(name):
        raise metadata.PackageNotFoundError(name)

    checkout = Path(__file__).parents[1]
    monkeypatch.setattr(metadata, "version", not_installed)
    monkeypatch.setattr(naming, "__file__", str(checkout / "src" / "passband" / "naming.py"))
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    assert naming.package_version() == project["project"]["version"]
    monkeypatch.setattr(naming, "__file__", "/elsewhere/src/passband/naming.py")
    assert naming.package_version() == "unknown"
