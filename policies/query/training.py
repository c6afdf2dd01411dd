"""Training an encoder: from clicks and product titles alone, or (for comparison) from hidden labels.

From clicks. With the evidence z_v(q) of the encoder, an item that answers query q has value v of a term by the share

    s_v = prior_v exp(z_v) / sum_u prior_u exp(z_u)

where the prior is the share among clicked items of the same category (for the category: among all; for colour and the
like: of the same category and brand, since a brand has few products of a kind), so that a query under which values are
clicked as often as without it teaches silence. But not every click answers what is said:

    p(v is the value of a clicked item)   = a s_v + (1 - a) prior_v
    p(slot k | one of its page is clicked) ~ exp(examination_k) prod_t (b s_v / prior_v + 1 - b),  v that of slot k

with a, b for each term and the examination curve learned. The first line sees what retrieval answered to what is said,
which a comparison within one page cannot; the second compares within the page, which no selection of pages can bias.
Clicks of the first count 1 / examination, so that what lies low on the page counts as often as it was looked at. Titles
teach the words of a shop's own texts: some words of a title, and the public columns of its product as what was
clicked, with a near 1, since a title is about its product. The embedding is trained by a softmax over the products of
the batch (as in Huang et al., "Learning deep structured semantic models for web search using clickthrough data", 2013).

From labels: cross-entropy to what the queries say. Queries only; the embedding is still learned from clicks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from policies.query import noise
from policies.query.encoder import QueryEncoder, Shape, clicked_shares, item_columns, new_encoder
from policies.query.material import I32, I64, Material
from policies.query.tokenizer import train_tokenizer
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.language.words import BRAND, CATEGORY

N_VARIANTS = 6  # misspellings of each word that training meets
SURE = 0.98  # a of titles
PRIOR_COUNT = 20.0  # pseudo-clicks, by the overall shares, in the prior of a category
BRAND_COUNT = 3.0  # pseudo-products, by the category's shares, in the prior of a category and brand
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
    learning_rate: float = 5e-3
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
    shape = Shape(sizes[0], sizes[1], catalogue.style.shape[1], from_clicks=material.labels is None)
    encoder = new_encoder(train_tokenizer(texts), shape, course.seed, course.device)
    parts = ClickParts(pages.item.shape[1], len(shape.n_values)).to(encoder.device)
    items = _Items(catalogue, shape, encoder.device)
    _keep_priors(encoder, items.priors(pages.item[pages.clicked]))
    usual = items.of_brands(encoder.net.priors())
    losses = _Losses(encoder, (parts, usual), items, _TextReader(encoder, texts, course), material)
    kept = np.arange(len(pages)) if material.labels is not None else np.flatnonzero(pages.clicked.any(axis=1))
    steps = course.epochs * -(-len(kept) // course.batch)
    optimiser = torch.optim.Adam([*encoder.net.parameters(), *parts.parameters()], lr=course.learning_rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, LAST_RATE ** (1.0 / steps))
    for rows, drawn in _batches(kept, 0 if titles is None else len(titles.item), course):
        loss = losses.of_pages(rows)
        if titles is not None and material.labels is None:
            loss = loss + course.titles * losses.of_titles(drawn, course.keep)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    encoder.net.eval()
    return encoder


class ClickParts(nn.Module):
    """What only training needs: how often clicks answer what is said, and the examination curve."""

    def __init__(self, n_slots: int, n_terms: int) -> None:
        """Start from an answer in two of three clicks across pages, one in ten within, and a level curve."""
        super().__init__()
        self.across = nn.Parameter(torch.full((n_terms,), 0.7))
        self.within = nn.Parameter(torch.full((n_terms,), -2.2))
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
        """For each term shares (G, V) of its values among items, given their category; for the category (1, G)."""
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
            made.append((count + PRIOR_COUNT * share) / (count.sum(dim=1, keepdim=True) + PRIOR_COUNT))
        return made

    def of_brands(self, priors: list[Tensor]) -> list[Tensor]:
        """The same, but those of colour and the like for each pair of category and brand: (G * B, V)."""
        n_categories, n_brands = self.shape.n_values[CATEGORY], self.shape.n_values[BRAND]
        group = self.terms[:, CATEGORY].clamp(min=0) * n_brands + self.terms[:, BRAND].clamp(min=0)
        made = priors[: BRAND + 1]
        for t in range(BRAND + 1, len(priors)):
            value = self.terms[:, t]
            rows = value >= 0
            count = torch.zeros((n_categories * n_brands, self.shape.n_values[t]), device=value.device)
            count.index_put_((group[rows], value[rows]), torch.ones(int(rows.sum()), device=value.device), True)
            usual = priors[t].repeat_interleave(n_brands, dim=0)
            made = [*made, (count + BRAND_COUNT * usual) / (count.sum(dim=1, keepdim=True) + BRAND_COUNT)]
        return made


class _Losses:
    """What a step descends on."""

    def __init__(
        self,
        encoder: QueryEncoder,
        clicks: tuple[ClickParts, list[Tensor]],
        items: _Items,
        reader: _TextReader,
        material: Material,
    ) -> None:
        self.encoder, self.items, self.reader, self.material = encoder, items, reader, material
        self.parts, self.usual = clicks
        titles = material.titles
        self.of_titles_prior = None if titles is None else items.of_brands(items.priors(titles.item))

    def of_pages(self, rows: I64) -> Tensor:
        """Of some pages: of their terms, by clicks or labels, and of the embedding."""
        pages, labels, device = self.material.pages, self.material.labels, self.encoder.device
        evidence, embedding = self.reader.read(rows, pages.locale[rows], keep=1.0)
        if labels is None:
            item, clicked = torch.from_numpy(pages.item[rows]).long(), torch.from_numpy(pages.clicked[rows])
            shown = item.to(device), clicked.to(device)
            loss = _click_loss(self.parts, self.items, self.usual, evidence, shown)
        else:
            loss = _label_loss(self.encoder, evidence, torch.from_numpy(labels.said[rows]).long().to(device))
        row, slot = np.nonzero(pages.clicked[rows])
        return loss + _embedding_loss(self.encoder, self.items, embedding[row], pages.item[rows[row], slot])

    def of_titles(self, drawn: I64, keep: float) -> Tensor:
        """Of some titles: their products' terms, and the embedding."""
        titles, prior = self.material.titles, self.of_titles_prior
        if titles is None or prior is None:
            return self.parts.across.new_zeros(())
        evidence, embedding = self.reader.read(len(self.material.pages) + drawn, titles.locale[drawn], keep)
        terms = self.items.terms[torch.from_numpy(titles.item[drawn]).long().to(embedding.device)]
        sure = torch.full_like(self.parts.across, SURE)
        loss = _value_loss(sure, terms, prior, evidence, torch.ones(len(terms), device=terms.device))
        return loss + _embedding_loss(self.encoder, self.items, embedding, titles.item[drawn])


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

    def read(self, rows: I64, locale: I64, keep: float) -> tuple[list[Tensor], Tensor]:
        """What the encoder makes of texts, with each word misspelt or left out by chance; one word stays at least."""
        word = self.word[torch.from_numpy(rows)]
        luck, wrong, which = (torch.rand(word.shape, generator=self.generator) for _ in range(3))
        there = word >= 0
        first = torch.where(there, luck, 2.0).amin(dim=1, keepdim=True)
        word = torch.where((luck < keep) | (luck == first), word, -1)
        order = (word < 0).long().argsort(dim=1, stable=True)  # what is left moves together, in its order
        word = word.gather(1, order)[:, : int((word >= 0).sum(dim=1).max())]
        variant = self.n_words + word.clamp(min=0) * N_VARIANTS + (which[:, : word.shape[1]] * N_VARIANTS).long()
        misspelt = (word >= 0) & (wrong[:, : word.shape[1]] < self.course.misspelling)
        word = torch.where(misspelt, variant, word).to(self.ids.device)
        distinct, place = torch.unique(word, return_inverse=True)  # -1, where there is one, comes first
        absent = int((distinct < 0).sum())
        made: tuple[list[Tensor], Tensor] = self.encoder.net(
            place - absent, torch.from_numpy(locale).to(self.ids.device), self.ids[distinct[absent:]]
        )
        return made


