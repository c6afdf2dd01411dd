"""Export on the command line: the catalogue is found or asked for, and the file shows what the model shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from policies.persistence import load_model
from policies.shipping.onnx_export import OUTPUTS, feeds, session
from simenv.log import Log
from slatelab.main import call

SCENARIO = """
title = "A test"
question = "Is it exported?"
world = "tiny"

[[learners]]
policy = "linear"
searches = 600
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear bandit that learned in the world tiny."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "it.toml").write_text(SCENARIO)
    line = ["--quiet", "train", str(folder / "it.toml"), "--policy", "linear", "--out", str(folder / "model")]
    assert call(line) == 0
    return folder / "model"


def test_a_model_is_exported_over_the_world_that_it_learned_in(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The card knows which; and what onnxruntime then says of a log's pages is what the model says."""
    out = tmp_path / "it.onnx"
    assert call(["export", str(model), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{out}\n"
    assert "probabilities within" in printed.err
    log = tmp_path / "log"
    assert call(f"--quiet simulate tiny --policy {model} --shoppers 20 --out {log}".split()) == 0
    opened = Log.open(log)
    (batch,) = opened.batches()
    policy = load_model(model, opened.catalogue(), 3)
    _, p, _ = session(out.read_bytes()).run(list(OUTPUTS), feeds(policy, batch.page))
    shown = np.flatnonzero(batch.slate[:, 0] >= 0)
    logged = np.exp(batch.logp.logp[shown, 0])
    assert p[shown, batch.slate[shown, 0]] == pytest.approx(logged, abs=1e-5)
    assert call(["--quiet", "export", str(model), "--out", str(tmp_path / "by log.onnx"), "--log", str(log)]) == 0
    assert (tmp_path / "by log.onnx").read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--world", "default"], "was trained on other features"),
        (["--world", "tiny", "--log", "there"], "leave one out"),
        (["--log", "there"], "is not a log"),
    ],
)
def test_a_wrong_catalogue_is_refused(
    arguments: list[str], told: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["--quiet", "export", str(model), "--out", str(tmp_path / "it.onnx"), *arguments]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_an_unknown_market_asks_for_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import json
    import shutil

    copy = Path(shutil.copytree(model, tmp_path / "model"))
    card = json.loads((copy / "card.json").read_text())
    card["learned_from"]["world_hash"] = ""
    (copy / "card.json").write_text(json.dumps(card))
    assert call(["export", str(copy), "--out", str(tmp_path / "it.onnx")]) == 2
    assert "Say which: --world NAME_OR_FILE, or --log FOLDER." in capsys.readouterr().err
