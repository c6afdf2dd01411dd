"""World files: a market written down as TOML, so that a person can read it, change it and hand it on.

    base = "default"          # a name in WORLDS; what the file does not say is as there
    n_slots = 8

    [click_model]
    name = "position-based"   # in CLICK_MODELS; without more, with that model's own numbers
    examination = [1.0, 0.6, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1]

    [shoppers]
    device_share = [0.8, 0.15, 0.05]

Without `base` a file says everything that has no default. Reading is strict: a key that no world has, a value of
another type or outside its range is refused by name. Written and read again, parameters are the same to the last bit.
Everything here follows the fields and types of `simenv.params`; a new group or field needs nothing here.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from simenv.clicks import CLICK_MODELS, ClickModel
from simenv.errors import UserError, unknown_name
from simenv.params import WorldParams
from simenv.world_ranges import check_range

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SUFFIX = ".toml"
NONE = "none"  # TOML has no word for None
_OF_THE_CLASS = ("name", "identified_by")  # fields of a click model that say which class it is
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}

Types = Mapping[str, Any]


def read_world(path: Path, worlds: Mapping[str, WorldParams]) -> WorldParams:
    """The parameters that a file describes.

    Args:
        path: The file.
        worlds: What `base` may name.

    Raises:
        UserError: where the file is missing, is no TOML, or a key or value does not fit; the message names the key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"world file '{path}' does not exist; expected a TOML file or a name in WORLDS.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"world file '{path}' cannot be read: {error}. Expected TOML in UTF-8.") from error
    base = content.pop("base", None)
    if base is not None and not (type(base) is str and base in worlds):
        raise unknown_name("world for the key 'base' to name:", str(base), worlds)
    try:
        made: WorldParams = _group(WorldParams, content, None if base is None else worlds[base], "")
    except UserError as error:
        raise UserError(f"world file '{path}': {error}") from error
    return made


def world_toml(
    params: WorldParams, comments: Mapping[str, str] = types.MappingProxyType({}), head: Sequence[str] = ()
) -> str:
    """Every parameter as TOML.

    Args:
        params: What to write.
        comments: What to say behind a key, by its dotted name ("attraction.base").
        head: Comment lines on top.
    """
    lines = [f"# {' '.join(line.split())}" for line in head]
    return "\n".join([*lines, *_lines(params, "", comments)]).strip() + "\n"


def _lines(group: DataclassInstance, path: str, comments: Mapping[str, str]) -> list[str]:
    """A group's own values, then its groups, each under its heading."""
    values, groups = [], []
    for field in dataclasses.fields(group):
        value, key = getattr(group, field.name), f"{path}{field.name}"
        said = f"  # {' '.join(comments[key].split())}" if key in comments else ""
        if field.name == "click_model":
            groups += ["", f"[{key}]{said}", f"name = {_literal(_registered(value))}"]
            own = [each for each in dataclasses.fields(value) if each.name not in _OF_THE_CLASS]
            for each in own:
                groups.append(f"{each.name} = {_literal(getattr(value, each.name))}{_said(comments, key, each.name)}")
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            groups += ["", f"[{key}]{said}", *_lines(value, f"{key}.", comments)]
        else:
            values.append(f"{field.name} = {_literal(value)}{said}")
    return values + groups


def _said(comments: Mapping[str, str], group: str, name: str) -> str:
    key = f"{group}.{name}"
    return f"  # {' '.join(comments[key].split())}" if key in comments else ""


def _registered(model: ClickModel) -> str:
    if model.name not in CLICK_MODELS:
        raise UserError(f"click model '{model.name}' is not in CLICK_MODELS, so a file cannot name it; register it.")
    return model.name


def _literal(value: Any) -> str:
    """A value in TOML."""
    if value is None:
        return f'"{NONE}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_literal(each)}" for key, each in value.items()) + " }"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_literal(each) for each in value) + "]"
    if dataclasses.is_dataclass(value):
        inside = (f"{each.name} = {_literal(getattr(value, each.name))}" for each in dataclasses.fields(value))
        return "{ " + ", ".join(inside) + " }"
    raise TypeError(f"a {type(value).__name__} has no form in a world file")


