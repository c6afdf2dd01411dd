"""What an encoder reads, as features of (search, candidate), for every ranker.

For each kind of term the probability that the query says the value that the candidate has (0 where it has none), and
the product of the query's embedding with the candidate's. Queries travel as bytes, so that a page stays tensors; each
distinct pair of locale and string is read once a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from policies.query.encoder import encoder_from_json, item_columns
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError
from simenv.language.words import TERMS

DICTIONARY = "dictionary"  # the reader that is always at hand
LONGEST = 240  # bytes of a query that are read
READ_FEATURES = (*(f"read_{term}" for term in TERMS), "read_alike")


class ReaderBlock(torch.nn.Module):
    """Features (N, M, 8) of items (N, M) on pages that carry the queries."""

    def __init__(self, catalogue: PublicCatalogue, described: Mapping[str, Any]) -> None:
        """An encoder without its weights; `restore` brings them.

        Args:
            catalogue: Public columns.
            described: `QueryEncoder.as_json`.

        Raises:
            UserError: for a damaged description, or a catalogue with more values than the encoder was made for.
        """
        super().__init__()
        self.encoder = encoder_from_json(described)
        self.net = self.encoder.net.eval().requires_grad_(False)
        self.terms: Tensor
        self.rest: Tensor
        self.embedding: Tensor
        terms, rest = item_columns(catalogue)
        shape = self.encoder.shape
        if (terms.amax(dim=0) >= torch.tensor(shape.n_values)).any() or catalogue.style.shape[1] != shape.n_style:
            raise UserError("the reader was trained on a catalogue of another shape. Train one on this.")
        self.register_buffer("terms", terms, persistent=False)
        self.register_buffer("rest", rest, persistent=False)
        self.register_buffer("embedding", self.net.items(terms, rest), persistent=False)

    def forward(self, page: Mapping[str, Tensor], item: Tensor) -> Tensor:
        """Features (N, M, 8) float32; `page` has `locale` and `query`, as `query_bytes` writes it."""
        reading = self.encoder.read(strings(page["query"].cpu().numpy()), page["locale"].cpu().numpy().reshape(-1))
        of_item = self.terms[item]  # (N, M, 7)
        columns = []
        for t, each in enumerate(reading.probabilities):
            p = torch.from_numpy(each).to(item.device)
            value = of_item[..., t]
            columns.append(torch.where(value >= 0, p.gather(1, value.clamp(min=0)), 0.0))
        query = torch.from_numpy(reading.embedding).to(item.device)
        columns.append(torch.einsum("nmd,nd->nm", self.embedding[item], query))
        return torch.stack(columns, dim=2)

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """The encoder's weights."""
        return self.encoder.tensors()

    def restore(self, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take the encoder's weights; torch raises `RuntimeError` where they do not fit."""
        self.encoder.restore(tensors)
        self.embedding.copy_(self.net.items(self.terms, self.rest))


class DictionaryBlock(torch.nn.Module):
    """The same features as the built-in dictionary reads them, without an encoder: 1 where it read the item's value."""

    def __init__(self, catalogue: PublicCatalogue) -> None:
        """Hold the items' terms."""
        super().__init__()
        self.terms: Tensor
        self.register_buffer("terms", item_columns(catalogue)[0], persistent=False)

    def forward(self, page: Mapping[str, Tensor], item: Tensor) -> Tensor:
        """Features (N, M, 8) float32, the last of them 0; `page` has `query_terms`."""
        read = page["query_terms"].long()[:, None]
        match = ((self.terms[item] == read) & (read >= 0)).float()
        return torch.cat([match, torch.zeros_like(match[..., :1])], dim=2)

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """Nothing: there are no weights."""
        return {}

    def restore(self, tensors: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Nothing to take."""


def reader_block(catalogue: PublicCatalogue, reader: str | Mapping[str, Any]) -> ReaderBlock | DictionaryBlock:
    """The features of a reader: "dictionary", or what `QueryEncoder.as_json` says of an encoder.

    Raises:
        UserError: for another word, or a damaged description.
    """
    if reader == DICTIONARY:
        return DictionaryBlock(catalogue)
    if isinstance(reader, str):
        raise UserError(f"there is no reader '{reader}'; expected '{DICTIONARY}' or the folder of a saved encoder.")
    return ReaderBlock(catalogue, reader)


def query_bytes(query: npt.NDArray[np.object_]) -> npt.NDArray[np.uint8]:
    """Strings (N,) as UTF-8, (N, L), 0 past their end; cut at LONGEST bytes."""
    coded = np.array([text.encode()[:LONGEST] or b" " for text in query.tolist()] or [b" "], dtype=np.bytes_)
    return coded[: len(query)].view(np.uint8).reshape(len(query), -1)


def strings(coded: npt.NDArray[np.uint8]) -> list[str]:
    """The strings behind `query_bytes`."""
    if not len(coded):
        return []
    rows = np.ascontiguousarray(coded).view(f"S{coded.shape[1]}").reshape(-1)
    return [row.decode(errors="ignore").strip() for row in rows.tolist()]
