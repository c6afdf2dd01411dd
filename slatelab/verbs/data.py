"""`slatelab data NAME`: obtains a public data set, makes a real market of one, or looks at a real market's files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from slatelab.output import print_json, print_note, print_result, print_table, stdout_kept_clean


def data(
    name: Annotated[
        Literal["obd", "icecat", "check"],
        typer.Argument(
            help="obd: the small sample of the Open Bandit data set. icecat: a real market from the Chorus electronics "
            "files. check: a dry run of a real market."
        ),
    ],
    market: Annotated[Path | None, typer.Argument(metavar="[MARKET.toml]", help="check: the mapping file.")] = None,
    cache: Annotated[Path, typer.Option(help="obd: the folder to keep it in.")] = Path("data/obd"),
    source: Annotated[Path | None, typer.Option(help="icecat: the folder with the Chorus files.")] = None,
    out: Annotated[Path | None, typer.Option(help="icecat: the market's folder, to be made.")] = None,
    judge: Annotated[
        bool, typer.Option("--judge", help="check: also fit relevance and judge plain rankings by the grades.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="check: print one JSON object and no tables.")] = False,
) -> None:
    """Obtain a data set, make a real market of one, or check a real market's files."""
    from simenv.errors import UserError

    if name == "check":
        if market is None:
            raise UserError("data check: which market? Give its mapping file, for example data/icecat/market.toml.")
        _check(market, judge, as_json)
        return
    if market is not None:
        raise UserError(f"data {name}: '{market}' is one argument too many; only check takes a file.")
    if name == "obd":
        from offpolicy.obd_fetch import fetch

        print_result(str(fetch(cache)))
        return
    from simenv.real.icecat import convert

    if source is None or out is None:
        raise UserError(
            "data icecat: give --source (the folder with the Chorus files) and --out (the market's folder)."
        )
    made = convert(source, out)
    print_note(f"Look at it with: slatelab data check {made}")
    print_result(str(made))


def _check(market: Path, judge: bool, as_json: bool) -> None:
    """Print what was understood and, if asked, how plain rankings are judged."""
    from simenv.real import dry_run

    with stdout_kept_clean():
        told = dry_run.understood(market)
        if judge:
            told |= dry_run.text_report(market) | dry_run.judged(market)
    if as_json:
        print_json(told)
        return
    print_table(["what", "how much"], _counts(told), right=["how much"])
    first = [[each["id"], each["title"], each["brand"], each["category"], f"{each['price']:.2f}"]
             for each in told["first_products"]]  # fmt: skip
    print_table(["id", "title", "brand", "category", "euros"], first, right=["euros"], wrap=["title"])
    print_result(f"First queries: {', '.join(told['first_queries'])}")
    if told["attribution"]:
        print_result(told["attribution"])
    for sentence in told["missing"]:
        print_result(sentence)
    if judge:
        _print_judged(told)


def _counts(told: dict[str, Any]) -> list[list[str]]:
    """Return the counts as rows."""
    low, middle, high = told["price_euros"]
    rows = [
        [name.replace("_", " "), f"{told[name]:,}"]
        for name in ("products", "categories", "brands", "queries", "judged_queries", "judged_pairs", "raters")
    ]
    rows.append(["price in euros: least, median, most", f"{low:,.2f}, {middle:,.2f}, {high:,.2f}"])
    for role, each in told["attributes"].items():
        rows.append([f"products with a {role}", f"{each['share']:.0%} ({each['values']:,} values)"])
    return rows


def _print_judged(told: dict[str, Any]) -> None:
    """Print the text model's error, the rankings and the raters' noise."""
    model = told["text_model"]
    if model is not None:
        print_result(
            f"Text model on unseen queries: error {model['error']:.3f} of a grade in [0, 1], {model['naive']:.3f} by "
            f"the mean grade alone; correlation {model['correlation']:.2f}."
        )
    rows = [[each["ranker"], each["reading"], f"{each['queries']}", _span(each, "ndcg", "low", "high"),
             _span(each, "difference", "difference_low", "difference_high")] for each in told["rankings"]]  # fmt: skip
    columns = ["ranking", "reading", "queries", "NDCG@10 (95% interval)", "less BM25's"]
    print_table(columns, rows, right=columns[2:])
    if "agreement" not in told:
        return
    agreed = told["agreement"]
    print_result(
        f"{agreed['raters']} raters agree on {agreed['unanimous']:.1%} of {agreed['pairs']:,} pairs; Krippendorff's "
        f"alpha {agreed['alpha']:.2f} (ordinal)."
    )
    rows = [[each["ranker"], f"{each['mean']:.3f} ± {each['spread']:.3f}",
             f"{each['difference']:+.3f} ± {each['difference_spread']:.3f}", f"{each['sign_kept']:.0%}"]
            for each in told["rater_noise"]]  # fmt: skip
    columns = ["ranking", "NDCG@10, raters drawn anew", "less BM25's", "same sign"]
    print_table(columns, rows, right=columns[1:])
    ceilings = ", ".join(f"{each:.3f}" for each in told["one_rater_judged_by_the_others"])
    print_result(f"Ceiling: ranking by one rater's grades, judged by the others': {ceilings}.")


def _span(row: dict[str, Any], name: str, low: str, high: str) -> str:
    return f"{row[name]:.3f} ({row[low]:.3f} to {row[high]:.3f})"
