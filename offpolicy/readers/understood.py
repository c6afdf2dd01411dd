"""What a reader understood of a mapped log, in pairs of a role and a sentence: what a dry run tells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from offpolicy.readers.context import Context
from offpolicy.readers.mapping import Kind
from offpolicy.readers.pages import Pages

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_YEAR_2000 = 946_684_800_000_000  # in microseconds; what is larger came from dates or from such a clock


def describe(
    pages: Pages,
    shown: Bools,
    rewards: Mapping[str, Floats],
    context: Context,
    logger: Mapping[Kind, Floats],
    target: Mapping[Kind, Floats],
) -> tuple[tuple[str, str], ...]:
    """Pairs of a role and what was found for it."""
    mapping, (n_pages, n_slots) = pages.mapping, pages.shape
    files = len(pages.columns.parts)
    told = [
        ("log", f"{files} {'file' if files == 1 else 'files'}, {pages.columns.n_rows:,} rows"),
        (
            "layout",
            f"{mapping.layout}: {n_pages:,} {mapping.unit} rows of up to {n_slots} slots, {int(shown.sum()):,} filled",
        ),
        ("cluster", _cluster(pages, context)),
    ]
    article = "an" if mapping.unit[:1] in "aeiou" else "a"
    for name, reward in rewards.items():
        total = reward.sum(axis=1)
        told.append(
            (f"reward {name}",
             f"{total.mean():.4g} {article} {mapping.unit}, from {total.min():g} to {total.max():g}; "
             f"{int((total != 0.0).sum()):,} rows earned something")
        )  # fmt: skip
    for role, chances in (("propensity", logger), ("target", target)):
        told += [(role, _range(kind, logp, shown)) for kind, logp in chances.items()]
        if not chances:
            told.append((role, "missing"))
    told += [("segment", f"{name}: {len(np.unique(column))} values") for name, column in context.segments.items()]
    if context.time is not None:
        told.append(("time", _span(int(context.time.min()), int(context.time.max()))))
    if context.stratum is not None:
        told.append(("logger", f"{len(context.stratum_names)} loggers: {', '.join(context.stratum_names[:6])}"))
    for role, columns in (
        ("action", mapping.action),
        ("features", mapping.features),
        ("query", (mapping.query or "",)),
    ):
        told.append((role, ", ".join(columns) if any(columns) else "missing"))
    if mapping.reward_range is not None:
        told.append(("reward range", f"{mapping.reward_range[0]:g} to {mapping.reward_range[1]:g}, declared"))
    if mapping.max_weight is not None:
        told.append(("largest weight", f"{mapping.max_weight:g}, declared"))
    return tuple(told)


def _cluster(pages: Pages, context: Context) -> str:
    if context.cluster_name == "row":
        return "rows are declared to be independent; no verdict can be 'trust'"
    counts = np.bincount(context.cluster)
    name = pages.mapping.shopper or pages.mapping.session
    return f"{len(counts):,} {context.cluster_name}s (column {name}), at most {counts.max():,} rows of one"


def _range(kind: str, logp: Floats, shown: Bools) -> str:
    of = np.ones_like(logp, dtype=np.bool_) if kind == "whole" else shown
    p = np.exp(logp[of])
    return f"{kind}, from {p.min():.3g} to {p.max():.3g}"


def _span(first: int, last: int) -> str:
    """The first and the last time; as dates where the numbers are microseconds since 1970, as text is read."""
    if first < _YEAR_2000:
        return f"from {first} to {last}"
    dates = [str(np.datetime64(at, "us").astype("datetime64[s]")) for at in (first, last)]
    return f"from {dates[0]} to {dates[1]}"
