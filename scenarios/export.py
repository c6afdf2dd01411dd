"""Export of saved models: the model's folder and where its catalogue is in, one checked file out."""

from __future__ import annotations

from pathlib import Path

from policies.persistence import load_model, read_card
from policies.shipping.learners import export_of
from policies.shipping.onnx_export import Checked, export_policy
from scenarios.progress import Progress
from simenv.columns import join, take
from simenv.errors import UserError
from simenv.log import Log
from simenv.play import play, shopper_range
from simenv.worlds import WORLDS, load_world

PAGES = 1000  # that an export is compared over
SHOPPERS = 250  # who are played for them
LUCK = 20_241  # of those shoppers; any would do


def export_model(model: Path, out: Path, *, world: str | None, log: Path | None, progress: Progress) -> Checked:
    """Write a saved model as ONNX, checked over real pages.

    Args:
        model: The model's folder.
        out: The file, to be made.
        world: Whose catalogue it ranks, by name or file; where None and there is no log, the named world that the card
            says it learned in.
        log: The log whose catalogue it ranks and whose pages it is compared over.
        progress: Told what is done.

    Raises:
        UserError: where the model cannot be loaded or exported, its world is not known, or the graph differs from it.
    """
    card = read_card(model)
    n_slots = int(card["n_slots"])
    if log is not None:
        opened = Log.open(log)
        policy = load_model(model, opened.catalogue(), n_slots)
        export_of(policy.name, policy.scorer)  # refuses at once what is not exported
        page = next(iter(opened.batches(batch=PAGES, want_query=policy.reads_query))).page
    else:
        name = world or _world_of(model, str(card["learned_from"]["world_hash"]))
        market = load_world(name)
        policy = load_model(model, market.catalogue.public(), n_slots)
        export_of(policy.name, policy.scorer)
        progress.note(f"play {SHOPPERS} shoppers of world {name} for pages to compare over")
        page = join([step.page for step in play(market, policy, LUCK, shopper_range(SHOPPERS))])
    return export_policy(policy, n_slots, card, out, take(page, slice(0, PAGES)))


def _world_of(model: Path, world_hash: str) -> str:
    """The named world of that digest.

    Raises:
        UserError: where none of WORLDS has it.
    """
    for name, params in WORLDS.items():
        if params.digest() == world_hash:
            return name
    raise UserError(
        f"model '{model}' learned in none of the named worlds as they are now, so its catalogue is not known (a log of "
        "fewer days counts as another market). Say which: --world NAME_OR_FILE, or --log FOLDER."
    )
