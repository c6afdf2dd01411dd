"""A page of results as a picture, drawn with Pillow.

Shapes are drawn at twice the size and averaged down, which smooths their edges. Texts are set in DejaVu Sans, whose
Latin, Greek and Cyrillic letters cover every language of the market; it ships with the package, so a picture looks the
same everywhere.
"""

from __future__ import annotations

import functools
from importlib import resources

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageDraw, ImageFont

from simenv.render import Card, ResultPage

WIDTH = 480  # pixels
MARGIN = 16
HEADER = 150  # height of all above the results
FOOTER = 34
GAP = 6
SCALE = 2  # how much larger everything is drawn than shown

INK, SOFT, FAINT, LINE = "#111827", "#6b7280", "#9ca3af", "#e5e7eb"
PAPER, CARD, NIGHT = "#f3f4f6", "#ffffff", "#1f2937"
STAR, WORTH = "#f59e0b", "#8b5cf6"
CHIPS = {
    "category": ("#e0f2fe", "#075985"),
    "brand": ("#ede9fe", "#5b21b6"),
    "colour": ("#fef3c7", "#92400e"),
    "size": ("#dcfce7", "#166534"),
    "material": ("#ffe4e6", "#9f1239"),
    "audience": ("#fae8ff", "#86198f"),
    "use": ("#ecfccb", "#3f6212"),
}
MARKS = {
    "examined": ("#f3f4f6", "#4b5563"),
    "clicked": ("#dbeafe", "#1d4ed8"),
    "carted": ("#ffedd5", "#c2410c"),
    "bought": ("#dcfce7", "#15803d"),
    "returned": ("#fee2e2", "#b91c1c"),
}
PLACED = {"sponsored": ("#fef9c3", "#854d0e"), "pinned": ("#e0e7ff", "#3730a3")}
OFF = ("#fee2e2", "#b91c1c")  # how much cheaper than usual
EDGES = {"clicked": "#3b82f6", "carted": "#f97316", "bought": "#22c55e", "returned": "#ef4444"}
# Colours of products, softer than those that web pages know by these names; other names are looked up there.
TILES = {
    "black": "#1f2937", "white": "#f9fafb", "grey": "#9ca3af", "blue": "#3f6fc9", "red": "#d14b4b", "green": "#4c9a68",
    "yellow": "#f0c84b", "pink": "#efa5c0", "brown": "#8a6142", "beige": "#e2d2b2", "orange": "#ea8f45",
    "purple": "#8563b5", "navy": "#2b3a67", "turquoise": "#4fb3b3", "silver": "#c3c8cf", "gold": "#cfa84a",
}  # fmt: skip
UNSEEN = 0.55  # how much of an unexamined result fades into the paper


def page_pixels(page: ResultPage) -> npt.NDArray[np.uint8]:
    """The page as (height, width, 3) uint8; the same size for every page of a world."""
    return np.array(page_image(page))


def page_image(page: ResultPage, typed: int | None = None, judged: bool = True) -> Image.Image:
    """The page as an RGB picture.

    Args:
        page: The page; one without cards is drawn with blank results, as while a shop's page loads.
        typed: How many letters of the query stand in the box, with a caret behind them; None for all without a caret,
            and what was understood.
        judged: Whether to show what the shopper did.
    """
    high = _card_height(page.n_slots)
    height = HEADER + page.n_slots * (high + GAP) + FOOTER
    sheet = Sheet(WIDTH, height)
    _draw_header(sheet, page, typed)
    for slot in range(page.n_slots):
        top = HEADER + slot * (high + GAP)
        card = page.cards[slot] if page.cards else None
        if card is not None:
            _draw_card(sheet, card, slot, top, high, judged)
        else:
            _draw_blank(sheet, top, high, "" if not page.cards else f"slot {slot + 1} is empty")
    if judged and page.cards:
        _draw_footer(sheet, page, height)
    return sheet.shown()


