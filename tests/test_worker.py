"""The engine's door, with real recipes: what is said, and the exit codes."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.trials import PROJECT, Gang, Told, assignment, ddp, train, trial_plan
from turnaround import worker
from turnaround.errors import CheckpointError
from turnaround.spec import Budget, Checkpoint, Data, Evaluate, Optim, Plan, Recipe, Update, to_dict
from turnaround.worker.__main__ import main

DIGITS = (PROJECT / "recipes" / "digits.py").read_text()
SHORT = Budget(steps=4)


def altered(folder: Path, old: str, new: str) -> Plan:
    """The tiny recipe with a mistake in it."""
    assert old in DIGITS
    file = folder / "project" / "recipes" / "digits.py"
    file.parent.mkdir(parents=True)
    file.write_text(DIGITS.replace(old, new))
    place = replace(trial_plan().place, project=str(folder / "project"))
    return trial_plan(place=place, budget=SHORT, evaluate=Evaluate(every=2, score="right"))


def failed(told: Told, code: int) -> dict[str, Any]:
    """The one error of a run that failed so."""
    assert told.code == code, told.events[-1]
    return told.one("error")


# ── what a good run says ──


def test_a_run_tells_its_story(tmp_path: Path) -> None:
    told = train(trial_plan(), tmp_path)
    assert told.code == 0
    assert [event.seq for event in told.events] == list(range(1, len(told.events) + 1))
    assert told.one("worker")["pid"] == os.getpid()
    assert list(told.curve()) == list(range(1, 41))
    assert list(told.curve("right", "valid")) == [10, 20, 30, 40]
    assert [e["folder"] for e in told.of("checkpoint") if not e["best"]] == [
        f"step-{step:08d}" for step in (10, 20, 30, 40)
    ]
    assert told.one("samples")["columns"] == ["digits", "guess"]
    assert len(told.one("samples")["rows"]) == 8
    assert [event.kind for event in told.events[-2:]] == ["summary", "ledger"]


def test_a_summary_has_the_scores_of_the_best_parameters(tmp_path: Path) -> None:
    told = train(trial_plan(), tmp_path)
    summary = told.one("summary")
    assert summary["steps"] == 40
    assert summary["examples"] == 400
    assert summary["stopped"] == "budget.steps"
    assert set(summary["values"]) == {"valid/loss", "valid/right", "test/loss", "test/right"}
    assert summary["values"]["valid/right"] == max(told.curve("right", "valid").values())


def test_the_test_split_is_judged_with_the_best_parameters_not_the_last(tmp_path: Path) -> None:
    """The second half's learning rate wrecks what the first has learnt."""
    plan = trial_plan(evaluate=Evaluate(every=10), budget=Budget(steps=20))
    good = train(replace(plan, budget=Budget(steps=10)), tmp_path)
    wrecked = train(replace(plan, optim=Optim("sgd", lr=1e4)), tmp_path, attempt=2)
    assert wrecked.curve("loss", "valid")[20] > good.curve("loss", "valid")[10]
    assert wrecked.one("summary")["values"] == good.one("summary")["values"]


def test_the_tiny_recipe_is_learnt(tmp_path: Path) -> None:
    plan = trial_plan(budget=Budget(steps=300, target=0.95))
    told = train(plan, tmp_path)
    assert told.one("summary")["stopped"] == "budget.target"
    assert told.one("summary")["values"]["test/right"] > 0.9


def test_patience_ends_a_run_that_learns_nothing(tmp_path: Path) -> None:
    looks = Evaluate(every=2, score="loss", patience=3)
    told = train(trial_plan(evaluate=looks, optim=Optim("sgd", lr=1e-30)), tmp_path)
    assert told.one("summary")["stopped"] == "evaluate.patience"
    assert told.one("summary")["steps"] == 8


def test_a_budget_of_time_is_kept(tmp_path: Path) -> None:
    told = train(trial_plan(budget=Budget(time=0.3)), tmp_path)
    assert told.one("summary")["stopped"] == "budget.time"
    assert 0.3 <= told.one("summary")["seconds"] < 3


def test_a_budget_of_examples_is_kept(tmp_path: Path) -> None:
    told = train(trial_plan(budget=Budget(examples=35)), tmp_path)
    assert told.one("summary")["examples"] == 40
    assert told.of("progress")[0]["steps"] == 4


