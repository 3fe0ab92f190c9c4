"""Reads the curves of the best trial of each cell, and judges them."""

from passband.runs import read_tables
from passband.studies.report.comparison import Comparison
from passband.studies.report.search_charts import Training, shown_cells
from passband.studies.report.verdicts import judge_curve


def best_trainings(comparison: Comparison) -> list[Training]:
    """Return the best trial of each of the best cells, with its curves and a verdict.

    If a point was trained with several seeds, the trial with the middle figure stands for it. Trials without any
    validation on disk are left out.

    Args:
        comparison: cells of the study, compared by one figure.
    """
    trainings = []
    for cell in shown_cells(comparison):
        point = comparison.bests[cell].point
        if point is None:
            continue
        trial = comparison.middle_trial(cell, point)
        trained, validated = read_tables(trial.run)
        if comparison.figure.name in validated:
            steps, values = validated[comparison.figure.name]
            loss_steps, losses = trained.get("loss", ((), ()))
            last = max([*steps, *loss_steps, 1])
            verdict = judge_curve(
                [comparison.figure.sign * value for value in values], losses, [step / last for step in loss_steps]
            )
            trainings.append(Training(cell, trial.number, validated, trained, verdict))
    return trainings
