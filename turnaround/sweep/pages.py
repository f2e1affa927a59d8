"""A sweep's report as files: Markdown, one HTML page, and the pictures of both.

write(report, journal.folder(sweep) / "report")       # the page's path
"""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

from turnaround.sweep import picture
from turnaround.sweep.report import COLUMNS, Line, Report, cost, rows, told

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1120px; margin: 2rem auto; padding: 0 1rem;
       color: #1f2933 }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; font-size: 13px } td, th { padding: 3px 10px; text-align: left }
tr:nth-child(even) { background: #f5f7fa } code { background: #f0f4f8; padding: 2px 5px }
.pictures { display: flex; flex-wrap: wrap; gap: 12px } .winner td { font-weight: bold }
dt { float: left; width: 9em; color: #52606d } dd { margin-left: 9em }
"""


def write(report: Report, folder: Path) -> Path:
    """report.html, report.md and the pictures in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = pictures(report)
    for name, svg in drawn.items():
        (folder / f"{name}.svg").write_text(svg)
    (folder / "report.md").write_text(markdown(report, list(drawn)))
    page = folder / "report.html"
    page.write_text(html(report, drawn))
    return page


def pictures(report: Report) -> dict[str, str]:
    """Learning curves, scores in the order they came, and one picture for each setting."""
    winner = report.winner
    name = f"valid/{report.score}"
    lines = {_named(line): line.curve for line in report.lines}
    strong = {_named(winner)} if winner else set()
    drawn = {"curves": picture.curves(lines, strong, name)}
    drawn["progress"] = picture.progress(_progress(report), name)
    for key, points in _points(report).items():
        drawn[key.replace(".", "-")] = picture.scatter(points, key, name, _spread(points))
    return drawn


def _named(line: Line) -> str:
    return f"{line.number}: {line.name}"


def _progress(report: Report) -> list[tuple[float, float, float]]:
    """(how many had ended, score, best so far)."""
    done = sorted((n for n in report.lines if n.score is not None), key=lambda line: line.ended)
    best = math.nan
    points = []
    for count, line in enumerate(done, 1):
        assert line.score is not None
        pair = [line.score] if math.isnan(best) else [best, line.score]
        best = max(pair) if report.rises else min(pair)
        points.append((float(count), line.score, best))
    return points


def _points(report: Report) -> dict[str, list[tuple[float, float, bool]]]:
    """(setting, score, trained to the end), for each setting that is a number."""
    found: dict[str, list[tuple[float, float, bool]]] = {}
    for line in report.lines:
        for key, value in line.values.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and line.score is not None:
                point = (float(str(value)), line.score, line.status == "trained")
                found.setdefault(key, []).append(point)
    return found


def _spread(points: list[tuple[float, float, bool]]) -> bool:
    """So far apart that a logarithm shows them better."""
    values = [x for x, _, _ in points]
    return min(values) > 0 and max(values) / min(values) >= 20


def facts(report: Report) -> list[tuple[str, str]]:
    """Titles and texts of the head of the page."""
    asked = [("asked", report.asked), ("came to", report.headline)]
    asked += [("ended", report.reason)] if report.reason else []
    return [*asked, *told(report), *cost(report)]


def markdown(report: Report, drawn: list[str]) -> str:
    """The whole report, pictures by reference."""
    title = f"# {report.name or report.sweep} ({report.status})"
    head = "\n".join(f"* **{name}**: {_code(name, text)}" for name, text in facts(report))
    cells = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows(report)]
    table = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS), *cells]
    images = "\n".join(f"![{name}]({name}.svg)" for name in drawn)
    return "\n\n".join([title, head, images, "\n".join(table)]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _code(name: str, text: str) -> str:
    return f"`{text}`" if name in ("asked", "run it") else text


def html(report: Report, drawn: dict[str, str]) -> str:
    """The same as one page that needs nothing else."""
    title = escape(f"{report.name or report.sweep} {report.status}")
    head = "".join(
        f"<dt>{escape(name)}</dt><dd>{_marked(name, text)}</dd>" for name, text in facts(report)
    )
    winner = str(report.winner.number) if report.winner else ""
    body = "".join(
        f"<tr{' class=winner' * (row[0] == winner)}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in rows(report)
    )
    columns = "".join(f"<th>{name}</th>" for name in COLUMNS)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1><dl>{head}</dl>"
        f'<h2>Curves and settings</h2><div class="pictures">{"".join(drawn.values())}</div>'
        f"<h2>Trials</h2><table><tr>{columns}</tr>{body}</table></html>\n"
    )


def _marked(name: str, text: str) -> str:
    return f"<code>{escape(text)}</code>" if name in ("asked", "run it") else escape(text)
