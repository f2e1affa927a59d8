import threading
import time
from dataclasses import replace

from turnaround.spec import Cluster, Status

RUN = "seq2seq-aaaaa"


def test_the_log_is_printed(ask, submit, journal) -> None:
    submit(RUN, Status.RUNNING)
    (journal.folder(RUN) / "log.txt").write_text("one\ntwo\nthree\n")
    assert ask("logs", RUN).out == "one\ntwo\nthree\n"
    assert ask("logs", RUN, "--tail", "2").out == "two\nthree\n"
    assert ask("logs", RUN, "-n", "0").out == ""


def test_a_run_that_printed_nothing_says_so(ask, submit, journal) -> None:
    submit(RUN)
    said = ask("logs", RUN)
    path = journal.folder(RUN) / "log.txt"
    assert (said.code, said.out) == (0, "")
    assert said.err == f"{RUN} has printed nothing yet (QUEUED): {path}\n"


def test_following_ends_with_the_run(ask, submit, journal) -> None:
    submit(RUN, Status.RUNNING)
    log = journal.folder(RUN) / "log.txt"

    def work() -> None:
        for line in ("one\n", "two\n"):
            time.sleep(0.1)
            with log.open("a") as file:
                file.write(line)
        journal.mark(RUN, Status.SUCCEEDED, exit_code=0)

    worker = threading.Thread(target=work)
    worker.start()
    assert ask("logs", RUN, "-f").out == "one\ntwo\n"
    worker.join()


def test_following_ends_with_the_process_of_an_inline_run(ask, submit, journal, plan) -> None:
    inline = replace(plan, cluster=Cluster("inline"))
    for run in (RUN, "seq2seq-bbbbb"):
        submit(run, Status.RUNNING, inline, owner="1:0.0")
    (journal.folder(RUN) / "log.txt").write_text("one\n")
    assert ask("logs", RUN, "-f").out == "one\n"
    assert ask("logs", "seq2seq-bbbbb", "-f").out == ""
    assert journal.run(RUN).status is Status.STOPPED
