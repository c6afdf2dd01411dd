"""How well queries are read, and what ranking gains from it: a measurement on the default market.

Two encoders learn from one set of searches, one from clicks and product titles, one from hidden labels; they are asked
beside the built-in dictionary and the dictionary that forgives edits, at several rates of misspelling, by new shoppers.
Then learners are trained with and without readers, on the same searches seed by seed, and judged by the true value of
their rankings on the same shoppers: what differs between two readers is paired by the seed of training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from policies.examples import step_examples
from policies.persistence import LearnedFrom, shoppers_digest
from policies.query.baseline import corrector
from policies.query.encoder import QueryEncoder
from policies.query.material import Labels, Material, asked_pages, product_titles
from policies.query.saving import save_reader
from policies.query.training import Course, train_encoder
from policies.ranking import RankingPolicy
from policies.registry import POLICIES, named_policy, new_learner
from scenarios.progress import Advance
from simenv.columns import join
from simenv.decision import Policy, with_query
from simenv.intent_score import ALL, LabelledQueries, labelled_queries, score_queries
from simenv.play import play, shopper_range
from simenv.truth import on_logger_contexts
from simenv.world import World, begin, make_world
from simenv.worlds import WORLDS

READING = "query"  # the benchmark's name
LOGGER = "production"
NO_READER = "none"
GROUPED = (ALL, "locale", "spelling")
SEEDS = {"searches": 11, "asked": 0, "learning": 100}  # of the shoppers' luck
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        shoppers: Whose searches the encoders learn from.
        asked: New shoppers, whose first queries are read.
        rates: Of misspelling, at which they ask.
        course: How the encoder that learns from clicks is trained.
        label_epochs: Passes of the other: labels are known of all searches, clicks of half of them.
        seeds: Of training; each has learners of its own.
        learners: Who rank.
        learning: Shoppers whose searches a learner is trained on.
        judged: Shoppers on whose pages rankings are judged.
        gain_rates: Of misspelling, in the worlds where gains are measured; the encoders are those of the default world.
    """

    shoppers: int = 7_700
    asked: int = 6_000
    rates: tuple[float, ...] = (0.0, 0.08, 0.3)
    course: Course = dataclasses.field(default_factory=Course)
    label_epochs: int = 4
    seeds: int = 5
    learners: tuple[str, ...] = ("linear", "neural-linear")
    learning: int = 800
    judged: int = 400
    gain_rates: tuple[float, ...] = (0.08, 0.3)

    @property
    def n_steps(self) -> int:
        """Steps that the progress counts."""
        return 2 + len(self.rates) + len(self.gain_rates) * self.seeds


