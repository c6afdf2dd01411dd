"""Networks that read a shopper's last clicks, one by one and in order, into one vector h.

Items are vectors e(item) of one tower over public columns, as clicked items and as candidates alike; h . e(item) says
what the candidate gains by who is looking. A click is its item, whether it was bought, its age in days and its place.
Two readers of the sequence:

* GRU, from the oldest click to the latest: Cho et al., "Learning phrase representations using RNN encoder-decoder for
  statistical machine translation", 2014; over sessions, Hidasi et al., "Session-based recommendations with recurrent
  neural networks", 2016.
* Transformer, whose first word is learned and whose last layer is read there: Vaswani et al., "Attention is all you
  need", 2017; over sessions, Kang and McAuley, "Self-attentive sequential recommendation", 2018.

Who has not clicked yet gets a learned vector. Places without a click change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from policies.transformer import TransformerBlock
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError, unknown_name

COLUMNS = ("category", "department", "brand", "colour")
MOST_PLACES = 32  # what lies further back counts as this far
AGE_SCALE = 0.4  # of log(1 + days): a month is about 1.4


@dataclass(frozen=True)
class Shape:
    """What a session network is made for.

    Attributes:
        kind: In READERS.
        n_values: Values of each of COLUMNS.
        n_style: Dimensions of the style space.
        width: Of every layer, and of h and e.
        layers: Of the transformer.
        heads: Of the transformer.
    """

    kind: str
    n_values: tuple[int, ...]
    n_style: int
    width: int = 32
    layers: int = 1
    heads: int = 2


class ItemTower(nn.Module):
    """Public columns of items -> e (.., W): a sum of what each column says."""

    def __init__(self, shape: Shape) -> None:
        """Untrained; see `SessionNet` for its weights."""
        super().__init__()
        self.terms = nn.ModuleList([nn.Embedding(n + 1, shape.width) for n in shape.n_values])
        self.rest = nn.Linear(shape.n_style + 1, shape.width)

    def forward(self, terms: Tensor, rest: Tensor) -> Tensor:
        """Terms (.., 4) int64, -1 for none, and (.., style + 1) float32, as of `item_columns` -> (.., W)."""
        made: Tensor = self.rest(rest)
        for t, table in enumerate(self.terms):
            made = made + table(terms[..., t] + 1)
        return made


class GruReader(nn.Module):
    """Clicks, latest first -> (N, W): a gated recurrent unit from the oldest to the latest."""

    def __init__(self, shape: Shape) -> None:
        """Untrained; see `SessionNet` for its weights."""
        super().__init__()
        self.start = nn.Parameter(torch.zeros(shape.width))
        self.cell = nn.GRUCell(shape.width, shape.width)

    def forward(self, clicks: Tensor, here: Tensor) -> Tensor:
        """Clicks (N, L, W) and which of them are there (N, L) -> (N, W)."""
        h = self.start.expand(len(clicks), -1)
        for place in reversed(range(clicks.shape[1])):
            h = torch.where(here[:, place, None], self.cell(clicks[:, place], h), h)
        return h


class TransformerReader(nn.Module):
    """Clicks -> (N, W): a learned first word looks at the clicks, and they at each other."""

    def __init__(self, shape: Shape) -> None:
        """Untrained; see `SessionNet` for its weights."""
        super().__init__()
        self.start = nn.Parameter(torch.zeros(shape.width))
        self.blocks = nn.ModuleList(
            [TransformerBlock(shape.width, shape.heads, 2 * shape.width) for _ in range(shape.layers)]
        )
        self.last = nn.LayerNorm(shape.width)

    def forward(self, clicks: Tensor, here: Tensor) -> Tensor:
        """Clicks (N, L, W) and which of them are there (N, L) -> (N, W)."""
        n = len(clicks)
        x = torch.cat([self.start.expand(n, 1, -1), clicks], dim=1)
        here = torch.cat([here.new_ones((n, 1)), here], dim=1)
        for block in self.blocks:
            x = block(x, here)
        made: Tensor = self.last(x[:, 0])
        return made


READERS: dict[str, type[GruReader] | type[TransformerReader]] = {"gru": GruReader, "transformer": TransformerReader}


class SessionNet(nn.Module):
    """The last clicks of shoppers -> h (N, W); items -> e (.., W)."""

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        """Weights from the seed; h starts at 0 for everybody.

        Raises:
            UserError: for a kind that is not in READERS.
        """
        super().__init__()
        if shape.kind not in READERS:
            raise unknown_name("kind of session model", shape.kind, READERS)
        self.shape = shape
        self.tower = ItemTower(shape)
        self.about = nn.Linear(2, shape.width)
        self.place = nn.Embedding(MOST_PLACES, shape.width)
        self.reader = READERS[shape.kind](shape)
        self.out = nn.Linear(shape.width, shape.width)
        self._initialise(torch.Generator().manual_seed(seed))

    def items(self, terms: Tensor, rest: Tensor) -> Tensor:
        """See `ItemTower.forward`."""
        made: Tensor = self.tower(terms, rest)
        return made

    def forward(self, item: Tensor, here: Tensor, bought: Tensor, age: Tensor) -> Tensor:
        """Read the last clicks, latest first.

        Args:
            item: (N, L, W) e of the clicked items; anything where there is none.
            here: (N, L) bool, whether there is a click.
            bought: (N, L) bool, whether it was bought.
            age: (N, L) days.

        Returns:
            h (N, W).
        """
        about = torch.stack([bought.float(), AGE_SCALE * torch.log1p(age.clamp(min=0).float())], dim=2)
        place = torch.arange(item.shape[1], device=item.device).clamp(max=MOST_PLACES - 1)
        made: Tensor = self.out(self.reader(item + self.about(about) + self.place(place), here))
        return made

    def _initialise(self, generator: torch.Generator) -> None:
        for name, weight in self.named_parameters():
            if name.startswith("out."):
                nn.init.zeros_(weight)
            elif weight.dim() < 2:
                nn.init.ones_(weight) if _is_scale(name) else nn.init.zeros_(weight)
            elif name.startswith(("tower.terms", "place")):
                nn.init.normal_(weight, std=0.1, generator=generator)
            else:
                nn.init.xavier_uniform_(weight, generator=generator)


def session_net(described: Mapping[str, Any]) -> SessionNet:
    """An untrained network of a described shape (`described_shape`).

    Raises:
        UserError: for a damaged description.
    """
    try:
        own = dict(described["shape"])
        return SessionNet(Shape(**own | {"n_values": tuple(own["n_values"])}))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"this describes no session model ({error}). Train it again.") from error


def described_shape(net: SessionNet) -> dict[str, Any]:
    """All but the weights, as JSON can hold it."""
    return {"shape": asdict(net.shape) | {"n_values": list(net.shape.n_values)}}


def shape_for(kind: str, catalogue: PublicCatalogue, layers: int = 1) -> Shape:
    """The shape of a session network over a catalogue."""
    n_values = tuple(int(getattr(catalogue, name).max()) + 1 for name in COLUMNS)
    return Shape(kind, n_values, catalogue.style.shape[1], layers=layers)


def item_columns(catalogue: PublicCatalogue) -> tuple[Tensor, Tensor]:
    """What items are told by: COLUMNS (I, 4) int64, -1 for none, and style and price_z (I, style + 1) float32."""
    terms = np.stack([getattr(catalogue, name) for name in COLUMNS], axis=1).astype(np.int64)
    rest = np.concatenate([catalogue.style, catalogue.price_z[:, None]], axis=1).astype(np.float32)
    return torch.from_numpy(terms), torch.from_numpy(rest)


def _is_scale(name: str) -> bool:
    return name.rsplit(".", 2)[-2] in ("before", "between", "last") and name.endswith("weight")
