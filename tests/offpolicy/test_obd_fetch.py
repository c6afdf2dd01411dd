"""Fetching the sample: the prior is read right, the tables come out as published, and nothing half-made stays."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from offpolicy import obd_fetch
from simenv.errors import UserError

PRIOR = """all:
  alpha:
    - 47.0
    - 8.0
  beta:
    - 2.0
    - 1
men:
  alpha:
    - 3.5
  beta:
    - 4
"""


def test_the_prior_is_two_levels_of_names_over_lists() -> None:
    prior = obd_fetch.read_prior(PRIOR)
    assert list(prior) == ["all", "men"]
    assert prior["all"]["alpha"].tolist() == [47.0, 8.0]
    assert prior["all"]["beta"].tolist() == [2.0, 1.0]
    assert prior["men"]["beta"].tolist() == [4.0]


def test_draws_in_chunks_are_the_draws_one_round_at_a_time() -> None:
    alpha, beta = np.array([3.0, 1.0, 2.0, 5.0, 0.5]), np.array([2.0, 2.0, 1.0, 9.0, 0.5])
    rng, counts = np.random.RandomState(7), np.zeros((5, 3))
    for _ in range(20_500):  # beyond one chunk
        for position, item in enumerate(rng.beta(alpha, beta).argsort()[::-1][:3]):
            counts[item, position] += 1
    assert np.array_equal(obd_fetch.thompson_frequencies(alpha, beta, 20_500, 7), counts / 20_500)


def test_a_file_with_another_hash_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / obd_fetch.WHEEL, "w") as archive:
        archive.writestr("obp/policy/conf/prior_bts.yaml", PRIOR)
    with pytest.raises(UserError, match=r"has sha256 .*; expected 87dec9ca"):
        obd_fetch.fetch(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [obd_fetch.WHEEL]


def test_without_a_network_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(UserError, match=r"could not download obp-0\.4\.1.*put it into"):
        obd_fetch.fetch(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_is_there_already_is_used(tmp_path: Path) -> None:
    (tmp_path / "open-bandit-small").mkdir()
    assert obd_fetch.fetch(tmp_path) == tmp_path / "open-bandit-small"


@pytest.mark.slow
def test_the_real_wheel_gives_the_published_files_and_tables(tmp_path: Path, real_data: Path) -> None:
    try:
        folder = obd_fetch.fetch(tmp_path)
    except UserError as problem:
        pytest.skip(f"needs PyPI: {problem}")
    assert [path.name for path in tmp_path.iterdir()] == ["open-bandit-small"]
    for campaign in ("all", "men"):
        theirs = real_data / "obd" / "derived" / f"bts_action_dist_{campaign}_seed12345_nsim1000000.csv"
        assert obd_fetch.target_table_path(folder, campaign).read_bytes() == theirs.read_bytes()
        for behaviour in ("random", "bts"):
            name = Path(behaviour) / campaign / f"{campaign}.csv"
            assert (folder / name).read_bytes() == (real_data / "obd" / name).read_bytes()
    assert obd_fetch.target_table_path(folder, "women").is_file()
