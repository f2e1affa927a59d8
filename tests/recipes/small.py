"""Each recipe made tiny, and what the tests of the whole shelf may ask of it.

    SMALL["mine"] = Small("recipe.width=16 data.batch=8", bound=0.1)
    plan = SMALL["mine"].plan("mine", "budget.steps=2")

`words` are what one would write on the command line to have two steps, their evaluation and the
samples done in well under a second. With the words of `heart` besides, eight examples are learnt by
heart: their loss, that of `turnaround.engine.Recipe.loss`, falls below `bound`. With those of
`equal`, two devices draw the curve of one to `tolerance`; nothing may be dropped then.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.engine.spread import layout
from turnaround import config
from turnaround.journal import home
from turnaround.launch.facts import gather
from turnaround.plan import make
from turnaround.spec import Inventory, Layout, Plan

ROOT = Path(__file__).parents[2]
EVERY = (layout("ddp"), layout("fsdp"))  # what any recipe can be laid on


@dataclass(frozen=True)
class Small:
    words: str
    bound: float  # of the loss on eight examples
    heart: str = "optim.lr=0.01"
    equal: str = "optim.name=sgd optim.lr=0.1 optim.clip=1.0"  # Adam makes more of rounding
    tolerance: float = 1e-9  # of equal curves in fp64, relative
    layouts: tuple[Layout, ...] = EVERY  # on which the recipe says that it can lie

    def plan(self, name: str, *words: str) -> Plan:
        """What the command line would make of these words; the later ones count."""
        return shipped(f"recipe={name}", *self.words.split(), *words)


def shipped(*words: str) -> Plan:
    """What the command line would make of these words, for at most two processes of one thread."""
    asked = config.compose([*words, "tracking=none", "cluster.threads=1"], ROOT, home() / "cache")
    return make(asked, gather(asked, ROOT, Inventory(cpus=2, gpus=0)))


SMALL = {
    "linear": Small(
        "recipe.examples=64 recipe.c=1000 data.batch=12", bound=0.05, heart="optim=sgd optim.lr=1.0"
    ),
    "lm": Small(
        "recipe.sentences=300 recipe.context=16 recipe.width=32 recipe.layers=2 recipe.written=5 "
        "recipe.dropout=0.3 data.batch=12",
        bound=0.1,
        heart="optim.lr=0.01 recipe.dropout=0",
        equal="optim.name=sgd optim.lr=0.1 optim.clip=1.0 recipe.dropout=0",
        layouts=(*EVERY, layout("tensor"), layout("pipeline")),
    ),
    "rank": Small(
        "recipe.queries=40 recipe.rows=512 recipe.width=2 recipe.sparse=false data.batch=12",
        bound=0.05,
        heart="optim.lr=0.3",
    ),
    "seq2seq": Small(
        "recipe.examples=300 recipe.width=16 recipe.tokens=600 recipe.beam=2 recipe.dropout=0.3 "
        "data.batch=12 data.bucket=4",
        bound=0.05,
        heart="optim.lr=0.02 recipe.dropout=0",
        equal="optim.name=sgd optim.lr=0.1 optim.clip=1.0 recipe.dropout=0",
    ),
    "parser": Small(
        "recipe.examples=40 recipe.width=16 recipe.dropout=0.3 recipe.beam=2 data.batch=12 "
        "data.bucket=2",
        bound=0.02,
        heart="optim.lr=0.02 recipe.dropout=0",
        equal="optim.name=sgd optim.lr=0.1 optim.clip=1.0 recipe.dropout=0",
    ),
    "chat": Small(
        "recipe.dialogues=40 recipe.width=16 recipe.dropout=0.3 recipe.written=12 data.batch=12",
        bound=0.1,
        heart="optim.lr=0.02 recipe.dropout=0",
        equal="optim.name=sgd optim.lr=0.1 optim.clip=1.0 recipe.dropout=0",
    ),
    "speech": Small(
        "recipe.utterances=60 recipe.convolutions=1 recipe.channels=4 recipe.bands=16 "
        "recipe.width=16 recipe.most=4 data.batch=12",
        bound=0.1,
        heart="optim.lr=0.02",
    ),
    "pointer": Small(
        "recipe.points=6 recipe.fewest=4 recipe.problems=40 recipe.width=16 recipe.beam=2 "
        "data.batch=12",
        bound=0.05,
        heart="optim.lr=0.01 recipe.width=64",
    ),
    "agent": Small(
        "recipe.horizon=20 recipe.episodes=8 recipe.width=16 data.batch=4",
        bound=0.002,  # of what the baseline expects wrongly: there whatever is done costs one
        heart="optim.lr=0.01 recipe.environment=MountainCar-v0 recipe.horizon=100",
        layouts=(layout("ddp"),),  # its model is called once for many passes
    ),
    "spikes": Small(
        "recipe.cells=5 recipe.bins=400 recipe.stretch=1 data.batch=12",
        bound=1.5,
        heart="optim=adam optim.lr=0.1",
    ),
    "image": Small(
        "recipe.width=8 recipe.stages=2 recipe.shift=1 data.batch=12",
        bound=0.05,
        heart="optim.lr=0.01 recipe.shift=0",
    ),
    "caption": Small(
        "recipe.examples=40 recipe.size=32 recipe.width=8 recipe.hidden=16 recipe.min_count=1 "
        "recipe.longest=12 recipe.dropout=0.3 data.batch=12",
        bound=0.05,
        heart="optim.lr=0.02 recipe.hidden=32 recipe.dropout=0",
        equal="optim.name=sgd optim.lr=0.1 optim.clip=1.0 recipe.dropout=0",
    ),
}
