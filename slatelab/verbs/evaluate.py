"""`slatelab evaluate`: what a policy would have been worth, from another policy's log, and whether to believe it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from slatelab.output import print_json, print_note, print_result, stdout_kept_clean
from slatelab.told import (
    print_audit,
    print_dry_run,
    print_estimates,
    print_plans,
    print_quantiles,
    print_segments,
    print_sensitivity,
)

if TYPE_CHECKING:
    from scenarios.evaluation import Evaluation, Wishes
    from scenarios.foreign import ForeignLog


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
            help="module:function; for native logs also a registry name or a saved model's folder; for dsjson also "
            "'uniform' or 'logged-greedy'."
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
    names = [name.strip() for name in estimators.split(",")] if estimators else None
    foreign: ForeignLog | None = None
    log, is_several = logs[0], len(logs) > 1 or bool(loggers)
    if is_several:
        _check_several(log_format, is_stream, (mapping, target_table, campaign))
    _check_options(log_format, mapping, shopper, examination, out)
    if mapping is not None or is_dry_run or log_format in ("mapped", "dsjson", "ubi"):
        if (target_table, campaign) != (None, None):
            raise _not_open_bandit()
        foreign = _foreign_log(log, log_format, mapping, policy, shopper, _looks(examination))
        if is_dry_run:
            print_dry_run(foreign, as_json)
            return
    with stdout_kept_clean():
        wishes = replace(
            _wishes(interval_rule, replicates, reward_range, max_weight, width),
            by=by,
            per=per,
            rewards=tuple(name.strip() for name in rewards.split(",")) if rewards else (),
            quantile=quantile,
        )
        if is_several:
            evaluation = _several(context, (logs, loggers or [], policy), names, level, seed, wishes)
        elif is_stream or workers is not None or state is not None:
            _check_streamed(is_stream, log_format, wishes, target_table or campaign)
            evaluation = _streamed(context, (log, policy, mapping), (workers, state), (names, level, seed), wishes)
        elif foreign is not None:
            evaluation = _foreign(foreign, names, level, seed, wishes)
        elif log_format == "obd":
            evaluation = _open_bandit(log, policy, target_table, campaign, names, level, wishes)
        else:
            evaluation = _native(context, log, policy, target_table, campaign, names, level, seed, wishes)
        records = evaluation.records()
        run_dir = evaluation.write(out) if out else None
    if as_json:
        beside = {
            "audit": evaluation.audit,
            "plans": evaluation.plans,
            "segments": evaluation.segments,
            "sensitivity": evaluation.sensitivity,
            "quantiles": evaluation.quantiles,
            "unanswered": evaluation.unanswered,
        }
        print_json({"estimates": records} | {name: list(rows) for name, rows in beside.items() if rows})
    else:
        for reward in dict.fromkeys(record.get("reward") for record in records):
            if reward is not None:
                print_result(f"Reward: {reward}")
            print_estimates([record for record in records if record.get("reward") == reward])
        print_plans(evaluation.plans)
        print_quantiles(evaluation.quantiles, evaluation.unanswered)
        print_sensitivity(evaluation.sensitivity)
        print_audit(evaluation.audit)
        print_segments(evaluation.segments)
    if run_dir:
        print_note(f"Written to {run_dir}. Draw it with: slatelab report {run_dir}")


def _wishes(
    interval_rule: str, replicates: int, reward_range: str | None, max_weight: float | None, width: float | None
) -> Wishes:
    """What is asked of intervals, and what is declared of rewards and weights."""
    from scenarios.evaluation import Wishes
    from simenv.errors import UserError

    if reward_range is None:
        return Wishes(interval_rule, replicates, None, max_weight, width)
    try:
        low, high = (float(end) for end in reward_range.split(","))
    except ValueError as error:
        raise UserError(f"--reward-range is '{reward_range}'; expected two numbers, such as 0,1 or 0,inf.") from error
    return Wishes(interval_rule, replicates, (low, high), max_weight, width)


def _check_streamed(is_stream: bool, log_format: str | None, wishes: Wishes, open_bandit: str | None) -> None:
    """Refuse what one pass cannot make, with what to do."""
    from simenv.errors import UserError

    if not is_stream:
        raise UserError("--workers and --state belong to --stream; add it, or leave them out.")
    if log_format not in (None, "native", "mapped") or open_bandit:
        raise UserError(
            "--stream reads SlateLab's own logs and Parquet with a --mapping; other makes are read whole. Write them "
            "as Parquet, or leave out --stream."
        )
    if (wishes.by, wishes.per, wishes.width, wishes.rewards, wishes.quantile) != (None, "search", None, (), None):
        raise UserError(
            "--by, --per, --width, --rewards and --quantile need all rows at once; leave them out, or --stream."
        )


def _streamed(
    context: typer.Context,
    given: tuple[Path, str | None, Path | None],
    how: tuple[int | None, Path | None],
    asked: tuple[list[str] | None, float, int],
    wishes: Wishes,
) -> Evaluation:
    """Evaluate a policy in one pass: log, policy and mapping; workers and state; estimators, level and seed."""
    from scenarios.config import Estimation
    from scenarios.progress import progress_on_stderr
    from scenarios.stream import Streaming, evaluate_stream

    (log, policy, mapping), (workers, state), (names, level, seed) = given, how, asked
    settings = Estimation(estimators=names, level=level, interval=wishes.interval, replicates=wishes.replicates)
    with progress_on_stderr(context.obj) as progress:
        return evaluate_stream(
            log,
            policy,
            mapping=mapping,
            settings=settings,
            seed=seed,
            progress=progress,
            streaming=Streaming(workers or 0, state),
        )


def _check_several(log_format: str | None, is_stream: bool, others: tuple[object, ...]) -> None:
    """Refuse several logs where only one can be read."""
    from simenv.errors import UserError

    if is_stream:
        raise UserError("--stream reads one log; give one --log and no --logger, or leave out --stream.")
    if log_format not in (None, "native") or any(one is not None for one in others):
        raise UserError(
            "several --log, and --logger, are for SlateLab's own logs. In a table name each row's logger instead: "
            "columns.logger and [loggers] of the mapping (docs/any-log.md)."
        )


def _several(
    context: typer.Context,
    given: tuple[list[Path], list[str], str | None],
    names: list[str] | None,
    level: float,
    seed: int,
    wishes: Wishes,
) -> Evaluation:
    """Evaluate a policy on SlateLab's own logs of several loggers."""
    from scenarios.config import Estimation
    from scenarios.progress import progress_on_stderr
    from scenarios.several import Loggers, evaluate_several
    from simenv.errors import UserError

    logs, pairs, policy = given
    if policy is None:
        raise UserError("native logs need --policy: a registry name, a saved model's folder, or module:function.")
    bad = [pair for pair in pairs if not all(pair.partition("="))]
    if bad:
        raise UserError(f"--logger is '{bad[0]}'; expected NAME=POLICY, the name as in the log's column 'policy'.")
    loggers = Loggers(tuple(logs), {name: spec for name, _, spec in (pair.partition("=") for pair in pairs)})
    settings = Estimation(estimators=names, level=level, interval=wishes.interval, replicates=wishes.replicates)
    with progress_on_stderr(context.obj) as progress:
        return evaluate_several(loggers, policy, settings, seed, progress, wishes)


