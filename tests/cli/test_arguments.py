import pytest

from turnaround.cli.words import arguments
from turnaround.errors import ConfigError


@pytest.mark.parametrize("name", ["wide", "a b", "lr=0.1, 2 layers", "日本", "v1.2", "x" * 200])
def test_names_that_people_give_are_taken(name: str) -> None:
    arguments.check_name(name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../x", "contains /"),
        ("a\\b", "contains \\"),
        ("a..b", "contains .."),
        ("a\nb", "has control characters"),
        ("\x1b[2J", "has control characters"),
        ("-rf", "begins with -"),
        ("", "is empty"),
        ("x" * 201, "has 201 characters, more than 200"),
    ],
)
def test_names_that_could_do_harm_are_refused(name: str, why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        arguments.check_name(name)
    assert str(refused.value) == (
        f"name {name[:40]!r} {why}\n  → use letters, digits, spaces and . _ - : , +"
    )


def test_tags_are_pairs() -> None:
    assert arguments.parse_tags(["team=nlp", "note=a=b", "empty="]) == {
        "team": "nlp",
        "note": "a=b",
        "empty": "",
    }
    assert arguments.parse_tags(None) == {}


def test_a_tag_without_a_value_says_how_to_write_it() -> None:
    with pytest.raises(ConfigError, match=r"--tag 'team' has no value\n  → write --tag key=value"):
        arguments.parse_tags(["team"])


@pytest.mark.parametrize("tags", [{"a/b": "x"}, {"a": "x" * 201}, {"a": "x\ny"}, {"": "x"}])
def test_tags_that_could_not_be_shown_are_refused(tags: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        arguments.check_tags(tags)


def test_the_shell_completes_runs(submit) -> None:
    submit("seq2seq-aaaaa", name="wide")
    submit("lm-bbbbb")
    assert arguments.complete_runs("seq") == [("seq2seq-aaaaa", "QUEUED wide")]
