"""The text index: what the market's engine finds for a string of letters in real titles.

Two scores of a query against every product, and the products with the best of either or both:

- BM25 over words (Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009), exact about
  words and blind to misspelt ones;
- cosine of TF-IDF over character n-grams within words, which forgives misspellings and inflection, and finds things
  that merely look alike.

Both together are fused by rank (Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and
individual rank learning methods", 2009). A latent space (truncated SVD of the words' TF-IDF) gives styles and the text
model's third opinion. Queries are scored one by one, so that a score does not depend on what else was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simenv.catalogue import F32, I32
from simenv.real.words import tokens

F64 = npt.NDArray[np.float64]

K1, B = 1.2, 0.75  # of BM25: the usual values
NGRAMS = (3, 4)  # letters
LEAST_COSINE = 0.05  # from which letters count as found
FUSION = 60.0  # of reciprocal rank fusion: the paper's value
DEPTH = 1000  # ranks of either score that are fused
LATENT = 64  # dimensions at most


@dataclass(frozen=True)
class Scores:
    """How products answer one query; (I,) each, at least 0 but for `latent`, a cosine in the latent space."""

    bm25: F64
    letters: F64
    latent: F64


@dataclass(frozen=True, eq=False)
class TextIndex:
    """An index over the texts of I products. Make it with `text_index`.

    bm25: (V, I) weight of a word in a product. latent: (I, L) unit rows.
    """

    vocabulary: dict[str, int]
    bm25: Any
    letters: Any
    letter_model: Any
    word_model: Any
    svd: Any
    latent: F64
    raw: F64  # (I, L) latent places before they are scaled to length 1

    def scores(self, query: str) -> Scores:
        """Every product's scores for a query."""
        rows = [self.vocabulary[word] for word in tokens(query) if word in self.vocabulary]
        bm25 = np.asarray(self.bm25[rows].sum(axis=0), dtype=np.float64).ravel()
        letters = (self.letter_model.transform([query]) @ self.letters).toarray().ravel()
        place = self.svd.transform(self.word_model.transform([query]))[0]
        length = float(np.sqrt((place**2).sum()))
        latent = (self.latent * (place / max(length, 1e-12))).sum(axis=1)
        return Scores(bm25, letters, latent)

    def style(self, n_style: int) -> F32:
        """(I, D) the first latent dimensions, standardised, cut off at 3; zeros where there are no more."""
        made = np.zeros((len(self.raw), n_style))
        some = self.raw[:, :n_style]
        made[:, : some.shape[1]] = (some - some.mean(axis=0)) / np.maximum(some.std(axis=0), 1e-9)
        return made.clip(-3.0, 3.0).astype(np.float32)


def text_index(texts: Sequence[str], n_latent: int = LATENT) -> TextIndex:
    """Index the texts of products."""
    from scipy import sparse
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    counter = CountVectorizer(analyzer=tokens)
    counts = counter.fit_transform(texts).astype(np.float64).tocsr()
    n, vocabulary = counts.shape[0], {word: int(place) for word, place in counter.vocabulary_.items()}
    holding = np.bincount(counts.indices, minlength=counts.shape[1])
    rarity = np.log1p((n - holding + 0.5) / (holding + 0.5))
    length = np.asarray(counts.sum(axis=1)).ravel()
    norm = K1 * (1 - B + B * length / max(length.mean(), 1e-9))
    row = np.repeat(np.arange(n), np.diff(counts.indptr))
    weight = rarity[counts.indices] * counts.data * (K1 + 1) / (counts.data + norm[row])
    bm25 = sparse.csr_matrix((weight, (counts.indices, row)), shape=(counts.shape[1], n))

    letter_model = TfidfVectorizer(analyzer="char_wb", ngram_range=NGRAMS, sublinear_tf=True, dtype=np.float64)
    letters = letter_model.fit_transform(texts).T.tocsr()
    word_model = TfidfVectorizer(analyzer=tokens, sublinear_tf=True)
    words = word_model.fit_transform(texts)
    svd = TruncatedSVD(n_components=max(1, min(n_latent, min(words.shape) - 1)), algorithm="arpack", random_state=0)
    svd.fit(words)
    svd.components_ *= _signs(svd.components_)[:, None]
    raw = np.asarray(svd.transform(words))
    unit = raw / np.maximum(np.sqrt((raw**2).sum(axis=1, keepdims=True)), 1e-12)
    return TextIndex(vocabulary, bm25, letters, letter_model, word_model, svd, unit, raw)


def best(scores: Scores, retrieval: str, n: int) -> I32:
    """The n products found, best first, -1 where there are no more: (n,) int32. Equals are in the catalogue's order."""
    found = np.full(n, -1, dtype=np.int32)
    if retrieval == "bm25":
        order = _ranked(scores.bm25, 0.0, n)
    elif retrieval == "char-ngrams":
        order = _ranked(scores.letters, LEAST_COSINE, n)
    else:
        order = _ranked(fused(scores), 0.0, n)
    found[: len(order)] = order
    return found


def fused(scores: Scores) -> F64:
    """(I,) reciprocal rank fusion of both scores; 0 for what neither finds."""
    total = np.zeros(len(scores.bm25))
    for order in (_ranked(scores.bm25, 0.0, DEPTH), _ranked(scores.letters, LEAST_COSINE, DEPTH)):
        total[order] += 1.0 / (FUSION + 1.0 + np.arange(len(order)))
    return total


def _ranked(score: F64, least: float, n: int) -> npt.NDArray[np.int64]:
    found = np.flatnonzero(score > least)
    order: npt.NDArray[np.int64] = found[np.argsort(-score[found], kind="stable")[:n]]
    return order


def _signs(components: F64) -> F64:
    """The sign that makes each component's largest loading positive: a decomposition leaves it open."""
    largest = np.abs(components).argmax(axis=1)
    return np.where(components[np.arange(len(components)), largest] < 0, -1.0, 1.0)
