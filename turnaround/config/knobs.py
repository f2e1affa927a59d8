"""A data class's fields, read from its source without importing it (recipes import torch).

schema(Path("recipes/seq2seq.py"))["width"]
KnobSchema(name="width", type="int", default=256, help="of embeddings and LSTMs", choices=())
"""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from turnaround.errors import RecipeError
from turnaround.spec import Amount, Count, Knob, Share


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
        """The type itself; any plain value where its text says more than builtins can."""
        return _type(ast.parse(self.type, mode="eval").body)


def schema(file: Path, name: str = "Config") -> dict[str, KnobSchema]:
    """The fields of the data class `name` in `file`; none when there is no such class."""
    tree, lines = _parsed(file)
    constants = _constants(tree)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    fields = [node for cls in classes[-1:] for node in cls.body if isinstance(node, ast.AnnAssign)]
    knobs = filter(_asked, fields)
    return {ast.unparse(field.target): _knob(field, lines, constants) for field in knobs}


def headline(file: Path) -> str:
    """The first line of the file's docstring."""
    tree, _ = _parsed(file)
    return (ast.get_docstring(tree) or "").split("\n")[0]


FACTS = ("data", "expect", "time")  # what the docstring of a recipe says in lines of their own


def facts(file: Path) -> dict[str, str]:
    """What the file's docstring says in paragraphs that begin with `Data:`, `Expect:`, `Time:`."""
    tree, _ = _parsed(file)
    paragraph = rf"^({'|'.join(FACTS)}):\s+(.*?)(?=\n\w+:\s|\n\s*\n|\Z)"
    text = ast.get_docstring(tree) or ""
    found = re.findall(paragraph, text, re.IGNORECASE | re.DOTALL | re.MULTILINE)
    return {name.lower(): " ".join(said.split()) for name, said in found}


def _parsed(file: Path) -> tuple[ast.Module, list[bytes]]:
    """The syntax tree, and the lines."""
    try:
        text = file.read_bytes()
        return ast.parse(text, str(file)), text.splitlines()
    except SyntaxError as error:
        line = f"\n    {error.text.strip()}" if error.text else ""
        message = f"{file}, line {error.lineno}: {error.msg}{line}"
        raise RecipeError(message, "mend the file and ask again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecipeError(
            f"{file} cannot be read: {error}", "a recipe is Python, in UTF-8"
        ) from None


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


def _knob(node: ast.AnnAssign, lines: list[bytes], constants: dict[str, Any]) -> KnobSchema:
    annotation = _unquoted(node.annotation)
    value = _default(node.value)
    plain, default = _evaluated(value, constants) if value else (True, None)
    return KnobSchema(
        name=ast.unparse(node.target),
        type=ast.unparse(annotation),
        default=default,
        help=_comment(node, lines),
        choices=_choices(_type(annotation)),
        required=value is None,
        computed=not plain,
    )


def _asked(node: ast.AnnAssign) -> bool:
    """It can be given when the class is made."""
    kind = ast.unparse(_unquoted(node.annotation)).partition("[")[0].rpartition(".")[2]
    init = _given(node.value).get("init")
    return kind not in ("ClassVar", "KW_ONLY") and (init is None or ast.unparse(init) != "False")


def _unquoted(annotation: ast.expr) -> ast.expr:
    """The type that is written as "a string"."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        with suppress(SyntaxError):
            return ast.parse(annotation.value, mode="eval").body
    return annotation


def _comment(node: ast.AnnAssign, lines: list[bytes]) -> str:
    """What follows the field on its last line; columns are counted in bytes."""
    rest = lines[(node.end_lineno or node.lineno) - 1][node.end_col_offset :]
    return rest.decode("utf-8", "replace").partition("#")[2].strip()


def _default(value: ast.expr | None) -> ast.expr | None:
    """The expression of a default, taken out of `field(default=…)` or `default_factory=…`."""
    if not _is_field(value):
        return value
    given = _given(value)
    made = given.get("default_factory")
    if isinstance(made, ast.Lambda):
        return made.body
    return given.get("default", made)


def _is_field(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] == "field"


def _given(value: ast.expr | None) -> dict[str | None, ast.expr]:
    """What is said in `field(…)`."""
    words = value.keywords if isinstance(value, ast.Call) and _is_field(value) else []
    return {word.arg: word.value for word in words}


def _evaluated(value: ast.expr, constants: dict[str, Any]) -> tuple[bool, Any]:
    """Whether the expression is plain data, and that data; a tuple becomes a list, as in JSON."""
    if ast.unparse(value) in ("list", "dict"):  # as a default_factory
        return True, [] if ast.unparse(value) == "list" else {}
    try:
        found = constants[value.id] if isinstance(value, ast.Name) else ast.literal_eval(value)
    except (KeyError, ValueError, TypeError):
        return False, None
    return True, list(found) if isinstance(found, tuple) else found


_BUILTINS: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool}
_BUILTINS |= {"Count": Count, "Amount": Amount, "Share": Share}  # as recipes import them from spec


def _type(node: ast.expr) -> Any:
    match node:
        case ast.Name(id=name) if name in _BUILTINS:
            return _BUILTINS[name]
        case ast.Constant(value=None):
            return None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[_type(left), _type(right)]  # noqa: UP007  # `None | None` is no type
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return Union[_type(inner), None]  # noqa: UP007  # as above
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return list[_type(inner)]  # type: ignore[misc]  # a type made at run time
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            return Literal[ast.literal_eval(inner)]
    return Knob


def _choices(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()
