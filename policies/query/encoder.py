"""A small transformer that reads queries in all locales: what they ask for, and where they lie in a space of items.

A word is the mean of the embeddings of its pieces and trigrams, a query the sequence of its locale and its words. Two
pre-norm transformer layers (Vaswani et al., "Attention is all you need", 2017) read it. For each kind of term every
word then speaks for each value, and the loudest word counts: that is the evidence z_v for a value. The mean of the
words, projected and normalised, is the query's embedding, to be multiplied with the embedding of an item, which is made
of its public columns.

What is read depends on what taught the evidence. Labels say what is not said: P = softmax(z, silence). Clicks do not:
there the values of clicked items follow p = softmax(z + log prior), with the prior share of each value in the category
that was read, and a value counts as said by as much as it leaves the prior: P_v = (p_v - prior_v)+ / (1 - prior_v).

Padding is masked: a row's result is the same in any batch, to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from policies.query.tokenizer import MOST_WORDS, PAD, Tokenizer, tokenizer_from_json
from policies.transformer import TransformerBlock
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.language.words import TERMS

CHUNK = 2048  # queries read at once


@dataclass(frozen=True)
class Shape:
    """How large an encoder is.

    Attributes:
        n_values: Values of each of `TERMS`.
        n_locales: Locales.
        n_style: Style dimensions of an item.
        from_clicks: Whether clicks taught it, and not labels.
        width: Of a word.
        heads: Of attention.
        layers: Transformer layers.
        embedding: Width of the embedding that queries and items share.
    """

    n_values: tuple[int, ...]
    n_locales: int
    n_style: int
    from_clicks: bool = True
    width: int = 64
    heads: int = 4
    layers: int = 2
    embedding: int = 32


@dataclass(frozen=True)
class Reading:
    """What was read in N queries.

    Attributes:
        probabilities: For each of `TERMS` (N, V + 1) float32: of each value, and last that nothing is said of it.
        embedding: (N, D) float32, of length 1.
    """

    probabilities: tuple[npt.NDArray[np.float32], ...]
    embedding: npt.NDArray[np.float32]

    def terms(self) -> npt.NDArray[np.int32]:
        """(N, 7) the likeliest value of each term, -1 where "not said" is likelier than each."""
        best = np.stack([p.argmax(axis=1) for p in self.probabilities], axis=1)
        nothing = np.array([p.shape[1] - 1 for p in self.probabilities])
        made: npt.NDArray[np.int32] = np.where(best == nothing, -1, best).astype(np.int32)
        return made


class QueryNet(nn.Module):
    """Words -> evidence for terms and an embedding; items -> an embedding."""

    def __init__(self, n_ids: int, shape: Shape, generator: torch.Generator) -> None:
        """Weights from the given generator."""
        super().__init__()
        width = shape.width
        self.ids = nn.Embedding(n_ids, width, padding_idx=PAD)
        self.locale, self.place = nn.Embedding(shape.n_locales, width), nn.Embedding(MOST_WORDS + 1, width)
        self.blocks = nn.ModuleList([TransformerBlock(width, shape.heads, 4 * width) for _ in range(shape.layers)])
        self.last = nn.LayerNorm(width)
        self.heads = nn.ModuleList([nn.Linear(width, n) for n in shape.n_values])
        self.silence = nn.Parameter(torch.zeros(len(shape.n_values)))  # the log-weight of "not said"
        self.from_clicks, self.n_values = shape.from_clicks, shape.n_values
        groups = [1] + [shape.n_values[0]] * (len(shape.n_values) - 1)
        for t, (g, n) in enumerate(zip(groups, shape.n_values, strict=True)):
            self.register_buffer(f"prior_{t}", torch.full((g, n), 1.0 / n))
        self.project = nn.Linear(width, shape.embedding)
        self.item_terms = nn.ModuleList([nn.Embedding(n + 1, shape.embedding) for n in shape.n_values])
        self.item_rest = nn.Linear(shape.n_style + 3, shape.embedding)
        self._initialise(generator)

    def forward(self, words: Tensor, locale: Tensor, ids: Tensor) -> tuple[list[Tensor], Tensor]:
        """Read queries.

        Args:
            words: (N, T) int64 places in `ids`, -1 where there is no word.
            locale: (N,) int64.
            ids: (W, P) int64 ids of words, `PAD` past their end.

        Returns:
            For each term the evidence (N, V), and the embedding (N, D) of length 1.
        """
        size = (ids != PAD).sum(dim=1, keepdim=True).clamp(min=1)
        sums = nn.functional.embedding_bag(ids, self.ids.weight, mode="sum", padding_idx=PAD)  # (W, width)
        of_word = sums / size.sqrt()
        there = words >= 0
        place = there.long().cumsum(dim=1).clamp(max=MOST_WORDS)
        x = of_word[words.clamp(min=0)] + self.place(place)
        x = torch.cat([self.locale(locale)[:, None], x], dim=1)
        here = torch.cat([there.new_ones(len(there), 1), there], dim=1)
        for block in self.blocks:
            x = block(x, here)
        x = self.last(x)
        evidence = [head(x).masked_fill(~here[..., None], -torch.inf).amax(dim=1) for head in self.heads]
        mean = (x * here[..., None]).sum(dim=1) / here.sum(dim=1, keepdim=True)
        return evidence, nn.functional.normalize(self.project(mean), dim=1)

    def priors(self) -> list[Tensor]:
        """For each term (G, V) shares of its values given the category; (1, G) for the category."""
        return [getattr(self, f"prior_{t}") for t in range(len(self.heads))]

    def probabilities(self, evidence: list[Tensor]) -> list[Tensor]:
        """For each term (N, V + 1): of each value and, last, of nothing being said."""
        if not self.from_clicks:
            return [each.exp() for each in self.log_with_silence(evidence)]
        category = clicked_shares(evidence[0], self.prior_0)  # type: ignore[arg-type]
        made = []
        for t, (each, table) in enumerate(zip(evidence, self.priors(), strict=True)):
            prior = table.expand(len(each), -1) if t == 0 else category @ table
            said = (clicked_shares(each, prior) - prior).clamp(min=0.0) / (1.0 - prior).clamp(min=1e-3)
            said = said / said.sum(dim=1, keepdim=True).clamp(min=1.0)
            made.append(torch.cat([said, 1.0 - said.sum(dim=1, keepdim=True)], dim=1))
        return made

    def log_with_silence(self, evidence: list[Tensor]) -> list[Tensor]:
        """For each term (N, V + 1) log-probabilities where labels taught it, "not said" last."""
        return [
            torch.cat([each, silence.expand(len(each), 1)], dim=1).log_softmax(dim=1)
            for each, silence in zip(evidence, self.silence, strict=True)
        ]

    def items(self, terms: Tensor, rest: Tensor) -> Tensor:
        """Embeddings of items, of length 1: terms (I, 7) int64, -1 for nothing; rest (I, style + 3) -> (I, D)."""
        made: Tensor = self.item_rest(rest)
        for value, n, table in zip(terms.T, self.n_values, self.item_terms, strict=True):
            made = made + table(torch.where(value < 0, n, value))
        return nn.functional.normalize(made, dim=1)

    def _initialise(self, generator: torch.Generator) -> None:
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                embeds = name.startswith(("ids", "locale", "place", "item_terms"))
                spread = 0.1 if embeds else weight.shape[1] ** -0.5
                nn.init.normal_(weight, std=spread, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        with torch.no_grad():
            self.ids.weight[PAD] = 0.0
            self.silence.fill_(4.0)


class QueryEncoder:
    """A tokenizer and a network: strings in, `Reading` out. Make one with `new_encoder`, train it with `training`."""

    def __init__(self, tokenizer: Tokenizer, shape: Shape, net: QueryNet) -> None:
        """See the class."""
        self.tokenizer, self.shape, self.net = tokenizer, shape, net

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.net.silence.device

    def read(self, query: Sequence[str], locale: npt.NDArray[np.integer]) -> Reading:
        """Read N queries; each distinct pair of locale and string once.

        Args:
            query: N strings as typed.
            locale: (N,) index of their locale.
        """
        pairs: dict[tuple[int, str], int] = {}
        place = [pairs.setdefault(pair, len(pairs)) for pair in zip(locale.tolist(), query, strict=True)]
        read, embedding = self._distinct([text for _, text in pairs], [at for at, _ in pairs])
        back = np.array(place, dtype=np.int64)
        return Reading(tuple(each[back] for each in read), embedding[back])

    def item_embeddings(self, catalogue: PublicCatalogue) -> npt.NDArray[np.float32]:
        """Embeddings of all items, (I, D), of length 1."""
        terms, rest = item_columns(catalogue)
        with torch.no_grad():
            made = self.net.items(terms.to(self.device), rest.to(self.device))
        found: npt.NDArray[np.float32] = made.cpu().numpy()
        return found

    def as_json(self) -> dict[str, Any]:
        """Everything but the weights."""
        return {"shape": asdict(self.shape), "tokenizer": self.tokenizer.as_json()}

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """The weights."""
        return {name: value.detach().cpu().numpy() for name, value in self.net.state_dict().items()}

    def restore(self, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take saved weights; torch raises `RuntimeError` where they do not fit."""
        self.net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()})

    def _distinct(
        self, texts: list[str], locale: list[int]
    ) -> tuple[list[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
        n_terms = len(self.shape.n_values)
        parts: list[list[npt.NDArray[np.float32]]] = [[] for _ in range(n_terms + 1)]
        with torch.no_grad():
            for first in range(0, max(1, len(texts)), CHUNK):
                words = self.tokenizer.words(texts[first : first + CHUNK])
                at = torch.tensor(locale[first : first + CHUNK], dtype=torch.int64)
                columns = (torch.from_numpy(words.word).long(), at, torch.from_numpy(words.ids).long())
                evidence, embedding = self.net(*(each.to(self.device) for each in columns))
                for part, made in zip(parts, [*self.net.probabilities(evidence), embedding], strict=True):
                    part.append(made.cpu().numpy())
        *probabilities, last = (np.concatenate(part) for part in parts)
        return probabilities, last


def new_encoder(tokenizer: Tokenizer, shape: Shape, seed: int = 0, device: str = "cpu") -> QueryEncoder:
    """An untrained encoder; the same seed gives the same weights on every device."""
    net = QueryNet(tokenizer.n_ids, shape, torch.Generator().manual_seed(seed))
    return QueryEncoder(tokenizer, shape, net.to(torch.device(device)))


def encoder_from_json(held: Mapping[str, Any], device: str = "cpu") -> QueryEncoder:
    """The encoder that `QueryEncoder.as_json` describes, without its weights.

    Raises:
        UserError: where something is missing or of another type.
    """
    try:
        shape = Shape(**{**held["shape"], "n_values": tuple(map(int, held["shape"]["n_values"]))})
        return new_encoder(tokenizer_from_json(held["tokenizer"]), shape, device=device)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"the encoder's description is damaged ({error!r}). Train the encoder again.") from error


def clicked_shares(evidence: Tensor, prior: Tensor) -> Tensor:
    """Shares of values among items that answer a query: prior (.., V), tilted by the evidence (.., V)."""
    return (evidence + prior.log()).softmax(dim=-1)


def item_columns(catalogue: PublicCatalogue) -> tuple[Tensor, Tensor]:
    """What item embeddings are made of: terms (I, 7) int64, -1 for nothing, and (I, style + 3) float32."""
    terms = np.stack([getattr(catalogue, name) for name in TERMS], axis=1).astype(np.int64)
    rest = [catalogue.price_z[:, None], catalogue.popularity[:, None], catalogue.rating[:, None] - 3.7]
    return torch.from_numpy(terms), torch.from_numpy(np.concatenate([catalogue.style, *rest], axis=1))
