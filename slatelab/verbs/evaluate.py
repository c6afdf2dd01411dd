"""`slatelab evaluate`: what a policy would have been worth, from another policy's log, and whether to believe it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from slatelab.asked import Asked, foreign_of, judge, names_in, numbers_in, range_in, refuse_unheard
from slatelab.output import print_note, stdout_kept_clean
from slatelab.told import print_dry_run, print_evaluation


def evaluate(
    context: typer.Context,
    logs: Annotated[
        list[Path],
        typer.Option("--log", help="The log: a file, or a folder of files. Several native ones are judged together."),
    ],
    log_format: Annotated[
        Literal["native", "obd", "mapped", "dsjson", "ubi"] | None,
        typer.Option(
            "--format",
            help="SlateLab's own log (the default), Open Bandit's, any table with a --mapping (docs/any-log.md), "
            "Vowpal Wabbit's JSON, or OpenSearch's UBI.",
        ),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="For tables (CSV, Parquet, JSON lines): a TOML file that says what columns are.")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="module:function; for native logs, and mapped ones with [ranker], also a registry name or a saved "
            "model's folder; for dsjson also 'uniform' or 'logged-greedy'."
        ),
    ] = None,
    loggers: Annotated[
        list[str] | None,
        typer.Option(
            "--logger",
            metavar="NAME=POLICY",
            help="For native logs of several loggers: what a name in their column 'policy' is, to weigh rows by all.",
        ),
    ] = None,
    shopper: Annotated[str, typer.Option(help="For dsjson: where an event names its shopper, as c.GUser.id.")] = "",
    examination: Annotated[
        str | None,
        typer.Option(metavar="1,.6,.4", help="For UBI: how much each slot is looked at, where that is known."),
    ] = None,
    is_dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say what was understood of a log of another make and what can run."),
    ] = False,
    target_table: Annotated[
        str | None, typer.Option(help="For Open Bandit: a CSV of the target's action probabilities, or 'uniform'.")
    ] = None,
    campaign: Annotated[str | None, typer.Option(help="For Open Bandit: all, men or women.")] = None,
    estimators: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these, from `slatelab list estimators`.")
    ] = None,
    level: Annotated[float, typer.Option(min=0.5, max=0.9999, help="The level of the intervals.")] = 0.95,
    interval_rule: Annotated[
        str, typer.Option("--interval", metavar="NAME", help="One of `slatelab list intervals`.")
    ] = "t",
    replicates: Annotated[int, typer.Option(min=100, help="Of a bootstrap interval.")] = 1000,
    reward_range: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="The least and largest reward a row can have.")
    ] = None,
    max_weight: Annotated[
        float | None, typer.Option(help="The largest weight a row can have; a logger's floor tells it by itself.")
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="Also say how many more searches make the interval this narrow.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Also by segment: locale, device, visitor, page or category.")
    ] = None,
    per: Annotated[
        str, typer.Option(help="What a value is of: search (over the logger's), session or shopper (the policy's own).")
    ] = "search",
    rewards: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Judge by these: clicks, carts, purchases, returns, revenue; the mapping's for tables."
        ),
    ] = None,
    quantile: Annotated[
        float | None, typer.Option(metavar=".9", help="Also this quantile of a search's reward, and the mean beyond.")
    ] = None,
    reward_model: Annotated[
        str,
        typer.Option(
            metavar="folds|past",
            help="The reward model of a shopper is fitted on other folds of shoppers, or (as --interval betting and "
            "sequence need for dr) on earlier shoppers alone.",
        ),
    ] = "folds",
    refits: Annotated[
        int | None,
        typer.Option(
            min=100,
            help="Fit dm's reward model again on so many resampled logs (1,000 for a 95% interval): variance only.",
        ),
    ] = None,
    is_stream: Annotated[
        bool,
        typer.Option("--stream", help="Read the log once, in memory that does not grow with it (docs/any-size.md)."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="With --stream: read on so many processes at once, by Ray.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="With --stream: a folder that keeps what was read, to go on after a stop.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of the folds of cross-fitting, and of resampling.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Also leave a run folder that `slatelab report` draws.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and no table.")] = False,
) -> None:
    """Estimate a policy's value from a log, with its lift over the logger, an interval and a verdict."""
    refuse_unheard(log_format, mapping, shopper, examination, out)
    asked = Asked(
        logs=tuple(logs), loggers=tuple(loggers or ()), log_format=log_format, mapping=mapping,
        policy=policy, shopper=shopper, examination=numbers_in(examination), target_table=target_table,
        campaign=campaign,
        estimators=names_in(estimators), level=level, seed=seed, is_dry_run=is_dry_run, is_stream=is_stream,
        workers=workers, state=state,
    )  # fmt: skip
    foreign = foreign_of(asked)
    if is_dry_run and foreign is not None:
        print_dry_run(foreign, as_json)
        return
    with stdout_kept_clean():
        from scenarios.evaluation import Wishes

        wishes = Wishes(
            interval=interval_rule, replicates=replicates, reward_range=range_in(reward_range), max_weight=max_weight,
            width=width, by=by, per=per, rewards=tuple(names_in(rewards) or ()), quantile=quantile,
            reward_model=reward_model, refits=refits,
        )  # fmt: skip
        evaluation = judge(context, asked, foreign, wishes)
        run_dir = evaluation.write(out) if out else None
    print_evaluation(evaluation, as_json)
    if run_dir:
        print_note(f"Written to {run_dir}. Draw it with: slatelab report {run_dir}")
