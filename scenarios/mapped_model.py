"""Saved models on logs of another make: a policy that ranks from pages as a function of the log's columns.

It may be asked where the mapping's [ranker] says what stood on a page. A role that is not mapped is harmless where the
model's scores do not move with it, which is tried; where they do, the model is refused and the role is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from offpolicy.readers.mapping import LogMapping, RankerColumns
from offpolicy.readers.reading import Caveat
from offpolicy.readers.target import TargetFunction
from policies.exploration.slotwise import AnyPolicy
from policies.learning import in_half
from policies.persistence import parts_learned_from, read_card, shoppers_digest
from policies.registry import CARD_FILE, load_policy
from scenarios.mapped_pages import ROLES, disturbed, page_of, places_of
from simenv.catalogue import PublicCatalogue
from simenv.columns import take
from simenv.errors import UserError
from simenv.log import read_catalogue
from simenv.world import Page

TRIED = 256  # pages on which it is tried whether a role moves scores
CHUNK = 4096  # pages scored at once

MAY_HAVE_MET = (
    "whether the model learned from shoppers of this log cannot be told from it, and judging it on them would flatter "
    "it; held_out = true in the mapping's [ranker] declares that it did not"
)
DECLARED = "That the model learned from none of these shoppers is declared in the mapping; no data can check it."


def model_function(spec: str, mapping: LogMapping, mapping_path: Path) -> TargetFunction:
    """A saved model, or a name of the registry, as a function of a mapped log's columns.

    Args:
        spec: As for `policies.registry.load_policy`.
        mapping: Of the log; it has a `ranker`.
        mapping_path: Where it stands: the catalogue's path is relative to it.

    Raises:
        UserError: If the mapping does not say what a model needs, naming what is missing, or the policy sees truth.
    """
    ranker, n_slots = mapping.ranker, len(mapping.action)
    if ranker is None:
        raise UserError(
            f"policy '{spec}' ranks the candidates of a page, and the mapping does not say what stood on it. Add "
            "[ranker] with catalogue and candidates (docs/any-log.md), or give module:function."
        )
    if mapping.layout == "long" or not n_slots:
        raise UserError(
            'a saved model needs one row a page (layout "wide", or "single") and columns.action, the items that were '
            f'shown; this mapping has layout "{mapping.layout}" and {n_slots or "no"} such columns.'
        )
    catalogue = read_catalogue(mapping_path.parent / ranker.catalogue)
    policy = load_policy(spec, catalogue, n_slots)
    if policy.sees_truth:
        raise UserError(f"policy '{spec}' ranks by hidden truth, which a log does not hold; it cannot be judged.")

    def ask(columns: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        page = page_of(columns, ranker, catalogue)
        slate = places_of([columns[name] for name in mapping.action], page)
        _refuse_what_it_misses(_Asked(spec, policy, catalogue, ranker), page, slate)
        _refuse_its_own(spec, columns, mapping)
        return _said(policy, page, slate, mapping)

    return ask


def model_caveats(spec: str, mapping: LogMapping) -> tuple[Caveat, ...]:
    """What a verdict on a saved model has to say of whom it learned from; nothing for what never learned."""
    if mapping.ranker is None or not (Path(spec) / CARD_FILE).is_file():
        return ()
    return (Caveat(DECLARED, 0),) if mapping.ranker.held_out else (Caveat(MAY_HAVE_MET),)


def _said(
    policy: AnyPolicy, page: Page, slate: npt.NDArray[np.int32], mapping: LogMapping
) -> dict[str, npt.NDArray[Any]]:
    """Propensities of what was shown, as a target function answers; marginals where the log has the logger's."""
    chunks = [slice(first, first + CHUNK) for first in range(0, len(slate), CHUNK)]
    if not any(chance.kind == "marginal" for chance in mapping.propensity):
        logp = np.concatenate([policy.log_prob(take(page, rows), slate[rows]).logp for rows in chunks])
        return {"logp_conditional": logp[:, 0] if mapping.layout == "single" else logp}
    parts = [policy.answered(take(page, rows), slate[rows], ()) for rows in chunks]
    marginal = [part.marginal.logp for part in parts if part.marginal is not None]
    made = {"logp_conditional": np.concatenate([part.conditional.logp for part in parts])}
    return made | ({"logp_marginal": np.concatenate(marginal)} if len(marginal) == len(parts) else {})


@dataclass(frozen=True)
class _Asked:
    """Who is asked, and what it is told."""

    spec: str
    policy: AnyPolicy
    catalogue: PublicCatalogue
    ranker: RankerColumns


def _refuse_what_it_misses(asked: _Asked, page: Page, slate: npt.NDArray[np.int32]) -> None:
    policy, few = asked.policy, take(page, slice(0, TRIED))
    missing = ["query"] if policy.reads_query and page.query is None else []
    if not missing:
        before = _ranks_by(policy, few, slate[:TRIED])
        for role in (name for name in ROLES if name not in asked.ranker.roles):
            if not np.array_equal(before, _ranks_by(policy, disturbed(few, role, asked.catalogue), slate[:TRIED])):
                missing.append(role)
    if missing:
        raise UserError(
            f"policy '{asked.spec}' ranks by {', '.join(missing)}, and the mapping does not say where the log has "
            f"{'it' if len(missing) == 1 else 'them'}. Name the columns in [ranker] (or a number, where it is the same "
            "on every page), or train a model that does without."
        )


def _ranks_by(policy: AnyPolicy, page: Page, slate: npt.NDArray[np.int32]) -> npt.NDArray[np.floating]:
    """What moves where the policy ranks otherwise: its scores, or where it has none the slate's probabilities."""
    said = policy.answered(page, slate, ())
    return said.conditional.logp if said.scores is None else said.scores


def _refuse_its_own(spec: str, columns: Mapping[str, npt.NDArray[Any]], mapping: LogMapping) -> None:
    """Refuse a model whose card names the very shoppers of this log, where they are numbers as the card's are."""
    if not (Path(spec) / CARD_FILE).is_file() or mapping.shopper is None:
        return
    shopper = columns[mapping.shopper]
    if shopper.dtype.kind not in "iu":
        return
    card = read_card(Path(spec))
    seen = [card["learned_from"], *(part for part in parts_learned_from(card["settings"]).values() if part)]
    taken = {one["shoppers"] for one in seen if one["shoppers"]}
    groups = [shopper, *(shopper[in_half(shopper.astype(np.int64), half)] for half in (0, 1))]
    if any(shoppers_digest(group) in taken for group in groups if len(group)):
        raise UserError(
            f"model '{spec}' learned from the shoppers of this log; judging it on them would flatter it. Leave out "
            "those that it learned from, or judge it on another log."
        )
