"""What a scenario says: a world, a logging policy, learners, estimators, budgets, and the question it asks.

Read from TOML, checked by pydantic, and written back resolved into the run's folder.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from simenv.errors import UserError, unknown_name

Model = TypeVar("Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ranker(_Strict):
    """A policy and how it explores; temperature and floor are the registry's where left out."""

    policy: str
    temperature: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    floor: float | None = Field(default=None, ge=0.0, lt=1.0)


class Logging(Ranker):
    """Who writes the log, over how many shoppers."""

    policy: str = "production"
    shoppers: int = Field(default=4000, ge=20)


class Learning(Ranker):
    """A learner. Bandits learn from the first half of the log's shoppers, `ppo-slate` in the market itself.

    Attributes:
        name: What it is called in tables; the policy's name where left out.
        settings: Of the learner, in place of its defaults.
        searches: Searches that a learner in the market may see.
        curve: Searches after which the learning curve is drawn, smallest first; the whole half comes last by itself.
        curve_seeds: Training seeds of the curve.
    """

    name: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$")
    settings: dict[str, bool | int | float | str | list[int]] = {}
    searches: int = Field(default=100_000, ge=1)
    curve: list[int] = []
    curve_seeds: int = Field(default=5, ge=1)

    @field_validator("settings")
    @classmethod
    def _not_for_all(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Seed and device are the command's: every learner is told them, and what stood here counted for nothing."""
        for name in ("seed", "device"):
            if name in settings:
                raise UserError(
                    f"'{name}' is no setting of a learner; leave it out: the command's own counts, as in"
                    f" slatelab train --{name}."
                )
        return settings

    @property
    def title(self) -> str:
        """What it is called in tables."""
        return self.name or self.policy


class TruthBudget(_Strict):
    """How closely the truth is computed: shoppers that are played for it, and for each point of a learning curve.

    Attributes:
        oracle_shoppers: Shoppers whom oracles are fitted on; never those of the truth.
        long_horizon: Whether oracles that look further than the page are played too. The one that looks ahead plays
            dozens of imagined lives for each page, so this takes minutes for a thousand shoppers.
    """

    shoppers: int = Field(default=4000, ge=20)
    curve_shoppers: int = Field(default=800, ge=20)
    oracle_shoppers: int = Field(default=8000, ge=20)
    long_horizon: bool = False


class Estimation(_Strict):
    """Which estimators and which interval, at which level; the reward model's folds, slates drawn from the target."""

    estimators: list[str] | None = None
    level: float = Field(default=0.95, ge=0.5, lt=1.0)
    interval: str = "t"
    replicates: int = Field(default=1000, ge=100)
    folds: int = Field(default=4, ge=2)
    target_slates: int = Field(default=2, ge=1)

    @field_validator("estimators")
    @classmethod
    def _known_estimators(cls, names: list[str] | None) -> list[str] | None:
        from offpolicy.estimators import estimator

        for name in names or []:
            estimator(name)
        return names

    @field_validator("interval")
    @classmethod
    def _known_interval(cls, name: str) -> str:
        from offpolicy.intervals.registry import interval_rule

        return interval_rule(name).name


class Scenario(_Strict):
    """An experiment."""

    name: str
    title: str
    question: str
    world: str = "default"
    seed: int = 0
    logging: Logging = Logging()
    baselines: list[str] = ["uniform", "lexical"]
    learners: list[Learning] = []
    truth: TruthBudget = TruthBudget()
    estimation: Estimation = Estimation()
    open_bandit: str = ""

    @field_validator("world")
    @classmethod
    def _known_world(cls, name: str) -> str:
        from simenv.worlds import world_params

        world_params(name)
        return name

    @model_validator(mode="after")
    def _known_policies(self) -> Scenario:
        """Names are checked before anything runs, not after an hour of it."""
        from policies.registry import entry_of

        for name in (self.logging.policy, *self.baselines):
            if entry_of(name).learns:
                raise UserError(f"'{name}' has to be trained; it belongs to the learners, not to logging or baselines")
        for name in self.baselines:
            if entry_of(name).sees_truth:
                raise UserError(f"baseline '{name}' sees hidden truth, which a log does not hold; leave it out")
        for learner in self.learners:
            if not entry_of(learner.policy).learns:
                raise UserError(f"learner '{learner.policy}' has nothing to learn; name it among the baselines")
        names = [self.logging.policy, *self.baselines, *(learner.title for learner in self.learners)]
        if len(set(names)) < len(names):
            raise UserError(
                f"a policy is named twice among logging, baselines and learners: {', '.join(names)}. The logging "
                "policy stands beside the others by itself"
            )
        return self

    def digest(self) -> str:
        """SHA-256 of the resolved scenario: a begun run goes on only where it is equal.

        Of a saved reader or session model that learners name it counts what the folder holds, not where it stands
        alone.
        """
        from policies.registry import part_folders

        parts = [folder for learner in self.learners for folder in part_folders(learner.settings).values()]
        held = {str(folder): _content(folder) for folder in parts}
        said = self.model_dump() | ({"parts": held} if held else {})
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _content(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in a folder, by its name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


LIBRARY = Path(__file__).parent / "library"


def scenario_names() -> dict[str, str]:
    """The names in the library with the question of each."""
    found = {}
    for path in sorted(LIBRARY.glob("*.toml")):
        found[path.stem] = str(tomllib.loads(path.read_text(encoding="utf-8")).get("question", ""))
    return found


def load_scenario(spec: str, seed: int | None = None, overrides: list[str] | None = None) -> Scenario:
    """A scenario from its name in the library or its TOML file.

    Args:
        spec: Name or path.
        seed: In place of the scenario's.
        overrides: "key.sub=value" settings, values as in TOML.

    Raises:
        UserError: for an unknown name, broken TOML, or a setting that does not fit; the message names the setting.
    """
    path = Path(spec)
    if path.suffix != ".toml":
        path = LIBRARY / f"{spec}.toml"
        if not path.is_file():
            raise _unknown_scenario(spec)
    settings = read_toml(path)
    settings.setdefault("name", path.stem)
    world = settings.get("world")
    if isinstance(world, str) and world.endswith(".toml") and (path.parent / world).is_file():
        settings["world"] = str(path.parent / world)  # a market file beside the scenario's
    if seed is not None:
        settings["seed"] = seed
    for override in overrides or []:
        _override(settings, override)
    return validated(Scenario, settings, f"{path}, with {' and '.join(overrides)}" if overrides else str(path))


def _unknown_scenario(spec: str) -> UserError:
    """An error for a name that is not in the library; who named a world meant a scenario in it."""
    from simenv.worlds import WORLDS

    said = unknown_name("scenario", spec, scenario_names())
    if spec not in WORLDS:
        return said
    return UserError(f"{said} '{spec}' is a world: a TOML file with world = \"{spec}\" is a scenario in it.")


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's content.

    Raises:
        UserError: where it is missing or broken.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"'{path}' does not exist; expected a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"'{path}' is not valid TOML: {error}.") from error


def validated(model: type[Model], settings: dict[str, Any], source: str) -> Model:
    """A model from settings, with pydantic's complaint as one line."""
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        # A misspelt key is told before the one that it leaves missing.
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        if first["type"] == "extra_forbidden":
            raise _unknown_setting(model, first["loc"], source) from error
        place = f" setting '{'.'.join(map(str, first['loc']))}':" if first["loc"] else ""
        said = first["msg"].removeprefix("Value error, ").rstrip(".")
        got = "" if first["type"] in ("value_error", "missing") else f"; got {first['input']!r}"
        more = f" ({error.error_count() - 1} more after it)" if error.error_count() > 1 else ""
        raise UserError(f"{source}:{place} {said}{got}.{more}") from error


def _unknown_setting(model: type[BaseModel], place: tuple[int | str, ...], source: str) -> UserError:
    """An error for a setting that nothing reads, with those that could stand in its place.

    Args:
        model: What was read.
        place: Keys and numbers of list entries from the top to the setting, as pydantic tells them.
        source: The file.
    """
    known: Any = model
    for key in place[:-1]:
        if isinstance(key, str):
            known = known.model_fields[key].annotation
            known = next(iter(get_args(known)), known)  # the model of a list's entries
    table = ".".join(str(key) for key in place[:-1])
    where = f"[{table}]" if table else f"a {model.__name__.lower()}"
    said = unknown_name(f"setting in {where} named", str(place[-1]), known.model_fields)
    return UserError(f"{source}: {said}")


def _override(settings: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise UserError(f"--set {override}: expected KEY=VALUE, for example --set logging.shoppers=500.")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value  # a bare word is a string
    *parents, last = key.strip().split(".")
    place = settings
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise UserError(f"--set {override}: '{parent}' has no settings below it.")
    place[last] = parsed
