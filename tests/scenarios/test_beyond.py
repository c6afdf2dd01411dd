"""Several rewards in one pass, how far a number bends, and quantiles: from the command line to the run folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from offpolicy import Evidence
from offpolicy.audit.sensitivity import confounded
from offpolicy.estimate import values
from offpolicy.estimators import estimator
from policies.registry import named_policy
from scenarios.beyond import GAMMAS, beyond, sensitivity_rows
from scenarios.config import Estimation
from scenarios.evaluation import Wishes, estimate_rows
from scenarios.evidence import join_log, join_rewards
from scenarios.joining import Joining
from scenarios.rewards import OWN, REWARDS
from simenv.errors import UserError
from simenv.log import Log
from simenv.propensity import Conditional
from slatelab.main import call

HEAD = {"source": "log", "policy": "it"}


def silent(_: int) -> None:
    """Progress that nobody hears."""


@pytest.fixture(scope="module")
def by_reward(log_folder: Path) -> dict[str, Evidence]:
    """The evidence on one target by every reward."""
    log = Log.open(log_folder)
    target = {"it": named_policy("lexical", log.catalogue())}
    joined = join_rewards(log, target, Joining(None, Estimation(), 0, (OWN, *REWARDS)), silent)
    return {reward: one.evidence["it"] for reward, one in joined.items()}


@pytest.fixture
def euros() -> Evidence:
    """Rows that earn amounts that never repeat."""
    rng = np.random.default_rng(0)
    logger, target = np.log(rng.uniform(0.2, 0.8, (2, 4000, 1)))
    return Evidence(
        reward=rng.lognormal(size=(4000, 1)),
        logger=Conditional(logger),
        target=Conditional(target),
        cluster=np.arange(4000),
    )


def test_each_reward_of_one_pass_is_that_of_a_pass_of_its_own(by_reward: dict[str, Evidence], log_folder: Path) -> None:
    """The tiny market counts clicks, so its own reward and "clicks" are one; propensities do not know the reward."""
    log = Log.open(log_folder)
    target = {"it": named_policy("lexical", log.catalogue())}
    alone = join_log(log, target, None, Estimation(), 0, silent).evidence["it"]
    names = ["snips", "dr", "cascade-dr", "dr-item"]
    assert values(by_reward["clicks"], names) == values(by_reward[OWN], names) == values(alone, names)
    assert by_reward["clicks"].slot_range == alone.slot_range == (0.0, 1.0)
    assert by_reward["revenue"].reward_range == (0.0, np.inf)
    batch = next(log.batches(batch=log.n_rows))
    assert (by_reward["revenue"].reward == batch.revenue).all()
    assert (by_reward["returns"].reward == batch.returned).all()
    assert (by_reward["carts"].reward == batch.carted).all()
    purchases = by_reward["purchases"]
    assert purchases.logger.logp is by_reward["clicks"].logger.logp
    assert purchases.q_logged is not None
    assert alone.q_logged is not None
    assert purchases.q_logged.mean() == pytest.approx(batch.purchased.mean(), rel=0.2)  # its model, not that of clicks
    assert purchases.q_logged.mean() < 0.5 * alone.q_logged.mean()


def test_rewards_have_records_of_their_own_and_panels_of_their_own(
    log_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    line = ["evaluate", "--log", str(log_folder), "--policy", "lexical", "--rewards", "clicks, purchases", "--quiet"]
    line += ["--estimators", "snips,dr-item", "--by", "visitor"]
    assert call([*line, "--width", ".1", "--json", "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["reward"] for one in told["segments"]} == {"clicks"}
    assert [(one["reward"], one["estimator"]) for one in told["estimates"]] == [
        ("clicks", "snips"), ("clicks", "dr-item"), ("purchases", "snips"), ("purchases", "dr-item")]  # fmt: skip
    assert [one["reward"] for one in told["plans"]] == ["clicks", "clicks", "purchases", "purchases"]
    assert {one["reward"] for one in told["sensitivity"]} == {"clicks", "purchases"}
    with (out / "tables" / "estimates.csv").open(newline="") as file:
        assert {row["source"] for row in csv.DictReader(file)} == {"log, clicks", "log, purchases"}
    assert call(["report", str(out)]) == 0
    drawn = (out / "report.html").read_text()
    assert "How far the number bends" in drawn
    assert "By visitor: clicks" in drawn
    assert call(line) == 0
    assert "By visitor, of clicks, by" in capsys.readouterr().out


def test_the_terminal_says_how_far_the_number_bends(log_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["evaluate", "--log", str(log_folder), "--policy", "lexical", "--estimators", "snips,dr-item", "--quiet"]
    assert call(line) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "self-normalised" in said
    assert "explains all of the distance to the logger's" in said


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--rewards", "purchase"], "there is no reward 'purchase'. Did you mean 'purchases'?"),
        (["--rewards", "clicks,clicks"], "names a reward twice"),
        (["--quantile", ".5"], "of all weight sits exactly there"),
        (["--quantile", "90"], "expected a number between 0 and 1"),
        (["--quantile", ".9", "--per", "session"], "are per search"),
        (["--rewards", "clicks,revenue", "--reward-range", "0,1"], "--reward-range is of one reward"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    log_folder: Path, options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["evaluate", "--log", str(log_folder), "--policy", "lexical", "--estimators", "snips", "--quiet", *options]
    assert call(line) == 2
    assert complaint in " ".join(capsys.readouterr().err.split())


def test_sensitivity_is_that_of_the_weights_of_what_is_told_first(by_reward: dict[str, Evidence]) -> None:
    evidence = by_reward["clicks"]
    rows = estimate_rows("log", "it", evidence, Estimation(estimators=["dm", "snips-item"]))
    made = sensitivity_rows({**HEAD, "reward": "clicks"}, evidence, rows)
    assert {row["estimator"] for row in made} == {"snips-item"}
    assert made[0]["value"] == pytest.approx(values(evidence, ["snips-item"])["snips-item"], rel=1e-12)
    terms = estimator("snips-item").terms(evidence)
    bounds = [(row["low"], row["high"]) for row in made if row["asked"] == "confounder"]
    assert bounds == [confounded(terms, gamma) for gamma in GAMMAS]
    weakest = made[-1]["gamma"]
    assert min(abs(end - made[-1]["logger"]) for end in confounded(terms, weakest)) < 1e-9
    assert not sensitivity_rows(HEAD, evidence, rows[:1])  # the direct method has no weights


def test_a_quantile_stands_beside_the_loggers_and_an_atom_of_one_reward_leaves_the_other(euros: Evidence) -> None:
    ones = Evidence(reward=np.ones((4000, 1)), logger=euros.logger, target=euros.target, cluster=euros.cluster)
    rows = estimate_rows("log", "it", euros, Estimation(estimators=["snips"]))
    wishes = Wishes(quantile=0.9)
    made = beyond(HEAD, {"euros": euros, "ones": ones}, rows, wishes, 0.95)
    quantile, mean = made.quantiles
    total = np.sort(euros.reward[:, 0])
    assert quantile["logger"] == total[3599]  # the smallest with a share of .9 at or below
    assert mean["logger"] == pytest.approx(total[3599:].mean(), rel=0.01)
    # Rewards do not depend on what was shown, so the target's are the logger's.
    for row in made.quantiles:
        assert row["low"] < row["logger"] < row["high"]
    assert made.unanswered[0].startswith("ones: the 90% quantile is 1")
    with pytest.raises(UserError, match="sits exactly there"):
        beyond(HEAD, {"ones": ones}, rows, wishes, 0.95)
