"""Training an encoder: from clicks and product titles alone, or (for comparison) from hidden labels.

From clicks. P_t(v | q) is what the encoder reads: the probability that query q says value v of term t, "not said"
among the answers. What is clicked is what would be clicked anyway, tilted toward what is said:

    p(value v of the clicked item | q) ~ prior_t(v | category of the item) exp(w_t P_t(v | q))

with the prior counted from the clicks themselves (for the category: among all of them) and the strengths w_t learned.
A query under which values are clicked as often as without it is thus read as silent. Where retrieval answers what is
said, this sees it in what was shown, which a comparison within one page cannot; the comparison within the page, which
selection cannot bias, stands beside it:

    p(slot k is clicked | one of the page is) ~ exp(examination_k + sum_t u_t P_t(v_k | q))

Its learned examination curve gives the clicks of the first part their weights, 1 / examination, so that what lies low
on the page counts as often as it was looked at. Titles teach the words of a shop's own texts: some words of a title,
and the public columns of its product as what was clicked; there the strength is fixed, since a title is about its
product for certain. The embedding is trained by a softmax over the products of the batch (as in Huang et al.,
"Learning deep structured semantic models for web search", 2013).

From labels: cross-entropy to what the queries say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from policies.query import noise
from policies.query.encoder import QueryEncoder, Shape, item_columns, new_encoder
from policies.query.material import AskedPages, I32, Material
from policies.query.tokenizer import train_tokenizer
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.language.words import CATEGORY

N_VARIANTS = 6  # misspellings of each word that training meets
SURE = 8.0  # strength of a title
PRIOR_COUNT = 20.0  # pseudo-clicks, by the overall shares, in the prior of a category
MOST_WEIGHT = 4.0  # of a click, for standing low on the page
SHARPNESS = 10.0  # of the softmax over embeddings: 1 / temperature
LAST_RATE = 0.05  # of the learning rate, at the end


@dataclass(frozen=True)
class Course:
    """How an encoder is trained.

    Attributes:
        epochs: Passes over the searches.
        batch: Searches a step.
        titles: Titles a step, in searches.
        learning_rate: Of Adam at the start.
        misspelling: Chance of each word to be misspelt on purpose.
        keep: Chance of a title's word to be read.
        seed: Of weights, order and misspellings.
        device: A torch device.
    """

    epochs: int = 6
    batch: int = 256
    titles: float = 0.5
    learning_rate: float = 2e-3
    misspelling: float = 0.25
    keep: float = 0.35
    seed: int = 0
    device: str = "cpu"


def train_encoder(
    material: Material, catalogue: PublicCatalogue, sizes: tuple[tuple[int, ...], int], course: Course | None = None
) -> QueryEncoder:
    """A trained encoder.

    Args:
        material: What there is to learn from.
        catalogue: Public columns.
        sizes: (`Demand.n_values`, number of locales).
        course: How; the default course where None.

    Raises:
        UserError: where nobody clicked and there is no label.
    """
    pages, titles, course = material.pages, material.titles, course or Course()
    if material.labels is None and not pages.clicked.any():
        raise UserError("nothing was clicked on these pages; an encoder that learns from clicks needs some.")
    texts = [*pages.query.tolist(), *([] if titles is None else titles.text.tolist())]
    shape = Shape(sizes[0], sizes[1], catalogue.style.shape[1])
    encoder = new_encoder(train_tokenizer(texts), shape, course.seed, course.device)
    parts = ClickParts(pages.item.shape[1], len(shape.n_values)).to(encoder.device)
    items = _Items(catalogue, shape, encoder.device)
    reader = _TextReader(encoder, texts, course)
    kept = np.arange(len(pages)) if material.labels is not None else np.flatnonzero(pages.clicked.any(axis=1))
    steps = course.epochs * -(-len(kept) // course.batch)
    weights = [*encoder.net.parameters(), *parts.parameters()]
    optimiser = torch.optim.Adam(weights, lr=course.learning_rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, LAST_RATE ** (1.0 / steps))
    of_clicks = items.priors(pages.item[pages.clicked])
    of_titles = None if titles is None else items.priors(titles.item)
    for rows, drawn in _batches(kept, 0 if titles is None else len(titles.item), course):
        log_p, embedding = reader.read(rows, pages.locale[rows], keep=1.0)
        if material.labels is None:
            loss = _click_loss(parts, items, of_clicks, log_p, _tensors(pages, rows, encoder.device))
        else:
            loss = _label_loss(log_p, torch.from_numpy(material.labels.said[rows]).long().to(encoder.device))
        row, slot = np.nonzero(pages.clicked[rows])
        loss = loss + _embedding_loss(encoder, items, embedding[row], pages.item[rows[row], slot])
        if titles is not None and of_titles is not None:
            log_p, embedding = reader.read(len(pages) + drawn, titles.locale[drawn], keep=course.keep)
            item = titles.item[drawn]
            strength = torch.full_like(parts.across, SURE)
            once = torch.ones(len(drawn), device=encoder.device)
            loss = loss + course.titles * _tilt_loss(strength, items, of_titles, log_p, (item, once))
            loss = loss + course.titles * _embedding_loss(encoder, items, embedding, item)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    encoder.net.eval()
    return encoder


class ClickParts(nn.Module):
    """What only training needs: the strengths of what is said, and the examination curve."""

    def __init__(self, n_slots: int, n_terms: int) -> None:
        """Start from strengths of 4 across pages and 1 within one, and a level curve."""
        super().__init__()
        self.across = nn.Parameter(torch.full((n_terms,), 4.0))
        self.within = nn.Parameter(torch.full((n_terms,), 1.0))
        self.examination = nn.Parameter(torch.zeros(n_slots))

    def weight(self) -> Tensor:
        """(K,) 1 / examination, from 1 to MOST_WEIGHT."""
        return (self.examination.max() - self.examination).exp().clamp(max=MOST_WEIGHT).detach()


class _Items:
    """The catalogue on the device."""

    def __init__(self, catalogue: PublicCatalogue, shape: Shape, device: torch.device) -> None:
        terms, rest = item_columns(catalogue)
        self.terms, self.rest, self.shape = terms.to(device), rest.to(device), shape

    def priors(self, item: I32) -> list[Tensor]:
        """For each term log shares (G, V) of its values among items, given their category; for the category (1, G)."""
        terms = self.terms[torch.from_numpy(item).long().to(self.terms.device)]
        n_categories = self.shape.n_values[CATEGORY]
        made = []
        for t, n in enumerate(self.shape.n_values):
            value = terms[:, t]
            rows = value >= 0
            group = torch.zeros_like(value) if t == CATEGORY else terms[:, CATEGORY].clamp(min=0)
            size = (1 if t == CATEGORY else n_categories, n)
            count = torch.zeros(size, device=terms.device)
            count.index_put_((group[rows], value[rows]), torch.ones(int(rows.sum()), device=terms.device), True)
            share = (count.sum(dim=0) + 0.1) / (count.sum() + 0.1 * n)
            made.append(((count + PRIOR_COUNT * share) / (count.sum(dim=1, keepdim=True) + PRIOR_COUNT)).log())
        return made


class _TextReader:
    """Texts as words, some of them misspelt anew at every reading, and some left out."""

    def __init__(self, encoder: QueryEncoder, texts: list[str], course: Course) -> None:
        self.encoder, self.course = encoder, course
        words = encoder.tokenizer.words(texts)
        wrong = noise.variants(words.text, N_VARIANTS, np.random.default_rng([course.seed, 1]))
        every = [*words.text, *(each for of_word in wrong for each in of_word)]
        self.ids = torch.from_numpy(encoder.tokenizer.table(every)).long().to(encoder.device)
        self.word, self.n_words = torch.from_numpy(words.word).long(), len(words.text)
        self.generator = torch.Generator().manual_seed(course.seed)

    def read(self, rows: I32, locale: I32, keep: float) -> tuple[list[Tensor], Tensor]:
        """What the encoder makes of texts, with each word misspelt or left out by chance; one word stays at least."""
        word = self.word[torch.from_numpy(rows)]
        luck, wrong, which = (torch.rand(word.shape, generator=self.generator) for _ in range(3))
        there = word >= 0
        first = torch.where(there, luck, 2.0).amin(dim=1, keepdim=True)
        word = torch.where((luck < keep) | (luck == first), word, -1)
        variant = self.n_words + word.clamp(min=0) * N_VARIANTS + (which * N_VARIANTS).long()
        word = torch.where((word >= 0) & (wrong < self.course.misspelling), variant, word).to(self.ids.device)
        distinct, place = torch.unique(word, return_inverse=True)  # -1, where there is one, comes first
        absent = int((distinct < 0).sum())
        made: tuple[list[Tensor], Tensor] = self.encoder.net(
            place - absent, torch.from_numpy(locale).to(self.ids.device), self.ids[distinct[absent:]]
        )
        return made


def _batches(kept: I32, n_titles: int, course: Course) -> Iterator[tuple[I32, I32]]:
    rng = np.random.default_rng([course.seed, 2])
    for _ in range(course.epochs):
        order = rng.permutation(kept)
        for first in range(0, len(order), course.batch):
            yield order[first : first + course.batch], rng.integers(max(1, n_titles), size=course.batch)


def _tensors(pages: AskedPages, rows: I32, device: torch.device) -> tuple[Tensor, Tensor]:
    item, clicked = torch.from_numpy(pages.item[rows]).long(), torch.from_numpy(pages.clicked[rows])
    return item.to(device), clicked.to(device)


def _click_loss(
    parts: ClickParts, items: _Items, prior: list[Tensor], log_p: list[Tensor], shown: tuple[Tensor, Tensor]
) -> Tensor:
    """The sum of the two likelihoods of clicks, per click; shown are the items and whether they were clicked."""
    item, clicked = shown
    utility = parts.examination.expand(item.shape)
    terms = items.terms[item.clamp(min=0)]  # (N, K, 7)
    for t, each in enumerate(log_p):
        value = terms[..., t]
        said = each.exp().gather(1, value.clamp(min=0)) * (value >= 0)
        utility = utility + parts.within[t].clamp(min=0.0) * said
    within = utility.masked_fill(item < 0, -torch.inf).log_softmax(dim=1)
    row, slot = torch.nonzero(clicked, as_tuple=True)
    loss = -within[row, slot].mean()
    weight = parts.weight()[slot]
    across = _tilt_loss(parts.across, items, prior, [each[row] for each in log_p], (item[row, slot], weight))
    return loss + across


def _tilt_loss(
    strength: Tensor, items: _Items, prior: list[Tensor], log_p: list[Tensor], chosen: tuple[Tensor | I32, Tensor]
) -> Tensor:
    """-log of prior(v) exp(strength P(v)), normalised over v, summed over the terms, a weighted mean over rows."""
    item, weight = torch.as_tensor(chosen[0]).long().to(strength.device), chosen[1]
    terms = items.terms[item]
    total = strength.new_zeros(())
    for t, each in enumerate(log_p):
        value = terms[:, t]
        group = torch.zeros_like(value) if t == CATEGORY else terms[:, CATEGORY].clamp(min=0)
        logit = prior[t][group] + strength[t].clamp(min=0.0) * each[:, :-1].exp()
        loss = -logit.log_softmax(dim=1).gather(1, value.clamp(min=0)[:, None]).squeeze(1)
        total = total + (loss * weight * (value >= 0)).sum()
    return total / weight.sum()


def _label_loss(log_p: list[Tensor], said: Tensor) -> Tensor:
    """Cross-entropy to what is said, -1 for nothing, summed over the terms."""
    total = log_p[0].new_zeros(())
    for t, each in enumerate(log_p):
        value = torch.where(said[:, t] < 0, each.shape[1] - 1, said[:, t])
        total = total + nn.functional.nll_loss(each, value)
    return total


def _embedding_loss(encoder: QueryEncoder, items: _Items, embedding: Tensor, item: I32) -> Tensor:
    """-log softmax of each text's own item among the items of the batch; further copies of it do not count."""
    if not len(item):
        return embedding.new_zeros(())
    chosen = torch.from_numpy(item).long().to(embedding.device)
    others = encoder.net.items(items.terms[chosen], items.rest[chosen])
    similar = SHARPNESS * embedding @ others.T
    copies = (chosen[:, None] == chosen[None]) & ~torch.eye(len(chosen), dtype=torch.bool, device=chosen.device)
    return -similar.masked_fill(copies, -torch.inf).log_softmax(dim=1).diagonal().mean()
