"""What SlateQ learns by: the likelihood of what was chosen, and the error of the values of what was chosen.

A page with several clicks is read as one choice, drawn evenly among them, so that shares y of a page's slots and of
nothing sum to one. With R the whole page's reward and V the worth of the next page,

    Q(s, A) = E[R + gamma V] = sum_i E[y_i] E[y_i (R + gamma V)] / E[y_i],

an identity whatever makes the clicks: the first factor is what the choice model learns, the second what an item's value
learns. SlateQ's assumption is that an item's value does not depend on its company; with single clicks and rewards of
the chosen item alone, as in the paper, nothing else is assumed.

The error is squared. An item's quality shows in who leaves afterwards, which is rare and large: a Huber loss, DQN's
default, would clip just that and learn the median, a future without end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from policies.rllib.slate_optimisers import Worth, best_slate, optimiser, slate_value
from policies.slateq_net import ItemNet, PageFeatures, SlateValues
from simenv.errors import unknown_name

METHODS = ("q-learning", "sarsa")


@dataclass(frozen=True)
class Goal:
    """What is learned.

    Attributes:
        gamma: Discount from a page to the next; 0 is myopic.
        method: "q-learning": the next page is worth what the best slate would be; "sarsa": what the slate shown was.
        optimiser: Who picks that best slate; a name of `policies.rllib.slate_optimisers.OPTIMISERS`.
    """

    gamma: float
    method: str = "q-learning"
    optimiser: str = "optimal"


@dataclass(frozen=True)
class Transitions:
    """Pages that were shown, and what came of them.

    page, next_page: features. slate, next_slate: (N, K) int64 positions; a repeat of one higher up is an empty slot.
    clicked: (N, K) bool. reward: (N,) of the whole page. over: (N,) bool, the end came and nothing follows.
    """

    page: PageFeatures
    slate: Tensor
    clicked: Tensor
    reward: Tensor
    over: Tensor
    next_page: PageFeatures
    next_slate: Tensor


@dataclass(frozen=True)
class Losses:
    """choice: mean negative log-likelihood of the choice, nats. value: mean squared error, in units of scale squared.

    mean_value: mean worth of what was chosen, in rewards.
    """

    choice: Tensor
    value: Tensor
    mean_value: Tensor


def losses(net: SlateValues, target: ItemNet, batch: Transitions, goal: Goal) -> Losses:
    """Both losses of a batch.

    Args:
        net: Learns.
        target: Values of the next page; not trained.
        batch: Transitions.
        goal: What is learned.
    """
    filled = filled_slots(batch.slate, batch.page.here)
    share = choice_shares(batch.clicked & filled)
    shown = batch.page.at(batch.slate)  # what was not shown is not learned from, and costs nothing
    logit, null_logit = net.logits(shown)
    logit = (logit + net.log_attention()).masked_fill(~filled, -torch.inf)
    logp = torch.log_softmax(torch.cat([logit, null_logit[:, None]], dim=1), dim=1)
    choice = -(share * logp.masked_fill(share == 0, 0.0)).sum(dim=1).mean()

    items, null = net.values(shown)
    q = 1.0 + torch.cat([items, null[:, None]], dim=1)  # (N, K + 1), in units of scale
    with torch.no_grad():
        wanted = batch.reward / net.scale
        if goal.gamma > 0:
            wanted = wanted + goal.gamma * ~batch.over * next_value(net, target, batch, goal)
    error = share * (q - wanted[:, None]) ** 2
    return Losses(choice, error.sum(dim=1).mean(), (share * q).sum(dim=1).mean().detach() * net.scale)


def next_value(net: SlateValues, target: ItemNet, batch: Transitions, goal: Goal) -> Tensor:
    """What the next pages are worth (N,), in units of scale: choice by `net`, values by `target`."""
    worth = net.worth(batch.next_page, target)
    if goal.method == "sarsa":
        return slate_value(worth, batch.next_slate, filled_slots(batch.next_slate, batch.next_page.here))
    return slate_value(worth, best_slate(optimiser(goal.optimiser)(worth), len(worth.attention)))


def choice_shares(clicked: Tensor) -> Tensor:
    """The choice that a page's clicks are read as: shares (N, K + 1) of its slots and of nothing; rows sum to 1."""
    n = clicked.sum(dim=1, keepdim=True)
    return torch.cat([clicked / n.clamp(min=1), (n == 0)], dim=1).float()


def known_method(name: str) -> str:
    """The name, where it is one of METHODS.

    Raises:
        UserError: where it is not.
    """
    if name not in METHODS:
        raise unknown_name("method of SlateQ", name, METHODS)
    return name


def filled_slots(slate: Tensor, here: Tensor) -> Tensor:
    """Which slots (N, K) show something: not holes, nor repeats of a position higher up."""
    same = slate[:, :, None] == slate[:, None, :]
    return here.gather(1, slate) & ~same.tril(diagonal=-1).any(dim=2)


def value_scale(reward: Tensor, over: Tensor, gamma: float) -> float:
    """What a page and its future are worth on average, if all pages are alike: mean reward / (1 - gamma stay).

    The unit of values, and where they start. Of pages shown at random; 1 where they earn nothing.
    """
    stay = 1.0 - float(over.float().mean())
    left = max(1.0 - gamma * stay, 0.01)  # nobody left yet: no further than a hundred pages
    scale = abs(float(reward.double().mean())) / left
    return scale if scale > 0 else 1.0


def copied(source: nn.Module, target: nn.Module, tau: float) -> None:
    """Move the target's weights toward the source's: all the way at tau 1."""
    with torch.no_grad():
        for mine, theirs in zip(target.parameters(), source.parameters(), strict=True):
            mine.lerp_(theirs, tau)


def standardised(scores: Tensor) -> Tensor:
    """Scores of a page in their own standard deviations, so that a temperature means the same everywhere; (N, C).

    -inf at holes stays. A page whose candidates score alike gets zeros.
    """
    here = ~torch.isneginf(scores)
    n = here.sum(dim=1, keepdim=True).clamp(min=1)
    finite = scores.masked_fill(~here, 0.0).double()
    mean = finite.sum(dim=1, keepdim=True) / n
    centred = (finite - mean).masked_fill(~here, 0.0)
    spread = (centred.square().sum(dim=1, keepdim=True) / n).sqrt()
    return (centred / spread.clamp(min=1e-12)).masked_fill(~here, -torch.inf).float()


def slate_scores(worth: Worth, serve: str) -> Tensor:
    """What SlateQ ranks by (N, C): an optimiser's scores, standardised; -inf at holes."""
    return standardised(optimiser(serve)(worth))
