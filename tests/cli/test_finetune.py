import csv

import pytest
import torch

from passband.data.degradations import degrade_files
from passband.models import load_model
from passband.runs import read_run
from tests.cli.test_cli import one_sentence

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard"),
    pytest.mark.usefixtures("without_charts"),
]


def test_it_prints_each_held_out_pair_and_the_mean_and_goes_on(run, tmp_path, photographs, tiny_weights):
    list(degrade_files(photographs, tmp_path / "pairs", "haze"))
    status, out, _ = run(
        *("finetune", "--from", tiny_weights, "--data", tmp_path / "pairs", "-o", tmp_path / "run"),
        *("--steps", 2, "--crop", 32, "--seed", 1, "--learning-rate", 1e-3, "--device", "cpu"),
    )
    assert status == 0
    lines = out.splitlines()
    assert lines[0].startswith("3 pairs to learn from, 1 held out: ")
    held_out = lines[0].split(": ")[1]
    assert "rate 0.001" in lines[1]
    assert lines[2] == "held out                 degraded -> before -> after"
    assert lines[3].startswith(held_out)
    assert lines[4].startswith("mean of 1 (rgb)")
    assert lines[4].count(" -> ") == 4
    with (tmp_path / "run" / "validation.csv").open(newline="") as file:
        scores = {row["step"]: float(row["psnr"]) for row in csv.DictReader(file)}
    assert len(scores) == len({*scores.values()}) > 1
    best = max(scores, key=scores.__getitem__)
    kept = "No improvement, so the original weights were kept."
    assert f"Finished after 2 steps. {f'The best weights are those of step {best}.' if int(best) else kept}" in out
    assert str(tmp_path / "run" / "weights" / "best") in out
    assert f"Curves: {tmp_path / 'run' / 'curves.png'}" in out
    assert load_model(tmp_path / "run" / "weights" / "best")(torch.rand(1, 3, 16, 16))
    status, again, _ = run("finetune", "-o", tmp_path / "run", "--resume", "--device", "cpu")
    assert status == 0
    assert again.splitlines()[1:3] == lines[3:5]


def test_mistakes_are_one_sentence_each(run, tmp_path, photographs):
    status, _, err = run("finetune")
    assert one_sentence(status, err, "--data is needed: a folder of pairs")
    status, _, err = run("finetune", "-o", tmp_path / "run")
    assert one_sentence(status, err, "--data is needed: a folder of pairs")
    status, _, err = run("finetune", "--data", photographs, "-o", tmp_path / "run")
    assert one_sentence(status, err, "holds no pairs of images")
    status, _, err = run("finetune", "-o", tmp_path / "run", "--resume")
    assert one_sentence(status, err, "holds no run")
    numbers = [(name, 2) for name in ("--epochs", "--steps", "--seed", "--minutes", "--learning-rate")]
    texts = [("--crop", 32), ("--set", "data.batch=1"), ("--from", "general"), ("--validation-data", tmp_path)]
    for given in (*numbers, *texts, ("--recipe", "derain")):
        status, _, err = run("finetune", "-o", tmp_path / "run", "--resume", *given)
        assert one_sentence(status, err, f"a resumed run keeps its settings: leave out {given[0]}")
    status, _, err = run("finetune", "--data", photographs, "--recipe", "derain", "--minutes", 2)
    assert one_sentence(status, err, "leave out --minutes")
    list(degrade_files(photographs, tmp_path / "pairs", "haze"))
    status, _, err = run("finetune", "--from", "generl", "--data", tmp_path / "pairs", "-o", tmp_path / "run")
    assert one_sentence(status, err, "No weights named 'generl'")
    status, _, err = run(
        "finetune", "--data", tmp_path / "pairs", "-o", tmp_path / "run", "--set", "model.name=convir-s"
    )
    assert one_sentence(status, err, "model.name cannot be changed, because the weights to start from decide")
    assert not (tmp_path / "run").exists()


def test_crop_rate_and_seed_also_change_a_recipe(run, tmp_path, photographs, tiny_weights):
    list(degrade_files(photographs, tmp_path / "pairs", "haze"))
    (tmp_path / "tiny.toml").write_text(
        'name = "tiny"\n[data]\nsource = "pairs"\ncrop = 32\nbatch = 2\nworkers = 0\n[optim]\nsteps = 9\n'
        "[validation]\ncount = 1\ncrop = 32\n"
    )
    status, _, err = run(
        *("finetune", "--from", tiny_weights, "--data", tmp_path / "pairs", "-o", tmp_path / "run", "--device", "cpu"),
        *("--recipe", tmp_path / "tiny.toml", "--steps", 1, "--crop", 48, "--learning-rate", 0.002, "--seed", 5),
    )
    assert status == 0, err
    recipe = read_run(tmp_path / "run")["recipe"]
    assert (recipe.optim.steps, recipe.data.crop, recipe.optim.learning_rate, recipe.seed) == (1, 48, 0.002, 5)
