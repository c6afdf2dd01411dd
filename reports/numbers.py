"""Numbers as a reader sees them: one number of digits down a column, a real minus, a dash where undefined."""

from __future__ import annotations

import math
from collections.abc import Iterable

MISSING = "–"
MOST_DECIMALS = 8


def decimals_for(values: Iterable[float], digits: int = 4) -> int:
    """How many decimals show about `digits` significant digits of a typical value of a column.

    The median magnitude decides, so that one exploded estimate does not round the others away.
    """
    sizes = sorted(abs(value) for value in values if math.isfinite(value) and value != 0)
    if not sizes:
        return 0
    magnitude = math.floor(math.log10(sizes[len(sizes) // 2]))
    return min(max(digits - 1 - magnitude, 0), MOST_DECIMALS)


def fixed(value: float, decimals: int) -> str:
    """A number with that many decimals, thousands separated, or a dash for NaN."""
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) != 0 else text.replace("-", "")


def signed(value: float, decimals: int) -> str:
    """As `fixed`, with a plus before what is positive."""
    text = fixed(value, decimals)
    return f"+{text}" if value > 0 and float(f"{value:.{decimals}f}") != 0 else text


def number(value: float, digits: int = 4) -> str:
    """One number by itself, with that many significant digits."""
    return fixed(value, decimals_for([value], digits))


def count(value: float) -> str:
    """A count; effective counts under 100 keep one decimal."""
    whole = math.isnan(value) or abs(value) >= 100 or float(value).is_integer()
    return fixed(value, 0 if whole else 1)


def percent(share: float) -> str:
    """A share as a whole percentage; what is little but not nothing says so."""
    if 0 < share < 0.005:
        return "<1%"
    return MISSING if math.isnan(share) else f"{fixed(100 * share, 0)}%"


def interval(low: float, high: float, decimals: int) -> str:
    """An interval in brackets; one that has a single end says so, one without any is a dash."""
    if math.isnan(low) and math.isnan(high):
        return MISSING
    if math.isnan(high):
        return f"≥ {fixed(low, decimals)}"
    if math.isnan(low):
        return f"≤ {fixed(high, decimals)}"
    return f"[{fixed(low, decimals)}, {fixed(high, decimals)}]"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
