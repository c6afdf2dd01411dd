"""How a name, a folder or a function becomes a policy, and what is said when it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from policies.ranking import RankingPolicy
from policies.registry import POLICIES, load_policy, named_policy, new_learner
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError

OWN = """
from policies.ranking import RankingPolicy
from policies.registry import named_policy

CALLED = []

def reversed_lexical(catalogue, n_slots):
    CALLED.append(n_slots)
    class Reversed:
        def score(self, page, truth):
            return -named_policy("lexical", catalogue).scorer.score(page, truth)
    return RankingPolicy("reversed", Reversed(), temperature=0.5)

def wrong(catalogue, n_slots):
    return "a ranking"

number = 5
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of the user's in the current folder, which is not on the Python path."""
    (tmp_path / "slatelab_own_rankers.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "slatelab_own_rankers", raising=False)
    return "slatelab_own_rankers"


def test_a_function_of_the_users_own_is_called_from_the_current_folder(
    own_module: str, catalogue: PublicCatalogue
) -> None:
    before = list(sys.path)
    policy = load_policy(f"{own_module}:reversed_lexical", catalogue, 3)
    assert (policy.name, policy.temperature) == ("reversed", 0.5)
    assert sys.modules[own_module].CALLED == [3]
    assert sys.path == before


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("{}:wrong", "returned a str; expected policies.ranking.RankingPolicy"),
        ("{}:number", "is a int; expected a function"),
        ("{}:nothing", "cannot be loaded"),
        ("{}:", "cannot be loaded"),
        (":wrong", "cannot be loaded"),
        ("no_such_module_anywhere:wrong", "cannot be loaded"),
    ],
)
def test_a_function_that_makes_no_policy_is_refused(
    spec: str, told: str, own_module: str, catalogue: PublicCatalogue
) -> None:
    with pytest.raises(UserError, match=told):
        load_policy(spec.format(own_module), catalogue, 3)


def test_an_unknown_name_suggests_the_nearest(catalogue: PublicCatalogue) -> None:
    for make in (lambda: named_policy("populrity", catalogue), lambda: load_policy("populrity", catalogue, 3)):
        with pytest.raises(UserError, match=r"there is no policy 'populrity'\. Did you mean 'popularity'"):
            make()


@pytest.mark.parametrize("name", [name for name, entry in POLICIES.items() if entry.learns])
def test_a_learner_that_was_not_trained_is_refused(name: str, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match=f"slatelab train SCENARIO --policy {name}"):
        named_policy(name, catalogue)


def test_what_has_nothing_to_learn_is_no_learner(catalogue: PublicCatalogue) -> None:
    with pytest.raises(
        UserError, match="'uniform' has nothing to learn; expected one of linear, linear-ts, linear-disjoint, "
    ):
        new_learner("uniform", catalogue, 3, 0)


def test_a_folder_without_a_card_is_no_model(tmp_path: Path, catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match=r"a folder without card\.json"):
        load_policy(str(tmp_path), catalogue, 3)


def test_registered_policies_are_named_as_registered(catalogue: PublicCatalogue) -> None:
    for name, entry in POLICIES.items():
        if entry.learns:
            assert new_learner(name, catalogue, 3, 0).kind == name
            continue
        policy = named_policy(name, catalogue)
        assert isinstance(policy, RankingPolicy)
        assert (policy.name, policy.sees_truth) == (name, entry.sees_truth)


def test_importing_policies_loads_neither_torch_nor_ray() -> None:
    """Nor does making a fixed ranker: torch is loaded where something learns."""
    code = (
        "import sys, policies, policies.registry as r;"
        "from simenv.worlds import load_world;"
        "r.load_policy('production', load_world('tiny').catalogue.public(), 3);"
        "sys.exit(', '.join({'torch', 'ray', 'pandas', 'matplotlib'} & set(sys.modules)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
