"""A ranking that is trained to be worth the most by what a log says, and stops when held-out shoppers say so.

First a click model is fitted to what was shown (`policies.click_training`): its ranking is the warm start, and its
expected rewards are the model that doubly robust estimates lean on. Then the policy climbs the gradient of an
off-policy objective (`policies.from_logs.objectives`), within a trust region around the logger where one is set. A
fifth of the shoppers is never learned from: after every pass an off-policy estimate of the policy's value over them,
clustered by shopper, says whether it was worth it; the best pass is kept, the warm start counting as pass 0.

It is not a better regression: what it adds is that it aims at the value of its own slates, which includes how sure to
be of them. Ranked greedily, the click model is hard to beat; docs/learning-from-logs.md has the measured table.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from policies import plackett_luce, plackett_luce_torch
from policies.click_training import ClickTraining
from policies.examples import Examples
from policies.features import CHUNK, FeatureMap, page_tensors
from policies.from_logs.ascent import Pull, Seen, divergence, surrogate
from policies.from_logs.logged import Logged, in_pieces, is_held_out, log_pieces, logged, weights
from policies.from_logs.objectives import OBJECTIVES, Estimate, Pieces, Whole, coefficients, estimate, whole
from policies.kernels.feedback import first_deliveries
from policies.position_based import PositionBasedNet, Torso
from policies.ranking import F32
from policies.settings import chosen
from simenv.catalogue import PublicCatalogue
from simenv.columns import join, take
from simenv.decision import Truth
from simenv.errors import UserError, unknown_name
from simenv.world import Page

F64 = npt.NDArray[np.float64]

BATCH = 256  # searches per gradient
SAMPLES = 8  # slates per search of a gradient
SLOWER = 0.7  # the learning rate of a pass, in those of the one before
JUDGED = 16  # slates per search of a model's value of a policy
KNOWN = 8192  # searches that `Whole` is computed from
MODEL: dict[str, Any] = {  # how the click model is trained
    "learning_rate": 2e-3, "epochs": 5, "memory": 200_000, "weight_decay": 0.0, "batch": 256, "shrink": 0.005,
}  # fmt: skip
CHOICES: dict[str, tuple[str, ...]] = {
    "objective": OBJECTIVES,
    "weights": ("item-position", "prefix", "joint"),
    "reward": ("clicks", "gain"),
    "stopping": ("dr", "snips"),
}
DEFAULTS: dict[str, Any] = {
    "objective": "dr", "weights": "item-position", "reward": "clicks", "stopping": "dr", "clip": 100.0, "variance": 3.0,
    "trust": None, "trust_price": 1.0, "epochs": 4, "patience": 2, "learning_rate": 1e-3, "temperature": 0.3,
    "floor": 0.01, "hidden": (64, 32), "seed": 0, "device": "cpu", "personal": True,
    "reader": None, "session": None,
}  # fmt: skip
PER_EPOCH = ("held-out estimate", "its standard error", "KL from the logger", "share of pages beyond trust")


class ScoreNet(nn.Module):
    """x (.., F) -> score (..)."""

    def __init__(self, torso: Torso, head: nn.Linear) -> None:
        """A torso and a head of its width."""
        super().__init__()
        self.torso, self.head = torso, head

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        made: Tensor = self.head(self.torso(x)).squeeze(-1)
        return made


class PlackettLuceGradient:
    """A Plackett-Luce policy that learns from logs (`update`, then `finish`), and goes on online.

    Attributes:
        model: The click model, which learns from training shoppers alone.
        policy: The network that ranks.
        history: (E, 4) float64, `PER_EPOCH` for each pass of the last round, the start first.
        kept: Which pass was kept.
        n_searches: How many searches it was given, held-out ones included; a second delivery of one does not count.
    """

    kind = "pl-gradient"

    def __init__(self, catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> None:
        """Start untrained.

        Args:
            catalogue: Public columns.
            n_slots: K.
            settings: `objective`, `weights`, `reward` and `stopping` (what judges), each of `CHOICES`; `clip` > 1, the
                largest weight; `variance`, poem's penalty in standard errors; `trust`, nats by which the first choice
                on a page may diverge from the logger's for free (None: without end), and `trust_price` of a nat more,
                in mean rewards of a search; `epochs` at most, and `patience`, how many without a better estimate;
                `learning_rate`; `temperature` of the warm start's log-odds; `floor` of the policy that is to be shown;
                `hidden` widths; `seed`; `personal`, `reader`, `session` of `FeatureMap`.

        Raises:
            UserError: for a setting that does not exist or a choice that is not one.
        """
        own = chosen(self.kind, settings, DEFAULTS)
        for name, allowed in CHOICES.items():
            if own[name] not in allowed:
                raise unknown_name(f"{name} of {self.kind}", str(own[name]), allowed)
        if not own["clip"] > 1:
            raise UserError(f"{self.kind}: clip is {own['clip']}; expected a largest weight above 1.")
        self.device = torch.device(own.pop("device"))
        self.settings: dict[str, Any] = own | {"hidden": list(own["hidden"])}
        hidden = (own["hidden"][0], own["hidden"][1])
        self.generator = torch.Generator().manual_seed(own["seed"])
        self.feature_map = FeatureMap(catalogue, own["personal"], own["reader"], own["session"]).to(self.device)
        n_features = len(self.feature_map.feature_names)
        self.model = PositionBasedNet(n_features, n_slots, hidden, self.generator).to(self.device)
        self.training = ClickTraining(self.model, MODEL | {"seed": own["seed"]}, self.generator)
        self.policy = copy.deepcopy(ScoreNet(self.model.torso, self.model.head))
        self.optimiser = torch.optim.Adam(self.policy.parameters(), lr=own["learning_rate"])
        self.kept_rows: list[Logged] = []
        self.history, self.kept = np.empty((0, len(PER_EPOCH))), 0
        self.delivered = np.empty(0, dtype=np.uint64)
        self.n_searches, self.n_learned, self.n_slots, self.is_warm, self.scale = 0, 0, n_slots, False, 1.0

    @staticmethod
    def empty(catalogue: PublicCatalogue, n_slots: int, settings: Mapping[str, Any]) -> PlackettLuceGradient:
        """Untrained, from the settings of a saved one or from defaults."""
        return PlackettLuceGradient(catalogue, n_slots, settings)

    @property
    def metrics(self) -> dict[str, float]:
        """What the last round of training saw, pass by pass, for the card."""
        said = {f"{name}, pass {e}": float(row[i]) for e, row in enumerate(self.history)
                for i, name in enumerate(PER_EPOCH) if np.isfinite(row[i])}  # fmt: skip
        return said | {"pass kept": float(self.kept)} if said else {}

    def update(self, examples: Examples) -> None:
        """Keep a batch of searches; one step of the click model and, once there is a warm start, one of the policy.

        Raises:
            UserError: where the examples do not say what the logger might have shown; see `logged`.
        """
        if examples.id is not None:
            new = first_deliveries(examples.id, self.delivered)
            examples = examples if new.all() else take(examples, new)
        if not len(examples):
            return
        rows = logged(examples, self.settings["reward"], self.settings["weights"])
        if examples.id is not None:
            self.delivered = np.union1d(self.delivered, examples.id)
        if self.settings["reward"] == "gain" and not self.n_searches:
            self.scale = max(float(np.abs(rows.reward).max()), 1e-12)
        self.kept_rows.append(rows)
        self.n_searches += len(examples)
        learned = ~is_held_out(rows.page.shopper)
        if not learned.any():
            return
        # In shares of the largest gain seen: a likelihood that is linear in the reward finds means in (0, 1), whatever
        # the rewards are (Papke and Wooldridge, "Econometric methods for fractional response variables", 1996).
        reward = (rows.reward / self.scale).astype(np.float32)
        self.training.learn(take(dataclasses.replace(examples, reward=reward), learned))
        self.n_learned += int(learned.sum())
        if not self.is_warm or self.settings["objective"] == "regression":
            self._follow_model()
        else:
            self._ascend(take(rows, learned), self._whole(take(rows, learned)))

    def finish(self) -> None:
        """Fit the click model to everything kept; the first time start from it; then climb until it stops paying."""
        if not self.kept_rows:
            return
        rows = join(self.kept_rows)
        held = is_held_out(rows.page.shopper)
        self.training.round()
        if not self.is_warm or self.settings["objective"] == "regression":
            self._follow_model()
        self.is_warm = True
        training, judging = take(rows, ~held), take(rows, held)
        self.history, self.kept = np.array([self._judge(judging)]), 0
        best = copy.deepcopy(self.policy.state_dict())
        if self.settings["objective"] == "regression" or not len(training) or np.isnan(self.history[0, 0]):
            return
        for epoch in range(1, self.settings["epochs"] + 1):
            for group in self.optimiser.param_groups:
                group["lr"] = self.settings["learning_rate"] * SLOWER ** (epoch - 1)
            self._pass(training)
            self.history = np.vstack([self.history, self._judge(judging)])
            if self._rank(epoch) > self._rank(self.kept):
                best, self.kept = copy.deepcopy(self.policy.state_dict()), epoch
            elif epoch - self.kept >= self.settings["patience"]:
                break
        self.policy.load_state_dict(best)

    def score(self, page: Page, truth: Truth | None) -> F32:
        """Log-weights of the policy, up to a constant."""
        return self._over(page, lambda x: self.policy(x) / self.settings["temperature"])

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a saved model holds: both networks; not the log, nor the record of training, which is in the card."""
        made: dict[str, npt.NDArray[np.generic]] = {
            f"{part}.{name}": value.cpu().numpy()
            for part, net in (("model", self.model), ("policy", self.policy))
            for name, value in net.state_dict().items()
        }  # fmt: skip
        state = np.array((self.n_searches, self.n_learned, self.is_warm, self.scale), dtype=np.float64)
        return made | {"state": state, "delivered": self.delivered}

    def restore(self, tensors: dict[str, npt.NDArray[np.generic]]) -> None:
        """Take the networks of a saved model of the same shape.

        Raises:
            ValueError, RuntimeError, KeyError: for another shape, or something missing.
        """
        for part, net in (("model.", self.model), ("policy.", self.policy)):
            own = {name: torch.from_numpy(np.array(v)) for name, v in tensors.items() if name.startswith(part)}
            net.load_state_dict({name.removeprefix(part): value for name, value in own.items()})
        n_searches, n_learned, is_warm, scale = (float(each) for each in tensors["state"])
        self.n_searches, self.n_learned, self.is_warm, self.scale = (
            int(n_searches),
            int(n_learned),
            bool(is_warm),
            scale,
        )
        self.delivered = np.array(tensors["delivered"], dtype=np.uint64)
        self.training.is_scaled = self.n_learned > 0

    def _follow_model(self) -> None:
        self.policy.torso.load_state_dict(self.model.torso.state_dict())
        self.policy.head.load_state_dict(self.model.head.state_dict())

    def _rank(self, epoch: int) -> tuple[float, float]:
        """What makes a pass worth keeping: being inside the trust region on average, or near it; then its value."""
        trust, (value, _, apart, _) = self.settings["trust"], self.history[epoch]
        return (0.0 if trust is None else -max(float(apart) - trust, 0.0)), float(value)

    def _pass(self, training: Logged) -> None:
        known = self._whole(training)
        order = torch.randperm(len(training), generator=self.generator).numpy()
        for first in range(0, len(order), BATCH):
            self._ascend(take(training, order[first : first + BATCH]), known)

    def _ascend(self, rows: Logged, known: Whole) -> None:
        """One step up the objective, and down where the trust region has been left."""
        own = self.settings
        x = self.feature_map(page_tensors(rows.page, self.device))
        logw = self._as_log_weights(self.policy(x) / own["temperature"], rows.page)
        with torch.no_grad():
            q = self._q(x) if own["objective"] == "dr" else None
            found = logw.cpu().numpy() if own["objective"] == "poem" else None
            wide = logw.detach()[:, None, :].expand(-1, SAMPLES, -1)
            slates = plackett_luce_torch.draw(wide, self.n_slots, self.generator)
        pieces = self._pieces(rows, found, None if q is None else q.cpu().numpy())
        coefficient = coefficients(own["objective"], pieces, known, own["variance"])
        slate, logmu, logger, pull = (
            torch.from_numpy(each).to(self.device) for each in (rows.slate, rows.logmu, rows.logw, coefficient)
        )
        seen, pulls = Seen(slate.long(), logmu, logger), Pull(pull, q, self._examination())
        gain = surrogate(logw, seen, pulls, slates, own["weights"], own["clip"]).mean()
        loss = -gain / max(abs(known.reward), 1e-9)
        if own["trust"] is not None:
            loss = loss + own["trust_price"] * torch.relu(divergence(logw, logger) - own["trust"]).mean()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()

    def _whole(self, rows: Logged) -> Whole:
        """Over KNOWN rows, spread evenly; a policy's weights are looked up only where the objective asks for them."""
        some = take(rows, np.arange(0, len(rows), max(1, len(rows) // KNOWN)))
        asks = self.settings["objective"] in ("snips", "poem")
        return whole(self._pieces(some, self._log_weights(some.page) if asks else None, None), max(len(rows), 1))

    def _judge(self, rows: Logged) -> list[float]:
        """`PER_EPOCH` over shoppers that nothing was learned from; every pass is judged with the same luck."""
        if not len(rows):
            return [np.nan] * len(PER_EPOCH)
        logw, q = self._log_weights(rows.page), self._over(rows.page, self._q).astype(np.float64)
        made = torch.from_numpy(logw)[:, None, :].expand(-1, JUDGED, -1)
        drawn = plackett_luce_torch.draw(made, self.n_slots, torch.Generator().manual_seed(0)).numpy()
        at = np.take_along_axis(q[:, None, :], np.maximum(drawn, 0), axis=2) * (drawn >= 0)
        q_policy = (at * self._examination().numpy(force=True)).sum(axis=2).mean(axis=1)
        found: Estimate = estimate(self.settings["stopping"], self._pieces(rows, logw, q), q_policy, rows.page.shopper)
        apart = divergence(torch.from_numpy(logw), torch.from_numpy(rows.logw)).numpy()
        beyond = np.nan if self.settings["trust"] is None else float((apart > self.settings["trust"]).mean())
        return [found.value, found.stderr, float(apart.mean()), beyond]

    def _pieces(self, rows: Logged, logw: F64 | None, q: npt.NDArray[np.floating] | None) -> Pieces:
        """Pieces of logged slates; weights are 1 without the policy's log-weights, and q is 0 without a model's."""
        weighing = self.settings["weights"]
        reward = in_pieces(rows.reward, weighing)
        weight, expected = np.ones_like(reward), np.zeros_like(reward)
        if logw is not None:
            weight = weights(log_pieces(logw, rows.slate, weighing), rows.logmu, weighing, self.settings["clip"])
        if q is not None:
            at = np.take_along_axis(q, np.maximum(rows.slate, 0).astype(np.int64), axis=1) * (rows.slate >= 0)
            expected = in_pieces((at * self._examination().numpy(force=True)).astype(np.float64), weighing)
        return Pieces(weight, reward, expected)

    def _q(self, x: Tensor) -> Tensor:
        """The model's reward of candidates at the first slot."""
        made: Tensor = self.scale * torch.sigmoid(self.model.head(self.model.torso(x)).squeeze(-1))
        return made

    def _examination(self) -> Tensor:
        return self.model.log_examination().detach().exp()

    def _as_log_weights(self, scores: Tensor, page: Page) -> Tensor:
        hole = torch.from_numpy(page.candidates < 0).to(scores.device)
        return plackett_luce_torch.log_weights(scores.masked_fill(hole, -torch.inf), 1.0, self.settings["floor"])

    def _log_weights(self, page: Page) -> F64:
        scores = np.where(page.candidates >= 0, self.score(page, None), -np.inf)
        return plackett_luce.log_weights(scores, 1.0, self.settings["floor"])

    def _over(self, page: Page, make: Callable[[Tensor], Tensor]) -> F32:
        made = []
        with torch.no_grad():
            for first in range(0, len(page), CHUNK):
                part = page_tensors(take(page, slice(first, first + CHUNK)), self.device)
                made.append(make(self.feature_map(part)).cpu().numpy())
        return np.concatenate(made)