def _native(
    context: typer.Context,
    log: Path,
    policy: str | None,
    target_table: str | None,
    campaign: str | None,
    names: list[str] | None,
    level: float,
    seed: int,
    wishes: Wishes,
) -> Evaluation:
    """Evaluate a policy on SlateLab's own log."""
    from simenv.errors import UserError

    if policy is None:
        raise UserError(
            "a native log needs --policy: a name from `slatelab list policies`, a saved model's folder, or "
            "module:function. For an Open Bandit log add --format obd --target-table TABLE."
        )
    if target_table is not None or campaign is not None:
        raise _not_open_bandit()
    if log.exists() and not (log / "log.json").is_file():
        raise UserError(
            f"'{log}' has no log.json, so SlateLab did not write it. For tables (CSV, Parquet, JSON lines) give "
            "--mapping MAP.toml, which says what columns are (docs/any-log.md); for others --format obd, dsjson or ubi."
        )
    from scenarios.evaluate import evaluate_native
    from scenarios.progress import progress_on_stderr

    with progress_on_stderr(context.obj) as progress:
        return evaluate_native(log, policy, estimators=names, level=level, seed=seed, progress=progress, wishes=wishes)


def _open_bandit(
    log: Path,
    policy: str | None,
    target_table: str | None,
    campaign: str | None,
    names: list[str] | None,
    level: float,
    wishes: Wishes,
) -> Evaluation:
    """Evaluate a table of action probabilities on an Open Bandit log."""
    from simenv.errors import UserError

    if target_table is None:
        raise UserError("an Open Bandit log needs --target-table: a CSV of action probabilities, or 'uniform'.")
    if policy is not None:
        raise UserError("--policy belongs to native logs; an Open Bandit log takes its target from --target-table.")
    from scenarios.evaluate import evaluate_open_bandit

    return evaluate_open_bandit(log, target_table, campaign=campaign, estimators=names, level=level, wishes=wishes)