class Sheet:
    """Something to draw on, in pixels of the picture that is shown."""

    def __init__(self, width: int, height: int) -> None:
        """Start with plain paper."""
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def box(
        self, box: tuple[float, float, float, float], fill: str, edge: str = "", radius: float = 8, line: float = 1
    ) -> None:
        """A rounded box; (left, top, right, bottom)."""
        self._draw.rounded_rectangle(
            [SCALE * at for at in box], SCALE * radius, fill, edge or None, round(SCALE * line) if edge else 0
        )

    def ring(self, x: float, y: float, radius: float, edge: str, line: float = 1.5) -> None:
        """A circle."""
        at = [SCALE * each for each in (x - radius, y - radius, x + radius, y + radius)]
        self._draw.ellipse(at, outline=edge, width=round(SCALE * line))

    def line(self, points: list[tuple[float, float]], colour: str, line: float = 1.5) -> None:
        """A line through points."""
        self._draw.line([(SCALE * x, SCALE * y) for x, y in points], colour, round(SCALE * line), joint="curve")

    def text(
        self, at: tuple[float, float], words: str, size: float, colour: str, bold: bool = False, side: str = "l"
    ) -> None:
        """Words at (x, middle): they begin at x ("l"), end there ("r") or are centred on it ("m")."""
        # Anchored on the baseline: on their middles, words with and without descenders would dance on a line.
        x, y = at[0], at[1] + 0.36 * size
        self._draw.text((SCALE * x, SCALE * y), words, colour, font(SCALE * size, bold), anchor=side + "s")

    def fade(self, box: tuple[float, float, float, float], share: float) -> None:
        """Let what stands in a box fade into the paper."""
        at = tuple(round(SCALE * each) for each in box)
        part = self._image.crop(at)  # type: ignore[arg-type]
        self._image.paste(Image.blend(part, Image.new("RGB", part.size, PAPER), share), at[:2])  # type: ignore[arg-type]

    def shown(self) -> Image.Image:
        """The finished picture."""
        return self._image.reduce(SCALE)


