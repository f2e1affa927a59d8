import io

RUN = "seq2seq-aaaaa"
FAKE = """
def answer(plan, folder, code):
    return lambda line: f"{folder.name} {plan.recipe.name}: {line[::-1]}"
"""


def with_a_model(monkeypatch, tmp_path) -> None:
    (tmp_path / "fake_worker.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("turnaround.cli.try_.ANSWER", "fake_worker:answer")


def test_each_line_of_standard_input_is_answered(ask, trained, monkeypatch, tmp_path) -> None:
    trained(RUN)
    with_a_model(monkeypatch, tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("un\r\ndeux\n\ntrois"))
    said = ask("try", RUN)
    assert said.out == (
        f"{RUN} seq2seq: nu\n{RUN} seq2seq: xued\n{RUN} seq2seq: \n{RUN} seq2seq: siort\n"
    )
    assert (said.code, said.err) == (0, "")


def test_text_comes_before_standard_input(ask, trained, monkeypatch, tmp_path) -> None:
    trained(RUN)
    with_a_model(monkeypatch, tmp_path)
    assert ask("try", RUN, "--text", "ab", "-t", "cd").out == (
        f"{RUN} seq2seq: ba\n{RUN} seq2seq: dc\n"
    )


def test_a_run_without_a_checkpoint_says_so(ask, submit) -> None:
    submit(RUN)
    said = ask("try", RUN, "--text", "ab")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("CheckpointError: ")
