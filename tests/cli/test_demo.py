def test_demo_without_a_job_restores_as_demo_restore_does(run, tmp_path, identity_weights):
    options = ("--kind", "haze", "--weights", identity_weights, "-o")
    alone = run("demo", *options, tmp_path / "alone")
    named = run("demo", "restore", *options, tmp_path / "named")
    assert (alone[0], named[0]) == (0, 0), alone[2] + named[2]
    assert alone[1].replace("alone", "named") == named[1]
    assert (tmp_path / "alone" / "demo.png").read_bytes() == (tmp_path / "named" / "demo.png").read_bytes()


def test_demo_refuses_options_before_the_name_of_the_job(run, tmp_path):
    status, _, err = run("demo", "-o", tmp_path, "restore")
    assert status == 2
    assert "unexpected extra argument" in err
    assert not list(tmp_path.iterdir())


def test_demo_help_lists_the_jobs(run):
    status, out, _ = run("demo", "--help")
    assert status == 0
    assert "restore" in out


def test_demo_classify_says_the_score_the_pictures_and_what_to_type_next(run, tmp_path, monkeypatch):
    from passband.demos import classification

    monkeypatch.setattr(classification, "COUNTS", (16, 6))
    status, out, err = run("demo", "classify", "-o", tmp_path / "demo", "--steps", 2, "--device", "cpu")
    assert status == 0, err
    assert "trains a network for 2 steps" in out
    assert "of 6 are classified correctly" in out
    assert f"passband classify IMAGES --weights {tmp_path / 'demo' / 'run'}" in out
    assert "passband train dct-small --data FOLDER" in out


def test_demo_curriculum_says_both_times_the_chart_and_what_to_type_next(run, tmp_path, monkeypatch):
    from passband.demos import curriculum

    monkeypatch.setattr(curriculum, "COUNTS", (8, 2))
    status, out, err = run("demo", "curriculum", "-o", tmp_path / "demo", "--steps", 2, "--device", "cpu")
    assert status == 0, err
    assert "trains a network twice, for 2 steps each" in out
    assert "the same steps took" in out
    assert "passband train segment-small --data FOLDER -o runs/mine" in out
