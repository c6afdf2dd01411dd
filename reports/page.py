"""The page: one self-contained HTML file, the same words as Markdown, and the figures beside them."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from reports import fitted
from reports.examples import Search, example_searches
from reports.folder import Run, read_run
from reports.keynumbers import KeyNumber, key_numbers
from reports.numbers import duration
from reports.sections.experiment import headline
from reports.sections.order import sections
from reports.sections.section import Picture, Section
from reports.style import policy_styles
from reports.summaries import unique, with_truth
from reports.table import Table
from reports.tables import verdict_matrix
from reports.verdicts import VERDICTS

TEMPLATES = Path(__file__).parent / "templates"
KIND_WORDS = {
    "experiment": "Experiment",
    "evaluation": "Evaluation of a log",
    "sweep": "Sweep",
    "contest": "Contest",
    "benchmark": "Benchmark",
    "fit": "World fitted to a log",
    "leaderboard": "Leaderboard",
}
WORDS_EXPLAINED = (
    ("search", "One query and the page of products it got: one row of the log."),
    ("policy", "Anything that ranks: from the candidates it picks the page that is shown."),
    ("logger", "The policy that was live and produced the log."),
    (
        "value per search",
        "The reward a policy earns on an average search; what counts as reward is in the configuration below.",
    ),
    ("estimate", "What the logger's log says another policy would have earned, although it never ran."),
    ("effective rows", "How many equally weighted rows would tell as much as the weighted ones do."),
    ("effective positives", "The same for rows with a reward: with few of them, luck decides."),
    ("gap closed", "0% is the logger, 100% the best policy that sees only public information."),
)


@dataclass(frozen=True)
class Page:
    """Everything the templates show."""

    facts: dict[str, Any]
    kind: str
    finding: str
    keys: list[KeyNumber]
    matrix: Table | None
    overview: Picture | None
    sections: list[Section]
    searches: list[Search]
    made: list[tuple[str, list[tuple[str, str]]]]
    config: str


def write_report(run_dir: Path) -> Path:
    """Read a run, draw its figures, write `report.html` and `report.md`.

    Raises:
        simenv.errors.UserError: The folder is not a run, or breaks its contract.
    """
    run = read_run(run_dir)
    page = make_page(run)
    figures = run_dir / "figures"
    figures.mkdir(exist_ok=True)
    for picture in pictures(page):
        _write(figures / f"{picture.name}.png", picture.png)
    _write(run_dir / "report.md", render("report.md.j2", page).encode("utf-8"))
    target = run_dir / "report.html"
    _write(target, render("report.html.j2", page).encode("utf-8"))
    return target


def make_page(run: Run) -> Page:
    """Everything a page shows, figures drawn."""
    names = {name: None for table in run.tables.values() if "policy" in table for name in unique(table["policy"])}
    styles = policy_styles(names, run.tables.get("policies", run.tables.get("contest_values")))
    estimates = run.tables.get("estimates")
    judged = None if estimates is None else with_truth(estimates, run.tables.get("truth"))
    return Page(
        facts={"notes": [], **run.facts},
        kind=KIND_WORDS[run.facts["kind"]],
        finding=str(run.facts.get("finding") or "").strip(),
        keys=_keys(run, judged),
        matrix=None if judged is None else verdict_matrix(judged),
        overview=headline(run, judged),
        sections=sections(run, judged, styles),
        searches=example_searches(run.tables.get("sessions")),
        made=_how_it_was_made(run),
        config=json.dumps(run.facts["config"], indent=2, ensure_ascii=False, sort_keys=True),
    )


def _keys(run: Run, judged: pd.DataFrame | None) -> list[KeyNumber]:
    found = key_numbers(run, judged)
    return (
        found + fitted.key_numbers(run.tables["predictive"], dict(run.facts)) if "predictive" in run.tables else found
    )


def pictures(page: Page) -> list[Picture]:
    """Every figure on a page."""
    found = [section.picture for section in page.sections if section.picture is not None]
    return found if page.overview is None else [page.overview, *found]


def render(template: str, page: Page) -> str:
    """A template filled with a page; what came from data is escaped for HTML or Markdown."""
    loader = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=template.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    loader.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    loader.filters["cell"] = markdown_cell
    return loader.get_template(template).render(page=page, verdicts=VERDICTS, words=WORDS_EXPLAINED)


def markdown_cell(text: str) -> str:
    """Text that cannot break a Markdown table or smuggle in HTML."""
    flat = " ".join(str(text).split())
    for sign in "\\`*_[]|":
        flat = flat.replace(sign, "\\" + sign)
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _how_it_was_made(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    """Titled lists of facts: the run, its seeds, versions, hashes."""
    facts = run.facts
    started = [
        ("name", facts["name"]),
        ("started", facts["started"]),
        ("wall time", duration(float(facts["wall_seconds"]))),
    ]
    machine = [("backend", facts["backend"]), ("machine", facts["machine"]), ("schema", str(facts["schema"]))]
    lists = [("The run", [*started, *machine])]
    for title, name in (("Seeds", "seeds"), ("Versions", "versions"), ("Hashes", "hashes")):
        pairs = flatten(facts[name])
        if pairs:
            lists.append((title, pairs))
    return lists


def flatten(value: object, path: str = "") -> list[tuple[str, str]]:
    """Nested facts as (dotted name, text) pairs."""
    if isinstance(value, dict):
        return [
            pair
            for key in sorted(value, key=str)
            for pair in flatten(value[key], f"{path}.{key}" if path else str(key))
        ]
    if isinstance(value, list):
        return [(path, ", ".join(str(part) for part in value))]
    return [(path, str(value))]


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(data)
    os.replace(temporary, path)
