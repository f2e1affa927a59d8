"""`turnaround plan --target`: from runs in the journal to the point that pays."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import PLAN
from turnaround.cli.verdicts import verdict, worth
from turnaround.cli.words.arguments import Sought
from turnaround.errors import ConfigError, LaunchError, PlanError
from turnaround.forecast.past import read
from turnaround.forecast.speed import Size, Speeds
from turnaround.journal import Journal
from turnaround.launch import speed
from turnaround.spec import Data, Event, Inventory, Layout, Plan, Status, Update

NOISE = {"noise/scale": 200.0, "noise/low": 150.0, "noise/high": 260.0}


def events(plan: Plan, each: float, noise: bool = True) -> list[Event]:
    """A run of 300 steps whose BLEU rises by ten every hundred."""
    told: list[tuple[str, dict[str, Any]]] = []
    for step in (1, 100, 200, 300):
        rows = {"build": 1.0, "compute": each * step, "communicate": 0.1 * each * step}
        told.append(("ledger", {"step": step, "began": 0.0, "rows": rows}))
        values = {"loss": 3 - step / 200, "bleu": step / 10}
        told.append(("metrics", {"split": "valid", "step": step, "values": values}))
        if noise:
            told.append(("metrics", {"split": "train", "step": step, "values": NOISE}))
    return [Event(kind, data, time.time(), attempt=1) for kind, data in told]


@pytest.fixture
def known(journal: Journal, submit: Callable[..., Any]) -> Callable[..., None]:
    """A run of that batch on that many devices."""

    def make(
        run: str, batch: int, each: float, devices: int = 1, noise: bool = True, accumulate: int = 1
    ) -> None:
        layout = Layout("ddp", devices) if devices > 1 else Layout()
        update = Update(accumulate=accumulate)
        plan = replace(PLAN, data=Data(batch=batch), layout=layout, update=update)
        submit(run, Status.SUCCEEDED, plan)
        journal.append(run, *events(plan, each, noise))

    return make


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], float]]:
    """What probes were asked for; each finds a tenth of a second, and a millisecond an example."""
    asked: list[tuple[list[int], float]] = []

    def measured(plan: Plan, root: Path, counts: list[int], seconds: float, heard: Any) -> Speeds:
        asked.append((counts, seconds))
        sizes = [
            Size(count, batch, 0.1 + batch / count / 1000, 0.0, 10**9)
            for count in counts
            for batch in (32, 64, 128)
        ]
        return Speeds(sizes, most=16)

    monkeypatch.setattr(speed, "measured", measured)
    monkeypatch.setattr(speed, "counts", lambda plan, most: [1, 2][:most])
    return asked


def said(journal: Journal, have: int = 4, **wish: Any) -> str:
    return "\n".join(worth.answer(PLAN, journal, Inventory(have, 0), Sought(**wish)))


def test_a_run_tells_of_steps_noise_and_scores() -> None:
    told = read(PLAN, events(PLAN, 0.02))
    assert told.step is not None
    assert told.step.seconds == pytest.approx(0.022)
    assert told.step.wait == pytest.approx(0.002)
    assert told.scale is not None
    assert told.scale.middle == 200
    assert told.reached("bleu", 15.0, up=True) == pytest.approx(150)
    assert told.reached("loss", 2.25, up=False) == pytest.approx(150)
    assert told.reached("bleu", 31.0, up=True) is None
    assert told.best("bleu", up=True) == 30


def test_a_target_of_a_score_that_falls_is_reached_from_above(
    journal: Journal, submit: Callable[..., Any]
) -> None:
    submit("seq2seq-aaaaa", Status.SUCCEEDED, PLAN)
    told = events(PLAN, 0.02)
    for event in told:
        if event.data.get("split") == "valid":
            event.data["values"]["perplexity"] = 20 - event.data["step"] / 20
    journal.append("seq2seq-aaaaa", *told)
    assert "perplexity 10 after 200 steps of 64" in said(journal, target="perplexity=10")


def test_the_front_and_the_words_of_the_best(journal: Journal, known: Callable[..., None]) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    known("seq2seq-bbbbb", 128, 0.036)
    known("seq2seq-ccccc", 128, 0.022, devices=2)
    text = said(journal, target="bleu=20", devices=8)
    assert "bleu 20 after 200 steps of 64; 3 timed runs, of up to 2 devices" in text
    assert "noise       scale 200 examples (150–260)" in text
    assert "fewer than 1/1.6 of the steps of 64" in text  # larger batches took as many
    assert "more than 2 devices were never timed" in text
    assert "layout=ddp layout.replicate=" in text.splitlines()[-1]
    assert text.count("→") == 1


def test_a_deadline_nobody_meets_shows_the_nearest(
    journal: Journal, known: Callable[..., None]
) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    text = said(journal, target="bleu=20", by="1s")
    assert "\nnearest " in text
    assert "→" not in text


UNLIKE: list[tuple[dict[str, Any], str, str]] = [
    ({"data": Data(whole=True)}, "data.batch=all (data.whole=true) leaves no", "data.batch=64"),
    ({"data": Data(grow=16)}, "data.grow=16 chooses the batch while it trains", "data.grow=1, or"),
    ({"update": Update("local", groups=2)}, "update=local draws a curve of its", "update=sync"),
    ({"update": Update("async", groups=2)}, "update=async draws a curve of its", "update=sync"),
    ({"update": Update("hybrid", groups=2)}, "update=hybrid draws a curve of its", "update=sync"),
    ({"update": Update("backup", groups=2)}, "update=backup draws a curve of its", "update=sync"),
    ({"update": Update(compress="bf16")}, "update.compress=bf16 draws", "update.compress=none"),
]


@pytest.mark.parametrize(("changes", "message", "hint"), UNLIKE, ids=str)
def test_only_steps_of_one_batch_in_step_are_told_and_tell(
    journal: Journal,
    known: Callable[..., None],
    submit: Callable[..., Any],
    changes: dict[str, Any],
    message: str,
    hint: str,
) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    alone = said(journal, target="bleu=20")
    other = replace(PLAN, **changes)
    submit("seq2seq-bbbbb", Status.SUCCEEDED, other)
    early = [Event("metrics", {"step": 10, "split": "valid", "values": {"bleu": 25.0}}, 0.0, 1)]
    journal.append("seq2seq-bbbbb", *early, *events(other, 0.5))
    assert said(journal, target="bleu=20") == alone
    for wish in (Sought(target="bleu=20"), Sought(devices=2)):
        with pytest.raises(PlanError) as caught:
            list(worth.answer(other, journal, Inventory(4, 0), wish))
        assert caught.value.message.startswith(message)
        assert str(caught.value.hint).startswith(hint)


def test_what_a_run_starts_from_is_part_of_the_question(
    journal: Journal, known: Callable[..., None], submit: Callable[..., Any]
) -> None:
    start = replace(PLAN, init_from="seq2seq-sssss")
    submit("seq2seq-bbbbb", Status.SUCCEEDED, start)
    journal.append("seq2seq-bbbbb", *events(start, 0.02))
    with pytest.raises(PlanError, match=r"there is none of this recipe\n"):
        said(journal, target="bleu=20")
    found = worth.answer(start, journal, Inventory(4, 0), Sought(target="bleu=20"))
    assert "bleu 20 after 200 steps of 64" in "\n".join(found)
    other = replace(PLAN, init_from="seq2seq-ttttt")
    with pytest.raises(PlanError, match="none of this recipe from seq2seq-ttttt") as caught:
        list(worth.answer(other, journal, Inventory(4, 0), Sought(target="bleu=20")))
    assert "recipe=seq2seq init_from=seq2seq-ttttt budget.steps=1000" in str(caught.value.hint)


def test_a_target_is_kept_to_the_last_digit(journal: Journal, known: Callable[..., None]) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    for target in ("9.9999995", "-1234567", "20", "1e-07"):
        text = said(journal, have=1, target=f"bleu={target}", words=["recipe=seq2seq"])
        assert f"known       bleu {target} after " in text
        assert text.endswith(f" budget.target={target}")
    assert said(journal, target="bleu=2e1", words=[]).endswith(" budget.target=20")


@pytest.mark.parametrize(("device", "most"), [("cpu", 16), ("cuda", 1)])
def test_devices_are_those_that_the_plan_asks_for(
    journal: Journal, submit: Callable[..., Any], device: Any, most: int
) -> None:
    plan = replace(PLAN, cluster=replace(PLAN.cluster, device=device))
    submit("seq2seq-aaaaa", Status.SUCCEEDED, plan)
    journal.append("seq2seq-aaaaa", *events(plan, 0.02))
    wish = Sought(target="bleu=20", probe=False)
    found = verdict.judged(plan, journal, Inventory(cpus=16, gpus=1), wish, lambda size: None)
    assert found.devices == most


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("bleu=40", r"bleu=40 was never seen: the best is 30"),
        ("chrf=40", r"no run reported chrf"),
    ],
)
def test_what_was_never_seen_is_refused(
    journal: Journal, known: Callable[..., None], target: str, message: str
) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    with pytest.raises(PlanError, match=message):
        said(journal, target=target)


def test_without_a_noise_scale_there_is_one_batch_and_it_says_how_to_get_more(
    journal: Journal, known: Callable[..., None]
) -> None:
    known("seq2seq-aaaaa", 64, 0.020, noise=False)
    text = said(journal, target="bleu=20", devices=2)
    assert "bleu 20 after 200 steps of 64" in text
    assert "for want of two micro-batches: no batch but 64 can be looked at" in text
    assert "update.accumulate=2" in text
    assert " 128 " not in text


def test_steps_that_could_not_tell_the_gradient_from_its_noise_want_to_be_more(
    journal: Journal, known: Callable[..., None]
) -> None:
    known("seq2seq-aaaaa", 64, 0.020, noise=False, accumulate=2)
    text = said(journal, target="bleu=20")
    assert "300 steps could not tell the gradient" in text
    assert "budget.steps=1200 update.accumulate=2" in text


def test_before_the_first_run_a_probe_tells_what_the_own_steps_take(
    journal: Journal, probes: list[Any]
) -> None:
    text = said(journal, have=2, by="1h", cost=5.0, words=["recipe=seq2seq"])
    assert probes == [([1, 2], 60.0)]
    assert "3,000 steps of 64; 0 timed runs and a probe of 6 sizes" in text
    assert "no batch but 64 can be looked at" in text
    assert "data.batch=64 budget.steps=3000" in text.splitlines()[-1]
    with pytest.raises(PlanError, match="there is none of this recipe") as caught:
        said(journal, target="bleu=30")
    assert "turnaround run recipe=seq2seq" in str(caught.value.hint)
    assert len(probes) == 1


def test_those_that_were_trained_as_one_tell_scores_but_no_time(
    journal: Journal, known: Callable[..., None], probes: list[Any]
) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    alone = said(journal, have=1, target="bleu=20")
    known("seq2seq-bbbbb", 64, 0.002)
    worker = {"pid": 1, "host": "here", "threads": 1, "device": "cpu", "gain": 4.0}
    journal.append("seq2seq-bbbbb", Event("worker", worker, time.time(), attempt=1))
    assert said(journal, have=1, target="bleu=20") == alone


def test_runs_that_carry_others_are_passed_over(
    journal: Journal, known: Callable[..., None], submit: Callable[..., Any]
) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    alone = said(journal, have=1, target="bleu=20")
    for number in range(verdict.NEWEST):
        submit(f"seq2seq-{number:05}", Status.SUCCEEDED, replace(PLAN, tags={"kind": "bundle"}))
    assert said(journal, have=1, target="bleu=20") == alone


def test_an_uncertain_noise_scale_says_how_many_more_steps_it_wants(
    journal: Journal, known: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NOISE, "noise/high", 550.0)  # ± 100 %, where 50 are aloud
    known("seq2seq-aaaaa", 64, 0.020)
    assert "that is uncertain: 900 more steps like its 300 tell" in said(journal, target="bleu=20")


def test_what_is_doubtful_about_the_noise_scale_is_said(
    journal: Journal, known: Callable[..., None]
) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    doubt = {"message": "batch normalisation (stem.1) mixes the examples", "about": "noise"}
    journal.append("seq2seq-aaaaa", Event("notice", doubt, time.time(), attempt=1))
    text = said(journal, target="bleu=20")
    assert "\n            batch normalisation (stem.1) mixes the examples\n" in text


def test_a_target_ends_the_run_that_was_chosen(
    journal: Journal, known: Callable[..., None]
) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    line = said(journal, have=1, target="bleu=20", words=["recipe=seq2seq"]).splitlines()[-1]
    assert line.endswith(" evaluate.score=bleu budget.target=20")
    assert "budget.steps=" in line
    assert "budget.target" not in said(journal, have=1, devices=1)


def test_micro_batches_that_the_table_did_not_reckon_with_are_undone(
    journal: Journal, known: Callable[..., None]
) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    plan = replace(PLAN, update=Update(accumulate=2))
    wish = Sought(target="bleu=20", words=["recipe=seq2seq", "update.accumulate=2"])
    line = [*worth.answer(plan, journal, Inventory(1, 0), wish)][-1]
    asked = dict(word.split("=") for word in line.split()[2:])
    assert (asked["recipe"], asked["update.accumulate"]) == ("seq2seq", "1")


def test_a_run_without_a_plan_tells_nothing_and_hinders_nobody(
    journal: Journal, known: Callable[..., None]
) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    alone = said(journal, have=1, target="bleu=20")
    for run in ("seq2seq-bbbbb", "seq2seq-ccccc"):
        known(run, 64, 0.020)
    (journal.folder("seq2seq-bbbbb") / "plan.json").unlink()
    (journal.folder("seq2seq-ccccc") / "plan.json").write_text("{half")
    assert said(journal, have=1, target="bleu=20") == alone


# ── probes ──


def test_a_short_run_is_not_probed_unasked(
    journal: Journal, known: Callable[..., None], probes: list[Any]
) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    said(journal, target="bleu=20")
    assert probes == []
    text = said(journal, have=2, target="bleu=20", probe=True)
    assert probes == [([1, 2], 60.0)]
    assert "1 timed run and a probe of 6 sizes, of up to 2 devices" in text
    assert "16 examples of a micro-batch fit a device" in text
    assert "(÷" in text


def test_a_long_run_is_probed_where_runs_have_not_shown_enough(
    journal: Journal, known: Callable[..., None], probes: list[Any]
) -> None:
    known("seq2seq-aaaaa", 64, 6.0)  # 20 minutes to the target
    said(journal, target="bleu=20", probe=False)
    assert probes == []
    said(journal, target="bleu=20")
    ((counts, seconds),) = probes
    assert counts == [1, 2]
    assert 15 < seconds < 0.03 * 200 * 6.6
    known("seq2seq-bbbbb", 128, 10.0)
    known("seq2seq-ccccc", 128, 6.0, devices=2)
    said(journal, target="bleu=20", devices=2)
    assert len(probes) == 1


def test_a_probe_that_fails_unasked_is_only_noted(
    journal: Journal, known: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*_: Any) -> Speeds:
        raise LaunchError("the probe of a batch of 32 on 1 device failed: not done in 15 s")

    monkeypatch.setattr(speed, "measured", measured)
    known("seq2seq-aaaaa", 64, 6.0)
    assert "failed: not done in 15 s" in said(journal, target="bleu=20")
    with pytest.raises(LaunchError):
        said(journal, target="bleu=20", probe=True)


def test_a_probe_that_fails_before_the_first_run_says_why(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*_: Any) -> Speeds:
        raise LaunchError("the probe of a batch of 32 on 1 device failed: not done in 30 s")

    monkeypatch.setattr(speed, "measured", measured)
    with pytest.raises(PlanError, match=r"was timed; the probe .* failed: not done in 30 s"):
        said(journal, by="1h")


def test_a_probe_alone_tells_what_the_plan_would_take(journal: Journal, probes: list[Any]) -> None:
    text = said(journal, probe=True)
    assert probes == [([1, 2], 60.0)]
    assert "1        64     164 ms  390.2       1.0 GB" in text
    assert "fits        16 examples of a micro-batch on a device, not twice as many" in text
    assert re.search(r"takes       8m1\ds for 3,000 steps of 64 on 1 device\n", text)
    assert re.search(r"takes       6m3\ds for 3,000 steps of 64 on 2 devices$", text)


def test_a_probe_does_not_tell_what_steps_of_another_size_take(
    journal: Journal, probes: list[Any]
) -> None:
    plan = replace(PLAN, data=Data(whole=True))
    text = "\n".join(worth.answer(plan, journal, Inventory(4, 0), Sought(probe=True)))
    assert "390.2       1.0 GB" in text
    assert "takes " not in text


def test_times_of_the_day_and_spans() -> None:
    now = datetime(2026, 1, 1, 22, 0)
    assert verdict.seconds("7:00", now) == verdict.seconds("07:00", now) == 9 * 3600
    assert verdict.seconds("22:30", now) == 1800
    assert verdict.seconds("2h", now) == 7200
    assert verdict.seconds("1h30m", now) == 5400
    for wrong in ("7", "25h3", "soon", "25:00", "24:00", "07:60"):
        with pytest.raises(ConfigError):
            verdict.seconds(wrong, now)
    for wrong in ("bleu", "=3", "bleu=", "bleu=nan"):
        with pytest.raises(ConfigError):
            verdict.parse(wrong)


def test_the_verb_takes_its_options(ask: Callable[..., Any], tmp_path: Path) -> None:
    done = ask("plan", "recipe=seq2seq", "--quick", "--target", "bleu=30")
    assert done.code == 2
    assert "what bleu=30 takes is told by runs before" in done.err
    vague = ask("plan", "recipe=seq2seq", "--quick", "--target", "bleu")
    assert "--target bleu is no target" in vague.err
    assert ask("plan", "recipe=seq2seq", "--cost", "-1").code == 2
