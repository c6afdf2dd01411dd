"""The page as a whole: one file, nothing loaded, nothing run, everything escaped, the same bytes each time."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from reports import report
from reports.page import markdown_cell

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
LARGEST_PAGE = 2_000_000
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Tags(HTMLParser):
    """Collects every tag with its attributes and checks that they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def tags_of(page: Path) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(page.read_text(encoding="utf-8"))
    parser.close()
    assert parser.open == []
    return parser.found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, made_up: Any) -> Path:
    """The page of a whole experiment, drawn once."""
    folder = made_up.write_run(tmp_path_factory.mktemp("whole") / "run", made_up.FACTS, made_up.experiment_tables())
    return report(folder)


@pytest.fixture
def small(tmp_path: Path, made_up: Any) -> Path:
    """A run with a single table, quick to draw."""
    folder: Path = made_up.write_run(tmp_path / "run", made_up.FACTS, {"segments": made_up.segments_rows()})
    return folder


def test_the_page_loads_nothing_and_runs_nothing(whole: Path) -> None:
    text = whole.read_text(encoding="utf-8")
    for tag, attributes in tags_of(whole):
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "srcset", "data", "action"}:
                assert (value or "").startswith(("data:image/png;base64,", "#"))
    assert "@import" not in text
    assert "url(" not in text


def test_every_heading_that_has_data_is_there(whole: Path) -> None:
    text = whole.read_text(encoding="utf-8")
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert titles == [
        "Which numbers to believe",
        "What was assumed",
        "Policies side by side",
        "Learning curves",
        "Estimates against the truth",
        "The real Open Bandit log",
        "Importance weights",
        "The log, asked for itself",
        "By device",
        "How far the number bends",
        "Beyond the mean",
        "By segment",
        "Example searches",
        "How it was made",
    ]


def test_every_figure_has_words_and_a_png_of_its_own(whole: Path) -> None:
    images = [attributes for tag, attributes in tags_of(whole) if tag == "img"]
    files = sorted((whole.parent / "figures").iterdir())
    assert len(images) == len(files) == 7
    for image in images:
        assert len(image["alt"] or "") > 40
    for file in files:
        assert file.read_bytes().startswith(PNG_MAGIC)
        pixels = imread(file)
        assert pixels.shape[1] == 1200
        assert pixels.std() > 0.02, f"{file.name} is blank"


def test_the_overview_has_the_size_of_a_first_screen(whole: Path) -> None:
    assert imread(whole.parent / "figures" / "overview.png").shape[:2] == (560, 1200)


