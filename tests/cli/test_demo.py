import pytest

from passband.demos import restoration


@pytest.fixture
def called(monkeypatch, identity_weights):
    """The arguments of each demonstration of restoration, which is not run."""
    calls = []

    def stand_in(restorer, output, kinds, **options):
        calls.append((type(restorer).__name__, output, kinds, options))
        return {"haze": (10.0, 12.5)}

    monkeypatch.setattr(restoration, "demonstrate", stand_in)
    return calls


def test_demo_without_a_job_restores_as_demo_restore_does(run, called, tmp_path, identity_weights):
    options = ("--kind", "haze", "--weights", identity_weights, "-o", tmp_path)
    alone = run("demo", *options)
    named = run("demo", "restore", *options)
    assert (alone[0], named[0]) == (0, 0), alone[2] + named[2]
    assert alone[1] == named[1]
    assert "gain +2.50 dB" in alone[1]
    assert called == 2 * [("Restorer", tmp_path, ["haze"], {"seed": 1})]


def test_demo_refuses_options_before_the_name_of_the_job(run, tmp_path):
    status, _, err = run("demo", "-o", tmp_path, "restore")
    assert status == 2
    assert "unexpected extra argument" in err
    assert not list(tmp_path.iterdir())


def test_demo_help_lists_the_jobs(run):
    status, out, _ = run("demo", "--help")
    assert status == 0
    assert all(name in out for name in ("restore", "classify", "segment", "detect", "curriculum"))
