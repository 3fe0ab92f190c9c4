import pytest

from passband.studies.report.answer import answer
from passband.studies.report.comparison import compare_cells
from tests.studies.report.records import made_record

TWO = {"loss.spectral_weight": [0, 0.1]}


def reply(folder, scientific=TWO, **options):
    return answer(made_record(folder, scientific, curves=False, **options))


def test_a_clear_winner_is_named_with_its_lead_its_interval_and_its_wins(tmp_path):
    record = made_record(tmp_path, TWO, effects=[0, 0.4], curves=False)
    given = answer(record)
    first = compare_cells(record).differences[0]
    assert given.is_decided
    assert given.winner == "loss.spectral_weight = 0.1"
    assert given.sentence == (
        f"`loss.spectral_weight = 0.1` is better than `0` by {first.best:.2f} dB (95 % interval "
        f"{first.interval.low:.2f} to {first.interval.high:.2f} dB) and wins at 8 of 8 equal points."
    )
    assert "`" not in given.lines[1]


def test_equal_cells_are_not_told_apart(tmp_path):
    given = reply(tmp_path, random=3)
    assert not given.is_decided
    assert given.sentence.startswith("These trials do not tell the cells apart: ")


def test_a_winner_over_some_cells_names_both_groups(tmp_path):
    given = reply(tmp_path, {"a.b": [1, 2, 3]}, effects=[0, 0.6, 0.61], noise=0.03)
    assert not given.is_decided
    assert "is better than `1`, but these trials do not tell it apart from" in given.sentence


def test_values_that_change_nothing_are_reported_so(tmp_path):
    given = reply(tmp_path, noise=0.0)
    assert given.sentence.startswith("All cells gave exactly the same PSNR")
    assert not given.is_decided


def test_a_figure_that_should_be_low_has_its_lowest_cell_as_winner(tmp_path):
    given = reply(tmp_path, effects=[0.4, 0], figure="loss")
    assert given.winner == "loss.spectral_weight = 0"
    assert given.difference > 0
    assert given.is_decided


def test_one_training_of_each_cell_is_called_luck(tmp_path):
    given = reply(tmp_path, effects=[0, 0.4], points=1, seeds=(1,), nuisance={})
    assert given.interval is None
    assert not given.is_decided
    assert "One training of each cell shows no spread, so this difference may be luck." in given.sentence


def test_seeds_are_the_sample_of_a_study_with_one_point(tmp_path):
    given = reply(tmp_path, effects=[0, 0.4], points=1, seeds=(1, 2, 3, 4), nuisance={})
    assert given.is_decided
    assert "equal point" not in given.sentence
    assert "one setting without any tuning, with 4 seeds, 300 steps each" in given.limits


def test_a_study_without_results_says_why(tmp_path):
    states = dict.fromkeys(range(32), "diverged") | {3: "failed"}
    assert reply(tmp_path, states=states).sentence == (
        "There is no answer, because no point gave a result with all of its seeds: 31 diverged and 1 failed."
    )


def test_a_cell_without_results_is_named(tmp_path):
    record = made_record(tmp_path, TWO, curves=False)
    states = {trial.number: "failed" for trial in record.trials if trial.cell == 0}
    given = reply(tmp_path, states=states)
    assert "is the only cell with a result" in given.sentence
    assert "No point of `0` gave a result." in given.sentence
    assert not given.is_decided


def test_an_unfinished_study_says_how_far_it_is_and_compares_equal_points(tmp_path):
    given = reply(tmp_path, effects=[0, 1.0], states=dict.fromkeys(range(22, 32), "waiting"))
    assert given.sentence.startswith("The study is not finished: 22 of 32 trials have ended. ")
    assert "the 5 points that ended in every cell" in given.sentence
    assert not given.is_decided
    nothing = reply(tmp_path, states=dict.fromkeys(range(1, 32), "waiting"))
    assert nothing.sentence.endswith("No point has ended in every cell yet, so there is no answer.")


def test_a_study_with_one_usable_point_shows_no_certainty(tmp_path):
    states = dict.fromkeys(range(4, 32), "diverged")
    given = reply(tmp_path, effects=[0, 1.0], states=states)
    assert given.interval is None
    assert "28 of 32 trials gave no result" in given.sentence


def test_many_infeasible_trials_are_mentioned(tmp_path):
    given = reply(tmp_path, effects=[0, 0.4], diverging=10**-2.6)
    assert "trials gave no result, so the nuisance ranges are partly unsuitable." in given.sentence


def test_an_unknown_figure_names_those_that_the_trials_report(tmp_path):
    with pytest.raises(ValueError, match="'ssim' is none of them; choose psnr, gain/rain, loss"):
        answer(made_record(tmp_path, TWO, curves=False), "ssim")


def test_a_nuisance_point_with_a_lost_seed_is_infeasible(tmp_path):
    record = made_record(tmp_path, TWO, curves=False, states={0: "diverged"})
    comparison = compare_cells(record)
    assert comparison.oriented[0, 0] == -float("inf")
    assert comparison.bests[0].infeasible == {"diverged": 1}
    assert comparison.points == 8


def test_the_best_points_are_those_of_the_record(tmp_path):
    record = made_record(tmp_path, {"a.b": [1, 2, 3]}, effects=[0, 0.3, 0.1], curves=False, diverging=5e-3)
    comparison = compare_cells(record)
    ranked = [(cell, comparison.bests[cell].point) for cell in comparison.order]
    assert ranked == [(cell, point) for cell, point, _ in record.best_points()]