def _group(kind: Any, content: Any, base: Any, path: str) -> Any:
    """A dataclass from a table; what the table does not say is as in `base`, or its default."""
    where = f"[{path.rstrip('.')}]" if path else "the file"
    if not isinstance(content, dict):
        raise UserError(f"key '{path.rstrip('.')}' is {content!r}; expected a table [{path.rstrip('.')}].")
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.init]
    for key in content:
        if key not in names:
            raise unknown_name(f"key in {where} named", key, names if path else [*names, "base"])
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        before = getattr(base, field.name) if base is not None else None
        if field.name in content:
            values[field.name] = _value(hints[field.name], content[field.name], before, f"{path}{field.name}")
            check_range(f"{path}{field.name}", values[field.name])
        elif base is not None:
            values[field.name] = before
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UserError(f"key '{path}{field.name}' is missing in {where} and has no default; add it, or a base.")
    if kind is WorldParams and isinstance(content.get("click_model"), dict):
        slots = values.get("n_candidates", WorldParams.n_candidates)
        values["click_model"] = _click_model(content["click_model"], slots)
    return kind(**values)


def _click_model(content: dict[str, Any], n_slots: int) -> ClickModel:
    """A click model from its table: the registered one of that name, with the numbers that the table gives."""
    if "name" not in content:
        raise UserError(f"key 'click_model.name' is missing; expected one of {', '.join(sorted(CLICK_MODELS))}.")
    if content["name"] not in CLICK_MODELS:
        raise unknown_name("click model for the key 'click_model.name':", str(content["name"]), CLICK_MODELS)
    start: Any = CLICK_MODELS[content["name"]](n_slots)
    own = {key: value for key, value in content.items() if key != "name"}
    if "identified_by" in own:
        raise UserError("key 'click_model.identified_by' follows from the click model's name; leave it out.")
    return typing.cast(ClickModel, _group(type(start), own, start, "click_model."))


def _value(hint: Any, value: Any, before: Any, key: str) -> Any:
    """A value as its type says."""
    origin = get_origin(hint)
    if hint is ClickModel:
        return value if isinstance(value, dict) else _wrong(key, value, "a table [click_model] with its name")
    if dataclasses.is_dataclass(hint):
        return _group(hint, value, before, f"{key}.")
    if origin in (typing.Union, types.UnionType):
        if value == NONE and type(None) in get_args(hint):
            return None
        (inner,) = (each for each in get_args(hint) if each is not type(None))
        return _value(inner, value, before, key)
    if origin is Literal:
        if value not in get_args(hint):
            raise unknown_name(f"value for the key '{key}' named", str(value), [str(each) for each in get_args(hint)])
        return value
    if origin is tuple:
        return _tuple(get_args(hint), value, key)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            _wrong(key, value, "a table")
        return {name: _value(get_args(hint)[1], each, None, f"{key}.{name}") for name, each in value.items()}
    return _scalar(hint, value, key)


def _tuple(of: tuple[Any, ...], value: Any, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        _wrong(key, value, "a list")
    if of[-1] is not Ellipsis and len(value) != len(of):
        raise UserError(f"key '{key}' has {len(value)} entries; expected {len(of)}.")
    kinds = [of[0]] * len(value) if of[-1] is Ellipsis else of
    return tuple(
        _value(kind, each, None, f"{key}[{at}]") for at, (kind, each) in enumerate(zip(kinds, value, strict=True))
    )


def _scalar(hint: Any, value: Any, key: str) -> Any:
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:
        _wrong(key, value, _KINDS.get(hint, str(hint)))
    if hint is float and not math.isfinite(value):
        _wrong(key, value, "a finite number")
    return value


def _wrong(key: str, value: Any, expected: str) -> typing.NoReturn:
    raise UserError(f"key '{key}' is {value!r}; expected {expected}.")
