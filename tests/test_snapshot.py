"""What a run starts from is frozen once, without secrets, and does not change any more."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import time
from pathlib import Path

import pytest

from turnaround import snapshot
from turnaround.errors import DataError, LaunchError, PlanError
from turnaround.snapshot import frozen
from turnaround.snapshot.digest import Digests
from turnaround.spec import Data


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    put(folder, "recipes/tiny.py", "import helpers.words\n")
    put(folder, "helpers/__init__.py", "")
    put(folder, "helpers/words.py", "from . import letters")
    put(folder, "helpers/letters.py", "A = 1")
    put(folder, "notes.md", "not code")
    return folder


def put(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def git(project: Path, *words: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", "-C", str(project), *who, *words], check=True, capture_output=True)


def commit(project: Path) -> None:
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "all")


def freeze(project: Path) -> tuple[snapshot.Frozen, set[str]]:
    """The snapshot, and the names in its tree."""
    home = project.parent / "home"
    made = snapshot.freeze(project, project / "recipes" / "tiny.py", home)
    tree = home / "snapshots" / made.hash / "tree"
    return made, {str(f.relative_to(tree)) for f in tree.rglob("*") if f.is_file()}


# ── code ──


def code(project: Path) -> str:
    return snapshot.code(project / "recipes" / "tiny.py", project)


@pytest.mark.parametrize(
    "name", ["recipes/tiny.py", "helpers/__init__.py", "helpers/words.py", "helpers/letters.py"]
)
def test_the_code_is_the_recipe_and_what_it_imports(project: Path, name: str) -> None:
    before = code(project)
    (project / name).write_text((project / name).read_text() + "\nB = 2")
    assert code(project) != before


def test_what_the_recipe_does_not_import_is_not_its_code(project: Path) -> None:
    before = code(project)
    put(project, "notes.md", "changed")
    put(project, "other.py", "B = 2")
    assert code(project) == before


def test_the_code_does_not_depend_on_where_the_project_lies(project: Path) -> None:
    before = code(project)
    project.rename(project.with_name("moved"))
    assert code(project.with_name("moved")) == before


# ── freezing ──


@pytest.mark.parametrize("with_git", [True, False])
def test_a_snapshot_holds_the_projects_files(project: Path, with_git: bool) -> None:
    if with_git:
        commit(project)
    put(project, "new.py", "untracked, not ignored")
    made, names = freeze(project)
    assert names == {
        "recipes/tiny.py", "helpers/__init__.py", "helpers/words.py", "helpers/letters.py",
        "notes.md", "new.py",
    }  # fmt: skip
    assert (made.git_sha is not None, made.dirty) == (with_git, with_git)
    assert made.left_out == []


def test_ignored_files_and_rubbish_stay_out(project: Path) -> None:
    put(project, ".gitignore", "secret-data/\n")
    commit(project)
    put(project, "secret-data/huge.bin", "x")
    put(project, "mlflow.db", "x")
    put(project, "mlruns/0/meta.yaml", "x")
    put(project, "__pycache__/a.pyc", "x")
    assert freeze(project)[1] & {"secret-data/huge.bin", "mlflow.db", "mlruns/0/meta.yaml"} == set()


def test_a_shipped_recipe_lands_beside_the_users(project: Path, tmp_path: Path) -> None:
    shipped = put(tmp_path, "elsewhere/recipes/lm.py", "")
    made = snapshot.freeze(project, shipped, tmp_path / "home")
    assert (tmp_path / "home" / "snapshots" / made.hash / "tree" / "recipes" / "lm.py").is_file()


def test_secrets_are_left_out_and_listed(project: Path) -> None:
    secrets = [
        ".env",
        ".env.local",
        "key.pem",
        "id_rsa",
        "hf_token",
        "a/credentials.json",
        ".netrc",
    ]
    kept = ["tokenizer.json", "tokenize.py", "token.py", "tokens.txt", "num_tokens.yaml"]
    for name in [*secrets, *kept]:
        put(project, name, "x")
    commit(project)
    put(project, ".env", "changed: canary")
    made, names = freeze(project)
    assert names.isdisjoint(secrets)
    assert names.issuperset(kept)
    assert sorted(made.left_out) == sorted(f"{name} (may hold a secret)" for name in secrets)
    folder = project.parent / "home" / "snapshots" / made.hash
    assert "canary" not in (folder / "diff.patch").read_text()


def test_a_link_out_of_the_project_is_left_out(project: Path, tmp_path: Path) -> None:
    put(tmp_path, "outside.py", "x")
    (project / "inside.py").symlink_to(tmp_path / "outside.py")
    made, names = freeze(project)
    assert "inside.py" not in names
    assert made.left_out == ["inside.py (a link out of the project)"]


def test_a_large_file_is_left_out_and_listed(project: Path) -> None:
    with (project / "corpus.bin").open("wb") as file:
        file.truncate(11 * 2**20)
    made, names = freeze(project)
    assert "corpus.bin" not in names
    assert made.left_out == ["corpus.bin (11 MiB)"]


def test_too_much_in_all_is_refused_naming_the_largest(project: Path) -> None:
    for number in range(9):
        with (project / f"part{number}.bin").open("wb") as file:
            file.truncate(9 * 2**20 - number)
    with pytest.raises(PlanError) as caught:
        freeze(project)
    assert str(caught.value) == (
        "the project holds 81 MiB of files, more than 64 of code\n"
        "  → name its data in .gitignore; the largest are "
        "part0.bin (9.0 MiB), part1.bin (9.0 MiB), part2.bin (9.0 MiB)"
    )
    assert not (project.parent / "home" / "snapshots").exists()


def test_a_folder_that_is_no_project_gives_only_the_recipe(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's home folder, say, from which the shipped recipe is run."""
    monkeypatch.setattr(frozen, "MOST_WALKED", 3)
    assert "notes.md" not in freeze(project)[1]
    assert "helpers/letters.py" in freeze(project)[1]


