"""What can be becomes a Plan; what cannot is refused, with what would do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from turnaround import plan
from turnaround.config import GROUPS, Config
from turnaround.errors import PlanError
from turnaround.plan import Facts
from turnaround.spec import (
    Budget,
    Checkpoint,
    Cluster,
    Data,
    Evaluate,
    Inventory,
    Layout,
    Optim,
    Place,
    Plan,
    Recipe,
    Tracking,
    Update,
    from_json,
    to_json,
)

TWO_CORES, EIGHT_GPUS = Inventory(cpus=2, gpus=0), Inventory(cpus=64, gpus=8)
PLACE = Place("/home/ada/translate", "/venv/bin/python", "recipes/tiny.py", "c0de", "da7a")


def asked(**changes: Any) -> Config:
    groups = {group: kind() for group, kind in GROUPS.items()} | {"budget": Budget(steps=10)}
    tiny = Config(recipe=Recipe("tiny", {"width": 8}), recipe_file=Path("tiny.py"), **groups)
    return replace(tiny, **changes)


def make(inventory: Inventory = TWO_CORES, place: Place = PLACE, **changes: Any) -> Plan:
    config = asked(**changes)
    return plan.make(config, Facts(place, config.data, inventory, "0.1.0"))


def refusal(inventory: Inventory = TWO_CORES, **changes: Any) -> str:
    with pytest.raises(PlanError) as caught:
        make(inventory, **changes)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_plan_survives_json() -> None:
    made = make(tags={"team": "nlp"}, name="wide")
    assert from_json(Plan, to_json(made)) == made


def test_planning_leaves_what_was_asked_alone() -> None:
    config = asked()
    plan.make(config, Facts(PLACE, config.data, TWO_CORES, "0.1.0"))
    assert config == asked()


# ── devices ──


def test_a_laptop_gets_its_cpu_and_a_machine_with_gpus_one_gpu() -> None:
    assert make().cluster.device == "cpu"
    assert make(EIGHT_GPUS).cluster.device == "cuda"
    assert make(EIGHT_GPUS).layout.devices == 1
    assert make(EIGHT_GPUS, cluster=Cluster(device="cpu")).cluster.device == "cpu"


def test_ddp_alone_takes_every_device() -> None:
    assert make(layout=Layout("ddp")).layout == Layout("ddp", 2)
    assert make(EIGHT_GPUS, layout=Layout("ddp")).layout == Layout("ddp", 8)
    assert make(EIGHT_GPUS, layout=Layout("ddp", 4)).layout == Layout("ddp", 4)


def test_fsdp_alone_takes_every_device_too() -> None:
    assert make(EIGHT_GPUS, layout=Layout("fsdp")).layout == Layout("fsdp", shard=8)


@pytest.mark.parametrize(
    ("layout", "devices", "readers"),
    [
        (Layout("hsdp", replicate=2, shard=4), 8, 8),
        (Layout("tensor", tensor=4), 4, 1),
        (Layout("tensor", tensor=2, shard=2, replicate=2), 8, 4),
        (Layout("pipeline", pipeline=4, replicate=2), 8, 2),
    ],
)
def test_degrees_multiply_and_some_of_them_read_alike(
    layout: Layout, devices: int, readers: int
) -> None:
    made = make(EIGHT_GPUS, layout=layout, update=Update(accumulate=4))
    assert (made.layout.devices, made.layout.readers) == (devices, readers)


def test_a_layouts_other_degrees_are_one() -> None:
    made = make(EIGHT_GPUS, layout=Layout("tensor", tensor=2)).layout
    assert made == Layout("tensor", replicate=1, shard=1, tensor=2)


def test_cores_are_shared_among_workers() -> None:
    assert make(layout=Layout("ddp", 2)).cluster.threads == 1
    assert make(EIGHT_GPUS, layout=Layout("ddp", 8)).cluster.threads == 4
    assert make(cluster=Cluster(threads=7)).cluster.threads == 7


def test_a_plan_refuses_more_devices_than_there_are() -> None:
    assert refusal(layout=Layout("ddp", 8)) == (
        "layout=ddp with layout.replicate=8 needs 8 devices, but there are 2 (CPU cores)\n"
        "  → layout.replicate=2"
    )
    assert refusal(Inventory(cpus=64, gpus=1), layout=Layout("ddp", 2)) == (
        "layout=ddp with layout.replicate=2 needs 2 devices, but there is 1 (GPU)\n"
        "  → layout=single"
    )


def test_a_plan_refuses_a_gpu_where_there_is_none() -> None:
    assert refusal(cluster=Cluster(device="cuda")) == (
        "cluster.device=cuda needs a GPU, but there is none\n"
        "  → cluster.device=cpu, or see `turnaround doctor`"
    )


def test_a_plan_refuses_a_degree_without_its_layout() -> None:
    assert refusal(layout=Layout("single", 2)) == (
        "layout.replicate=2 asks for 2 devices, but layout=single is one\n"
        "  → layout=ddp layout.replicate=2"
    )


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (
            Layout("single", shard=2),
            "layout.shard=2 asks for 2 devices, but layout=single is one\n"
            "  → layout=fsdp layout.shard=2",
        ),
        (
            Layout("ddp", 2, shard=2),
            "layout=ddp has no layout.shard=2, only replicate\n"
            "  → layout=hsdp layout.replicate=2 layout.shard=2",
        ),
        (
            Layout("pipeline", tensor=2, pipeline=2),
            "layout=pipeline has no layout.tensor=2, only pipeline and replicate\n"
            "  → layout=tensor layout.tensor=2",
        ),
        (Layout("tensor"), "layout=tensor needs layout.tensor\n  → layout.tensor=2"),
        (Layout("hsdp", shard=2), "layout=hsdp needs layout.replicate\n  → layout.replicate=2"),
        (
            Layout("hsdp", replicate=4, shard=4),
            "layout=hsdp with layout.shard=4 layout.replicate=4 needs 16 devices, "
            "but there are 8 (GPUs)\n  → layout.shard=2",
        ),
    ],
)
def test_a_plan_refuses_degrees_that_do_not_fit(layout: Layout, message: str) -> None:
    assert refusal(EIGHT_GPUS, layout=layout) == message


# ── what else cannot be ──


def test_a_plan_refuses_a_run_without_end() -> None:
    assert refusal(budget=Budget(target=0.9)) == (
        "no budget: the run would not end\n  → budget.steps=1000 or budget.time=20m"
    )


def test_a_plan_refuses_a_batch_that_leaves_a_device_without_work() -> None:
    message = refusal(layout=Layout("ddp", 2), update=Update(accumulate=4), data=Data(batch=6))
    assert message == (
        "data.batch=6 cannot be cut in 8: 2 devices, update.accumulate=4\n  → data.batch=8 or more"
    )


def test_ranks_that_read_alike_do_not_cut_the_batch() -> None:
    assert make(EIGHT_GPUS, layout=Layout("tensor", tensor=8), data=Data(batch=2)).data.batch == 2


def test_a_plan_refuses_micro_batches_that_a_pipeline_cannot_use() -> None:
    layout = Layout("pipeline", pipeline=2)
    assert refusal(layout=layout) == (
        "layout.pipeline=2 needs 2 micro-batches or more to fill its stages, "
        "but update.accumulate=1\n  → update.accumulate=8"
    )
    message = refusal(layout=layout, update=Update(accumulate=4), data=Data(batch=30))
    assert message == (
        "data.batch=30 cannot be cut in 4 of one size, as layout=pipeline needs them\n"
        "  → data.batch=32"
    )


# ── the store ──


@pytest.mark.parametrize(
    ("uri", "absolute"),
    [
        (None, "sqlite:////home/ada/translate/mlflow.db"),
        ("sqlite:///runs.db", "sqlite:////home/ada/translate/runs.db"),
        ("sqlite:////data/runs.db", "sqlite:////data/runs.db"),
        ("mlruns", "/home/ada/translate/mlruns"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_the_stores_address_does_not_depend_on_the_folder(uri: str | None, absolute: str) -> None:
    assert make(tracking=Tracking(uri=uri)).tracking.uri == absolute


def test_nothing_tracked_has_no_store() -> None:
    assert make(tracking=Tracking("none")).tracking.uri is None


def test_a_plan_refuses_to_write_a_password_down() -> None:
    message = refusal(tracking=Tracking(uri="https://ada:hunter2@mlflow.example"))
    assert "hunter2" not in message
    assert message.startswith("tracking.uri holds a password")


def test_a_plan_refuses_a_store_without_an_address() -> None:
    assert refusal(tracking=Tracking(uri="http://[bad:5000")) == (
        "tracking.uri is not an address: Invalid IPv6 URL"
        "\n  → as in http://localhost:5000 or sqlite:///mlflow.db"
    )


# ── the optimizer ──


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"layout": Layout("fsdp", shard=2)},
            "optim=lbfgs needs whole gradients, but layout=fsdp cuts them up"
            "\n  → layout=ddp, or optim=adam",
        ),
        (
            {"update": Update("local")},
            "optim=lbfgs computes a step's gradients many times, update=local once"
            "\n  → update=sync, or optim=adam",
        ),
        (
            {"optim": Optim("lbfgs", clip=1.0)},
            "optim.clip=1.0 means nothing to optim=lbfgs\n  → leave it out, or optim=adam",
        ),
    ],
)
def test_lbfgs_needs_whole_gradients_as_they_are(changes: dict[str, Any], message: str) -> None:
    assert refusal(**{"optim": Optim("lbfgs")} | changes) == message


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"update": Update("local")}, "update=sync, or a data.batch of some size"),
        (
            {"layout": Layout("pipeline", pipeline=2), "update": Update(accumulate=4)},
            "layout=fsdp, or a data.batch of some size",
        ),
        ({"data": Data(whole=True, grow=2)}, "data.grow=1"),
    ],
)
def test_a_step_on_all_examples_is_for_equal_steps(changes: dict[str, Any], hint: str) -> None:
    said = refusal(**{"data": Data(whole=True), **changes})
    assert said.startswith("data.batch=all (data.whole=true) ")
    assert said.endswith(f"→ {hint}")


def test_lbfgs_may_have_many_devices() -> None:
    assert make(optim=Optim("lbfgs"), layout=Layout("ddp", 2)).devices == 2


# ── the signature ──


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"precision": "bf16"},
        {"optim": Optim(lr=0.1)},
        {"data": Data(batch=32)},
        {"budget": Budget(steps=11)},
        {"evaluate": Evaluate(score="bleu")},
        {"recipe": Recipe("tiny", {"width": 9})},
        {"place": replace(PLACE, code="other")},
        {"place": replace(PLACE, data="other")},
    ],
)
def test_another_question_has_another_signature(changes: dict[str, Any]) -> None:
    assert make(**changes).signature != make().signature


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "wide", "tags": {"a": "b"}},
        {"layout": Layout("ddp", 2)},
        {"update": Update(accumulate=2)},
        {"cluster": Cluster("inline", threads=1, priority=3)},
        {"tracking": Tracking("none")},
        {"checkpoint": Checkpoint(every=7, keep=9)},
        {"data": Data(path="/elsewhere/the-same-content.tsv")},
        {"place": replace(PLACE, project="/elsewhere", git_sha="f00", dirty=True)},
        {"inventory": EIGHT_GPUS},
    ],
)
def test_the_same_question_has_the_same_signature(changes: dict[str, Any]) -> None:
    assert make(**changes).signature == make().signature


def test_what_a_run_starts_from_is_part_of_its_question() -> None:
    """It is the run that counts, not what it was called when it was asked for."""
    config = asked(init_from="wide")
    found = Facts(PLACE, config.data, TWO_CORES, "0.1.0", init_from="tiny-k3x9e")
    made = plan.make(config, found)
    assert made.init_from == "tiny-k3x9e"
    assert made.signature != make().signature
    assert made.signature == plan.make(asked(init_from="tiny-k3"), found).signature
    names = ("best-00000100", "best-00000200")  # of a run that went on
    later = [plan.make(config, replace(found, start=name)) for name in names]
    assert len({one.signature for one in (made, *later)}) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"layout": Layout("ddp", 2)},
        {"inventory": EIGHT_GPUS},
        {"update": Update(straggle=0.5)},
        {"update": Update(accumulate=2)},
        {"cluster": Cluster(threads=2)},
    ],
)
def test_under_a_budget_of_time_what_makes_it_faster_or_slower_counts(
    changes: dict[str, Any],
) -> None:
    minute = Budget(time=60)
    assert make(budget=minute, **changes).signature != make(budget=minute).signature


def test_the_layout_counts_where_each_rank_rounds_its_own_gradients() -> None:
    fp16 = Update(compress="fp16")
    layouts = (Layout(), Layout("ddp", 2), Layout("ddp", 4))
    asked = {make(EIGHT_GPUS, update=fp16, layout=layout).signature for layout in layouts}
    assert len(asked) == 3


# ── a batch that grows ──

GROWING: dict[str, Any] = {"data": Data(grow=16), "update": Update(accumulate=2)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"update": Update()},
            "data.grow=16 follows the gradient noise scale, which one micro-batch cannot tell"
            "\n  → update.accumulate=2, or layout=ddp",
        ),
        (
            {"update": Update("local", groups=2)},
            "data.grow=16 is for groups in step, but update=local\n  → update=sync, or data.grow=1",
        ),
        ({"optim": Optim("lbfgs")}, "which optim=lbfgs does not tell\n  → optim=adam"),
        ({"tracking": Tracking("none", noise=None)}, "but tracking.noise=null"),
        ({"layout": Layout("pipeline", pipeline=2)}, "steps of more and more micro-batches"),
        (
            {"layout": Layout("tensor", tensor=1, replicate=2)},
            "which layout=tensor with layout.shard or layout.replicate hides",
        ),
    ],
)
def test_a_batch_can_grow_where_its_noise_scale_is_heard(
    changes: dict[str, Any], message: str
) -> None:
    assert message in refusal(**GROWING | changes)


def test_a_gpu_of_fsdp_hears_no_noise_scale_and_ranks_of_ddp_do() -> None:
    assert "layout=fsdp on a GPU hides" in refusal(EIGHT_GPUS, **GROWING, layout=Layout("fsdp"))
    assert make(EIGHT_GPUS, data=Data(grow=16), layout=Layout("ddp")).data.grow == 16


def test_a_batch_that_grows_asks_another_question_and_so_does_its_layout() -> None:
    plain, grows = make(update=Update(accumulate=2)), make(**GROWING)
    spread = make(data=Data(grow=16), layout=Layout("ddp", 2))
    assert len({plain.signature, grows.signature, spread.signature}) == 3