def _batches(kept: I64, n_titles: int, course: Course) -> Iterator[tuple[I64, I64]]:
    rng = np.random.default_rng([course.seed, 2])
    for _ in range(course.epochs):
        order = rng.permutation(kept)
        for first in range(0, len(order), course.batch):
            yield order[first : first + course.batch], rng.integers(max(1, n_titles), size=course.batch)


def _keep_priors(encoder: QueryEncoder, priors: list[Tensor]) -> None:
    for kept, made in zip(encoder.net.priors(), priors, strict=True):
        kept.copy_(made)


def _click_loss(
    parts: ClickParts, items: _Items, prior: list[Tensor], evidence: list[Tensor], shown: tuple[Tensor, Tensor]
) -> Tensor:
    """Both likelihoods of clicks, a mean over clicks; shown are the items and whether they were clicked."""
    item, clicked = shown
    utility = parts.examination.expand(item.shape)
    answering = torch.sigmoid(parts.within)
    terms = items.terms[item.clamp(min=0)]  # (N, K, 7)
    for t, each in enumerate(evidence):
        share, usual = _shares(each[:, None], prior, terms, t)
        utility = utility + (answering[t] * share / usual + 1.0 - answering[t]).log() * (terms[..., t] >= 0)
    within = utility.masked_fill(item < 0, -torch.inf).log_softmax(dim=1)
    row, slot = torch.nonzero(clicked, as_tuple=True)
    across = _value_loss(
        torch.sigmoid(parts.across),
        terms[row, slot],
        prior,
        [each[row] for each in evidence],
        parts.weight()[slot],
    )
    return across - within[row, slot].mean()


