"""Session networks: rows that do not know of each other, places that hold nothing, and an order that matters."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from policies.session.block import alike, counted
from policies.session.encoder import READERS, SessionNet, session_net, shape_for
from simenv.catalogue import PublicCatalogue
from simenv.errors import UserError

N, L = 60, 8
ULPS = 1e-6  # sums of some 32 float32 products of size 1 in another order differ by a few 1e-7

Clicks = tuple[Tensor, Tensor, Tensor, Tensor]


def drawn_net(kind: str, catalogue: PublicCatalogue) -> SessionNet:
    """A network whose last layer says something, though nobody trained it."""
    net = SessionNet(shape_for(kind, catalogue), seed=3)
    with torch.no_grad():
        net.out.weight.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(4))
        net.reader.start.normal_(generator=torch.Generator().manual_seed(5))
    return net.eval().requires_grad_(False)


@pytest.fixture(params=sorted(READERS))
def net(request: pytest.FixtureRequest, catalogue: PublicCatalogue) -> SessionNet:
    """One of each kind."""
    return drawn_net(request.param, catalogue)


@pytest.fixture
def clicks() -> Clicks:
    """0 to 8 clicks a row, latest first: e of the items, which are there, bought, age."""
    generator = torch.Generator().manual_seed(1)
    item = torch.randn((N, L, 32), generator=generator)
    here = torch.arange(L) < (torch.arange(N) % (L + 1))[:, None]
    age = torch.randint(0, 60, (N, L), generator=generator)
    return item, here, torch.rand((N, L), generator=generator) < 0.3, torch.where(here, age, -1)


def test_a_row_does_not_know_of_its_batch(net: SessionNet, clicks: Clicks) -> None:
    whole = net(*clicks)
    for row in range(0, N, 7):
        alone = net(*(each[row : row + 1] for each in clicks))
        assert torch.allclose(alone[0], whole[row], atol=ULPS, rtol=ULPS)


def test_places_without_a_click_change_nothing(net: SessionNet, clicks: Clicks) -> None:
    """Neither what stands in them, nor how many more of them follow."""
    item, here, bought, age = clicks
    whole = net(*clicks)
    other = torch.where(here[..., None], item, 9.0), here, bought | ~here, torch.where(here, age, 99)
    assert torch.equal(net(*other), whole)
    more = tuple(torch.cat([each, torch.zeros_like(each)], dim=1) for each in clicks)
    assert torch.allclose(net(*more), whole, atol=ULPS, rtol=ULPS)


def test_who_has_not_clicked_gets_one_learned_vector(
    net: SessionNet, clicks: Clicks, catalogue: PublicCatalogue
) -> None:
    item, here, bought, age = clicks
    empty = net(item, torch.zeros_like(here), bought, age)
    assert torch.equal(empty, empty[:1].expand(N, -1))
    nothing = net(*(each[:, :0] for each in clicks))  # a world that remembers no clicks
    assert torch.allclose(nothing, empty, atol=ULPS)
    net.requires_grad_(True)
    net(item, torch.zeros_like(here), bought, age)[0].sum().backward()
    assert net.reader.start.grad is not None
    assert net.reader.start.grad.abs().max() > 0


@pytest.mark.parametrize("part", ["order", "bought", "age"])
def test_order_and_what_is_known_of_a_click_matter(net: SessionNet, clicks: Clicks, part: str) -> None:
    item, here, bought, age = clicks
    full = here.all(dim=1)
    other = {
        "order": (item.flip(1), here, bought.flip(1), age.flip(1)),
        "bought": (item, here, ~bought, age),
        "age": (item, here, bought, age + 30),
    }[part]
    changed = (net(*other) - net(*clicks)).abs().amax(dim=1)
    assert (changed[full] > 100 * ULPS).all()


def test_a_network_is_its_seed(catalogue: PublicCatalogue) -> None:
    for kind in READERS:
        first, again, other = (SessionNet(shape_for(kind, catalogue), seed) for seed in (1, 1, 2))
        weights = [torch.cat([w.reshape(-1) for w in each.state_dict().values()]) for each in (first, again, other)]
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])


def test_an_unknown_kind_is_refused_and_the_known_named(catalogue: PublicCatalogue) -> None:
    with pytest.raises(UserError, match=r"'gruu'.*gru"):
        SessionNet(shape_for("gruu", catalogue))
    with pytest.raises(UserError, match="describes no session model"):
        session_net({"shape": {"kind": "gru"}})


def test_counts_are_shares_of_the_last_clicks() -> None:
    category, brand = torch.tensor([0, 0, 1, 1]), torch.tensor([5, 6, 5, 7])
    recent = torch.tensor([[0, 0, 2, -1], [-1, -1, -1, -1]])
    made = counted(recent, torch.tensor([[0, 1, 3], [0, 1, 3]]), category, brand)
    assert made[0].tolist() == [[0.5, 0.5, 0.75], [0.0, 0.5, 0.0], [0.0, 0.25, 0.0]]
    assert not made[1].any()  # nobody clicked: -1 is not read as item 0


def test_attention_looks_at_what_is_most_alike() -> None:
    """Over one click it is its cosine; an opposite one beside it weighs exp(-8) of it; over none it is 0."""
    x, away = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])
    candidate = x.expand(3, 1, 2)
    clicked = torch.stack([x, away]).expand(3, 2, 2)
    here = torch.tensor([[True, False], [True, True], [False, False]])
    made = alike(candidate, clicked, here)[:, 0]
    opposite = torch.exp(torch.tensor(-8.0))
    assert torch.allclose(made, torch.stack([torch.tensor(1.0), (1 - opposite) / (1 + opposite), torch.tensor(0.0)]))
