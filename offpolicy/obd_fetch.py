"""Obtain the small Open Bandit sample, from the wheel of the package `obp` 0.4.1 that carries it.

The wheel is downloaded, never installed (the package wants old libraries), its hash is checked, and its data files are
copied into a cache. The wheel also holds the prior of the Thompson sampler that logged the `bts` campaigns; from it the
target tables are derived as the package itself does, by counting who comes out on top in a million draws. The data is
licensed CC BY 4.0.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError

Floats = npt.NDArray[np.float64]

WHEEL = "obp-0.4.1-py3-none-any.whl"
WHEEL_SHA256 = "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208"
BEHAVIOURS = ("random", "bts")
CAMPAIGNS = ("all", "men", "women")
N_DRAWS = 1_000_000
SEED = 12345
POSITIONS = 3

_FOLDER = "open-bandit-small"
_CHUNK = 20_000
_TIMEOUT = 300  # seconds for 1.3 MB


def fetch(cache: Path) -> Path:
    """The folder of the small Open Bandit data, downloading and deriving it where it is not there yet.

    Args:
        cache: Folder to keep it in; made if absent. A wheel that already lies there is used instead of the network.

    Returns:
        `cache/open-bandit-small` with {random,bts}/{all,men,women}/{campaign}.csv and item_context.csv, and
        derived/bts_action_dist_{campaign}_seed12345_nsim1000000.csv. It appears whole or not at all.

    Raises:
        UserError: If the wheel cannot be downloaded or is not the expected one.
    """
    found = cached(cache)
    if found is not None:
        return found
    folder = cache / _FOLDER
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".open-bandit-", dir=cache) as temporary:
        work = Path(temporary)
        wheel = cache / WHEEL if (cache / WHEEL).is_file() else _download(work)
        _check_wheel(wheel)
        whole = work / _FOLDER
        _extract(wheel, whole)
        try:
            whole.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first, with the same bytes
                raise
    return folder


def cached(cache: Path) -> Path | None:
    """The folder that `fetch` made in a cache earlier; None where it did not."""
    folder = cache / _FOLDER
    return folder if folder.is_dir() else None


def target_table_path(folder: Path, campaign: str) -> Path:
    """Where `fetch` put the target table of a campaign."""
    return folder / "derived" / f"bts_action_dist_{campaign}_seed{SEED}_nsim{N_DRAWS}.csv"


def read_prior(text: str) -> dict[str, dict[str, Floats]]:
    """The Beta prior of each campaign from the wheel's `prior_bts.yaml`: campaign -> {"alpha", "beta"} -> (I,).

    The file is two levels of names over lists of numbers; nothing more of YAML is understood.
    """
    lists: dict[str, dict[str, list[float]]] = {}
    campaign = parameter = ""
    for line in text.splitlines():
        entry = line.strip()
        if entry.startswith("- "):
            lists[campaign][parameter].append(float(entry[2:]))
        elif entry.endswith(":") and not line.startswith(" "):
            campaign = entry[:-1]
            lists[campaign] = {}
        elif entry.endswith(":"):
            parameter = entry[:-1]
            lists[campaign][parameter] = []
    return {name: {key: np.asarray(values) for key, values in prior.items()} for name, prior in lists.items()}


def thompson_frequencies(alpha: Floats, beta: Floats, n_draws: int = N_DRAWS, seed: int = SEED) -> Floats:
    """How often Thompson sampling from Beta priors puts each item at each of the first three positions, (I, 3).

    Uses numpy's legacy generator, whose stream is frozen, one draw of all items after the other: the published tables
    come out digit for digit.
    """
    rng = np.random.RandomState(seed)
    counts = np.zeros((len(alpha), POSITIONS), dtype=np.int64)
    for start in range(0, n_draws, _CHUNK):
        drawn = rng.beta(alpha, beta, size=(min(_CHUNK, n_draws - start), len(alpha)))
        top = np.argsort(drawn, axis=1)[:, ::-1][:, :POSITIONS]
        for position in range(POSITIONS):
            counts[:, position] += np.bincount(top[:, position], minlength=len(alpha))
    return counts / n_draws


def _download(work: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
        "-d",
        str(work),
        "obp==0.4.1",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        problem = (done.stderr.strip().splitlines() or ["no message"])[-1] if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem or not (work / WHEEL).is_file():
        raise UserError(
            f"could not download {WHEEL} from PyPI ({problem or 'another file came'}). With a network, check that "
            f"`{Path(sys.executable).name} -m pip --version` works; without one, download the file elsewhere from "
            f"pypi.org/project/obp/0.4.1 and put it into {work.parent}."
        )
    return work / WHEEL


def _check_wheel(wheel: Path) -> None:
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise UserError(f"{wheel.name} has sha256 {found}; expected {WHEEL_SHA256}. Remove it and download it again.")


def _extract(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for behaviour in BEHAVIOURS:
            for campaign in CAMPAIGNS:
                for name in (f"{campaign}.csv", "item_context.csv"):
                    target = folder / behaviour / campaign / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    source = f"obp/dataset/obd/{behaviour}/{campaign}/{name}"
                    with archive.open(source) as packed, target.open("wb") as unpacked:
                        shutil.copyfileobj(packed, unpacked)
        prior = read_prior(archive.read("obp/policy/conf/prior_bts.yaml").decode())
    for campaign in CAMPAIGNS:
        table = thompson_frequencies(prior[campaign]["alpha"], prior[campaign]["beta"])
        path = target_table_path(folder, campaign)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_csv(table), encoding="utf-8")


def _csv(table: Floats) -> str:
    lines = ["item_id," + ",".join(f"position_{k + 1}" for k in range(table.shape[1]))]
    lines += [f"{item}," + ",".join(repr(float(p)) for p in row) for item, row in enumerate(table)]
    return "\n".join(lines) + "\n"
