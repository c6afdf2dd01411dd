"""Training a session model from a log alone: what of the clicks is the shopper's own, beyond the search.

The click at slot k of a search has probability

    examination_k * sigmoid(b(x) + h . e(item))

with b a small network over features that say nothing of the shopper's past, so that h learns what is personal; h and e
as in `policies.session.encoder`. Position-based click model as in Richardson, Dominowska and Ragno, "Predicting
clicks", 2007: wrong where examination depends on what stands above (cascades). Some shoppers are held out; training
ends when the likelihood of their clicks has not risen for a while, and the best weights are kept.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from policies.examples import Examples, in_features_of
from policies.features import FeatureMap
from policies.learning import log_examples
from policies.session.encoder import SessionNet, item_columns, shape_for
from simenv.catalogue import PublicCatalogue
from simenv.columns import join
from simenv.errors import UserError
from simenv.log.read import Log
from simenv.world import Page

DEFAULT_KIND = "transformer"
HELD_OUT = 6  # every so-manieth shopper, by luck
BASE_WIDTH = 32
CURVE_RATE = 10.0  # learning rate of the examination curve, in those of the network
SCORED = 4096  # searches judged at once


@dataclass(frozen=True)
class Course:
    """How a session model is trained.

    Attributes:
        kind: In `policies.session.encoder.READERS`.
        layers: Of the transformer.
        epochs: Passes over the searches, at most.
        patience: Passes without a better likelihood of held-out shoppers before the end.
        batch: Searches a step.
        learning_rate: Of Adam.
        weight_decay: Of AdamW, on everything but the examination curve.
        seed: Of weights, order and who is held out.
    """

    kind: str = DEFAULT_KIND
    layers: int = 1
    epochs: int = 12
    patience: int = 2
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """A session model, and the mean negative log-likelihood of held-out slots after each pass (the first: before)."""

    net: SessionNet
    held_out: tuple[float, ...]


@dataclass(frozen=True)
class Sessions:
    """n searches: features x (n, K, F), clicks and shown (n, K), items (n, K), and the last clicks (n, L) each."""

    x: Tensor
    clicked: Tensor
    shown: Tensor
    item: Tensor
    recent: Tensor
    bought: Tensor
    age: Tensor

    def rows(self, rows: Tensor) -> Sessions:
        """Some of the searches."""
        return Sessions(*(getattr(self, name)[rows] for name in Sessions.__dataclass_fields__))


def train_session(seen: Examples, catalogue: PublicCatalogue, course: Course | None = None) -> Trained:
    """A trained session model.

    Args:
        seen: Searches with their pages; see `log_sessions`.
        catalogue: Public columns.
        course: How; the default course where None.

    Raises:
        UserError: where the examples hold no pages or no clicks, or all of one shopper.
    """
    course = course or Course()
    blind = in_features_of(FeatureMap(catalogue, personal=False), seen)
    if blind.page is None or blind.item is None or not blind.reward.any():
        raise UserError("a session model learns from clicks on pages; these examples lack the pages or the clicks.")
    data, held = _sessions(blind, blind.page), _held_out(blind.page.shopper, course.seed)
    if held.all() or not held.any():
        raise UserError("a session model needs searches of several shoppers, to hold some out; use a longer log.")
    net = SessionNet(shape_for(course.kind, catalogue, course.layers), course.seed)
    model = _Model(net, data.x[torch.from_numpy(~held)], catalogue, course.seed)
    best, told = copy.deepcopy(net.state_dict()), [model.judged(data, held)]
    for _ in _passes(model, data, held, course):
        told.append(model.judged(data, held))
        if told[-1] <= min(told):
            best = copy.deepcopy(net.state_dict())
        elif len(told) - 1 - int(np.argmin(told)) >= course.patience:
            break
    net.load_state_dict(best)
    return Trained(net.eval(), tuple(told))


def log_sessions(catalogue: PublicCatalogue, log: Log, half: int | None = 0) -> Examples:
    """What a session model learns from in a log: by default the learning half of its shoppers."""
    return join(list(log_examples(FeatureMap(catalogue, personal=False), log, half)))


class _Model(nn.Module):
    """b(x) + h . e(item) and the examination curve."""

    def __init__(self, net: SessionNet, x: Tensor, catalogue: PublicCatalogue, seed: int) -> None:
        super().__init__()
        self.net, (self.terms, self.rest) = net, item_columns(catalogue)
        flat = x.reshape(-1, x.shape[-1])
        self.mean, self.scale = flat.mean(dim=0), flat.std(dim=0).clamp(min=0.05)
        first, last = nn.Linear(x.shape[-1], BASE_WIDTH), nn.Linear(BASE_WIDTH, 1)
        nn.init.kaiming_normal_(first.weight, generator=torch.Generator().manual_seed(seed))
        for zeroed in (first.bias, last.weight):
            nn.init.zeros_(zeroed)
        nn.init.constant_(last.bias, -2.0)
        self.base = nn.Sequential(first, nn.ReLU(), last)
        self.examination = nn.Parameter(torch.zeros(x.shape[1] - 1))

    def costs(self, data: Sessions) -> Tensor:
        """Negative log-likelihood of shown slots, (n, K), 0 where nothing was shown."""
        here, known = data.recent >= 0, data.recent.clamp(min=0)
        h = self.net(self.net.items(self.terms[known], self.rest[known]), here, data.bought, data.age)
        item = self.net.items(self.terms[data.item], self.rest[data.item])
        logit = self.base((data.x - self.mean) / self.scale).squeeze(-1) + torch.einsum("nkd,nd->nk", item, h)
        curve = torch.cat([self.examination.new_zeros(1), -nn.functional.softplus(self.examination)])
        log_p = curve + nn.functional.logsigmoid(logit)
        log_q = torch.log(-torch.expm1(log_p.clamp(max=-1e-6)))
        return -(data.clicked * log_p + (1.0 - data.clicked) * log_q) * data.shown

    def judged(self, data: Sessions, held: npt.NDArray[np.bool_]) -> float:
        """The mean over shown slots of held-out shoppers."""
        rows = torch.from_numpy(np.flatnonzero(held))
        with torch.no_grad():
            total = sum(float(self.costs(data.rows(part)).double().sum()) for part in torch.split(rows, SCORED))
        return total / max(1.0, float(data.shown[rows].sum()))


def _passes(model: _Model, data: Sessions, held: npt.NDArray[np.bool_], course: Course) -> Iterator[int]:
    """One pass of descent before each number."""
    curve = [model.examination]
    rest = [weight for weight in model.parameters() if weight is not model.examination]
    optimiser = torch.optim.AdamW(
        [{"params": rest, "weight_decay": course.weight_decay},
         {"params": curve, "weight_decay": 0.0, "lr": CURVE_RATE * course.learning_rate}],
        lr=course.learning_rate,
    )  # fmt: skip
    kept = torch.from_numpy(np.flatnonzero(~held))
    generator = torch.Generator().manual_seed(course.seed)
    for epoch in range(course.epochs):
        order = kept[torch.randperm(len(kept), generator=generator)]
        for rows in torch.split(order, course.batch):
            batch = data.rows(rows)
            loss = model.costs(batch).sum() / batch.shown.sum().clamp(min=1)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        yield epoch


def _sessions(seen: Examples, page: Page) -> Sessions:
    item = seen.item if seen.item is not None else np.zeros(seen.reward.shape, dtype=np.int32)
    return Sessions(
        x=torch.from_numpy(seen.features),
        clicked=torch.from_numpy(seen.reward),
        shown=torch.from_numpy(seen.shown.astype(np.float32)),
        item=torch.from_numpy(np.maximum(item, 0).astype(np.int64)),
        recent=torch.from_numpy(page.recent.astype(np.int64)),
        bought=torch.from_numpy(np.array(page.recent_bought)),
        age=torch.from_numpy(np.array(page.recent_age)),
    )


def _held_out(shopper: npt.NDArray[np.integer], seed: int) -> npt.NDArray[np.bool_]:
    """Rows (n,) of the shoppers that are held out: one in HELD_OUT, and at least one."""
    known, place = np.unique(shopper, return_inverse=True)
    luck = np.random.default_rng([seed, 3]).permutation(len(known))
    made: npt.NDArray[np.bool_] = (luck < max(1, len(known) // HELD_OUT))[place.reshape(-1)]
    return made
