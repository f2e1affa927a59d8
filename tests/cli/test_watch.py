import json

from turnaround.spec import Status

RUN = "seq2seq-aaaaa"


def test_a_run_that_is_over_is_told_at_once(ask, trained, submit) -> None:
    trained(RUN)
    submit("seq2seq-bbbbb", Status.FAILED, reason="out of memory", exit_code=1)
    assert ask("watch", RUN).code == 0
    assert ask("watch", RUN).out.startswith(f"\n{RUN} SUCCEEDED after 2m31s")
    failed = ask("watch", "seq2seq-bbbbb")
    assert (failed.code, failed.out) == (1, "")
    assert failed.err.startswith("\nseq2seq-bbbbb FAILED")


def test_joining_late_says_where_it_is_and_ends_with_it(
    ask, submit, journal, training, monkeypatch
) -> None:
    submit(RUN, Status.RUNNING)
    journal.append(RUN, *training())

    def end(*_: object) -> bool:
        """While it is watched."""
        journal.mark(RUN, Status.FAILED, "killed by SIGKILL", attempt=1, exit_code=3)
        return True

    monkeypatch.setattr("turnaround.cli.running.steer.PoolSteer.tend", end)
    said = ask("watch", RUN)
    assert said.code == 3
    assert said.out == f"{RUN} RUNNING\n{RUN} FAILED: killed by SIGKILL\n"
    assert said.err.startswith(f"\n{RUN} FAILED after")


def test_json_is_one_line_and_the_view_goes_to_standard_error(ask, trained) -> None:
    trained(RUN)
    said = ask("watch", RUN, "--json")
    assert said.out.count("\n") == 1
    assert json.loads(said.out)["values"]["test/bleu"] == 70.04
