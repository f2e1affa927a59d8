from turnaround.spec import Status

RUN = "seq2seq-aaaaa"


def test_runs_are_stopped_and_those_that_are_over_named(ask, submit, trained, journal) -> None:
    trained("seq2seq-bbbbb")
    submit(RUN)
    said = ask("stop", RUN, "seq2seq-bbbbb")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "seq2seq-bbbbb is over already: SUCCEEDED\n"
        f"{RUN} STOPPED: turnaround resume {RUN} continues it\n"
    )
    assert journal.run(RUN).reason == "stopped with turnaround stop"


def test_when_one_is_not_there_none_is_stopped(ask, submit, journal) -> None:
    submit(RUN)
    assert ask("stop", RUN, "nothing").code == 2
    assert journal.run(RUN).status is Status.QUEUED


def test_a_run_that_does_not_stop_is_a_matter_for_the_machine(ask, submit, monkeypatch) -> None:
    monkeypatch.setattr("turnaround.cli.verbs.stop.PATIENCE", 0.2)
    monkeypatch.setattr("turnaround.cli.running.steer.PoolSteer.stop", lambda *_: None)
    submit(RUN, Status.RUNNING)
    said = ask("stop", RUN)
    assert said.code == 3
    assert said.err == (
        f"LaunchError: {RUN} was asked to stop and is still RUNNING after 0 s\n"
        f"  → turnaround logs {RUN} says what it does; turnaround down ends it\n"
    )


def test_a_sweep_goes_on_by_a_verb_of_its_own(ask, submit, journal, monkeypatch) -> None:
    submit("sweep-aaaaa", Status.RUNNING)
    (journal.folder("sweep-aaaaa") / "sweep.json").write_text("{}")
    monkeypatch.setattr(
        "turnaround.cli.running.steer.SweepSteer.stop",
        lambda _, run, reason: journal.mark(run.id, Status.STOPPED, reason),
    )
    said = ask("stop", "sweep-aaaaa")
    assert said.out == ("sweep-aaaaa STOPPED: turnaround sweep --resume sweep-aaaaa continues it\n")