def test_our_own_home_inside_the_project_stays_out(project: Path) -> None:
    home = project / "state"
    first = snapshot.freeze(project, project / "recipes" / "tiny.py", home)
    assert snapshot.freeze(project, project / "recipes" / "tiny.py", home) == first


def test_our_own_home_stays_out_whichever_link_leads_to_it(project: Path) -> None:
    link = project.parent / "link"
    link.symlink_to(project)
    put(project, "home/journal.db", "")
    for there, home in ((project, link / "home"), (link, project / "home")):
        frozen_ = snapshot.freeze(there, there / "recipes" / "tiny.py", home)
        assert not (home / "snapshots" / frozen_.hash / "tree" / "home").exists()


def test_a_snapshot_that_is_used_again_is_new_again(project: Path) -> None:
    home = project.parent / "home"
    once = snapshot.freeze(project, project / "recipes" / "tiny.py", home)
    folder = home / "snapshots" / once.hash
    os.utime(folder, (0, 0))
    assert snapshot.freeze(project, project / "recipes" / "tiny.py", home) == once
    assert time.time() - folder.stat().st_mtime < 60  # `gc` takes those of an hour


def test_the_manifest_environment_and_diff_are_kept(project: Path) -> None:
    commit(project)
    put(project, "notes.md", "changed")
    made, names = freeze(project)
    folder = project.parent / "home" / "snapshots" / made.hash
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["files"].keys() == names
    assert manifest["files"]["notes.md"]["size"] == 7
    assert "+changed" in (folder / "diff.patch").read_text()
    assert "\npytest==" in (folder / "environment.txt").read_text()


def test_the_same_content_is_stored_once_and_an_edit_anew(project: Path) -> None:
    first, _ = freeze(project)
    assert freeze(project)[0] == first
    put(project, "helpers/letters.py", "A = 2")
    second, _ = freeze(project)
    assert second.hash != first.hash
    tree = project.parent / "home" / "snapshots" / first.hash / "tree"
    assert (tree / "helpers" / "letters.py").read_text() == "A = 1"


