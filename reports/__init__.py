"""Pages people read, drawn from what a run left on disk.

A run's folder is the contract: whatever made it, `report(run_dir)` draws it. Nothing here runs an experiment. This file
stays light so that a command line can import it for its help text: pandas and matplotlib load when a page is made.
"""

from __future__ import annotations

from pathlib import Path


def report(run_dir: Path) -> Path:
    """Draw a run's figures and write its page.

    Reads `run.json` and `tables/*.csv`; writes `figures/*.png`, `report.md` and one self-contained `report.html` (no
    network, no JavaScript). The same folder gives the same bytes.

    Args:
        run_dir: The folder a run left behind.

    Returns:
        The path of `report.html`.

    Raises:
        simenv.errors.UserError: The folder is not a run, or a file in it is not what the contract says.
    """
    from reports.page import write_report

    return write_report(run_dir)


__all__ = ["report"]
