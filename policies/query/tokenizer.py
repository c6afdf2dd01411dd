"""A tokenizer trained on the market's own text, for all locales together: words, their pieces and their letters.

Text is put in Unicode's composed form (NFC) and lower case, and cut at white space. A word becomes byte-pair pieces
(Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units", 2016), which give the text
back, and the trigrams of its letters (as in Bojanowski et al., "Enriching word vectors with subword information",
2017), most of which a misspelling leaves in place. A piece or trigram that training never saw is `UNKNOWN`.

Everything is decided by counts and, among equals, by the alphabet: the same texts give the same tokenizer.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from simenv.errors import UserError

PAD, UNKNOWN = 0, 1
N_SPECIAL = 2
UNKNOWN_TEXT = "\N{REPLACEMENT CHARACTER}"
START, END = "\x02", "\x03"  # of a word, in its trigrams; END also closes its last piece
MOST_IDS = 40  # of one word: a longer word loses the rest
MOST_WORDS = 12  # of one text
MOST_KEPT = 200_000  # words whose ids are kept at hand

I32 = npt.NDArray[np.int32]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Words:
    """Texts as words, and words as ids.

    Attributes:
        word: (N, T) int32 places in `ids`, -1 past the end of a text.
        ids: (W, P) int32 ids of each distinct word, `PAD` past its end.
        text: (W,) the words themselves, normalised.
    """

    word: I32
    ids: I32
    text: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """Pieces and trigrams with their ids. Train one with `train_tokenizer`.

    Attributes:
        merges: Byte-pair merges, the first learned first.
        pieces: Their texts and the single letters; piece i has the id N_SPECIAL + i.
        trigrams: Ids follow those of the pieces.
    """

    merges: tuple[Pair, ...]
    pieces: tuple[str, ...]
    trigrams: tuple[str, ...]
    _rank: dict[Pair, int] = field(init=False, repr=False)
    _piece_id: dict[str, int] = field(init=False, repr=False)
    _trigram_id: dict[str, int] = field(init=False, repr=False)
    _known: dict[str, tuple[int, ...]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Index what was learned."""
        first = N_SPECIAL + len(self.pieces)
        object.__setattr__(self, "_rank", {pair: i for i, pair in enumerate(self.merges)})
        object.__setattr__(self, "_piece_id", {piece: N_SPECIAL + i for i, piece in enumerate(self.pieces)})
        object.__setattr__(self, "_trigram_id", {text: first + i for i, text in enumerate(self.trigrams)})

    @property
    def n_ids(self) -> int:
        """How many ids there are, the special ones included."""
        return N_SPECIAL + len(self.pieces) + len(self.trigrams)

    def words(self, texts: Sequence[str]) -> Words:
        """Texts as ids; each distinct word is looked up once."""
        split = [normalised(text).split()[:MOST_WORDS] for text in texts]
        place: dict[str, int] = {}
        word = np.full((len(split), max(1, max(map(len, split), default=1))), -1, dtype=np.int32)
        for row, words in enumerate(split):
            for t, each in enumerate(words):
                word[row, t] = place.setdefault(each, len(place))
        return Words(word, self.table(place), tuple(place))

    def table(self, words: Iterable[str]) -> I32:
        """The ids of normalised words, (W, P), padded with `PAD`; one row of it where there is no word."""
        found = [self._ids(word) for word in words] or [()]
        table = np.full((len(found), max(1, max(map(len, found), default=1))), PAD, dtype=np.int32)
        for row, ids in enumerate(found):
            table[row, : len(ids)] = ids
        return table

    def encode(self, text: str) -> list[int]:
        """The ids of a text's pieces, in order, without trigrams: what `decode` reads."""
        return [
            self._piece_id.get(piece, UNKNOWN) for word in normalised(text).split() for piece in self._pieces_of(word)
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """The normalised text behind `encode`; a letter that training never saw comes back as U+FFFD."""
        known = "".join(UNKNOWN_TEXT if i == UNKNOWN else self.pieces[i - N_SPECIAL] for i in ids)
        return known.replace(END, " ").strip()

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        return {
            "merges": [list(pair) for pair in self.merges],
            "pieces": list(self.pieces),
            "trigrams": list(self.trigrams),
        }

    def _ids(self, word: str) -> tuple[int, ...]:
        found = self._known.get(word)
        if found is None:
            pieces = [self._piece_id.get(piece, UNKNOWN) for piece in self._pieces_of(word)]
            letters = [i for i in map(self._trigram_id.get, _trigrams(word)) if i is not None]
            found = tuple([*pieces, *letters][:MOST_IDS])
            if len(self._known) < MOST_KEPT:
                self._known[word] = found
        return found

    def _pieces_of(self, word: str) -> list[str]:
        """Byte-pair pieces: the earliest-learned merge first, until none applies."""
        pieces = [*word, END]
        while len(pieces) > 1:
            ranks = [self._rank.get(pair, len(self._rank)) for pair in pairwise(pieces)]
            best = min(ranks)
            if best == len(self._rank):
                break
            pieces = _merged(pieces, self.merges[best])
        return pieces


def normalised(text: str) -> str:
    """Composed (NFC) and lower case; lower case first, since it can take letters apart."""
    return unicodedata.normalize("NFC", text.lower())


def train_tokenizer(
    texts: Iterable[str], n_merges: int = 2000, n_trigrams: int = 8000, least_count: int = 2
) -> Tokenizer:
    """A tokenizer of the words of texts.

    Args:
        texts: Queries and titles, of all locales.
        n_merges: Pieces to learn beyond single letters, at most.
        n_trigrams: Trigrams to know, the most frequent.
        least_count: Pairs and trigrams seen more rarely than this are not learned.

    Raises:
        UserError: where the texts hold no word.
    """
    count = Counter(word for text in texts for word in normalised(text).split())
    if not count:
        raise UserError("the texts to train a tokenizer on hold no word; expected queries or titles.")
    merges = _learn_merges(count, n_merges, least_count)
    letters = sorted({letter for word in count for letter in word} | {END})
    pieces = dict.fromkeys([*letters, *(left + right for left, right in merges)])  # two merges can make one piece
    trigram_count: Counter[str] = Counter()
    for word, times in count.items():
        for trigram in _trigrams(word):
            trigram_count[trigram] += times
    frequent = sorted((-times, text) for text, times in trigram_count.items() if times >= least_count)
    return Tokenizer(tuple(merges), tuple(pieces), tuple(text for _, text in frequent[:n_trigrams]))


def tokenizer_from_json(held: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that `Tokenizer.as_json` describes.

    Raises:
        UserError: where something is missing or of another type.
    """
    try:
        merges = tuple((str(left), str(right)) for left, right in held["merges"])
        pieces, trigrams = (tuple(map(str, held[name])) for name in ("pieces", "trigrams"))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the tokenizer is damaged ({error!r}). Train the encoder again.") from error
    return Tokenizer(merges, pieces, trigrams)


def _learn_merges(count: Mapping[str, int], n_merges: int, least_count: int) -> list[Pair]:
    """Merge the most frequent pair of neighbours, again and again."""
    words = sorted(count)
    pieces = [[*word, END] for word in words]
    times: Counter[Pair] = Counter()
    where: dict[Pair, set[int]] = defaultdict(set)  # which words may hold a pair
    for i, word in enumerate(words):
        _count_pairs(pieces[i], count[word], i, times, where)
    merges: list[Pair] = []
    while len(merges) < n_merges and times:
        best = min(times, key=lambda pair: (-times[pair], pair))
        if times[best] < least_count:
            break
        merges.append(best)
        for i in where.pop(best):
            _count_pairs(pieces[i], -count[words[i]], i, times, where)
            pieces[i] = _merged(pieces[i], best)
            _count_pairs(pieces[i], count[words[i]], i, times, where)
        del times[best]
    return merges


def _count_pairs(pieces: list[str], n: int, word: int, times: Counter[Pair], where: dict[Pair, set[int]]) -> None:
    for pair in pairwise(pieces):
        times[pair] += n
        if n > 0:
            where[pair].add(word)


def _merged(pieces: list[str], pair: Pair) -> list[str]:
    made: list[str] = []
    for piece in pieces:
        if made and made[-1] == pair[0] and piece == pair[1]:
            made[-1] = pair[0] + pair[1]
        else:
            made.append(piece)
    return made


def _trigrams(word: str) -> list[str]:
    closed = START + word + END
    return [closed[i : i + 3] for i in range(len(closed) - 2)]
