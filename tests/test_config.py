"""Words and files of conf/ become a checked Config; everything wrong is named, with what to do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from turnaround import config, spec
from turnaround.config import Config, literal, several, source
from turnaround.errors import ConfigError, RecipeError

RECIPE = '''"""A tiny recipe: it would import torch, and is never imported here."""

import torch

WIDTH = 64


@dataclass(frozen=True)
class Config:
    width: int = WIDTH  # of both layers
    cell: Literal["lstm", "gru"] = "lstm"
    drop: float | None = None  # share of units
    sizes: list[int] = field(default_factory=lambda: [3, 5])
    reverse: "bool" = False
    heads: int = WIDTH // 8  # only the file itself can tell
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project: one recipe, nothing in conf/."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "tiny.py").write_text(RECIPE)
    return tmp_path


def write(project: Path, name: str, text: str) -> Path:
    file = project / "conf" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def compose(project: Path, *words: str) -> Config:
    return config.compose(["recipe=tiny", *words], project)


def refusal(project: Path, *words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config.compose(list(words), project)
    assert caught.value.exit_code == 2
    return str(caught.value)


# ── what a Config holds ──


def test_a_recipe_without_a_file_in_conf_has_every_default(project: Path) -> None:
    made = compose(project)
    assert made.recipe.name == "tiny"
    assert made.recipe_file == project / "recipes" / "tiny.py"
    assert made.recipe.knobs == {
        "width": 64,
        "cell": "lstm",
        "drop": None,
        "sizes": [3, 5],
        "reverse": False,
    }
    assert (made.optim, made.data, made.seed) == (spec.Optim(), spec.Data(), 0)


def test_config_yaml_shows_the_default_of_every_setting() -> None:
    """It is what a newcomer reads, so it must be whole and true."""
    import yaml

    shown = yaml.safe_load((config.shipped() / "conf" / "config.yaml").read_text())
    shown["optim"]["eps"] = float(shown["optim"]["eps"])
    for group, kind in config.GROUPS.items():
        assert shown.pop(group) == spec.to_dict(kind()), group
    root = {"seed": 0, "precision": "fp32", "init_from": None, "name": None, "tags": {}}
    assert shown == {"recipe": {}, **root}


def test_words_set_values_of_their_types(project: Path) -> None:
    made = compose(
        project, "optim.lr=1", "data.batch=1e3", "budget.time=1h30m", "name=7", "tags.n=2"
    )
    assert (made.optim.lr, type(made.optim.lr)) == (1.0, float)
    assert (made.data.batch, type(made.data.batch)) == (1000, int)
    assert made.budget.time == 5400
    assert (made.name, made.tags) == ("7", {"n": "2"})


@pytest.mark.parametrize(
    "text", ["(3", "résumé.txt", "it's", "a \\' b\\", "~/x y.tsv", "a=b", "100%"]
)
def test_a_value_may_be_any_text_without_a_comma(project: Path, text: str) -> None:
    assert compose(project, f"data.path={text}").data.path == text


@pytest.mark.parametrize(
    "text", ["1.10", "1e3", "1_000", "-0", "+7", ".5", "1.", "Inf", "NaN", "007", "7"]
)
def test_a_text_that_looks_like_a_number_stays_as_it_was_typed(
    project: Path, tmp_path: Path, text: str
) -> None:
    words = [f"name={text}", f"init_from={text}", f"+tags.v={text}", f"tags.a.b={text}"]
    words += [f"cluster.labels.zone={text}", f"data.path={text}", f"tracking.experiment={text}"]
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        made = config.compose(["recipe=tiny", "seed=3", *words], project, cache)
        assert (made.name, made.init_from, made.tags) == (text, text, {"v": text, "a.b": text})
        assert (made.cluster.labels, made.data.path) == ({"zone": text}, text)
        assert (made.tracking.experiment, made.seed) == (text, 3)


def test_a_number_of_too_many_digits_is_refused_in_words(project: Path) -> None:
    number = "9" * 5000
    assert refusal(project, "recipe=tiny", f"seed={number}").startswith("seed=99")
    assert several.axis_of(f"optim.lr=1,{number}", project) is None
    assert len(refusal(project, "recipe=tiny", f"optim.lr=1,{number}")) < 400


def test_a_dot_in_a_tags_name_is_a_letter_like_any_other(project: Path) -> None:
    assert compose(project, "tags.my.key=v").tags == {"my.key": "v"}
    assert compose(project, "tags={my: {key: [1], a: {b: 2}}}").tags == {
        "my.key": "[1]",
        "my.a.b": "2",
    }
    assert compose(project, "cluster.labels.x.zone=b").cluster.labels == {"x.zone": "b"}


def test_a_comma_in_quotes_belongs_to_the_value(project: Path) -> None:
    assert compose(project, "name='a, b'").name == "a, b"


def test_knobs_are_set_checked_and_listed_like_settings(project: Path) -> None:
    made = compose(
        project, "recipe.width=128", "recipe.cell=gru", "recipe.sizes=[1,2]", "recipe.heads=4"
    )
    assert made.recipe.knobs["width"] == 128
    assert made.recipe.knobs["sizes"] == [1, 2]
    assert made.recipe.knobs["heads"] == 4


def test_a_batch_of_all_is_a_word_and_a_batch_of_some_size_undoes_it(project: Path) -> None:
    write(project, "recipe/tiny.yaml", "# @package _global_\ndata: {whole: true, batch: 1000}\n")
    assert compose(project).data.whole
    assert (compose(project, "data.batch=all").data.batch) == 1000
    assert not compose(project, "data.batch=32").data.whole
    assert compose(project, "data.batch=32", "data.whole=true").data.whole
    assert not config.varied(compose(project), {"data.batch": 32}).data.whole


def test_an_adaptive_batch_is_a_word_for_one_that_grows(project: Path) -> None:
    made = compose(project, "data.batch=adaptive")
    assert (made.data.batch, made.data.grow) == (64, 16)


@pytest.mark.parametrize(
    ("words", "batch", "whole", "grow"),
    [
        ("data.batch=all data.batch=32", 32, False, 1),
        ("data.batch=adaptive data.batch=32", 32, False, 1),
        ("data.batch=32 data.batch=all", 32, True, 1),
        ("data.batch=32 data.batch=adaptive", 32, False, 16),
        ("data.batch=all data.batch=adaptive", 64, False, 16),
        ("data.batch=8 +data.batch=32", 32, False, 1),
        ("+data.batch=all", 64, True, 1),
        ("data.grow=4 data.batch=32", 32, False, 4),
    ],
)
def test_the_last_word_for_the_batch_wins(
    project: Path, words: str, batch: int, whole: bool, grow: int
) -> None:
    made = compose(project, *words.split()).data
    assert (made.batch, made.whole, made.grow) == (batch, whole, grow)


def test_a_setting_may_name_another(project: Path) -> None:
    assert compose(project, "optim.clip=${optim.lr}").optim.clip == 1e-3


# ── files ──


def test_a_group_takes_a_file_and_the_users_own_comes_first(project: Path) -> None:
    assert compose(project, "optim=sgd").optim.name == "sgd"
    write(project, "optim/sgd.yaml", "name: sgd\nlr: 0.5")
    assert compose(project, "optim=sgd").optim.lr == 0.5
    write(project, "data/mine.yaml", "path: corpus.tsv")
    assert compose(project, "data=mine").data.path == "corpus.tsv"


def test_a_recipes_file_sets_its_knobs_or_anything(project: Path) -> None:
    write(project, "recipe/tiny.yaml", "width: 32")
    assert compose(project).recipe.knobs["width"] == 32
    write(
        project, "recipe/tiny.yaml", "# @package _global_\nrecipe: {width: 16}\nbudget: {steps: 9}"
    )
    made = compose(project)
    assert (made.recipe.knobs["width"], made.budget.steps) == (16, 9)
    write(project, "recipe/wide.yaml", "name: tiny\nwidth: 512")
    assert config.compose(["recipe=wide"], project).recipe == spec.Recipe(
        "tiny", {**compose(project).recipe.knobs, "width": 512}
    )


def test_a_chosen_option_beats_the_recipes_file_and_words_beat_both(project: Path) -> None:
    write(project, "recipe/tiny.yaml", "# @package _global_\noptim: {lr: 0.1}\nbudget: {steps: 9}")
    write(project, "optim/mine.yaml", "name: sgd\nlr: 0.2")
    assert compose(project).optim.lr == 0.1
    assert compose(project, "optim=mine", "budget=smoke").optim.lr == 0.2
    assert compose(project, "optim=mine", "optim.lr=0.3").optim.lr == 0.3


EXPERIMENT = """# @package _global_
# Does it learn with sgd?
defaults:
  - override /recipe: tiny
  - override /optim: sgd
