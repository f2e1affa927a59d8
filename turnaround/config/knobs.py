"""A data class's fields, read from its source without importing it (recipes import torch).

    schema(Path("recipes/seq2seq.py"))["width"]
    KnobSchema(name="width", type="int", default=256, help="of embeddings and LSTMs", choices=())
"""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from turnaround.errors import RecipeError

UNREAD = "…"  # shown for a default that only running the file could tell


@dataclass(frozen=True)
class KnobSchema:
    """One field: `default` is plain data, absent (`required`) or code (`computed`)."""

    name: str
    type: str
    default: Any = None
    help: str = ""
    choices: tuple[Any, ...] = ()
    required: bool = False
    computed: bool = False  # the default is an expression that only the file itself can evaluate

    @property
    def annotation(self) -> Any:
        """The type itself; Any where its text is more than builtins, Literal and None."""
        return _type(ast.parse(self.type, mode="eval").body)


def schema(file: Path, name: str = "Config") -> dict[str, KnobSchema]:
    """The fields of the data class `name` in `file`; none when there is no such class."""
    tree, comments = _parsed(file)
    constants = _constants(tree)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    fields = [node for cls in classes[-1:] for node in cls.body if isinstance(node, ast.AnnAssign)]
    knobs = [_knob(node, comments, constants) for node in fields if isinstance(node.target, ast.Name)]
    return {knob.name: knob for knob in knobs}


def headline(file: Path) -> str:
    """The first line of the file's docstring."""
    tree, _ = _parsed(file)
    return (ast.get_docstring(tree) or "").split("\n")[0]


def _parsed(file: Path) -> tuple[ast.Module, dict[int, str]]:
    """The syntax tree, and each line's trailing comment."""
    try:
        with tokenize.open(file) as opened:
            text = opened.read()
        tree = ast.parse(text, str(file))
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise RecipeError(
            f"{file}, line {error.lineno}: {error.msg}" + (f"\n    {line}" if line else ""),
            "mend the file and ask again",
        ) from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise RecipeError(f"{file} cannot be read: {error}", "a recipe is a text file in UTF-8") from None
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    return tree, comments


def _constants(tree: ast.Module) -> dict[str, Any]:
    """Plain values that the module's own names stand for."""
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except (ValueError, TypeError):
                continue
    return found


def _knob(node: ast.AnnAssign, comments: dict[int, str], constants: dict[str, Any]) -> KnobSchema:
    assert isinstance(node.target, ast.Name)
    kind = ast.unparse(node.annotation)
    if isinstance(node.annotation, ast.Constant) and isinstance(node.annotation.value, str):
        kind = node.annotation.value  # written as a string
    value = _factory(node.value)
    default, computed = None, False
    if value is not None:
        try:
            default = constants[value.id] if isinstance(value, ast.Name) else ast.literal_eval(value)
        except (KeyError, ValueError, TypeError):
            computed = True
    default = list(default) if isinstance(default, tuple) else default
    knob = KnobSchema(node.target.id, kind, default, _comment(node, comments), (), value is None, computed)
    return KnobSchema(**{**vars(knob), "choices": _choices(knob.annotation)})


def _factory(value: ast.expr | None) -> ast.expr | None:
    """The expression of a default, taken out of `field(default=…)` or `field(default_factory=…)`."""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] == "field"):
        return value
    given = {word.arg: word.value for word in value.keywords}
    made = given.get("default_factory")
    if isinstance(made, ast.Lambda):
        return made.body
    if isinstance(made, ast.Name) and made.id in ("list", "dict"):
        return ast.List([]) if made.id == "list" else ast.Dict([], [])
    return given.get("default", made)


def _comment(node: ast.AnnAssign, comments: dict[int, str]) -> str:
    return comments.get(node.end_lineno or node.lineno, "")


_BUILTINS: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "None": None}


def _type(node: ast.expr) -> Any:
    match node:
        case ast.Name(id=name) if name in _BUILTINS:
            return _BUILTINS[name]
        case ast.Constant(value=None):
            return None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _type(left) | _type(right) if Any not in (_type(left), _type(right)) else Any
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            values = ast.literal_eval(inner)
            return Literal[values]
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return _type(inner) | None if _type(inner) is not Any else Any
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return list[_type(inner)]  # type: ignore[misc]  # a type made at run time
    return Any





def _choices(annotation: Any) -> tuple[Any, ...]:
    args = getattr(annotation, "__args__", ())
    return args if getattr(annotation, "__origin__", None) is Literal else ()
