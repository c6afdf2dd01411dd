"""The README is true: its code runs and its commands do what it says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def commands() -> list[list[str]]:
    """The indented `slatelab` lines, continued lines joined."""
    text = README.read_text(encoding="utf-8").replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^    (slatelab .*)$", text, flags=re.MULTILINE)]


def test_the_python_of_the_readme_runs() -> None:
    (code,) = blocks("python")
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()


def test_the_pictures_of_the_readme_are_there_and_small() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README.read_text(encoding="utf-8"))
    assert len(pictures) == 2
    assert all(0 < (README.parent / picture).stat().st_size < 400_000 for picture in pictures)


def test_every_file_that_the_readme_names_is_there() -> None:
    for name in re.findall(r"`((?:docs|offpolicy|simenv|policies|scenarios|reports)/[\w./-]+)`", README.read_text()):
        assert (README.parent / name).exists(), name


def test_the_guide_to_evaluation_names_every_estimator_and_option() -> None:
    from offpolicy.estimators import ESTIMATORS

    guide = (README.parent / "docs" / "evaluation.md").read_text(encoding="utf-8")
    _, _, table = guide.partition("## Estimators")
    assert [name for name in ESTIMATORS if f"`{name}`" not in table] == []
    asked = subprocess.run(
        [sys.executable, "-c", "from slatelab.main import call; call(['evaluate', '--help'])"],
        capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"},
    ).stdout  # fmt: skip
    for option in set(re.findall(r"`?(--[a-z]+)", guide)) - {"--policy", "--shoppers"}:
        assert option in asked, option


@pytest.mark.slow
@pytest.mark.ray
def test_the_commands_of_the_readme_run_one_after_another(tmp_path: Path) -> None:
    """In an empty folder with docs/ beside; what needs the network by name is left out."""
    shutil.copytree(README.parent / "docs", tmp_path / "docs")
    offline = [command for command in commands() if "obd" not in command]
    assert len(offline) >= 7
    for command in offline:
        program = Path(sys.executable).with_name(command[0])
        ran = subprocess.run([str(program), *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{command}: {ran.stderr[-2000:]}"
    assert (tmp_path / "runs" / "sweep" / "report.html").is_file()
    assert (tmp_path / "runs" / "linear" / "report.html").is_file()
