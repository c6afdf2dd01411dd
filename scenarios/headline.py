"""What is told first of several estimates, and in which words."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.folder import Row

# What is told first: what needs the least to be right comes first, never the narrowest interval.
HEADLINES = (
    "dr-item", "snips-item", "ips-item", "cascade-dr", "snrips", "rips", "dr", "mrdr", "snips", "ips", "sequence-dr",
    "wpdis", "pdis",
)  # fmt: skip
_ROUNDING = 1e-9  # of a value


def headline(rows: Sequence[Row]) -> Row | None:
    """The estimate to tell first: the first in HEADLINES that is trusted, else the first to be read with caution.

    Estimates that may never be trusted (the direct method) are never told first, nor those whose lift has no interval
    at all. None where nothing is left.
    """
    has_ends = [row for row in rows if row["lift_low"] is not None or row["lift_high"] is not None]
    by_name = {row["estimator"]: row for row in reversed(has_ends)}  # of several rewards the first is told
    told = [by_name[name] for name in HEADLINES if name in by_name]
    for word in ("trust", "caution"):
        for row in told:
            if row["verdict"] == word:
                return row
    return None


def finding(rows: Sequence[Row]) -> str:
    """One sentence: the most believable estimate, or that none is."""
    best = headline(rows) or next((row for row in rows if row["verdict"] == "trust"), None)
    if best is None:
        return _without_a_best(rows)
    said = (
        f"{best['estimator']} puts {best['policy']} at {best['value']:.4f}, {best['lift']:+.4f} against the logger "
        f"({best['level']:.0%} interval {lift_ends(best, 1.0, '+.4f')})"
    )
    if best["verdict"] == "trust":
        return f"{said}; {'not told apart from the logger' if holds(best, 0.0) else 'the evidence carries it'}."
    return f"{said}; to be read with caution: {best['reasons'][0]}."


def _without_a_best(rows: Sequence[Row]) -> str:
    """Of estimates of which none is told first: those with caution, then why the rest is refused."""
    left = list(dict.fromkeys(row["estimator"] for row in rows if row["verdict"] != "do not use"))
    refused = [row for row in rows if row["verdict"] == "do not use"]
    if not refused:
        first = rows[0]
        return f"Estimates of {first['policy']} are to be read with caution ({', '.join(left)}): {first['reasons'][0]}."
    worst = min(refused, key=lambda row: HEADLINES.index(row["estimator"]) if row["estimator"] in HEADLINES else 99)
    why = f"should be used: {worst['reasons'][0]}."
    if not left:
        return f"No estimate of {worst['policy']} from this log {why}"
    return f"Of {worst['policy']} only {', '.join(left)} may be read, with caution; no other estimate {why}"


def holds(row: Row, lift: float) -> bool:
    """Whether the interval of a row's lift holds a number; an end that it lacks excludes nothing.

    False where there is no interval at all. A policy judged on its own log has a lift that is the rounding of its
    value; what an interval misses by no more than that it holds.
    """
    low, high = row["lift_low"], row["lift_high"]
    if low is None and high is None:
        return False
    rounding = _ROUNDING * abs(row["value"] or 0.0)
    return (low is None or low <= lift + rounding) and (high is None or lift - rounding <= high)


def lift_ends(row: Row, scale: float, form: str) -> str:
    """Both ends of the interval of a row's lift, times a scale and as a format says, or the one end it has."""
    low, high = row["lift_low"], row["lift_high"]
    if high is None:
        return f"{low * scale:{form}} or more"
    return f"{high * scale:{form}} or less" if low is None else f"{low * scale:{form}} to {high * scale:{form}}"
