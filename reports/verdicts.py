"""Verdicts: how far an estimate should be believed, as a word, a symbol, a colour and a marker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """One verdict and how it looks.

    Attributes:
        word: What the tables hold and the page says.
        symbol: One character for the page.
        slug: The CSS class.
        colour: For figures (dark enough for text on white).
        marker: A matplotlib marker.
        is_hollow: Drawn as an outline: the number is shown, but nobody should read it.
        meaning: One sentence for a reader who sees the word for the first time.
    """

    word: str
    symbol: str
    slug: str
    colour: str
    marker: str
    is_hollow: bool
    meaning: str


OUTCOMES: dict[str, Verdict] = {
    "better": Verdict(
        "better", "✔", "trust", "#00795A", "o", False, "The interval of the difference lies above 0."
    ),
    "not told apart": Verdict(
        "not told apart", "▲", "caution", "#A86400", "^", False, "The interval of the difference holds 0."
    ),
    "worse": Verdict(
        "worse", "✖", "reject", "#C0440B", "s", True, "The interval of the difference lies below 0."
    ),
}  # fmt: skip

VERDICTS: dict[str, Verdict] = {
    "trust": Verdict(
        "trust",
        "✔",
        "trust",
        "#00795A",
        "o",
        False,
        "No diagnostic speaks against the number. The assumptions named above still have to hold.",
    ),
    "caution": Verdict(
        "caution",
        "▲",
        "caution",
        "#A86400",
        "^",
        False,
        "A diagnostic is strained. Read the reasons before you read the number.",
    ),
    "do not use": Verdict(
        "do not use",
        "✖",
        "reject",
        "#C0440B",
        "s",
        True,
        "The log cannot carry this number. It is shown so that you see why, not so that you use it.",
    ),
}
