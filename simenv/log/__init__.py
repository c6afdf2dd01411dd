"""The log: what a shop would have written down, complete enough to compute every propensity again.

`schema` says what a row is, `write` makes a log, `read` streams one as
`batch`es, `rules` refuses what cannot be. `docs/log-schema.md` is the same for people.
"""

from simenv.log.batch import LogBatch
from simenv.log.read import Log, RowGroup, read_catalogue
from simenv.log.schema import SCHEMA_VERSION
from simenv.log.write import write_log

__all__ = ["SCHEMA_VERSION", "Log", "LogBatch", "RowGroup", "read_catalogue", "write_log"]