@functools.lru_cache(maxsize=64)
def font(size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans at a size in pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    with resources.as_file(resources.files("simenv").joinpath("fonts", name)) as path:
        # The basic layout looks the same with and without the optional shaping library.
        return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def width_of(words: str, size: float, bold: bool = False) -> float:
    """How wide words are, in pixels."""
    return font(SCALE * size, bold).getlength(words) / SCALE


def _draw_header(sheet: Sheet, page: ResultPage, typed: int | None) -> None:
    right = WIDTH - MARGIN
    sheet.box((0, 0, WIDTH, 34), NIGHT, radius=0)
    sheet.text((MARGIN, 17), "SlateLab market", 12.5, "#ffffff", bold=True)
    sheet.text((right, 17), page.where, 11, "#cbd5e1", side="r")

    sheet.box((MARGIN, 46, right, 86), CARD, "#d1d5db", radius=20)
    sheet.ring(MARGIN + 20, 64.5, 6, SOFT, 2)
    sheet.line([(MARGIN + 24.5, 69), (MARGIN + 29, 73.5)], SOFT, 2)
    pill = width_of(page.locale, 11, bold=True) + 18
    sheet.box((right - pill - 8, 55, right - 8, 77), "#eef2ff", radius=11)
    sheet.text((right - 8 - pill / 2, 66), page.locale, 11, "#4338ca", bold=True, side="m")
    chips = _draw_filters(sheet, page, right - pill - 14)
    room = right - pill - 24 - chips - (MARGIN + 40)
    words = _cut(page.query if typed is None else page.query[:typed], 16, room)
    sheet.text((MARGIN + 40, 66), words, 16, INK)
    if typed is not None:
        x = MARGIN + 41.5 + width_of(words, 16)
        sheet.line([(x, 57), (x, 75)], "#4338ca", 1.5)
        return

    x = float(MARGIN)
    sheet.text((x, 106), "understood", 10.5, SOFT)
    x += width_of("understood", 10.5) + 10
    for kind, word in page.understood:
        paper, ink = CHIPS[kind]
        label = width_of(kind, 9.5)
        shown = _cut(word, 11.5, max(40.0, right - x - label - 26), bold=True)
        wide = label + width_of(shown, 11.5, bold=True) + 26
        sheet.box((x, 95, x + wide, 117), paper, radius=11)
        sheet.text((x + 10, 106), kind, 9.5, ink)
        sheet.text((x + 16 + label, 106), shown, 11.5, ink, bold=True)
        x += wide + 6
    if not page.understood:
        sheet.text((x, 106), "nothing", 11.5, FAINT, bold=True)
    sheet.text((MARGIN, 134), f"{page.n_results} results", 11.5, INK, bold=True)
    sheet.text((right, 134), page.place, 10.5, SOFT, side="r")
    if any(card is not None and card.worth is not None for card in page.cards):
        x = MARGIN + width_of(f"{page.n_results} results", 11.5, bold=True) + 16
        sheet.box((x, 132, x + 16, 135.5), WORTH, radius=1.5)
        sheet.text((x + 22, 134), "true worth", 10.5, SOFT)


def _draw_filters(sheet: Sheet, page: ResultPage, right: float) -> float:
    """Filters as chips in the box of the query, the last ending at `right`; how wide they are together."""
    x = right
    for kind, word in reversed(page.filters):
        paper, ink = CHIPS[kind]
        shown = _cut(word, 10.5, 90, bold=True)
        wide = width_of(shown, 10.5, bold=True) + 32
        sheet.box((x - wide, 55, x, 77), paper, ink, radius=11)
        sheet.text((x - wide + 9, 66), shown, 10.5, ink, bold=True)
        sheet.text((x - 9, 66), "×", 12, ink, side="r")
        x -= wide + 5
    return right - x


def _draw_card(sheet: Sheet, card: Card, slot: int, top: float, high: float, judged: bool) -> None:
    tall = high > 70
    mark = card.mark if judged else ""
    box = (MARGIN, top, WIDTH - MARGIN, top + high)
    edge = EDGES.get(mark, LINE)
    sheet.box(box, CARD, edge, radius=10, line=2 if mark in EDGES else 1)

    side = high - (26 if tall else 18)
    left = MARGIN + 34
    sheet.text((MARGIN + 17, top + high / 2), str(slot + 1), 13, FAINT, bold=True, side="m")
    _draw_item(sheet, card, left, top + (high - side) / 2 - (3 if card.worth is not None and tall else 0), side)
    if card.worth is not None:
        y = top + high - (11 if tall else 6)
        sheet.box((left, y, left + side, y + 3.5), LINE, radius=1.5)
        if card.worth * side >= 3:
            sheet.box((left, y, left + card.worth * side, y + 3.5), WORTH, radius=1.5)

    x, right = left + side + 14, WIDTH - MARGIN - 14
    size = 13.5 if tall else 12.5
    lines = _lines(card.title, size, right - x, 2 if tall else 1)
    y = top + (20 if not tall else 19 if len(lines) > 1 else 26)
    for line in lines:
        sheet.text((x, y), line, size, INK)
        y += 19
    y = top + high - (19 if tall else 18)
    if card.rating is not None:
        _draw_stars(sheet, x, y, card.rating)
    sheet.text((right, y), card.price, 15, INK, bold=True, side="r")
    if card.placed:
        paper, ink = PLACED[card.placed]
        wide = width_of(card.placed, 9.5, bold=True) + 12
        sheet.box((x + 96, y - 8, x + 96 + wide, y + 8), paper, ink, radius=4)
        sheet.text((x + 96 + wide / 2, y), card.placed, 9.5, ink, bold=True, side="m")
    end = right - width_of(card.price, 15, bold=True) - 12
    if card.off:
        end -= _draw_off(sheet, card.off, end, y) + 6
    if judged:
        _draw_mark(sheet, card, end, y)
        if not card.mark:
            sheet.fade(box, UNSEEN)


def _draw_item(sheet: Sheet, card: Card, x: float, y: float, side: float) -> None:
    """A tile in the item's colour, with the first letter of its brand."""
    red, green, blue = _rgb(card.colour)
    fill = f"#{red:02x}{green:02x}{blue:02x}"
    dark = 0.3 * red + 0.59 * green + 0.11 * blue < 140
    sheet.box((x, y, x + side, y + side), fill, "#d1d5db" if not dark else "", radius=8)
    ink = "#ffffff" if dark else "#374151"
    sheet.text((x + side / 2, y + side / 2), card.brand[:1].upper(), side * 0.42, ink, bold=True, side="m")


def _draw_stars(sheet: Sheet, x: float, y: float, rating: float) -> None:
    size, step = 12.0, 12.5
    for star in range(5):
        sheet.text((x + star * step, y), "★", size, STAR if rating >= star + 0.5 else "#d1d5db")
    sheet.text((x + 5 * step + 4, y), f"{rating:.1f}", 10.5, SOFT)


def _draw_off(sheet: Sheet, off: int, right: float, y: float) -> float:
    """How much cheaper than usual a result is, ending at `right`; how wide that is."""
    words = f"−{off}%"
    wide = width_of(words, 10, bold=True) + 10
    sheet.box((right - wide, y - 8, right, y + 8), OFF[0], radius=4)
    sheet.text((right - wide / 2, y), words, 10, OFF[1], bold=True, side="m")
    return wide


def _draw_mark(sheet: Sheet, card: Card, right: float, y: float) -> None:
    """The furthest that the shopper went with a result, ending at `right`."""
    if card.mark:
        paper, ink = MARKS[card.mark]
        words = {"bought": "✓ bought", "returned": "↩ returned"}.get(card.mark, card.mark)
        wide = width_of(words, 10, bold=True) + 14
        sheet.box((right - wide, y - 9, right, y + 9), paper, radius=9)
        sheet.text((right - wide / 2, y), words, 10, ink, bold=True, side="m")


def _draw_blank(sheet: Sheet, top: float, high: float, words: str) -> None:
    """A result that is not there: still loading, or an empty slot with words that say so."""
    sheet.box((MARGIN, top, WIDTH - MARGIN, top + high), "#fafafa", LINE, radius=10)
    if words:
        sheet.text((WIDTH / 2, top + high / 2), words, 11, FAINT, side="m")
        return
    side = high - (26 if high > 70 else 18)
    left = MARGIN + 34
    sheet.box((left, top + (high - side) / 2, left + side, top + (high + side) / 2), LINE, radius=8)
    x = left + side + 14
    for y, wide in ((top + high * 0.3, 240), (top + high * 0.68, 130)):
        sheet.box((x, y - 5, x + wide, y + 5), LINE, radius=5)


def _draw_footer(sheet: Sheet, page: ResultPage, height: int) -> None:
    cards = [card for card in page.cards if card is not None]
    counts = (
        (sum(card.examined for card in cards), "examined"),
        (sum(card.clicked for card in cards), "clicked"),
        (sum(card.carted for card in cards), "carted"),
        (sum(card.bought for card in cards), "bought"),
        (sum(card.returned for card in cards), "returned"),
    )
    parts = [f"{n} {what}" for n, what in counts if n] or ["nothing examined"]
    told = ("  ·  " if len(parts) < 5 else " · ").join(parts)
    y = height - FOOTER / 2
    sheet.text((MARGIN, y), told, 11, SOFT)
    sheet.text((WIDTH - MARGIN, y), f"the shopper {page.ending}", 11, SOFT, bold=True, side="r")


def _card_height(n_slots: int) -> int:
    """Room for two lines of title on a short page, for one on a long one; even, as videos want their sizes."""
    return 88 if n_slots <= 6 else 62


def _rgb(colour: str) -> tuple[int, ...]:
    """A colour by its English name; grey for one that nobody knows."""
    try:
        return ImageColor.getrgb(TILES.get(colour, colour))[:3]
    except ValueError:
        return ImageColor.getrgb(FAINT)[:3]


def _lines(words: str, size: float, room: float, most: int) -> list[str]:
    """Words broken into lines that fit, the last one cut where there are too many."""
    lines: list[str] = []
    rest = words.split(" ")
    while rest and len(lines) < most - 1:
        n = len(rest)
        while n > 1 and width_of(" ".join(rest[:n]), size) > room:
            n -= 1
        lines.append(_cut(" ".join(rest[:n]), size, room))
        rest = rest[n:]
    return [*lines, _cut(" ".join(rest), size, room)] if rest else lines


def _cut(words: str, size: float, room: float, bold: bool = False) -> str:
    """Words, ending in dots where they are wider than the room."""
    if width_of(words, size, bold) <= room:
        return words
    while words and width_of(words + "…", size, bold) > room:
        words = words[:-1]
    return words.rstrip() + "…"