def _value_loss(
    answering: Tensor, terms: Tensor, prior: list[Tensor], evidence: list[Tensor], weight: Tensor
) -> Tensor:
    """-log of a s_v + (1 - a) prior_v, summed over the terms (n, 7) of items, a weighted mean over the n."""
    total = answering.new_zeros(())
    for t, each in enumerate(evidence):
        share, usual = _shares(each, prior, terms, t)
        chance = answering[t] * share + (1.0 - answering[t]) * usual
        total = total - (chance.log() * weight * (terms[:, t] >= 0)).sum()
    return total / weight.sum()


def _shares(evidence: Tensor, prior: list[Tensor], terms: Tensor, t: int) -> tuple[Tensor, Tensor]:
    """Of the t-th term's values of items (.., 7): the shares under the evidence (.., V), and those of the prior."""
    category, brand = terms[..., CATEGORY].clamp(min=0), terms[..., BRAND].clamp(min=0)
    if t == CATEGORY:
        group = torch.zeros_like(category)
    else:
        group = category if t == BRAND else category * prior[BRAND].shape[1] + brand
    at, usual = terms[..., t].clamp(min=0)[..., None], prior[t][group]
    share = clicked_shares(evidence, usual)
    return share.gather(-1, at).squeeze(-1), usual.gather(-1, at).squeeze(-1)


def _label_loss(encoder: QueryEncoder, evidence: list[Tensor], said: Tensor) -> Tensor:
    """Cross-entropy to what is said (N, 7), -1 for nothing, summed over the terms."""
    total = evidence[0].new_zeros(())
    for t, each in enumerate(encoder.net.log_with_silence(evidence)):
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
