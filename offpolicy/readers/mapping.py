"""The mapping file: which columns of somebody's log play which roles, as TOML, checked before any row is read.

    layout = "wide"                     # one row a page; "long": one row a slot; "single": one action a row

    [columns]
    shopper = "user_id"
    action = ["item_1", "item_2"]
    segments = ["locale"]

    [rewards]
    clicks = ["click_1", "click_2"]     # one column a slot, or one for the whole page

    [propensity]
    columns = ["p_1", "p_2"]
    kind = "conditional"                # or "prefix", "marginal", "whole": the log does not say, so the mapping must
    scale = "probability"               # or "log"

    [target]                            # left out where the policy is named on the command line
    columns = ["q_1", "q_2"]
    kind = "conditional"
    scale = "probability"

Nothing has a default that could turn one number into another: kind and scale must be said. docs/any-log.md tells all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Layout = Literal["single", "wide", "long"]
Kind = Literal["conditional", "prefix", "marginal", "whole"]
Scale = Literal["probability", "log"]

LAYOUTS = ("single", "wide", "long")
KINDS = ("conditional", "prefix", "marginal", "whole")
SCALES = ("probability", "log")


@dataclass(frozen=True)
class Chance:
    """Columns that hold propensities, and what they are.

    Attributes:
        columns: One a slot in layout "wide", one in layouts "single" and "long", one where `kind` is "whole".
        kind: "conditional" (slot given the slots above), "prefix" (their running product), "marginal" (item at slot
            whatever stands above) or "whole" (the page).
        scale: "probability" or "log" (natural logarithm).
    """

    columns: tuple[str, ...]
    kind: Kind
    scale: Scale


@dataclass(frozen=True)
class ActionColumns:
    """Columns that hold the probability of every action, for layout "single".

    Attributes:
        values: What the action column holds for each of A actions.
        logger: A columns: probabilities under the logger.
        target: A columns: probabilities under the target; empty where it is given otherwise.
        kinds: What kind each of the A actions is (category, brand); empty where nobody says.
    """

    values: tuple[str, ...]
    logger: tuple[str, ...]
    target: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class RankerColumns:
    """Where a saved model finds what it ranks from.

    Attributes:
        catalogue: A file of items, beside the mapping file.
        roles: By role the columns that hold it (or the one column of lists), or the number that it is in every row.
        held_out: Whether it is declared that a model learned from none of the log's shoppers.
    """

    catalogue: str
    roles: Mapping[str, tuple[str, ...] | float]
    held_out: bool = False


@dataclass(frozen=True)
class LogMapping:
    """Columns to roles.

    Attributes:
        layout: What a row of the file is: one action, a page ("wide") or a slot of a page ("long").
        rewards: By name: one column a slot, or one for the page.
        propensity, target: What is known of the logger's and the target's chances; several kinds may be given.
        actions: Chances of all actions.
        shopper, session: Who is independent of whom; None where not known.
        independent_rows: Whether rows are declared to be independent of each other, where neither is known.
        page, slot: Which rows belong to a page, and where on it they stand.
        time, query, logger, segments, features: Columns; None or empty where not known.
        action: What was shown: one column a slot.
        model_logged, model_target: A reward model's expectation of each logged slot, and of the page under the target.
        model_is_past_only: Whether that model knew of earlier shoppers alone, in the order of the log.
        ranker: What saved models rank from; None where it is not said.
        loggers: Probability of the logged page under each of several loggers, by the logger's name.
        examination: Chance that a slot is looked at, relative to the first, for click models.
        unit: What a row of the evidence is, in the singular.
        reward_range, max_weight: As in `Evidence`.
        estimated_propensities: Whether propensities were fitted and not logged.
        kind_is_certain: Whether the kind of the propensities is to be believed against what the numbers look like.
    """

    layout: Layout
    rewards: Mapping[str, tuple[str, ...]]
    propensity: tuple[Chance, ...] = ()
    target: tuple[Chance, ...] = ()
    actions: ActionColumns | None = None
    shopper: str | None = None
    session: str | None = None
    independent_rows: bool = False
    page: str | None = None
    slot: str | None = None
    time: str | None = None
    query: str | None = None
    logger: str | None = None
    segments: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    model_logged: tuple[str, ...] = ()
    model_target: str | None = None
    model_is_past_only: bool = False
    ranker: RankerColumns | None = None
    loggers: Mapping[str, str] | None = None
    examination: tuple[float, ...] = ()
    unit: str = "search"
    reward_range: tuple[float, float] | None = None
    max_weight: float | None = None
    estimated_propensities: bool = False
    kind_is_certain: bool = False

    @property
    def numeric(self) -> set[str]:
        """Columns that must hold numbers."""
        chances = [name for chance in (*self.propensity, *self.target) for name in chance.columns]
        rewards = [name for columns in self.rewards.values() for name in columns]
        table = [] if self.actions is None else [*self.actions.logger, *self.actions.target]
        one = [name for name in (self.slot, self.model_target) if name]
        return {*chances, *rewards, *table, *one, *self.features, *self.model_logged, *(self.loggers or {}).values()}

    @property
    def wanted(self) -> set[str]:
        """All columns that play a role."""
        named = (self.shopper, self.session, self.page, self.time, self.query, self.logger)
        return {*self.numeric, *(name for name in named if name), *self.segments, *self.action}
