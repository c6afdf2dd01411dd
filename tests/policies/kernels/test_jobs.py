"""What is timed is the work that is named: every context gets its decision."""

from __future__ import annotations

import pytest
import torch

from policies.kernels.jobs import JOBS, MEMBERS, K


@pytest.mark.parametrize("name", JOBS)
def test_a_job_decides_for_every_context(name: str) -> None:
    made = JOBS[name](300, 12)()
    if name == "slates":
        assert isinstance(made, tuple)
        slate, logp = made
        assert slate.shape == logp.shape == (300, K)
        assert torch.isfinite(logp).all()
    elif name == "ensemble-update":
        assert isinstance(made, torch.Tensor)
        assert made.shape == (MEMBERS,)
        assert torch.isfinite(made).all()
    elif name == "pl-rank":
        assert isinstance(made, torch.Tensor)
        assert made.shape == (300, 12)
        assert (made.abs().sum(dim=1) > 0).all()
    else:
        assert isinstance(made, torch.Tensor)
        assert made.shape == (300,)
        assert len(made.unique()) > 6
