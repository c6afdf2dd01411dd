"""Scenarios as people write them: what fits is read, what does not is one sentence that names the setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.registry import POLICIES
from scenarios.config import LIBRARY, load_scenario, scenario_names
from simenv.errors import UserError
from simenv.worlds import WORLDS


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_of_the_library_is_sound(name: str) -> None:
    """It loads, asks a question, and names what is registered."""
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.title
    assert scenario.question.endswith(("?", "."))
    assert scenario.world in WORLDS
    assert {scenario.logging.policy, *scenario.baselines, *(each.policy for each in scenario.learners)} <= set(POLICIES)


def test_overrides_are_toml_values_at_any_depth() -> None:
    scenario = load_scenario(
        "quick",
        5,
        ["logging.shoppers=77", "logging.policy=popularity", 'baselines=["lexical"]', "estimation.level=0.9",
         "title=Words without quotes"],
    )  # fmt: skip
    assert (scenario.seed, scenario.logging.shoppers, scenario.logging.policy) == (5, 77, "popularity")
    assert (scenario.baselines, scenario.estimation.level) == (["lexical"], 0.9)
    assert scenario.title == "Words without quotes"


def test_what_changes_a_run_changes_its_digest() -> None:
    plain = load_scenario("quick")
    assert plain.digest() == load_scenario("quick").digest()
    assert plain.digest() != load_scenario("quick", seed=1).digest()
    assert plain.digest() != load_scenario("quick", overrides=["truth.shoppers=99"]).digest()


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "logging.shopers=5",
            r"no setting in \[logging\] named 'shopers'. Did you mean 'shoppers'.*Known: floor, policy",
        ),
        (
            'learners=[{policy="linear",curves=[5]}]',
            r"no setting in \[learners.0\] named 'curves'. Did you mean 'curve'",
        ),
        ('learners=[{policy="linear",settings={seed=3}}]', "'seed' is no setting of a learner"),
        ("wrold=default", "no setting in a scenario named 'wrold'. Did you mean 'world'"),
        ("world=sardine", r'gymnasium.make\("simenv/Sardine-v0"\)'),
        ("logging.shoppers=many", "setting 'logging.shoppers'.*got 'many'"),
        ("logging.shoppers=1", "greater than or equal to 20"),
        ("logging=7", "setting 'logging'"),
        ("title.sub=7", "'title' has no settings below it"),
        ("world=defualt", "setting 'world': there is no world 'defualt'. Did you mean 'default'"),
        ("logging.policy=populrity", "there is no policy 'populrity'. Did you mean 'popularity'"),
        ('baselines=["populrity"]', "Did you mean 'popularity'"),
        ("logging.policy=linear", "'linear' has to be trained"),
        ('baselines=["linear"]', "'linear' has to be trained"),
        ('baselines=["oracle"]', "'oracle' sees hidden truth"),
        ('learners=[{policy="uniform"}]', "'uniform' has nothing to learn"),
        ('learners=[{policy="linear"},{policy="linear"}]', "is named twice"),
        ('estimation.estimators=["ipz"]', "there is no estimator 'ipz'. Did you mean 'ips'"),
        ("logging.temperature=inf", "finite"),
        ("logging.temperature=-1", "setting 'logging.temperature'"),
        ("logging.floor=1.0", "setting 'logging.floor'"),
        ("estimation.level=1.0", "setting 'estimation.level'"),
        ("logging.shoppers", "expected KEY=VALUE"),
        ("=5", "expected KEY=VALUE"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(override: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as error:
        load_scenario("quick", overrides=[override])
    assert "\n" not in str(error.value)
    assert "Value error" not in str(error.value)


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "Mine"\nquestion = "Why?"\nworld = "tiny"\n')
    assert load_scenario(str(path)).name == "mine"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"title = ", "is not valid TOML"),
        (b"\xff\xfe", "is not valid TOML"),
        (b'title = "Mine"', "setting 'question': Field required"),
    ],
)
def test_a_broken_file_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=told) as error:
        load_scenario(str(path))
    assert "mine.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_scenario(str(tmp_path / "mine.toml"))
    with pytest.raises(UserError, match=r"there is no scenario 'tiny'.*with world = \"tiny\" is a scenario"):
        load_scenario("tiny")
    with pytest.raises(UserError, match=r"there is no scenario 'qiuck'.*Did you mean 'quick'"):
        load_scenario("qiuck")
    assert LIBRARY.is_dir()
