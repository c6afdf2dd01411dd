"""World files: what is written is read again to the last bit, and what does not fit is refused by name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gymnasium
import pytest

from simenv.clicks import CLICK_MODELS, PositionBased
from simenv.errors import UserError
from simenv.params import Dynamics, Shoppers, WorldParams
from simenv.real.mapping import read_mapping
from simenv.world_file import read_world, world_toml
from simenv.worlds import WORLDS, load_world, world_params


def written(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_every_named_world_comes_back_from_its_file(name: str, tmp_path: Path) -> None:
    again = read_world(written(tmp_path, world_toml(WORLDS[name])), {})
    assert again == WORLDS[name]
    assert again.digest() == WORLDS[name].digest()


@pytest.mark.parametrize("name", sorted(CLICK_MODELS))
def test_every_click_model_comes_back_from_a_file(name: str, tmp_path: Path) -> None:
    params = dataclasses.replace(WORLDS["tiny"], click_model=CLICK_MODELS[name](8))
    assert read_world(written(tmp_path, world_toml(params)), {}).digest() == params.digest()


def test_awkward_numbers_and_texts_come_back(tmp_path: Path) -> None:
    params = dataclasses.replace(
        WORLDS["tiny"],
        question='Is "this" a \\ test?\nWith é, a tab\t and a delete \x7f',
        shoppers=Shoppers(mean_gap_days=0.1 + 0.2, taste_spread=1e-300),
    )
    assert read_world(written(tmp_path, world_toml(params)), {}) == params


def test_a_file_says_only_what_differs_from_its_base(tmp_path: Path) -> None:
    text = 'base = "tiny"\nn_slots = 2\n[dynamics]\npage_down = 0\n[click_model]\nname = "cascade"\n'
    params = world_params(str(written(tmp_path, text)))
    expected = dataclasses.replace(
        WORLDS["tiny"], n_slots=2, dynamics=Dynamics(page_down=0.0), click_model=CLICK_MODELS["cascade"](8)
    )
    assert params == expected


def test_comments_stand_behind_their_keys_and_change_nothing(tmp_path: Path) -> None:
    text = world_toml(WORLDS["tiny"], {"attraction.base": "estimated,\n-4 to -3"}, ["Made\nby hand."])
    assert text.startswith("# Made by hand.\n")
    assert "base = -4.0  # estimated, -4 to -3\n" in text
    assert read_world(written(tmp_path, text), {}) == WORLDS["tiny"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('base = "defalt"', "Did you mean 'default'"),
        ('base = "tiny"\nn_slot = 3', "'n_slot'. Did you mean 'n_slots'"),
        ('base = "tiny"\n[dynamics]\npagedown = 0.3', "[dynamics] named 'pagedown'. Did you mean 'page_down'"),
        ('base = "tiny"\n[queries.focused]\nshar = 0.3', "Did you mean 'share'"),
        ('base = "tiny"\nn_slots = 2.0', "key 'n_slots' is 2.0; expected a whole number"),
        ('base = "tiny"\nn_slots = true', "key 'n_slots' is True; expected a whole number"),
        ('base = "tiny"\nshoppers = 3', "key 'shoppers' is 3; expected a table"),
        ('base = "tiny"\nreward = "click"', "Did you mean 'clicks'"),
        ('base = "tiny"\n[attraction]\nbase = nan', "key 'attraction.base' is nan; expected a finite number"),
        ('base = "tiny"\n[attraction]\nbase = "low"', "key 'attraction.base' is 'low'; expected a number"),
        ('base = "tiny"\n[queries]\nmisspelling_rate = 1.2', "key 'queries.misspelling_rate' has 1.2"),
        ('base = "tiny"\n[queries.focused]\nadds = [0.1, 0.2]', "key 'queries.focused.adds' has 2 entries; expected 4"),
        ('base = "tiny"\n[shoppers]\ndevice_share = [1, "a", 0]', "key 'shoppers.device_share[1]' is 'a'"),
        ('base = "tiny"\n[click_model]\nname = "casade"', "Did you mean 'cascade'"),
        ('base = "tiny"\n[click_model]\ncontinuation = 0.4', "key 'click_model.name' is missing"),
        ('base = "tiny"\n[click_model]\nname = "cascade"\ncontinuaton = 0.4', "Did you mean 'continuation'"),
        ('base = "tiny"\n[click_model]\nname = "position-based"\nexamination = [1, 2]', "examination is 2.0 at slot 2"),
        ("n_slots = 3", "key 'question' is missing"),
        ("n_slots =", "cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        read_world(written(tmp_path, text), WORLDS)
    assert said in str(error.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UserError, match=r"'nowhere.toml' does not exist"):
        world_params("nowhere.toml")


def test_gymnasium_takes_the_path_of_a_world_file(tmp_path: Path) -> None:
    text = 'base = "tiny"\nn_slots = 2\n[click_model]\nname = "position-based"\nexamination = [1.0, 0.5]\n'
    path = str(written(tmp_path, text))
    env = gymnasium.make("simenv/Search-v0", world=path)
    observation, _ = env.reset(seed=3)
    assert env.action_space.contains(env.action_space.sample())
    assert observation is not None
    env.close()
    assert load_world(path).params.click_model == PositionBased((1.0, 0.5))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = str(written(tmp_path, 'base = "tiny"\nn_slots = 2'))
    first = load_world(path).params.n_slots
    written(tmp_path, 'base = "tiny"\nn_slots = 3')
    assert (first, load_world(path).params.n_slots) == (2, 3)
    assert load_world(path) is load_world(path)


def test_every_range_names_a_number_that_worlds_have() -> None:
    from simenv.world_ranges import RANGES

    for key in RANGES:
        value: object = WORLDS["default"]
        for name in key.split("."):
            value = getattr(value, name)
        assert isinstance(value, (int, float, tuple)), key
    assert isinstance(WORLDS["default"], WorldParams)


def test_the_folder_of_a_real_market_is_told_from_its_file() -> None:
    folder = Path(__file__).parents[2] / "docs" / "example_shop"
    with pytest.raises(UserError, match=r"is a folder; a real market is named by its file: .*market\.toml"):
        world_params(str(folder))
    with pytest.raises(UserError, match="is a folder; give the mapping file in it"):
        read_mapping(folder)
