"""Comparing policies with the truth that a simulator knows, and saying what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from scenarios.candidates import population, seed_of
from scenarios.config import Scenario
from scenarios.folder import Row
from scenarios.headline import headline, holds, lift_ends
from scenarios.progress import Progress
from simenv import truth as truths_of
from simenv.log import Log
from simenv.truth import LOGGER_CONTEXTS, OWN_CONTEXTS, SESSION, SHOPPER, Life, Value
from simenv.twins import Ratio
from simenv.world import World

if TYPE_CHECKING:
    from scenarios.run import Cast

BEST_PUBLIC = "best public"
ORACLE = "oracle"
EXAMPLES = 3  # sessions that the page shows
MIN_PAGES = 2  # pages an example session has at least


def truths(scenario: Scenario, world: World, cast: Cast, progress: Progress) -> tuple[list[Row], list[Row]]:
    """The tables truth.csv and policies.csv.

    Every policy is played on shoppers that neither the log nor any learner has seen, all with the same luck; value per
    search over the logger's contexts is computed on the logger's own play.
    """
    seed, shoppers = seed_of(scenario, "truth"), population(scenario, world, scenario.truth.shoppers)
    everybody = cast.everybody
    others = {name: policy for name, policy in everybody.items() if name != cast.logger.name}
    advance = progress.task("compute the truth", None)
    contexts = truths_of.on_logger_contexts(world, cast.logger, others, seed, shoppers, advance=advance)
    lives = truths_of.lives(world, everybody, seed, shoppers, advance)
    found = truths_of.values(contexts, cast.logger.name, LOGGER_CONTEXTS)
    found += truths_of.values_by_twins(lives, cast.logger.name)
    return [vars(value) for value in found], [
        _policy_row(name, cast, contexts, lives[name], found) for name in everybody
    ]


def example_searches(world: World, log: Log) -> list[Row]:
    """A few logged sessions with several pages, one per locale, as rows of sessions.csv."""
    import pyarrow.parquet as pq

    table = next(pq.ParquetFile(log.parts[0]).iter_batches(batch_size=4000, columns=[
        "session", "step", "locale", "query", "items", "slate", "discount", "clicked", "purchased",
    ])).to_pylist()  # fmt: skip
    pages: dict[int, list[dict[str, object]]] = {}
    for row in table[:-20]:  # the last session may be cut by the batch
        pages.setdefault(row["session"], []).append(row)
    rows: list[Row] = []
    for locale_name in world.demand.locales[:EXAMPLES]:
        fitting = [p for p in pages.values() if p[0]["locale"] == locale_name and len(p) >= MIN_PAGES
                   and any(any(page["clicked"]) for page in p)]  # type: ignore[arg-type]  # fmt: skip
        if not fitting:
            continue
        for page in fitting[0]:
            items = np.array(page["items"])
            names = world.demand.titles(world.demand.locales.index(locale_name), np.maximum(items, 0))
            price = world.catalogue.price[items] * np.exp(np.array(page["discount"])[np.array(page["slate"])])
            rows += [
                {"session": page["session"], "step": page["step"], "locale": locale_name, "query": page["query"],
                 "slot": slot + 1, "title": names[slot], "price": round(float(price[slot]), 2),
                 "clicked": bool(page["clicked"][slot]), "bought": bool(page["purchased"][slot])}  # type: ignore[index]
                for slot, item in enumerate(items) if item >= 0
            ]  # fmt: skip
    return rows


def finding(cast: Cast, truth: Sequence[Row], policies: Sequence[Row], estimates: Sequence[Row]) -> str:
    """The sentences on top: the best learned policy, how sure the log made us, whether it was right, and who stays."""
    ahead = _who_looks_ahead(cast, truth)
    if not cast.learned:
        return f"No policy was trained; the estimates judge fixed rankers.{ahead}"
    lift = {row["policy"]: row["lift"] for row in truth if row["estimand"] == LOGGER_CONTEXTS}
    base = next(row["value"] for row in truth if row["policy"] == cast.logger.name)
    best = max(cast.learned, key=lambda name: lift[name])
    share = next(row["gap_closed"] for row in policies if row["policy"] == best)
    said = (
        f"{best} would earn {lift[best] / base:+.0%} per search over {cast.logger.name}, {share:.0%} of the way to the "
        "best ranking on public information"
    )
    stays = _who_stays(cast, truth, best, lift[best] / base) + ahead
    own = [row for row in estimates if row["policy"] == best]
    refused = sum(row["verdict"] == "do not use" for row in own)
    chosen = headline(own)
    if chosen is None:
        return f"{said}; no estimate from the log could tell: {refused} of {len(own)} are marked do not use.{stays}"
    is_right = holds(chosen, lift[best])
    return (
        f"{said}. From the log alone {chosen['estimator']} says {chosen['lift'] / base:+.0%} "
        f"({chosen['level']:.0%} interval {lift_ends(chosen, 1.0 / base, '+.0%')}, "
        f"verdict {chosen['verdict']}), an interval that {'holds' if is_right else 'misses'} the truth; "
        f"{refused} of {len(own)} estimates of it are marked do not use.{stays}"
    )


def _who_looks_ahead(cast: Cast, truth: Sequence[Row]) -> str:
    """What oracles bring a shopper, where some were played that look further than the page; else nothing."""
    if not set(cast.yardsticks) > {BEST_PUBLIC, ORACLE}:
        return ""
    lives = {row["policy"]: row for row in truth if row["estimand"] == SHOPPER}
    base, half = lives[cast.logger.name]["value"], float(stats.norm.ppf(0.975))
    told = (
        f"{name} {lives[name]['lift'] / base:+.0%} (± {half * lives[name]['lift_stderr'] / base:.0%})"
        for name in cast.yardsticks
        if name != BEST_PUBLIC
    )
    return f" Over {cast.logger.name}, a shopper's whole life brings: {', '.join(told)}."


def _who_stays(cast: Cast, truth: Sequence[Row], best: str, per_search: float) -> str:
    """What the best learned policy brings a shopper, where that is not what it brings a search; else nothing.

    Shoppers who are served well come back, or ask less often: a lift per search on the logger's pages knows of neither.
    """
    lives = {row["policy"]: row for row in truth if row["estimand"] == SHOPPER}
    base = lives[cast.logger.name]["value"]
    lift, reach = lives[best]["lift"] / base, float(stats.norm.ppf(0.975)) * lives[best]["lift_stderr"] / base
    if abs(per_search - lift) <= reach:
        return ""
    said = f" Per shopper, with who stays and comes back counted, it is {lift:+.0%} (± {reach:.0%})"
    top = max(cast.learned, key=lambda name: lives[name]["lift"])
    return f"{said}." if top == best else f"{said}, and {top} brings more: {lives[top]['lift'] / base:+.0%}."


def _policy_row(name: str, cast: Cast, contexts: Mapping[str, Ratio], life: Life, found: Sequence[Value]) -> Row:
    value = {each.estimand: each.value for each in found if each.policy == name}
    share = low = high = float("nan")
    if name == BEST_PUBLIC or cast.role(name) in ("baseline", "learned"):
        share, error = truths_of.gap_closed(contexts, cast.logger.name, BEST_PUBLIC, name)
        reach = float(stats.norm.ppf(0.975)) * error
        low, high = share - reach, share + reach
    searches = life.searches.sum()
    return {
        "policy": name,
        "role": cast.role(name),
        "value_search": value[LOGGER_CONTEXTS],
        "value_search_own": value[OWN_CONTEXTS],
        "value_session": value[SESSION],
        "value_shopper": value[SHOPPER],
        "ndcg": life.ndcg.sum() / life.ndcg_searches.sum(),
        "mrr": life.reciprocal_rank.sum() / life.ranked_searches.sum(),
        "clicks": life.clicks.sum() / searches,
        "carts": life.carts.sum() / searches,
        "purchases": life.purchases.sum() / searches,
        "revenue": life.revenue.sum() / searches,
        "gap_closed": share,
        "gap_low": low,
        "gap_high": high,
    }
