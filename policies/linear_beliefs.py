"""What a linear model over features believes about the candidates of a page: means, spreads and posterior draws.

Draws of theta are functions of the model, its seed and the page's own name, so a policy that explores by them says the
same of the same page whenever it is asked, in whatever batch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from policies.examples import page_names
from policies.exploration.estimates import Estimates, Needs
from policies.features import CHUNK, FeatureMap, page_tensors
from policies.kernels import ridge
from policies.kernels.ridge import Posterior
from simenv import hashing
from simenv.columns import join, take
from simenv.hashing import Keys
from simenv.world import Page

F32 = npt.NDArray[np.float32]


def beliefs(
    feature_map: FeatureMap, belief: Posterior, page: Page, needs: Needs, seed: int, arm: npt.NDArray[np.int64]
) -> Estimates:
    """Means, and what else is needed, of each candidate.

    Args:
        feature_map: Features of candidates.
        belief: Of A arms; only the first F of its P weights speak of candidates, the others of slots.
        page: N searches.
        needs: Spreads or draws.
        seed: Of the draws.
        arm: (I,) the arm of each item; all 0 for a shared model.
    """
    size = len(feature_map.feature_names)
    own = Posterior(belief.mean[:, :size], belief.root[:, :, :size])
    made = []
    with torch.no_grad():
        for first in range(0, max(len(page), 1), CHUNK):
            part = take(page, slice(first, first + CHUNK))
            x = feature_map(page_tensors(part, belief.mean.device))
            keys = page_names(part, seed)
            if belief.mean.shape[0] == 1:
                made.append(_shared(own, x, needs, keys, part))
            else:
                made.append(_disjoint(own, x, needs, keys, part, arm[np.maximum(part.candidates, 0)]))
    return join(made)


def _shared(own: Posterior, x: Tensor, needs: Needs, keys: Keys, page: Page) -> Estimates:
    mean, root = own.mean[0].float(), own.root[0].float()
    draws = None
    if needs.n_draws:
        theta = mean + named_noise(keys, 0, needs.n_draws, root) @ root  # (n, M, F)
        draws = (theta @ x.mT).cpu().numpy()
    return Estimates(
        ridge.value(mean, x).cpu().numpy(),
        page.candidates >= 0,
        ridge.deviation(root, x).cpu().numpy() if needs.spread else None,
        draws,
    )


def _disjoint(own: Posterior, x: Tensor, needs: Needs, keys: Keys, page: Page, arm: npt.NDArray[np.int64]) -> Estimates:
    # In float64: rows of a product move by an ulp with their place in it, and here their place depends on the batch.
    n, n_candidates = arm.shape
    mean = np.zeros((n, n_candidates), dtype=np.float32)
    spread = np.zeros_like(mean) if needs.spread else None
    draws = np.zeros((n, needs.n_draws, n_candidates), dtype=np.float32) if needs.n_draws else None
    for one in np.unique(arm):
        row, column = np.nonzero(arm == one)
        some, weights, root = x[row, column].double(), own.mean[one], own.root[one]  # (m, F)
        mean[row, column] = (some @ weights).cpu().numpy()
        if spread is not None:
            spread[row, column] = torch.linalg.vector_norm(some @ root.T, dim=1).cpu().numpy()
        if draws is not None:
            whose, at = np.unique(row, return_inverse=True)
            theta = weights + named_noise(keys[whose], int(one), needs.n_draws, root) @ root  # (w, M, F)
            draws[row, :, column] = (theta[at] @ some.unsqueeze(-1)).squeeze(-1).cpu().numpy()
    return Estimates(mean, page.candidates >= 0, spread, draws)


def named_noise(keys: Keys, arm: int, n_draws: int, root: Tensor) -> Tensor:
    """Standard normals (n, M, P) named by page, arm, draw and weight."""
    named = hashing.absorb(hashing.absorb(keys, arm)[:, None], np.arange(n_draws))
    drawn = hashing.normal(hashing.absorb(named[:, :, None], np.arange(root.shape[0])))
    return torch.from_numpy(drawn).to(root)
