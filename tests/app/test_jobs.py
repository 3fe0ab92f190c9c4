"""Named pipes are files whose reader hangs until somebody writes, so they hold a worker for as long as a test needs."""

import asyncio
import multiprocessing
import os
import time

import pytest
from PIL import Image

from passband.app.html.results import status
from passband.app.work.jobs import CANCELED, Job, Jobs, Queue, note_progress
from passband.app.work.restoration import InspectRequest, RestoreRequest
from passband.app.work.restoring import Moment
from passband.inference.files.restoring import ImageProgress


@pytest.fixture
def jobs():
    served = Jobs(1, 600, 5)
    yield served
    served.close()
    assert not multiprocessing.active_children()


@pytest.fixture
def hanging(tmp_path):
    """Return a request whose work never ends."""
    pipe = tmp_path / "hanging.png"
    os.mkfifo(pipe)
    return InspectRequest(pipe)


@pytest.fixture
def quick(tmp_path):
    """Return a request whose work takes a moment."""
    path = tmp_path / "one.png"
    Image.new("RGB", (40, 30)).save(path)
    return InspectRequest(path)


def wait_until(condition):
    """Wait for a condition, for as long as a slow machine needs."""
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def followed(jobs, *one):
    """Follow jobs to their ends."""

    async def follow():
        async for _ in jobs.follow(*one):
            pass

    asyncio.run(follow())


def test_a_queue_without_jobs_sleeps(jobs, monkeypatch):
    wait_until(lambda: jobs.free == 1)
    rounds = []
    serve = Jobs._serve_once
    monkeypatch.setattr(Jobs, "_serve_once", lambda self: (rounds.append(1), serve(self)))
    time.sleep(1)
    assert len(rounds) < 20  # one every half second; a queue that does not sleep makes thousands


def test_each_person_in_turn_gets_one_of_the_next_jobs(quick):
    queue = Queue()
    for person in ("many", "many", "many", "one", "two", "two"):
        queue.add(Job(person, quick))
    assert [job.person for job in queue.in_order()] == ["many", "one", "two", "many", "two", "many"]
    taken = []
    while (job := queue.take()) is not None:
        taken.append(job.person)
    assert taken == ["many", "one", "two", "many", "two", "many"]
    assert len(queue) == 0


def test_a_job_that_somebody_adds_later_starts_before_the_rest_of_another_person(quick):
    queue = Queue()
    for _ in range(100):
        queue.add(Job("many", quick))
    queue.take()
    late = Job("late", quick)
    queue.add(late)
    assert queue.in_order().index(late) == 1
    queue.remove(late)
    assert late not in queue.in_order()


def test_a_canceled_job_frees_its_worker_for_the_next_one(jobs, hanging, quick):
    first, second = jobs.submit("a", hanging), jobs.submit("b", quick)
    wait_until(lambda: first.state == "running")
    assert second.state == "waiting"
    jobs.cancel(first)
    followed(jobs, second)
    assert (first.state, first.error) == ("failed", CANCELED)
    assert second.state == "done"
    assert second.result["file"] == "one.png"


def test_a_job_that_takes_too_long_fails_and_the_next_one_runs(hanging, quick):
    jobs = Jobs(1, 0.5, 5)
    try:
        job = jobs.submit("a", hanging)
        followed(jobs, job)
        assert "hanging.png took longer than 0.5 seconds, the limit of this page" in job.error
    finally:
        jobs.close()


def test_a_job_that_is_expected_to_take_too_long_is_told_of_the_limit_of_its_page(jobs, hanging):
    job = jobs.submit("a", hanging)
    wait_until(lambda: job.state == "running")
    texts = []
    for seconds in (60.0, 700.0):
        note_progress(job, ImageProgress(0.5, seconds))
        jobs._estimate(job, job.started)
        texts.append(status(Moment((job,), (), (), False)))
    assert "about 60 seconds left</span>.</p>" in texts[0]
    assert "about 12 minutes left</span>. This page ends the work on a file after 10 minutes.</p>" in texts[1]


def test_times_of_other_networks_do_not_count(quick):
    auto, general = (RestoreRequest(quick.source, quick.source.parent, weights) for weights in ("auto", "general"))
    assert auto.kind != general.kind
    assert quick.kind == ("InspectRequest", "")


def test_a_worker_that_dies_costs_its_job_and_no_other(jobs, hanging, quick):
    first, second = jobs.submit("a", hanging), jobs.submit("a", quick)
    wait_until(lambda: first.state == "running")
    for process in multiprocessing.active_children():
        process.kill()
    followed(jobs, first, second)
    assert "hanging.png stopped the program that worked on it (killed by the system" in first.error
    assert second.state == "done"


def test_a_job_that_nobody_follows_any_longer_is_canceled(jobs, hanging, monkeypatch):
    monkeypatch.setattr("passband.app.work.jobs.UNSEEN", 0.2)
    job = jobs.submit("a", hanging)
    wait_until(lambda: job.is_over)
    assert job.error == CANCELED


def test_all_jobs_of_a_person_who_leaves_are_canceled(jobs, hanging, quick):
    gone = [jobs.submit("gone", hanging), jobs.submit("gone", hanging)]
    wait_until(lambda: gone[0].state == "running")
    other = jobs.submit("other", quick)
    jobs.cancel_person("gone")
    followed(jobs, other)
    assert [job.error for job in gone] == [CANCELED] * 2
    assert other.state == "done"


def test_the_end_of_a_job_is_told_even_if_it_comes_while_its_follower_is_busy(jobs, quick):
    job, states = jobs.submit("a", quick), []

    async def follow():
        async for (one,) in jobs.follow(job):
            states.append(one.state)
            while not one.is_over:
                await asyncio.sleep(0.02)

    asyncio.run(follow())
    assert states[-1] == "done"


def test_a_full_queue_refuses_further_jobs(jobs, hanging):
    kept = [jobs.submit("a", hanging)]
    wait_until(lambda: kept[0].state == "running")
    kept += [jobs.submit("a", hanging) for _ in range(5)]
    refused = jobs.submit("a", hanging)
    assert refused.error == "5 files are waiting already. Please try again in a few minutes."
    assert not any(job.is_over for job in kept)


def test_errors_name_the_file_and_no_folder(jobs, tmp_path):
    folder = tmp_path / "token" / "in" / "1"
    folder.mkdir(parents=True)
    (folder / "broken photo.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    (folder / "notes.txt").write_text("hello")
    broken, notes = (jobs.submit("a", InspectRequest(path)) for path in sorted(folder.iterdir()))
    followed(jobs, broken, notes)
    assert broken.error.startswith("broken photo.png")
    assert notes.error.startswith("notes.txt is no image that passband reads")
    assert str(tmp_path) not in broken.error + notes.error
