"""The dictionary that forgives: distances by hand, and against the definition."""

import numpy as np

from policies.query.baseline import corrector, edit_distances
from simenv.language import load_lexicon


def defined_distance(one: str, other: str) -> int:
    """Optimal string alignment, cell by cell."""
    d = {(i, j): i + j for i in range(len(one) + 1) for j in range(len(other) + 1) if not i or not j}
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            changed = d[i - 1, j - 1] + (one[i - 1] != other[j - 1])
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, changed)
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                d[i, j] = min(d[i, j], d[i - 2, j - 2] + 1)
    return d[len(one), len(other)]


def test_distances_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(1)
    words = ["".join(rng.choice(list("abc"), size=rng.integers(1, 8))) for _ in range(40)]
    letters = np.zeros((40, 7), dtype=np.int32)
    for row, word in enumerate(words):
        letters[row, : len(word)] = [ord(letter) for letter in word]
    length = np.array([len(word) for word in words], dtype=np.int32)
    for word in words[:10]:
        assert edit_distances(word, letters, length).tolist() == [defined_distance(word, other) for other in words]


def test_misspelt_words_are_read_and_strange_ones_are_not() -> None:
    lexicon = load_lexicon()
    at = lexicon.locales.index("en-GB")
    reader = corrector(lexicon, ("Nempobe", "Zorli"))
    right = reader.read(["nempobe sneakers"], np.array([at]))
    wrong = reader.read(["nepmobe sneekers", "nempobe qqqqqqqq", "sneekers"], np.array([at] * 3))
    assert wrong[0].tolist() == right[0].tolist()
    assert wrong[1].tolist() == [-1, 0, -1, -1, -1, -1, -1]
    assert wrong[2, 0] == right[0, 0] >= 0