def _foreign_log(
    log: Path,
    log_format: str | None,
    mapping: Path | None,
    policy: str | None,
    shopper: str,
    examination: tuple[float, ...],
) -> ForeignLog:
    """Return how a log of another make is to be read; a mapping alone says that it is a table."""
    from scenarios.foreign import ForeignLog
    from simenv.errors import UserError

    match log_format:
        case "mapped" | "dsjson" | "ubi":
            return ForeignLog(log, log_format, mapping, policy, shopper, examination)
        case None if mapping is not None:
            return ForeignLog(log, "mapped", mapping, policy, shopper)
    if mapping is not None:
        raise UserError(f"--mapping belongs to tables; a log of format {log_format} says itself what is what.")
    raise UserError(
        "--dry-run belongs to logs of another make: give --mapping MAP.toml, or --format dsjson or ubi, with it."
    )


def _check_options(
    log_format: str | None, mapping: Path | None, shopper: str, examination: str | None, out: Path | None
) -> None:
    """Refuse what would be passed over in silence, and a folder that cannot be written, before a log is read."""
    from scenarios.folder import require_new
    from simenv.errors import UserError

    if shopper and log_format != "dsjson":
        there = "columns.shopper of the mapping" if mapping is not None else "the log itself"
        raise UserError(f"--shopper belongs to --format dsjson; here {there} names shoppers. Leave it out.")
    if examination is not None and log_format != "ubi":
        raise UserError("--examination belongs to --format ubi; in a mapping write examination = [1.0, 0.6, 0.4].")
    if out is not None:
        require_new(out)


def _looks(examination: str | None) -> tuple[float, ...]:
    """Return the numbers of --examination."""
    from simenv.errors import UserError

    try:
        return tuple(float(number) for number in examination.split(",")) if examination else ()
    except ValueError:
        raise UserError(f"--examination is '{examination}'; expected numbers such as 1,.6,.4, one a slot.") from None


def _not_open_bandit() -> Exception:
    """Return the complaint about options of Open Bandit logs beside another log."""
    from simenv.errors import UserError

    return UserError("--target-table and --campaign belong to Open Bandit logs; add --format obd, or leave them out.")


def _foreign(log: ForeignLog, names: list[str] | None, level: float, seed: int, wishes: Wishes) -> Evaluation:
    """Evaluate a policy on a log of another make."""
    from scenarios.foreign import evaluate_foreign

    return evaluate_foreign(log, estimators=names, level=level, seed=seed, wishes=wishes)
