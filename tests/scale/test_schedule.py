"""The schedule of workers, tried with workers that exist only in this process."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from passband.inference.files.pieces import Piece
from passband.scale.schedule import AHEAD, Event, WorkersError, run_pieces


@dataclass(frozen=True)
class Number(Piece):
    """A piece of work; `fate` says what becomes of the workers that get it, one after the other."""

    number: int
    fate: tuple[str, ...] = ()

    @property
    def path(self):
        return Path(f"{self.number}.png")

    def failed(self, reason):
        return f"failed: {reason}"


class Worker:
    def __init__(self, crew):
        self.crew, self.events, self.is_dead = crew, [Event("ready")], False

    def send(self, piece):
        fates = self.crew.fates.setdefault(piece.number, list(piece.fate))
        fate = fates.pop(0) if fates else "done"
        self.crew.log.append((piece.number, fate))
        if fate == "dies":
            self.events.append(Event("died", "killed"))
        elif fate == "dies at once":
            self.events[:] = [Event("died", "killed")]
        elif fate == "cannot":
            self.events[:] = [Event("broken", "no weights")]
        elif fate != "hangs":
            self.events.append(Event("result", piece.number))

    def kill(self):
        self.is_dead = True


class Crew:
    """Workers that answer in turn, the latest first, as the order of real ones is not known."""

    def __init__(self, size=2):
        self.size, self.log, self.fates, self.workers, self.closed = size, [], {}, [], 0

    def start(self, payload):
        self.workers.append(Worker(self))
        return self.workers[-1]

    def wait(self, workers, seconds):
        for worker in reversed(workers):
            if worker.events:
                return [(worker, worker.events.pop(0))]
        assert seconds is not None, "nobody has anything to say, for ever"
        return []

    def close(self):
        self.closed += 1


def run(pieces, crew=None, **options):
    crew = crew or Crew()
    return list(run_pieces(crew, str, pieces, **options)), crew


def test_each_piece_gets_one_result_and_the_workers_are_ended():
    results, crew = run([Number(number) for number in range(9)])
    assert sorted(results) == list(range(9))
    assert len(crew.workers) == 2
    assert crew.closed == 1


def test_the_order_is_kept_if_it_is_asked_for():
    pieces = [Number(0, ("dies",)), *map(Number, range(1, 9)), "known already"]
    assert run(pieces)[0] != [*range(9), "known already"]
    assert run(pieces, in_order=True)[0] == [*range(9), "known already"]


def test_results_that_are_known_already_start_no_worker():
    results, crew = run(["a", "b"])
    assert results == ["a", "b"]
    assert not crew.workers


def test_a_piece_whose_worker_dies_is_tried_once_more_by_another():
    results, crew = run([Number(0, ("dies",)), Number(1)], Crew(1))
    assert sorted(results) == [0, 1]
    assert len(crew.workers) == 2


def test_a_piece_that_kills_two_workers_fails_and_no_other_one_does():
    results, crew = run([Number(0, ("dies", "dies")), Number(1), Number(2)])
    assert sorted(map(str, results)) == ["1", "2", "failed: 0.png: the worker died 2 times (killed)"]
    assert [number for number, _ in crew.log].count(0) == 2


def test_a_worker_that_dies_while_it_starts_costs_no_piece_an_attempt():
    results, _ = run([Number(0, ("dies at once", "dies at once", "dies", "done"))], Crew(1))
    assert results == [0]


def test_workers_that_never_start_end_the_work_with_an_error():
    dying, broken = Crew(1), Crew(1)
    with pytest.raises(WorkersError, match="3 workers died while they started.*fewer --workers"):
        run([Number(0, ("dies at once",) * 9)], dying)
    with pytest.raises(WorkersError, match="no weights"):
        run([Number(0, ("cannot",))], broken)
    assert dying.closed == broken.closed == 1


def test_a_piece_that_hangs_fails_after_its_time_limit_and_its_worker_is_replaced():
    results, crew = run([Number(0, ("hangs",)), Number(1)], Crew(1), timeout=0.01)
    assert results[1] == 1
    assert "0.png: no progress for 0.01 s" in results[0]
    assert [worker.is_dead for worker in crew.workers] == [True, False]


def test_long_pieces_have_a_limit_of_their_own():
    class Long(Number):
        is_long = True

    (result,), _ = run([Long(0, ("hangs",))], timeout=None, long_timeout=0.01)
    assert "no progress" in result


@pytest.mark.parametrize("in_order", [False, True])
def test_pieces_are_taken_only_when_a_worker_is_free(in_order):
    taken = 0

    def many():
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield Number(number, ("hangs",) if number == 0 else ())

    crew = Crew(2)
    results = run_pieces(crew, str, many(), in_order=in_order, timeout=0.5)
    done = [next(results) for _ in range(5)]
    assert taken <= len(done) + AHEAD * crew.size + crew.size
    results.close()
    assert crew.closed == 1