def test_examples_plan_the_steps_that_see_them(tmp_path: Path) -> None:
    plan = trial_plan(data=Data(batch=16, whole=True), budget=Budget(examples=1))
    told = train(plan, tmp_path / "once")
    all_there_are = told.one("summary")["examples"]
    assert all_there_are > 16
    twice = replace(plan, budget=Budget(examples=2 * all_there_are))
    told = train(twice, tmp_path / "twice")
    assert told.one("summary")["steps"] == 2 == told.of("progress")[0]["steps"]
    growing = replace(plan, data=Data(batch=10, grow=2), update=Update(accumulate=2))
    told = train(growing, tmp_path / "growing")
    assert told.of("progress")[0]["steps"] is None


def test_a_run_that_is_over_may_be_asked_again(tmp_path: Path) -> None:
    first, second = train(trial_plan(), tmp_path), train(trial_plan(), tmp_path, attempt=2)
    assert second.curve() == {}
    assert second.one("summary")["values"] == first.one("summary")["values"]


def test_the_process_is_left_as_it_was(tmp_path: Path) -> None:
    before = os.getcwd(), torch.get_num_threads(), signal.getsignal(signal.SIGINT)
    train(trial_plan(budget=SHORT, precision="fp64"), tmp_path)
    assert (os.getcwd(), torch.get_num_threads(), signal.getsignal(signal.SIGINT)) == before
    assert torch.get_default_dtype() == torch.float32


def test_a_run_need_not_be_in_the_main_thread(tmp_path: Path) -> None:
    told: list[Told] = []
    plan = trial_plan(budget=SHORT)
    thread = threading.Thread(target=lambda: told.append(train(plan, tmp_path)))
    thread.start()
    thread.join(60)
    assert told[0].code == 0


# ── recipes with mistakes ──


@pytest.mark.parametrize(
    ("old", "new", "method"),
    [
        ("digits % 10 + 1)", "digits % 10 + 1).oops", "collate"),
        ("(hidden)", "(hidden[:, :, :3])", "forward"),
        ('reduction="sum")', 'reduction="some")', "loss"),
        (".argmax(-1) == batch.next", ".oops()", "score"),
    ],
)
def test_a_mistake_shows_by_the_first_step_with_the_users_line(
    old: str, new: str, method: str, tmp_path: Path
) -> None:
    told = train(altered(tmp_path, old, new), tmp_path)
    trace = failed(told, 1)["traceback"]
    line = 1 + DIGITS[: DIGITS.index(old)].count("\n")
    assert f'  File "recipes/digits.py", line {line}, in {method}\n' in trace
    assert "turnaround/" not in trace
    assert told.curve().keys() <= {1}


def test_a_syntax_error_is_shown_where_it_is(tmp_path: Path) -> None:
    error = failed(train(altered(tmp_path, "class Digits(", "class Digits)("), tmp_path), 1)
    assert error["message"].startswith("SyntaxError: unmatched ')'")
    line = 1 + DIGITS[: DIGITS.index("class Digits(")].count("\n")
    assert error["traceback"].startswith(f'  File "recipes/digits.py", line {line}\n')


def test_a_missing_method_is_named(tmp_path: Path) -> None:
    plan = altered(tmp_path, "def inputs(", "def input(")
    assert failed(train(plan, tmp_path), 1)["message"] == "Digits in digits.py lacks inputs"


def test_a_recipe_that_exits_has_failed(tmp_path: Path) -> None:
    plan = altered(tmp_path, "time.sleep(self.config.pause)", "raise SystemExit(7)")
    assert failed(train(plan, tmp_path), 1)["message"] == "the recipe called sys.exit(7)"


def test_out_of_memory_says_what_to_try(tmp_path: Path) -> None:
    plan = altered(tmp_path, "time.sleep(self.config.pause)", "torch.empty(1 << 60)")
    error = failed(train(plan, tmp_path), 1)
    assert error["message"].startswith("out of memory: ")
    assert "data.batch" in error["hint"]


def test_a_score_that_the_recipe_does_not_have_is_refused_at_once(tmp_path: Path) -> None:
    plan = trial_plan(evaluate=Evaluate(score="rigth"))
    error = failed(train(plan, tmp_path), 2)
    assert error["message"] == "evaluate.score=rigth is not among the scores"
    assert error["hint"] == "did you mean right?  (loss, right)"


def test_empty_valid_and_test_splits_leave_the_last_parameters(tmp_path: Path) -> None:
    plan = altered(tmp_path, 'if split == "train" else 16', 'if split == "train" else 0')
    told = train(plan, tmp_path)
    assert told.code == 0
    assert told.one("summary")["values"] == {}
    assert told.of("samples") == []


def test_a_mistake_in_one_rank_is_that_ranks_error(tmp_path: Path) -> None:
    fault = "torch.distributed.get_rank() and oops"
    plan = altered(tmp_path, "time.sleep(self.config.pause)", fault)
    first, second = Gang(replace(plan, layout=ddp(2)), tmp_path).wait()
    assert (first.code, second.code) == (3, 1)
    assert second.one("error")["message"] == "NameError: name 'oops' is not defined"
    assert first.one("error")["message"].startswith("another rank was lost")


