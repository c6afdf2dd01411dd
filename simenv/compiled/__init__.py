"""The world's three functions compiled by numba: the numpy definition row by row, nothing materialised in between.

`simenv.world` is the definition, and plays every world; where numba is installed and `supported` names no obstacle, it
hands its three doors to `CompiledWorld`, the twin. The two are equal in the sense of the house: ids, uniforms and
integer state bit for bit; floats to a few ulp; events wherever no draw lies on its threshold.

Each kernel says whose twin it is. A mechanism that is new in the definition must be refused by
`simenv.compiled.twin.supported` until it has a twin here.
"""

from __future__ import annotations
