"""Training of session models: a planted order of clicks is found, from clicks alone, and again from the same seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from policies.examples import Examples, Shown, examples
from policies.features import FeatureMap, page_tensors
from policies.session.block import SessionBlock
from policies.session.encoder import SessionNet, described_shape
from policies.session.training import Course, train_session
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.play import Step
from simenv.world import Page

LIKED, OTHER = 0.7, 0.15  # P(click) of an item of the planted click's category, and of any other
N_CATEGORIES = 5


def planted_page(page: Page, catalogue: PublicCatalogue, seed: int) -> Page:
    """Pages whose candidates and last clicks are drawn alike from the items of a few categories."""
    rng = np.random.default_rng(seed)
    few = np.flatnonzero(catalogue.category < N_CATEGORIES).astype(np.int32)
    recent = rng.choice(few, size=(len(page), 4))
    return dataclasses.replace(
        page,
        candidates=rng.choice(few, size=page.candidates.shape),
        recent=recent,
        recent_bought=np.zeros(recent.shape, dtype=bool),
        recent_age=np.zeros(recent.shape, dtype=np.int16),
    )


def planted(steps: Step, catalogue: PublicCatalogue, seed: int, place: int = 0) -> Examples:
    """Clicks that go by the category of one of the last clicks (0: the latest), whatever the others were."""
    page = planted_page(steps.page, catalogue, seed)
    slate = np.tile(np.arange(3, dtype=np.int32), (len(page), 1))
    same = catalogue.category[page.candidates[:, :3]] == catalogue.category[page.recent[:, place]][:, None]
    clicked = np.random.default_rng([seed, 1]).random(same.shape) < np.where(same, LIKED, OTHER)
    return examples(FeatureMap(catalogue, personal=False), page, Shown(slate, clicked))


def fits(net: SessionNet, page: Page, catalogue: PublicCatalogue) -> np.ndarray:
    """h . e of all candidates, (N, C)."""
    block = SessionBlock(catalogue, described_shape(net))
    block.restore({name: value.numpy() for name, value in net.state_dict().items()})
    with torch.no_grad():
        made: np.ndarray = block(page_tensors(page), torch.from_numpy(page.candidates).long())[..., 0].numpy()
    return made


@pytest.mark.parametrize(("kind", "place"), [("gru", 3), ("transformer", 0)])
def test_the_click_that_matters_is_told_from_the_others(
    kind: str, place: int, steps: Step, catalogue: PublicCatalogue
) -> None:
    """New pages: an item of the category of the planted click against one of another click's category.

    A GRU forgets by nature, so for it the oldest of four is planted; for the transformer the latest.

    Who does not know the order prefers either as often; of n pages the share then strays from 1/2 by 1/2 / sqrt(n), and
    is demanded to lie 5 of these above.
    """
    course = Course(kind=kind, epochs=10, batch=64)
    found = train_session(planted(steps, catalogue, 1, place), catalogue, course)
    page = planted_page(steps.page, catalogue, 2)
    fit, category = fits(found.net, page, catalogue), catalogue.category
    own, clicked = category[page.candidates], category[page.recent]
    matters = own == clicked[:, place, None]
    not_it = (own[:, :, None] == clicked[:, None, :]).any(axis=2) & ~matters
    rows = matters.any(axis=1) & not_it.any(axis=1)
    first, second = matters[rows].argmax(axis=1), not_it[rows].argmax(axis=1)
    here = np.arange(rows.sum())
    share = float((fit[rows][here, first] > fit[rows][here, second]).mean())
    assert share > 0.5 + 5 * 0.5 / np.sqrt(rows.sum())
    assert found.held_out[0] > min(found.held_out)


def test_the_same_seed_learns_the_same(steps: Step, catalogue: PublicCatalogue) -> None:
    seen = planted(steps, catalogue, 1)
    made = [train_session(seen, catalogue, Course(epochs=1, seed=seed)) for seed in (1, 1, 2)]
    assert made[0].held_out == made[1].held_out != made[2].held_out


def test_clicks_that_go_by_nothing_teach_little(steps: Step, catalogue: PublicCatalogue) -> None:
    """Clicks of luck alone, of chance p: those of held-out shoppers cost no less than their entropy H(p).

    The cost of a slot deviates from it by sqrt(p (1 - p)) log((1 - p) / p) < 0.4, so n slots tell the mean to below
    0.4 / sqrt(n), and four of these are left.
    """
    seen = planted(steps, catalogue, 1)
    luck = np.random.default_rng(7).random(seen.reward.shape) < 0.3
    made = train_session(dataclasses.replace(seen, reward=luck.astype(np.float32)), catalogue, Course(epochs=6))
    held_out_slots = seen.shown.sum() / 6
    entropy = -(0.3 * np.log(0.3) + 0.7 * np.log(0.7))
    assert min(made.held_out) > entropy - 4 * 0.4 / np.sqrt(held_out_slots)


def test_what_cannot_teach_is_refused(steps: Step, catalogue: PublicCatalogue) -> None:
    seen = planted(steps, catalogue, 1)
    with pytest.raises(UserError, match="learns from clicks"):
        train_session(dataclasses.replace(seen, reward=np.zeros_like(seen.reward)), catalogue)
    assert seen.page is not None
    alone = dataclasses.replace(seen.page, shopper=np.zeros_like(seen.page.shopper))
    with pytest.raises(UserError, match="several shoppers"):
        train_session(dataclasses.replace(seen, page=alone), catalogue)