# ── numbers that are not finite ──


def test_a_broken_weight_is_named_within_a_step_and_the_last_good_checkpoint_kept(
    tmp_path: Path,
) -> None:
    fault = """self.steps = getattr(self, "steps", 0) + self.training
        if self.steps == 3:
            self.out.weight.data[0, 0] = float("nan")
        hidden, _ = self.lstm("""
    told = train(altered(tmp_path, "hidden, _ = self.lstm(", fault), tmp_path)
    error = failed(told, 4)
    assert error["message"] == "at step 3 the loss is nan: parameter out.weight is not finite"
    saved = [event["step"] for event in told.of("checkpoint") if not event["best"]]
    assert saved == [2]


def test_every_rank_knows_that_a_loss_is_not_finite(tmp_path: Path) -> None:
    plan = altered(tmp_path, "return Mean.of(nll", "return Mean.of(nll / 0")
    first, second = Gang(replace(plan, layout=ddp(2)), tmp_path).wait()
    assert (first.code, second.code) == (4, 4)
    assert first.one("error")["message"].startswith("at step 1 the loss is inf: ")


# ── checkpoints ──


def test_a_damaged_checkpoint_sends_the_run_to_the_one_before_saying_so(tmp_path: Path) -> None:
    train(trial_plan(budget=Budget(steps=20)), tmp_path)
    folder = Path(assignment(tmp_path, trial_plan()).folder) / "checkpoints"
    (folder / "step-00000020" / "tensors.safetensors").write_bytes(b"")
    told = train(trial_plan(), tmp_path, attempt=2)
    assert told.code == 0
    assert min(told.curve()) == 11
    assert told.one("warning")["message"].startswith("checkpoint step-00000020 is damaged")


def test_when_no_checkpoint_can_be_trusted_the_run_does_not_pretend(tmp_path: Path) -> None:
    train(trial_plan(checkpoint=Checkpoint(keep=1)), tmp_path)
    folder = Path(assignment(tmp_path, trial_plan()).folder) / "checkpoints"
    (folder / "step-00000040" / "manifest.json").unlink()
    failed(train(trial_plan(), tmp_path, attempt=2), 3)


def test_a_run_without_room_for_checkpoints_warns_and_goes_on(tmp_path: Path) -> None:
    (Path(assignment(tmp_path, trial_plan()).folder) / "checkpoints").touch()
    told = train(trial_plan(), tmp_path)
    assert told.code == 0
    assert told.of("warning")[0]["message"].startswith("checkpoint best-00000010 was not saved")
    assert told.one("summary")["steps"] == 40


# ── signals ──


def test_a_signal_before_there_is_anything_to_save_ends_it(tmp_path: Path) -> None:
    plan = altered(
        tmp_path,
        "rng = torch.Generator()",
        "import os; os.kill(os.getpid(), 15)\n        rng = torch.Generator()",
    )
    told = train(plan, tmp_path)
    assert told.code == 143
    assert "SIGTERM" in told.one("notice")["message"]


def test_whoever_interrupts_twice_does_not_want_to_wait(tmp_path: Path) -> None:
    twice = Recipe("digits", {"signal": int(signal.SIGINT), "times": 2, "after": 1})
    (told,) = Gang(trial_plan(recipe=twice), tmp_path).wait()
    assert told.code == 130
    assert 2 not in told.curve()


# ── using it ──


def test_the_trained_model_answers_lines(tmp_path: Path) -> None:
    plan = trial_plan(budget=Budget(steps=300, target=0.99))
    train(plan, tmp_path)
    folder = Path(assignment(tmp_path, plan).folder)
    reply = worker.answer(plan, folder, PROJECT)
    assert reply("3 1 4") == "4 2 5"


def test_a_run_without_a_checkpoint_cannot_answer(tmp_path: Path) -> None:
    folder = Path(assignment(tmp_path, trial_plan()).folder)
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        worker.answer(trial_plan(), folder, PROJECT)


def test_a_rank_of_its_own_reads_its_job_from_a_file(tmp_path: Path) -> None:
    plan = trial_plan(budget=SHORT)
    job = {"plan": to_dict(plan), "assignment": to_dict(assignment(tmp_path, plan))}
    (tmp_path / "job.json").write_text(json.dumps(job))
    reading, writing = os.pipe()
    assert main(str(tmp_path / "job.json"), writing) == 0
    os.close(writing)
    with open(reading) as lines:
        assert [json.loads(line)["kind"] for line in lines][-2:] == ["summary", "ledger"]