def test_what_came_from_data_is_escaped(whole: Path) -> None:
    text = whole.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; röd sko &amp; &#34;ankle&#34; NA" in text
    assert "<script" not in text
    assert "<script" not in whole.with_name("report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("field", ["title", "question", "finding", "name", "backend", "machine"])
def test_every_fact_of_the_run_is_escaped(tmp_path: Path, made_up: Any, field: str) -> None:
    page = report(made_up.write_run(tmp_path / "run", {**made_up.FACTS, field: "<b onload=x>"}, {}))
    assert "<b onload" not in page.read_text(encoding="utf-8")
    assert "<b onload" not in page.with_name("report.md").read_text(encoding="utf-8")


def test_a_page_of_a_whole_run_is_small_enough_to_mail(whole: Path) -> None:
    assert whole.stat().st_size < LARGEST_PAGE


def test_the_same_folder_gives_the_same_bytes(whole: Path) -> None:
    written = [whole, whole.with_name("report.md"), *sorted((whole.parent / "figures").iterdir())]
    before = [path.read_bytes() for path in written]
    report(whole.parent)
    assert [path.read_bytes() for path in written] == before


def test_nothing_but_page_and_figures_is_written(small: Path) -> None:
    before = {path: path.read_bytes() for path in small.rglob("*") if path.is_file()}
    report(small)
    after = {path: path.read_bytes() for path in small.rglob("*") if path.is_file()}
    assert {path: after[path] for path in before} == before
    new = {str(path.relative_to(small).parts[0]) for path in after.keys() - before.keys()}
    assert new == {"report.html", "report.md", "figures"}


@pytest.mark.parametrize("name", ["policies", "learning", "estimates", "truth", "weights", "segments", "sessions"])
def test_each_table_alone_makes_a_page(tmp_path: Path, made_up: Any, name: str) -> None:
    tables = {name: made_up.experiment_tables()[name]}
    text = report(made_up.write_run(tmp_path / "run", made_up.FACTS, tables)).read_text(encoding="utf-8")
    assert text.count("<img") <= 2
    assert text.count("<h2>") >= 3


@pytest.mark.parametrize("name", ["policies", "estimates"])
def test_tables_that_others_lean_on_may_be_missing(tmp_path: Path, made_up: Any, name: str) -> None:
    tables = {key: made_up.experiment_tables()[key] for key in ("policies", "estimates", "truth") if key != name}
    text = report(made_up.write_run(tmp_path / "run", made_up.FACTS, tables)).read_text(encoding="utf-8")
    assert "Right: a good estimate" not in text  # nor is that panel drawn


def test_a_run_without_tables_still_says_what_it_asked(tmp_path: Path, made_up: Any) -> None:
    page = report(made_up.write_run(tmp_path / "run", made_up.FACTS, {})).read_text(encoding="utf-8")
    assert "could its log have told?" in page
    assert "<img" not in page


def test_no_finding_is_invented_where_the_run_names_none(tmp_path: Path, made_up: Any) -> None:
    facts = {name: value for name, value in made_up.FACTS.items() if name != "finding"}
    page = report(made_up.write_run(tmp_path / "run", {**facts, "kind": "sweep"}, {"cells": made_up.cells_rows()}))
    text = page.read_text(encoding="utf-8")
    assert 'class="finding"' not in text
    assert "Every scenario: value per search" in text
    assert "Every scenario: NDCG" in text


def test_a_log_of_the_users_own_shows_no_truth(tmp_path: Path, made_up: Any) -> None:
    estimates = (
        made_up.estimates_rows().query("source == 'open bandit men'").assign(source="my shop", policy="linear-ts")
    )
    tables = {"estimates": estimates, "truth": made_up.truth_rows().assign(estimand="row")}
    text = report(made_up.write_run(tmp_path / "run", {**made_up.FACTS, "kind": "evaluation"}, tables)).read_text(
        "utf-8"
    )
    assert "Estimates from the log" in text
    assert "Nobody knows the truth" in text
    assert "Open Bandit" not in text
    real = text[text.index('<section id="real">') : text.index('<section id="made">')]
    assert ">truth</th>" not in real


def test_what_is_estimated_has_a_table_of_its_own_and_a_log_one_line_of_verdicts(tmp_path: Path, made_up: Any) -> None:
    rows = made_up.estimates_rows().query("source == 'open bandit men'").assign(source="my shop", policy="linear-ts")
    now = rows.assign(estimand="value now", estimator=rows["estimator"] + "-now")
    tables = {"estimates": pd.concat([rows, now])}
    page = report(made_up.write_run(tmp_path / "run", {**made_up.FACTS, "kind": "evaluation"}, tables))
    text = page.read_text("utf-8")
    assert "Estimates of the row" in text
    assert "Estimates of the value now" in text
    verdicts = text[text.index("Verdicts by log, policy and estimator") :].partition("</table>")[0]
    assert verdicts.count("my shop") == 1


def test_a_refused_real_log_says_why(whole: Path) -> None:
    text = whole.read_text(encoding="utf-8")
    real = text[text.index('<section id="real">') : text.index('<section id="weights">')]
    reasons = real[real.index('<ul class="reasons">') : real.index("<figure>")]
    assert "do not use" in reasons
    assert "effective positives 4.8" in reasons
    assert '<td class="n">0.004567</td>' in real


def test_numbers_that_are_not_defined_are_dashes(tmp_path: Path, made_up: Any) -> None:
    tables = {key: made_up.experiment_tables()[key] for key in ("policies", "learning", "estimates", "truth")}
    for table in tables.values():
        numeric = table.select_dtypes("float").columns
        table.iloc[::2, [list(table.columns).index(name) for name in numeric]] = np.nan
    text = report(made_up.write_run(tmp_path / "run", made_up.FACTS, tables)).read_text(encoding="utf-8")
    assert re.search(r">\s*[−+]?nan", text, re.IGNORECASE) is None


def test_tables_without_one_number_are_still_a_page(tmp_path: Path, made_up: Any) -> None:
    names = ("learning", "estimates", "weights")
    tables = {name: made_up.experiment_tables()[name] for name in names} | {"cells": made_up.cells_rows(1)}
    for table in tables.values():
        table[table.select_dtypes("float").columns] = np.nan
    assert report(made_up.write_run(tmp_path / "run", made_up.FACTS, tables)).exists()


def test_names_of_any_shape_are_drawn(tmp_path: Path, made_up: Any) -> None:
    name = "company.ranking.models:$make_policy$_{with^a|very|long_name} <b>"
    tables = {key: made_up.experiment_tables()[key] for key in ("policies", "learning", "weights")}
    for table in tables.values():
        if "policy" in table:
            table["policy"] = table["policy"].replace({"neural-linear": name})
    page = report(made_up.write_run(tmp_path / "run", made_up.FACTS, tables))
    assert "&lt;b&gt;" in page.read_text(encoding="utf-8")


def test_a_huge_learning_table_is_thinned(tmp_path: Path, made_up: Any) -> None:
    page = report(made_up.write_run(tmp_path / "run", made_up.FACTS, {"learning": made_up.learning_rows(points=5_000)}))
    assert page.stat().st_size < 400_000


def test_a_long_table_is_cut_and_says_so(tmp_path: Path, made_up: Any) -> None:
    segments = pd.concat([made_up.segments_rows().assign(segment=f"query={place}") for place in range(60)])
    page = report(made_up.write_run(tmp_path / "run", made_up.FACTS, {"segments": segments}))
    text = page.read_text(encoding="utf-8")
    assert "The first 120 of 1,080 rows; all are in tables/segments.csv." in text


def test_importing_the_package_loads_neither_pandas_nor_matplotlib() -> None:
    code = "import reports, sys; sys.exit(len({'pandas', 'matplotlib', 'jinja2', 'scipy'} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False, timeout=60).returncode == 0


def test_drawing_leaves_the_users_own_settings_alone(small: Path) -> None:
    before = dict(mpl.rcParams)
    report(small)
    assert dict(mpl.rcParams) == before


def test_markdown_cells_cannot_break_the_table() -> None:
    assert markdown_cell("a|b\n<i>") == "a\\|b &lt;i&gt;"


def test_where_all_is_trusted_nothing_is_explained_away(tmp_path: Path, made_up: Any) -> None:
    estimates = made_up.estimates_rows().query("verdict == 'trust'")
    page = report(made_up.write_run(tmp_path / "run", made_up.FACTS, {"estimates": estimates}))
    assert "is not trusted" not in page.read_text(encoding="utf-8")


def test_two_kinds_of_intervals_are_told_row_by_row(made_up: Any, tmp_path: Path) -> None:
    estimates = made_up.estimates_rows()
    one = report(made_up.write_run(tmp_path / "one", made_up.FACTS, {"estimates": estimates}))
    assert "interval by" not in one.read_text(encoding="utf-8")
    refitted = estimates.assign(interval=estimates["interval"].where(estimates["estimator"] != "dm", "refit bootstrap"))
    both = report(made_up.write_run(tmp_path / "both", made_up.FACTS, {"estimates": refitted})).read_text(
        encoding="utf-8"
    )
    assert "interval by" in both
    assert "refit bootstrap" in both
