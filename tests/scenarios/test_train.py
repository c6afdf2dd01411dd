"""Training on the command line, stopped by Ctrl-C and by force: the same command goes on, to the same model."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slatelab.main import call

SCENARIO = """
title = "A test"
question = "Does it go on?"
world = "tiny"

[[learners]]
policy = "{policy}"
searches = {searches}
settings = {settings}
"""
PPO = "{batch = 400, minibatch = 200, hidden = 8, rows = 64}"


def scenario(folder: Path, policy: str, searches: int, settings: str = "{}") -> str:
    path = folder / "it.toml"
    path.write_text(SCENARIO.format(policy=policy, searches=searches, settings=settings))
    return str(path)


def command(scenario: str, policy: str, out: Path, every: int) -> list[str]:
    return ["train", scenario, "--policy", policy, "--out", str(out), "--checkpoint-every", str(every)]


def started(arguments: list[str]) -> subprocess.Popen[str]:
    """Another process with that command line."""
    code = "from slatelab.main import main; main()"
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True)


def digest(model: Path) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(model.iterdir())]


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until the file is there; it is written by renaming, so then it is whole."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def scalars(folder: Path) -> dict[str, list[int]]:
    """Steps of each figure, read back by TensorBoard's own format: a length, its checksum, an event."""
    from tensorboardX.event_file_writer import EventsWriter  # noqa: F401  (its absence would be a clear failure)
    from tensorboardX.proto.event_pb2 import Event

    (file,) = folder.iterdir()
    content, at, found = file.read_bytes(), 0, dict[str, list[int]]()
    while at < len(content):
        length = int.from_bytes(content[at : at + 8], "little")
        event = Event.FromString(content[at + 12 : at + 12 + length])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append(event.step)
        at += 16 + length
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "searches", "settings"),
    [("linear", 60_000, "{}"), pytest.param("ppo-slate", 20_000, PPO, marks=pytest.mark.ray)],
)
def test_ctrl_c_and_force_lose_nothing(policy: str, searches: int, settings: str, tmp_path: Path) -> None:
    """First killed by force, then stopped by Ctrl-C, then left alone; and the checkpoint is gone at the end."""
    named = scenario(tmp_path, policy, searches, settings)
    assert call(["--quiet", *command(named, policy, tmp_path / "whole", 0)]) == 0
    out = tmp_path / "stopped"
    checkpoint = tmp_path / "stopped.checkpoint"
    line = command(named, policy, out, 2_000)
    first = started(line)
    wait_for(checkpoint, first)
    first.kill()
    assert first.wait() == -signal.SIGKILL
    first.communicate()
    kept = checkpoint.stat().st_mtime_ns
    second = started(line)
    while checkpoint.stat().st_mtime_ns == kept:
        assert second.poll() is None, second.communicate()[1]
        time.sleep(0.01)
    second.send_signal(signal.SIGINT)
    told = second.communicate()[1]
    assert second.returncode == 130, told
    assert "goes on from" in told
    assert "searches; " in told
    assert told.splitlines()[-1] == (
        "interrupted: the same command goes on from the last checkpoint, where there is one."
    )
    assert not out.exists()
    assert call(["--quiet", *line]) == 0
    assert digest(out) == digest(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.toml", "stopped", "whole"]


def test_scalars_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    line = command(scenario(tmp_path, "linear", 1500), "linear", tmp_path / "model", 500)
    assert call(["--quiet", *line, "--tensorboard", str(tmp_path / "scalars")]) == 0
    found = scalars(tmp_path / "scalars")
    assert set(found) == {"train/clicks_per_search", "train/searches_per_second", "train/clicks_per_search_of_round"}
    assert found["train/clicks_per_search"] == sorted(set(found["train/clicks_per_search"]))
    assert found["train/clicks_per_search"][-1] >= 1500


def test_training_from_a_log_tells_how_far_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Reading and training each begin and end with a line, and half of the log's rows are told of."""
    from policies.learning import in_half
    from simenv.log import Log

    log = tmp_path / "log"
    assert call(f"--quiet simulate tiny --policy uniform --shoppers 60 --out {log}".split()) == 0
    line = [*command(scenario(tmp_path, "linear", 10), "linear", tmp_path / "model", 10), "--log", str(log)]
    assert call(line) == 0
    told = capsys.readouterr().err.splitlines()
    rows = sum(len(batch) for batch in Log.open(log).batches(lambda shopper: in_half(shopper, 0)))
    train = f"train linear on {rows:,} searches of the log"
    assert [line.split(": done")[0] for line in told] == ["read the log for linear"] * 2 + [train] * 2


@pytest.mark.ray
def test_a_training_by_steps_shows_its_figures_and_refuses_a_damaged_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = command(scenario(tmp_path, "ppo-slate", 900, PPO), "ppo-slate", tmp_path / "model", 300)
    (tmp_path / "model.checkpoint").write_bytes(b"not a checkpoint")
    assert call(["--quiet", *line]) == 2
    assert "model.checkpoint' is damaged" in capsys.readouterr().err
    (tmp_path / "model.checkpoint").unlink()
    assert call(["--quiet", *line, "--tensorboard", str(tmp_path / "scalars")]) == 0
    found = scalars(tmp_path / "scalars")
    assert {"train/reward_per_search", "train/slate_kl", "train/searches_per_second"} <= set(found)
    assert found["train/reward_per_search"][-1] >= 900
    assert not (tmp_path / "model.checkpoint").exists()


def test_what_plays_nowhere_takes_no_runners(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = command(scenario(tmp_path, "linear", 10), "linear", tmp_path / "model", 0)
    assert call(["--quiet", *line, "--runners", "2"]) == 2
    assert "leave out --runners" in capsys.readouterr().err


def test_a_model_from_a_log_says_which_shoppers_it_learned_from(tmp_path: Path) -> None:
    import json

    from policies.learning import in_half
    from policies.persistence import shoppers_digest
    from simenv.log import Log

    log = tmp_path / "log"
    assert call(f"--quiet simulate tiny --policy uniform --shoppers 60 --out {log}".split()) == 0
    line = ["--quiet", *command(scenario(tmp_path, "linear", 10), "linear", tmp_path / "model", 10), "--log", str(log)]
    assert call(line) == 0
    learned = json.loads((tmp_path / "model" / "card.json").read_text())["learned_from"]
    shoppers = Log.open(log).shoppers()
    assert learned["shoppers"] == shoppers_digest(shoppers[in_half(shoppers, 0)])
    assert learned["log_hash"] == Log.open(log).digest