def test_two_at_once_store_one(project: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        hashes = {made.hash for made, _ in pool.map(freeze, [project] * 8)}
    assert len(hashes) == 1
    assert [f.name for f in (project.parent / "home" / "snapshots").iterdir()] == [*hashes]


def test_a_full_or_read_only_disk_leaves_nothing_half_written(project: Path) -> None:
    (project.parent / "home").write_text("a file where the folder should be")
    with pytest.raises(LaunchError) as caught:
        freeze(project)
    assert "could not be kept" in str(caught.value)


def test_names_of_any_bytes_are_kept(project: Path) -> None:
    odd = os.fsdecode(b"na\xefve \n.md")
    put(project, odd, "x")
    commit(project)
    assert odd in freeze(project)[1]


def test_git_that_does_not_answer_is_no_git(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(project)
    monkeypatch.setenv("PATH", "")
    assert snapshot.revision(project) == snapshot.Revision(None, False)
    assert "notes.md" in freeze(project)[1]


# ── data ──


def fingerprint(project: Path, path: str | None = None, train: str | None = None) -> str:
    data = Data(path=path, train=train)
    return snapshot.fingerprint(data, project, project.parent / "home")


def test_data_is_known_by_its_content(project: Path) -> None:
    put(project, "a.tsv", "one\tun")
    put(project, "b.tsv", "one\tun")
    assert fingerprint(project) == ""
    assert fingerprint(project, path="a.tsv") == fingerprint(project, path="b.tsv")
    assert fingerprint(project, path="a.tsv") != fingerprint(project, train="a.tsv")
    put(project, "b.tsv", "one\tuns")
    assert fingerprint(project, path="a.tsv") != fingerprint(project, path="b.tsv")


def test_parallel_files_are_named_by_what_they_share(project: Path) -> None:
    put(project, "corpus.en", "one")
    put(project, "corpus.fr", "un")
    before = fingerprint(project, path="corpus")
    put(project, "corpus.fr", "une")
    assert fingerprint(project, path="corpus") != before


def test_sizes_of_groups_beside_a_file_are_part_of_it(project: Path) -> None:
    put(project, "rank.train", "1 1:0.5")
    alone = fingerprint(project, path="rank.train")
    put(project, "rank.train.query", "1")
    assert fingerprint(project, path="rank.train") != alone


def test_a_folder_is_known_by_all_that_is_in_it(project: Path) -> None:
    put(project, "photos/cats/1.txt", "x")
    put(project, "photos/dogs/1.txt", "")
    before = fingerprint(project, path="photos")
    assert fingerprint(project, path="photos/") == before
    (project / "photos" / "cats" / "1.txt").rename(project / "photos" / "dogs" / "2.txt")
    assert fingerprint(project, path="photos") != before


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("none.tsv", "{} is not there"),
        ("bare", "{} is an empty folder"),
        ("empty.tsv", "{} is empty"),
    ],
)
def test_data_that_is_not_there_is_named(project: Path, name: str, what: str) -> None:
    put(project, "empty.tsv", "")
    (project / "bare").mkdir()
    with pytest.raises(DataError) as caught:
        fingerprint(project, train=name)
    assert str(caught.value).startswith(f"data.train={name}: {what.format(project / name)}")
    assert caught.value.exit_code == 2


def test_data_that_is_not_there_is_looked_for_nearby(project: Path) -> None:
    for name in ("rows.csv", "corpus.en", "corpus.fr"):
        (project / name).write_text("x\n")
    for asked, meant in (("row.csv", "rows.csv"), ("corpse", "corpus")):
        with pytest.raises(DataError) as caught:
            snapshot.fingerprint(Data(path=asked), project, project)
        assert f"did you mean {meant}" in caught.value.hint


def test_data_that_cannot_be_read_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(project, "a.tsv", "x")

    def denied(*_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Digests, "of", denied)
    with pytest.raises(DataError, match=r"a\.tsv cannot be read \(Permission denied\)"):
        fingerprint(project, path="a.tsv")


# ── the cache ──


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    file = put(tmp_path, "a", "1")
    old = time.time() - 60
    os.utime(file, (old, old))
    digests = Digests(tmp_path / "cache.json")
    first = digests.of(file)
    digests.save()
    known = json.loads((tmp_path / "cache.json").read_text())
    known[str(file)][3] = "from the cache"
    (tmp_path / "cache.json").write_text(json.dumps(known))
    assert Digests(tmp_path / "cache.json").of(file) == "from the cache"
    file.write_text("2")
    assert Digests(tmp_path / "cache.json").of(file) not in (first, "from the cache")


def test_a_file_changed_just_now_is_not_trusted_to_stay(tmp_path: Path) -> None:
    file = put(tmp_path, "a", "1")
    digests = Digests(tmp_path / "cache.json")
    digests.of(file)
    digests.save()
    assert not (tmp_path / "cache.json").exists()
