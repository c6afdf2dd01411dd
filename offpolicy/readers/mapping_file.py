"""Reading a mapping file: TOML in, `LogMapping` out, or the key that is wrong and what was expected."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from offpolicy.readers.mapping import (
    KINDS,
    LAYOUTS,
    SCALES,
    ActionColumns,
    Chance,
    Kind,
    Layout,
    LogMapping,
    RankerColumns,
    Scale,
)
from simenv.errors import UserError, unknown_name

TOP = (
    "layout", "unit", "reward_range", "max_weight", "independent_rows", "estimated_propensities", "kind_is_certain",
    "examination", "columns", "rewards", "propensity", "target", "actions", "model", "loggers",
    "ranker",
)  # fmt: skip
RANKER_ROLES = (
    "candidates", "query", "query_terms", "locale", "device", "visit", "day", "time", "search", "page", "history",
    "history_weight", "last_brand", "discount", "recent", "recent_bought", "recent_age",
)  # fmt: skip
ROLES = ("shopper", "session", "page", "slot", "time", "query", "logger", "action", "segments", "features")


def read_mapping(path: Path) -> LogMapping:
    """Read a mapping file.

    Raises:
        UserError: If it is no TOML, or says something that it must not say, or leaves out what it must say.
    """
    if not path.is_file():
        raise UserError(f"mapping '{path}' does not exist; give a TOML file as in docs/any-log.md.")
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise UserError(f"{path.name} is no TOML ({problem}); see docs/any-log.md for an example.") from None
    try:
        return mapping_of(given)
    except UserError as problem:
        raise UserError(f"{path.name}: {problem}") from None


def mapping_of(given: Mapping[str, Any]) -> LogMapping:
    """A mapping from what its TOML says.

    Raises:
        UserError: As `read_mapping`.
    """
    _known("key", given, TOP)
    layout = cast(Layout, _word(given, "layout", LAYOUTS))
    roles, model = _section(given, "columns", ROLES), _section(given, "model", ("logged", "target", "past_only"))
    rewards = _section(given, "rewards", None)
    loggers = _section(given, "loggers", None)
    ranker = _section(given, "ranker", ("catalogue", "held_out", *RANKER_ROLES))
    actions = _section(given, "actions", ("values", "logger", "target", "kinds"))
    made = LogMapping(
        layout,
        {name: _names(f"rewards.{name}", value) for name, value in rewards.items()},
        _chances(given, "propensity", layout),
        _chances(given, "target", layout),
        _actions(actions) if actions else None,
        shopper=_name(roles, "shopper"),
        session=_name(roles, "session"),
        independent_rows=_flag(given, "independent_rows"),
        page=_name(roles, "page"),
        slot=_name(roles, "slot"),
        time=_name(roles, "time"),
        query=_name(roles, "query"),
        logger=_name(roles, "logger"),
        segments=_names("columns.segments", roles.get("segments", [])),
        features=_names("columns.features", roles.get("features", [])),
        action=_names("columns.action", roles.get("action", [])),
        model_logged=_names("model.logged", model.get("logged", [])),
        model_target=_name(model, "target"),
        model_is_past_only=_flag(model, "past_only"),
        ranker=_ranker(ranker) if ranker else None,
        loggers={name: _names(f"loggers.{name}", value)[0] for name, value in loggers.items()} or None,
        examination=_numbers(given, "examination"),
        unit=_text(given, "unit", "action" if layout == "single" else "search"),
        reward_range=_pair(given, "reward_range"),
        max_weight=_number(given, "max_weight"),
        estimated_propensities=_flag(given, "estimated_propensities"),
        kind_is_certain=_flag(given, "kind_is_certain"),
    )
    _check(made)
    return made


def _check(made: LogMapping) -> None:
    if not made.rewards:
        raise UserError('no reward is named; write [rewards] with a line such as clicks = "clicked".')
    if made.layout == "long" and (made.page is None or made.slot is None):
        raise UserError(
            'layout "long" needs columns.page (which rows belong to one page) and columns.slot (where they stand); the '
            "order of the rows is not relied on."
        )
    if made.layout != "long" and made.slot is not None:
        raise UserError(f'columns.slot belongs to layout "long"; this one is "{made.layout}".')
    if made.layout != "single" and made.actions is not None:
        raise UserError('[actions] belongs to layout "single": a page has too many orders for a table.')
    if made.layout != "wide":
        lists = [(f"rewards.{name}", columns) for name, columns in made.rewards.items()]
        lists += [("columns.action", made.action), ("model.logged", made.model_logged)]
        lists += [("propensity.columns", chance.columns) for chance in made.propensity]
        lists += [("target.columns", chance.columns) for chance in made.target]
        for name, columns in lists:
            if len(columns) > 1:
                raise UserError(
                    f'{name} names {len(columns)} columns; layout "{made.layout}" has one slot a row, so expected one.'
                )
    if made.shopper is None and made.session is None and not made.independent_rows:
        raise UserError(
            "neither columns.shopper nor columns.session is named: rows of one person are not independent, and errors "
            "must be clustered. Name the column, or write independent_rows = true (the verdict will then say so)."
        )
    if made.actions is not None and not made.action:
        raise UserError("[actions] needs columns.action, the column that says which of them was taken.")


def _chances(given: Mapping[str, Any], name: str, layout: Layout) -> tuple[Chance, ...]:
    found = given.get(name, [])
    if type(found) is not list:
        found = [found]
    made = []
    for one in found:
        if type(one) is not dict:
            raise UserError(f"{name} is {one!r}; expected a section [{name}] with columns, kind and scale.")
        _known(f"key of [{name}]", one, ("columns", "kind", "scale"))
        columns = _names(f"{name}.columns", one.get("columns", []))
        if not columns:
            raise UserError(f"[{name}] names no columns; expected columns = [...] or a single name.")
        if layout == "single" and "kind" not in one:
            kind: Kind = "conditional"  # with one slot all kinds are one
        else:
            kind = cast(Kind, _word(one, "kind", KINDS, f"{name}.kind"))
        if kind == "whole" and len(columns) != 1:
            raise UserError(
                f'{name}.kind is "whole", the probability of the page; expected one column, got {len(columns)}.'
            )
        made.append(Chance(columns, kind, cast(Scale, _word(one, "scale", SCALES, f"{name}.scale"))))
    if len({chance.kind for chance in made}) < len(made):
        raise UserError(f"[[{name}]] gives the same kind twice; expected each of {', '.join(KINDS)} at most once.")
    return tuple(made)


def _actions(section: Mapping[str, Any]) -> ActionColumns:
    values, kinds = section.get("values", []), section.get("kinds", [])
    made = ActionColumns(
        tuple(str(value) for value in values) if type(values) is list else (),
        _names("actions.logger", section.get("logger", [])),
        _names("actions.target", section.get("target", [])),
        tuple(str(kind) for kind in kinds) if type(kinds) is list else (str(kinds),),
    )
    n = len(made.values)
    if n < 2 or len(set(made.values)) < n or len(made.logger) != n or len(made.target) not in (0, n):
        raise UserError(
            f"[actions] has {n} values, {len(made.logger)} logger and {len(made.target)} target columns; expected at "
            "least two different values, as many logger columns, and as many target columns or none."
        )
    if len(made.kinds) not in (0, n):
        raise UserError(f"[actions] has {n} values and {len(made.kinds)} kinds; expected one kind an action, or none.")
    return made


def _ranker(section: Mapping[str, Any]) -> RankerColumns:
    if "catalogue" not in section or "candidates" not in section:
        raise UserError(
            "[ranker] needs catalogue (a Parquet file of the items) and candidates (columns of item numbers)."
        )
    roles: dict[str, tuple[str, ...] | float] = {}
    for role in RANKER_ROLES:
        found = section.get(role)
        number = _number(section, role) if type(found) in (int, float) else None
        if number is not None:
            roles[role] = number
        elif found is not None:
            roles[role] = _names(f"ranker.{role}", found)
    return RankerColumns(_text(section, "catalogue", ""), roles, _flag(section, "held_out"))


def _known(what: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise unknown_name(what, name, known)


def _section(given: Mapping[str, Any], name: str, known: tuple[str, ...] | None) -> Mapping[str, Any]:
    found = given.get(name, {})
    if type(found) is not dict:
        raise UserError(f"{name} is {found!r}; expected a section [{name}].")
    if known is not None:
        _known(f"key of [{name}]", found, known)
    return found


def _word(given: Mapping[str, Any], key: str, known: tuple[str, ...], shown: str = "") -> str:
    if key not in given:
        raise UserError(f"{shown or key} is not said; it must be one of {', '.join(known)}: a wrong guess would bias.")
    if given[key] not in known:
        raise unknown_name(shown or key, str(given[key]), known)
    return str(given[key])


def _text(given: Mapping[str, Any], key: str, otherwise: str) -> str:
    found = given.get(key, otherwise)
    if type(found) is not str or not found:
        raise UserError(f"{key} is {found!r}; expected text.")
    return found


def _name(given: Mapping[str, Any], key: str) -> str | None:
    return _text(given, key, "") if key in given else None


def _names(key: str, found: Any) -> tuple[str, ...]:
    names = [found] if type(found) is str else found
    if type(names) is not list or not all(type(name) is str and name for name in names):
        raise UserError(f"{key} is {found!r}; expected the name of a column, or a list of names.")
    if len(set(names)) < len(names):
        raise UserError(f"{key} names a column twice: {', '.join(names)}.")
    return tuple(names)


def _flag(given: Mapping[str, Any], key: str) -> bool:
    found = given.get(key, False)
    if type(found) is not bool:
        raise UserError(f"{key} is {found!r}; expected true or false.")
    return found


def _number(given: Mapping[str, Any], key: str) -> float | None:
    found = given.get(key)
    if found is None:
        return None
    if type(found) not in (int, float):
        raise UserError(f"{key} is {found!r}; expected a number.")
    return float(found)


def _numbers(given: Mapping[str, Any], key: str) -> tuple[float, ...]:
    found = given.get(key, [])
    if type(found) is not list or not all(type(one) in (int, float) for one in found):
        raise UserError(f"{key} is {found!r}; expected a list of numbers.")
    return tuple(float(one) for one in found)


def _pair(given: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    found = _numbers(given, key)
    if not found:
        return None
    if len(found) != 2 or not found[0] < found[1]:
        raise UserError(f"{key} is {list(found)}; expected two numbers, the least and the largest.")
    return found[0], found[1]
