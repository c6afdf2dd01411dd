"""The market's languages: what shoppers type and what product pages are called.

Physics decides a query as integers (`QueryParts`); `query_strings` writes it down only when somebody reads it, and
`recognise` says what a plain dictionary understands of it. Words live in `data/*.toml`, which a person can edit and
then prove with `check_lexicon` and `check_titles`. Two functions share a name with their file and are imported from
there: `simenv.language.titles.titles` and `simenv.language.misspell.misspell`.
"""

from simenv.language.brands import brand_names
from simenv.language.dictionary import check_lexicon, recognise
from simenv.language.lexicon import Lexicon, load_lexicon
from simenv.language.queries import QueryParts, query_strings, recognised_terms
from simenv.language.titles import check_titles

__all__ = [
    "Lexicon",
    "QueryParts",
    "brand_names",
    "check_lexicon",
    "check_titles",
    "load_lexicon",
    "query_strings",
    "recognise",
    "recognised_terms",
]
