"""An encoder that learned from clicks and titles alone reads what the dictionary cannot."""

import numpy as np
import pytest

from policies.query.material import Material, asked_pages, product_titles
from policies.query.training import Course, train_encoder
from policies.registry import named_policy
from simenv.intent_score import labelled_queries, pick, score_queries
from simenv.play import shopper_range
from simenv.world import begin
from simenv.worlds import load_world


@pytest.mark.slow
def test_clicks_and_titles_read_more_misspelt_product_types_than_the_dictionary() -> None:
    """By more than four standard errors of the difference, as if the two were independent, which they are not quite."""
    world = load_world("default")
    catalogue = world.catalogue.public()
    pages, _ = asked_pages(world, named_policy("production", catalogue), 11, shopper_range(2_000))
    material = Material(pages, product_titles(world, most=1_000))
    sizes = world.demand.n_values, len(world.demand.locales)
    encoder = train_encoder(material, catalogue, sizes, Course(epochs=10))
    asked = labelled_queries(world, begin(world, 0, shopper_range(6_000)))
    read = encoder.read(asked.query.tolist(), asked.locale).terms()
    ours, theirs = (
        pick(score_queries(terms, asked), "category", "accuracy", "misspelt") for terms in (read, asked.recognised)
    )
    assert ours.value - theirs.value > 4.0 * np.hypot(ours.stderr, theirs.stderr)