optim: {lr: 0.5}
recipe: {width: 9}
"""


@pytest.mark.parametrize("word", ["experiment=ask", "+experiment=ask"])
def test_an_experiment_is_a_whole_question_in_a_file(project: Path, word: str) -> None:
    write(project, "experiment/ask.yaml", EXPERIMENT)
    made = config.compose([word], project)
    assert (made.recipe.name, made.recipe.knobs["width"]) == ("tiny", 9)
    assert (made.optim.name, made.optim.lr) == ("sgd", 0.5)
    assert config.compose([word, "optim.lr=2"], project).optim.lr == 2.0


def test_the_users_config_yaml_holds_only_what_differs(project: Path) -> None:
    file = write(project, "config.yaml", "seed: 3\noptim: {name: adagrad, lr: 0.1}\n")
    made = compose(project)
    assert (made.seed, made.optim.name, made.optim.lr) == (3, "adagrad", 0.1)
    assert compose(project, "optim=sgd").optim.name == "sgd"
    file.write_text("defaults:\n  - override /optim: sgd")
    assert refusal(project, "recipe=tiny").startswith(f"{file} has a list of defaults")


def test_a_users_recipe_hides_a_shipped_one_of_the_same_name(project: Path) -> None:
    (project / "recipes" / "seq2seq.py").write_text('"""Mine."""')
    assert config.recipes(project)["seq2seq"] == project / "recipes" / "seq2seq.py"


def test_the_project_is_the_nearest_folder_upward_with_a_mark(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").touch()
    assert config.project_root(inner) == tmp_path / "a"


# ── what is refused ──


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "recipe=tiney",
            "recipe=tiney is not one of the options of recipe\n  → did you mean tiny",
        ),
        (
            "optim=adagard",
            "optim=adagard is not one of the options of optim\n  → did you mean adagrad",
        ),
        ("optm=adagrad", "optm is not a setting\n  → did you mean optim?"),
        ("optim.lrr=1", "optim.lrr is not a setting\n  → did you mean optim.lr"),
        ("recipe.widht=1", "recipe.widht is not a setting\n  → did you mean recipe.width"),
        ("batch=32", "batch is not a setting\n  → did you mean data.batch?"),
        ("width=32", "width is not a setting\n  → did you mean recipe.width?"),
        (
            "data=own",
            "data=own is not one of the options of data"
            "\n  → there are none yet: write conf/data/own.yaml",
        ),
        ("tiny", "tiny is not a setting\n  → did you mean recipe=tiny?"),
        ("--optim.lr=1", "--optim.lr=1 is not a setting\n  → settings are written key=value"),
        ("~optim.clip", "~optim.clip is not a setting\n  → optim.clip=null unsets one"),
        ("hydra.run.dir=x", "hydra.run.dir is not a setting\n  → keys are words and dots"),
        ("optim@x=sgd", "optim@x is not a setting\n  → keys are words and dots"),
        ("optim=null", "optim=null is not one of the options of optim"),
        (
            "evaluate=often",
            "evaluate=often: evaluate is a group of settings\n  → as in evaluate.every=…",
        ),
    ],
)
def test_an_unknown_word_is_named_with_its_near_misses(
    project: Path, word: str, message: str
) -> None:
    assert refusal(project, "recipe=tiny", word).startswith(message)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "data.batch=many",
            "data.batch=many does not fit: it should be a valid integer"
            "\n  → data.batch is a whole number above 0",
        ),
        (
            "data.batch=0",
            "data.batch=0 does not fit: it should be greater than 0"
            "\n  → data.batch is a whole number above 0",
        ),
        ("seed=-1", "seed=-1 does not fit: it should be greater than or equal to 0"),
        ("data.batch=true", "data.batch=true does not fit: it should be a valid integer"),
        ("data.batch=6.5", "data.batch=6.5 does not fit: it should be a valid integer"),
        (
            "optim.lr=-1",
            "optim.lr=-1 does not fit: it should be greater than 0"
            "\n  → optim.lr is a number above 0",
        ),
        ("optim.lr=inf", "optim.lr=Infinity does not fit: it should be a finite number"),
        ("optim.lr=nan", "optim.lr=NaN does not fit"),
        ("optim.lr=", "optim.lr= does not fit: it should be a valid number"),
        ("optim.betas=[a]", 'optim.betas=["a"] does not fit: it should be a valid number'),
        (
            "precision=fp23",
            "precision=fp23 does not fit: it should be 'fp32', 'bf16' or 'fp64'"
            "\n  → precision is one of fp32, bf16, fp64",
        ),
        (
            "budget.time=20minutes",
            "budget.time=20minutes does not fit: it should be a valid number"
            "\n  → budget.time is a number above 0 in seconds, or like 90s, 20m, 1h30m or null",
        ),
        ("budget.time=-5", "budget.time=-5 does not fit: it should be greater than 0"),
        ("budget.time=0s", "budget.time=0s does not fit: it should be greater than 0"),
        (
            "recipe.width=wide",
            "recipe.width=wide does not fit: it should be a valid integer"
            "\n  → recipe.width is a whole number",
        ),
        ("recipe.cell=rnn", "recipe.cell=rnn does not fit: it should be 'lstm' or 'gru'"),
        ("recipe.sizes=[1,x]", 'recipe.sizes=[1, "x"] does not fit'),
        ("recipe.heads={a: 1}", 'recipe.heads={"a": 1} does not fit'),
        ("tags=3", "tags=3 does not fit: it should be a valid dictionary"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_would(
    project: Path, word: str, message: str
) -> None:
    assert refusal(project, "recipe=tiny", word).startswith(message)


@pytest.mark.parametrize("value", ["1,2", "choice(1,2)", "range(1,3)", "interval(0,1)"])
def test_several_values_point_to_sweep(project: Path, value: str) -> None:
    message = refusal(project, "recipe=tiny", f"optim.lr={value}")
    assert message.startswith(f"optim.lr={value} asks for several values, and a run takes one")
    assert "turnaround sweep" in message


def test_no_recipe_lists_the_recipes(project: Path) -> None:
    assert refusal(project).startswith("no recipe was asked for\n  → recipe=… takes one of")
    assert "tiny" in refusal(project)


def test_a_wrong_line_of_a_file_is_named_with_its_place(project: Path) -> None:
    file = write(project, "experiment/ask.yaml", EXPERIMENT + "data:\n  bach: 3\n")
    assert refusal(project, "experiment=ask").startswith(
        f"data.bach is not a setting ({file}, line 9)"
    )
    file.write_text(EXPERIMENT + "data: {batch: 0}\n")
    assert refusal(project, "experiment=ask").startswith(
        "data.batch=0 does not fit: it should be greater than 0"
    )


def test_a_files_unknown_option_is_named(project: Path) -> None:
    write(project, "experiment/ask.yaml", EXPERIMENT.replace("optim: sgd", "optim: sgdd"))
    assert "asks for optim=sgdd, which is not one of the options\n  → did you mean sgd?" in refusal(
        project, "experiment=ask"
    )


def test_a_file_outside_conf_is_not_an_option(project: Path) -> None:
    (project / "outside.yaml").write_text("name: sgd")
    assert "is not one of the options" in refusal(project, "recipe=tiny", "optim=../../outside")
    write(project, "experiment/ask.yaml", EXPERIMENT.replace("optim: sgd", "optim: ../../outside"))
    assert "is not one of the options" in refusal(project, "experiment=ask")


# ── hostile input ──

BOMB = "a: &a [x, x]\n" + "\n".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]" for n in range(20)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "is nested 2 deep with 180 aliases"),
        ("data: " + "[" * 600 + "]" * 600, "is nested 601 deep"),
        ("data: " + "{a: " * 600 + "1" + "}" * 600, "is nested 601 deep"),
        ("x: " + "y" * 2**19, "is larger than 256 KiB"),
        ("x: [1", "is not YAML"),
        ("x: 1\nx: 2", "duplicate key x"),
        ("optim: !!python/object/apply:os.system [echo]", "could not determine a constructor"),
        ("- a\n- b", "holds no keys"),
        ("defaults: 5", "defaults must be a list"),
        ("defaults: [evil]", "a file of conf/ includes itself"),
        ("defaults:\n  - optim: sgd", "→ as in defaults: [override /optim: sgd]"),
        ("optim.lr: 3", "optim.lr is written with a dot\n  → optim: {lr: …}"),
        ("seed: .nan", "seed=NaN does not fit"),
        ("tags: {a: '${tags.a}'}", "Recursive interpolation"),
        ("optim: {_target_: os.system}", "optim._target_ is not a setting"),
        ("tags: {a: {_partial_: true}}", "tags.a._partial_ is not a setting"),
    ],
)
def test_a_hostile_file_is_refused_at_once(project: Path, text: str, message: str) -> None:
    write(project, "experiment/evil.yaml", f"# @package _global_\n{text}")
    began = time.process_time()
    assert message in refusal(project, "recipe=tiny", "experiment=evil")
    assert time.process_time() - began < 3


def test_a_wrong_first_line_is_refused(project: Path) -> None:
    write(project, "experiment/evil.yaml", "# @author Ada Lovelace\nseed: 3")
    assert "Too many components" in refusal(project, "recipe=tiny", "experiment=evil")


def test_a_file_that_is_not_utf_8_is_refused(project: Path) -> None:
    write(project, "experiment/evil.yaml", "").write_bytes(b"name: \xff\xfe")
    assert "is not YAML" in refusal(project, "recipe=tiny", "experiment=evil")


@pytest.mark.parametrize(
    "value", ["${oc.env:CANARY}", "'x ${oc.env:CANARY}'", "${oc.decode:${oc.env:CANARY}}"]
)
def test_nothing_outside_the_config_can_be_read(
    project: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "tweet")
    assert "tweet" not in refusal(project, "recipe=tiny", f"name={value}")
    write(project, "experiment/evil.yaml", f"# @package _global_\nname: {value}")
    assert "tweet" not in refusal(project, "experiment=evil", "recipe=tiny")
    write(
        project,
        "experiment/evil.yaml",
        f"# @package _global_\ndefaults:\n  - override /optim: {value}",
    )
    assert "tweet" not in refusal(project, "experiment=evil", "recipe=tiny")


@pytest.mark.parametrize(
    "word", ["_target_=os.system", "optim._target_=os.system", "tags.x={_target_: a.b}"]
)
def test_code_in_a_value_is_refused(project: Path, word: str) -> None:
    assert "is not a setting\n  → conf/ holds values" in refusal(project, "recipe=tiny", word)


@pytest.mark.parametrize(
    "word", ["tags.a=" + "{a:" * 600, "tags.a=" + "[" * 600, "optim.lr=${optim.lr}"]
)
def test_a_word_without_end_is_refused_at_once(project: Path, word: str) -> None:
    began = time.process_time()
    refusal(project, "recipe=tiny", word)
    assert time.process_time() - began < 3


# ── recipes ──


def test_a_recipe_with_a_syntax_error_is_named_with_its_line(project: Path) -> None:
    (project / "recipes" / "tiny.py").write_text("import torch\n\ndef model(:\n    pass\n")
    with pytest.raises(RecipeError) as caught:
        compose(project)
    assert "tiny.py, line 3: invalid syntax\n    def model(:" in str(caught.value)


def test_the_schema_is_read_without_importing_the_recipe(project: Path) -> None:
    knobs = config.schema(project / "recipes" / "tiny.py")
    assert knobs["width"] == config.KnobSchema("width", "int", 64, "of both layers")
    assert knobs["cell"].choices == ("lstm", "gru")
    assert knobs["reverse"].type == "bool"
    assert knobs["heads"].computed


def test_a_default_is_of_its_knobs_type_as_a_word_is(project: Path) -> None:
    (project / "recipes" / "tiny.py").write_text(
        "class Config:\n    turns: float = 2\n    rates: list[float] = field("
        "default_factory=lambda: [1, 2])\n    odd: int = 'x'\n    off: float | None = 1\n"
    )
    knobs = compose(project).recipe.knobs
    assert repr(knobs) == "{'turns': 2.0, 'rates': [1.0, 2.0], 'odd': 'x', 'off': 1.0}"
    assert repr(compose(project, "recipe.turns=2", "recipe.off=1").recipe.knobs) == repr(knobs)


def test_what_cannot_be_given_is_no_knob(project: Path) -> None:
    (project / "recipes" / "tiny.py").write_text(
        "class Config:\n    KINDS: ClassVar[list[str]] = ['a']\n    most: typing.ClassVar = 3\n"
        "    quoted: 'ClassVar[int]' = 3\n    made: int = field(init=False, default=3)\n"
        "    _: KW_ONLY\n    width: int = field(init=True, default=8)\n"
    )
    assert compose(project).recipe.knobs == {"width": 8}


def test_a_knob_without_a_default_must_be_given(project: Path) -> None:
    (project / "recipes" / "tiny.py").write_text("class Config:\n    width: int\n")
    assert "recipe.width has no value" in refusal(project, "recipe=tiny")
    assert compose(project, "recipe.width=3").recipe.knobs == {"width": 3}


# ── the cache ──


def test_asking_again_does_not_ask_hydra(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from turnaround.config import source

    words, cache = ["recipe=tiny", "optim.lr=0.5"], tmp_path / "cache"
    first = config.compose(words, project, cache)
    monkeypatch.setattr(source, "load", lambda *_: pytest.fail("asked again"))
    assert config.compose(words, project, cache) == first
    (project / "recipes" / "tiny.py").write_text(RECIPE.replace("WIDTH = 64", "WIDTH = 65"))
    assert config.compose(words, project, cache).recipe.knobs["width"] == 65


def test_a_changed_file_is_composed_anew(project: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    file = write(project, "optim/mine.yaml", "lr: 0.5")
    assert config.compose(["recipe=tiny", "optim=mine"], project, cache).optim.lr == 0.5
    file.write_text("lr: 0.25")
    assert config.compose(["recipe=tiny", "optim=mine"], project, cache).optim.lr == 0.25


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("_base", "optim/_base.yaml"),
        ("/_own/b@_here_", "_own/b.yaml"),
        ("a/b@_here_", "optim/a/b.yaml"),
    ],
)
def test_a_file_that_another_pulls_in_is_read_anew_and_what_it_refers_to_is_composed(
    project: Path, tmp_path: Path, entry: str, name: str
) -> None:
    cache, words = tmp_path / "cache", ["recipe=tiny", "optim=big"]
    write(project, "optim/big.yaml", f"defaults: [{entry}]")
    file = write(project, name, "lr: 0.5")
    assert config.compose(words, project, cache).optim.lr == 0.5
    before = file.stat()
    file.write_text("lr: 0.7")  # of the same size, and at the same moment as far as its time tells
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert config.compose(words, project, cache).optim.lr == 0.7
    file.write_text("lr: 0.5\neps: ${optim.lr}")
    assert config.compose([*words, "optim.lr=0.25"], project, cache).optim.eps == 0.25


def test_a_folder_of_conf_may_be_a_link(project: Path, tmp_path: Path) -> None:
    cache, words = tmp_path / "cache", ["recipe=tiny", "optim=big"]
    write(project, "optim/big.yaml", "defaults: [a/b@_here_]")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.yaml").write_text("lr: 0.5")
    (project / "conf" / "optim" / "a").symlink_to(tmp_path / "elsewhere")
    assert config.compose(words, project, cache).optim.lr == 0.5
    (tmp_path / "elsewhere" / "b.yaml").write_text("lr: 0.7")
    assert config.compose(words, project, cache).optim.lr == 0.7


def test_files_that_nobody_asks_for_may_be_broken(project: Path, tmp_path: Path) -> None:
    write(project, "optim/old.yaml", "").write_bytes("# é\nlr: 1".encode("latin-1"))
    (project / "conf" / "optim" / "gone.yaml").symlink_to(tmp_path / "nowhere.yaml")
    words = ["recipe=tiny", "optim.lr=0.5"]
    assert config.compose(words, project, tmp_path / "cache").optim.lr == 0.5
    assert "optim.lr=-1 does not fit" in refusal(project, "recipe=tiny", "optim.lr=-1")
    assert "gone" not in config.places.options(project, "optim")


def test_another_number_is_no_other_composition(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, words = tmp_path / "cache", ["recipe=tiny", "optim=adam"]
    config.compose([*words, "optim.lr=0.5", "seed=1"], project, cache)
    monkeypatch.setattr("turnaround.config.source.load", None)
    made = config.compose([*words, "optim.lr=2e-3", "seed=7", "recipe.width=9"], project, cache)
    assert (made.optim.lr, made.seed, made.recipe.knobs["width"]) == (2e-3, 7, 9)


NUMBERS = (
    ["optim.lr=1e-2", "optim.clip=${optim.lr}"],
    ["optim.lr=0.5", "optim.lr=0.25"],
    ["data.batch=32", "budget.steps=7", "cluster.threads=2"],
    ["optim.betas=1"],
    ["optimm.lr=1"],
    ["optim.lrr=1"],
    ["seeed=1"],
    ["seed=1.5"],
    ["recipe.sizes=4"],
    ["tags.x=1", "seed=3"],
    ["tags=1"],
    ["tags={a: 1}", "tags.b=2"],
    ["seed=-3"],
    ["optim.lr=0.5", "optim=sgd", "recipe.width=8", "+seed=4"],
)


@pytest.mark.parametrize("words", NUMBERS)
def test_numbers_mean_the_same_with_a_cache(
    project: Path, tmp_path: Path, words: list[str]
) -> None:
    def told(cache: Path | None) -> object:
        try:
            return config.compose(["recipe=tiny", *words], project, cache)
        except ConfigError as error:
            return str(error)

    assert told(tmp_path / "cache") == told(None)


def test_what_a_file_refers_to_is_composed(project: Path, tmp_path: Path) -> None:
    write(project, "optim/mine.yaml", "name: adam\nlr: 0.1\nclip: ${optim.lr}\n")
    words = ["recipe=tiny", "optim=mine", "optim.lr=0.5"]
    assert config.compose(words, project, tmp_path / "cache").optim.clip == 0.5


TEXTS = "1 -1 1e3 1E-3 0.5 -0.0 1,2,1 1,1.0,1e0 1e-3,3e-3 01 1_0 .5 1. +1 1e999 0x1 1, a-b a/b.c"


@pytest.mark.parametrize("text", [*TEXTS.split(), "nan", "1,x", "true", "null", "-", ""])
def test_a_number_is_what_hydra_takes_it_for(project: Path, text: str) -> None:
    def told(find: Callable[[str, Path], object]) -> str:
        try:
            return repr(find(f"optim.lr={text}", project))
        except ConfigError as error:
            return str(error)

    assert told(several.axis_of) == told(source.axis)
    if (found := literal.number(text)) is not None:
        value = source.section("sweep", [f"sweep.trials={text}"], project)["trials"]
        assert repr(found) == repr(value)


def test_a_spoilt_cache_is_no_harm(project: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[half")
    assert config.compose(["recipe=tiny"], project, tmp_path).optim == spec.Optim()
    assert (
        config.compose(["recipe=tiny"], project, tmp_path / "config.json" / "no").optim
        == spec.Optim()
    )
