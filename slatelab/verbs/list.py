"""`slatelab list KIND`: the names that the other verbs understand, each with one line about it."""

from __future__ import annotations

from typing import Annotated

import typer

from slatelab.output import print_json, print_result, print_table


def list_names(
    kind: Annotated[
        str, typer.Argument(metavar="worlds|scenarios|policies|estimators|intervals", help="What to list.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and no table.")] = False,
) -> None:
    """List worlds, scenarios, policies, estimators or intervals."""
    from simenv.errors import unknown_name

    if kind not in KINDS:
        raise unknown_name("list of", kind, KINDS)
    lines = KINDS[kind]()
    if as_json:
        print_json({kind: [{"name": name, "about": about} for name, about in lines.items()]})
    else:
        if kind == "estimators":
            from offpolicy.estimator import LOGGED

            print_result(f"Where no 'assumes' stands, and beside every 'also assumes': {LOGGED}.")
            lines = {name: _without(about, LOGGED) for name, about in lines.items()}
        print_table(["name", "about"], [[name, about] for name, about in lines.items()], wrap=["about"])


def _without(about: str, shared: str) -> str:
    """Return the words on an estimator without what most of them assume, which is said once, above the table."""
    return about.replace(f"assumes: {shared}; ", "also assumes: ").replace(f"assumes: {shared} (", "(")


def _worlds() -> dict[str, str]:
    """Return every world's name and question."""
    from simenv.peers.worlds import PEER_WORLDS
    from simenv.worlds import WORLDS

    ours = {name: world.question for name, world in WORLDS.items()}
    return ours | {name: f"{peer.question} As {peer.env}." for name, peer in PEER_WORLDS.items()}


def _scenarios() -> dict[str, str]:
    """Return every scenario's name and question."""
    from scenarios.config import scenario_names

    return scenario_names()


def _policies() -> dict[str, str]:
    """Return every policy's name and what it does."""
    from policies.registry import POLICIES

    return {name: entry.about for name, entry in POLICIES.items()}


def _estimators() -> dict[str, str]:
    """Return every estimator's name, when it runs, what it assumes and where it is from, which tells it from others."""
    from offpolicy.estimators import ESTIMATORS

    told = {}
    for name, one in ESTIMATORS.items():
        when = "with --per session or shopper; " if "length" in one.needs else ""
        when = when or ("" if one.by_default else "when named; ")
        words = "" if one.strength is None else one.strength.does
        does = f"{words}; `{name}:NUMBER` sets another; " if words else ""
        told[name] = f"{when}{does}assumes: {one.assumption} ({one.paper})"
    return told


def _intervals() -> dict[str, str]:
    """Return every interval's name and when it covers."""
    from offpolicy.intervals.registry import INTERVALS

    return {name: f"covers {rule.promise} ({rule.paper})" for name, rule in INTERVALS.items()}


KINDS = {
    "worlds": _worlds,
    "scenarios": _scenarios,
    "policies": _policies,
    "estimators": _estimators,
    "intervals": _intervals,
}
