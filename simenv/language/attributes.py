"""The attributes of products beyond colour: size, material, audience, use, where they fit the category."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simenv import hashing
from simenv.language.lexicon import Ints, Lexicon

# Of products whose category can have it, the share that has one value of it and no other. The rest come in all sizes,
# in no material to speak of, for everybody, for everything. Our choice, not measured.
SHARES = {"size": 0.6, "material": 0.8, "audience": 0.75, "use": 0.6}

_STREAM = hashing.stream(0, "attributes")


def item_attributes(lexicon: Lexicon, category: npt.NDArray[np.integer], key: hashing.Keys) -> Ints:
    """Size, material, audience and use of products.

    Args:
        lexicon: Which values fit which category.
        category: (I,)
        key: (I,) uint64 keys of the products, those that their titles are made from.

    Returns:
        (I, 4) int32 values, -1 where the product has none in particular.
    """
    own = hashing.absorb(key, _STREAM)[:, None]
    columns = np.arange(len(SHARES))
    n = lexicon.n_fits[1:, category].T  # (I, 4)
    value = lexicon.fits[
        columns + 1, category[:, None], hashing.integers(hashing.absorb(own, columns), np.maximum(n, 1))
    ]
    has = hashing.uniform(hashing.absorb(own, columns + len(SHARES))) < np.array(list(SHARES.values()))
    return np.where((n > 0) & has, value, -1).astype(np.int32)