def measured_reading(plan: Plan, folder: Path, advance: Advance) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Records of how well queries are read, and of what ranking gains.

    Args:
        plan: How much to measure.
        folder: Where the encoders are saved, as `clicks` and `labels`: what a learner's setting `reader` names.
        advance: Told each step.

    Returns:
        Rows of the tables `reading` and `gains`.
    """
    world = misspelling_world(WORLDS["default"].queries.misspelling_rate)
    encoders, searches = trained_readers(world, plan, advance)
    shoppers = shoppers_digest(shopper_range(plan.shoppers))
    learned = LearnedFrom("", world.params.digest(), SEEDS["searches"], None, searches, shoppers)
    for name, encoder in encoders.items():
        save_reader(encoder, folder / name, learned)
    scores = []
    for rate in plan.rates:
        scores += reading_scores(misspelling_world(rate), rate, encoders, plan.asked)
        advance(1)
    readers = {NO_READER: None, "dictionary": "dictionary"} | {name: str(folder / name) for name in encoders}
    gains = []
    for rate in plan.gain_rates:
        gains += ranking_gains(misspelling_world(rate), rate, readers, plan, advance)
    return scores, gains


def misspelling_world(rate: float) -> World:
    """The default world with another rate of misspelling."""
    params = WORLDS["default"]
    return make_world(dataclasses.replace(params, queries=dataclasses.replace(params.queries, misspelling_rate=rate)))


def trained_readers(world: World, plan: Plan, advance: Advance) -> tuple[dict[str, QueryEncoder], int]:
    """An encoder trained from clicks and titles, and one from labels, on the same searches; and how many they are."""
    catalogue = world.catalogue.public()
    pages, labels = asked_pages(world, named_policy(LOGGER, catalogue), SEEDS["searches"], shopper_range(plan.shoppers))
    sizes, titles = (world.demand.n_values, len(world.demand.locales)), product_titles(world)
    made: dict[str, QueryEncoder] = {}
    taught: dict[str, Labels | None] = {"clicks": None, "labels": labels}
    for name, known in taught.items():
        course = plan.course if known is None else dataclasses.replace(plan.course, epochs=plan.label_epochs)
        made[name] = train_encoder(Material(pages, titles, known), catalogue, sizes, course)
        advance(1)
    return made, len(pages)


def reading_scores(
    world: World, rate: float, encoders: Mapping[str, QueryEncoder], n_asked: int
) -> list[dict[str, Any]]:
    """The accuracy of every reader, in all, by locale and by spelling, for each kind of term.

    Each record has misspelling_rate, reader, by, group, term, value, stderr (clustered by shopper) and queries.
    """
    asked = labelled_queries(world, begin(world, SEEDS["asked"], shopper_range(n_asked)))
    records = []
    for reader, terms in predictions(world, asked, encoders).items():
        for score in score_queries(terms, asked):
            if score.measure == "accuracy" and score.by in GROUPED:
                records.append(
                    {"misspelling_rate": rate, "reader": reader, "by": score.by, "group": score.group,
                     "term": score.term, "value": score.value, "stderr": score.stderr, "queries": score.queries}
                )  # fmt: skip
    return records


def predictions(
    world: World, asked: LabelledQueries, encoders: Mapping[str, QueryEncoder]
) -> dict[str, np.ndarray[Any, np.dtype[np.int32]]]:
    """What each reader predicts, (N, 7)."""
    titles = product_titles(world)
    forgiving = corrector(
        world.demand.lexicon,  # type: ignore[attr-defined]  # an invented market has one
        world.catalogue.brands,
        zip(titles.locale.tolist(), titles.text.tolist(), strict=True),
    )
    query = asked.query.tolist()
    made = {"dictionary": asked.recognised, "dictionary and edits": forgiving.read(query, asked.locale)}
    for name, encoder in encoders.items():
        made[f"encoder from {name}"] = encoder.read(query, asked.locale).terms()
    return made


def ranking_gains(
    world: World, rate: float, readers: Mapping[str, str | None], plan: Plan, advance: Advance
) -> list[dict[str, Any]]:
    """The true value per search over the logger's contexts, and what each reader adds to none, paired by seed.

    Each record has misspelling_rate, learner, reader, value (mean over seeds), gain, gain_low, gain_high (a t-interval
    over seeds) and seeds.
    """
    values = np.empty((plan.seeds, len(plan.learners), len(readers)))
    for seed in range(plan.seeds):
        found = _values(world, readers, plan, seed)
        for i, learner in enumerate(plan.learners):
            values[seed, i] = [found[f"{learner} {reader}"] for reader in readers]
        advance(1)
    records = []
    for i, learner in enumerate(plan.learners):
        for j, reader in enumerate(readers):
            gain = values[:, i, j] - values[:, i, 0]
            half = stats.t.ppf(0.5 + CONFIDENCE / 2, plan.seeds - 1) * gain.std(ddof=1) / np.sqrt(plan.seeds)
            records.append(
                {"misspelling_rate": rate, "learner": learner, "reader": reader, "value": float(values[:, i, j].mean()),
                 "gain": float(gain.mean()), "gain_low": float(gain.mean() - half),
                 "gain_high": float(gain.mean() + half), "seeds": plan.seeds}
            )  # fmt: skip
    return records


def _values(world: World, readers: Mapping[str, str | None], plan: Plan, seed: int) -> dict[str, float]:
    """The true value of each learner with each reader, trained on one seed's searches."""
    catalogue, n_slots = world.catalogue.public(), world.params.n_slots
    logger = named_policy(LOGGER, catalogue)
    own = SEEDS["learning"] + seed
    steps = join(
        [
            dataclasses.replace(step, page=with_query(world, step.state, step.page))
            for step in play(world, logger, own, shopper_range(plan.learning))
        ]
    )
    targets: dict[str, Policy] = {}
    for name in plan.learners:
        for reader, where in readers.items():
            learner = new_learner(name, catalogue, n_slots, own, settings={"reader": where})
            learner.update(step_examples(learner.feature_map, steps))
            learner.finish()
            targets[f"{name} {reader}"] = RankingPolicy(
                f"{name} {reader}", learner, POLICIES[name].temperature, POLICIES[name].floor
            )
    judged = shopper_range(plan.judged, first=plan.learning)
    ratios = on_logger_contexts(world, logger, targets, own, judged, n_draws=1)
    return {name: ratio.value for name, ratio in ratios.items()}
