"""What `slatelab evaluate` was asked, checked before a log is read, and who answers it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

if TYPE_CHECKING:
    from scenarios.evaluation import Evaluation, Wishes
    from scenarios.foreign import ForeignLog

Format = Literal["native", "obd", "mapped", "dsjson", "ubi"]


@dataclass(frozen=True)
class Asked:
    """The options of the command line that say what is judged, and on which log."""

    logs: tuple[Path, ...]
    loggers: tuple[str, ...]
    log_format: Format | None
    mapping: Path | None
    policy: str | None
    shopper: str
    examination: tuple[float, ...]
    target_table: str | None
    campaign: str | None
    estimators: list[str] | None
    level: float
    seed: int
    is_dry_run: bool
    is_stream: bool
    workers: int | None
    state: Path | None

    @property
    def log(self) -> Path:
        """The log, or the first of several."""
        return self.logs[0]

    @property
    def is_several(self) -> bool:
        """Whether rows of several loggers are judged together."""
        return len(self.logs) > 1 or bool(self.loggers)


def names_in(text: str | None) -> list[str] | None:
    """The names of an option such as A,B; None where it was not given."""
    return [name.strip() for name in text.split(",")] if text else None


def numbers_in(examination: str | None) -> tuple[float, ...]:
    """The numbers of --examination."""
    from simenv.errors import UserError

    try:
        return tuple(float(number) for number in examination.split(",")) if examination else ()
    except ValueError:
        raise UserError(f"--examination is '{examination}'; expected numbers such as 1,.6,.4, one a slot.") from None


def range_in(reward_range: str | None) -> tuple[float, float] | None:
    """Both ends of --reward-range."""
    from simenv.errors import UserError

    if reward_range is None:
        return None
    try:
        low, high = (float(end) for end in reward_range.split(","))
    except ValueError as error:
        raise UserError(f"--reward-range is '{reward_range}'; expected two numbers, such as 0,1 or 0,inf.") from error
    return low, high


def refuse_unheard(
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


def foreign_of(asked: Asked) -> ForeignLog | None:
    """How a log of another make is to be read; a mapping alone says that it is a table. None for other logs."""
    is_foreign = asked.mapping is not None or asked.is_dry_run or asked.log_format in ("mapped", "dsjson", "ubi")
    if not is_foreign:
        return None
    from scenarios.foreign import ForeignLog
    from simenv.errors import UserError

    _refuse_open_bandit(asked)
    if asked.is_several:
        raise _only_native()
    match asked.log_format:
        case "mapped" | "dsjson" | "ubi":
            return ForeignLog(
                asked.log, asked.log_format, asked.mapping, asked.policy, asked.shopper, asked.examination
            )
        case None if asked.mapping is not None:
            return ForeignLog(asked.log, "mapped", asked.mapping, asked.policy, asked.shopper)
    if asked.mapping is not None:
        raise UserError(f"--mapping belongs to tables; a log of format {asked.log_format} says itself what is what.")
    raise UserError(
        "--dry-run belongs to logs of another make: give --mapping MAP.toml, or --format dsjson or ubi, with it."
    )


def judge(context: typer.Context, asked: Asked, foreign: ForeignLog | None, wishes: Wishes) -> Evaluation:
    """Have the evaluation made by whoever reads such a log."""
    if asked.is_several:
        return _several(context, asked, wishes)
    if asked.is_stream or asked.workers is not None or asked.state is not None:
        return _streamed(context, asked, wishes)
    if foreign is not None:
        from scenarios.foreign import evaluate_foreign

        return evaluate_foreign(foreign, estimators=asked.estimators, level=asked.level, seed=asked.seed, wishes=wishes)
    return _open_bandit(asked, wishes) if asked.log_format == "obd" else _native(context, asked, wishes)


def _streamed(context: typer.Context, asked: Asked, wishes: Wishes) -> Evaluation:
    """Evaluate a policy in one pass; what one pass cannot make is refused, with what to do."""
    from scenarios.config import Estimation
    from scenarios.progress import progress_on_stderr
    from scenarios.stream import Streaming, evaluate_stream
    from simenv.errors import UserError

    if not asked.is_stream:
        raise UserError("--workers and --state belong to --stream; add it, or leave them out.")
    if asked.log_format not in (None, "native", "mapped") or asked.target_table or asked.campaign:
        raise UserError(
            "--stream reads SlateLab's own logs and Parquet with a --mapping; other makes are read whole. Write them "
            "as Parquet, or leave out --stream."
        )
    whole = (wishes.by, wishes.per, wishes.width, wishes.rewards, wishes.quantile, wishes.reward_model, wishes.refits)
    if whole != (None, "search", None, (), None, "folds", None):
        raise UserError(
            "--by, --per, --width, --rewards, --quantile, --reward-model past and --refits need all rows at once; "
            "leave them out, or --stream."
        )
    settings = Estimation(
        estimators=asked.estimators, level=asked.level, interval=wishes.interval, replicates=wishes.replicates
    )
    with progress_on_stderr(context.obj) as progress:
        return evaluate_stream(
            asked.log,
            asked.policy,
            mapping=asked.mapping,
            settings=settings,
            seed=asked.seed,
            progress=progress,
            streaming=Streaming(asked.workers or 0, asked.state),
        )


def _several(context: typer.Context, asked: Asked, wishes: Wishes) -> Evaluation:
    """Evaluate a policy on SlateLab's own logs of several loggers."""
    from scenarios.config import Estimation
    from scenarios.progress import progress_on_stderr
    from scenarios.several import Loggers, evaluate_several
    from simenv.errors import UserError

    if asked.is_stream or asked.workers is not None or asked.state is not None:
        raise UserError("--stream reads one log; give one --log and no --logger, or leave out --stream.")
    if asked.log_format not in (None, "native"):
        raise _only_native()
    _refuse_open_bandit(asked)
    if asked.policy is None:
        raise UserError("native logs need --policy: a registry name, a saved model's folder, or module:function.")
    bad = [pair for pair in asked.loggers if not all(pair.partition("="))]
    if bad:
        raise UserError(f"--logger is '{bad[0]}'; expected NAME=POLICY, the name as in the log's column 'policy'.")
    pairs = (pair.partition("=") for pair in asked.loggers)
    loggers = Loggers(asked.logs, {name: spec for name, _, spec in pairs})
    settings = Estimation(
        estimators=asked.estimators, level=asked.level, interval=wishes.interval, replicates=wishes.replicates
    )
    with progress_on_stderr(context.obj) as progress:
        return evaluate_several(loggers, asked.policy, settings, asked.seed, progress, wishes)


def _only_native() -> Exception:
    """The complaint about several logs of another make."""
    from simenv.errors import UserError

    return UserError(
        "several --log, and --logger, are for SlateLab's own logs. In a table name each row's logger instead: "
        "columns.logger and [loggers] of the mapping (docs/any-log.md)."
    )


def _native(context: typer.Context, asked: Asked, wishes: Wishes) -> Evaluation:
    """Evaluate a policy on SlateLab's own log."""
    from simenv.errors import UserError

    if asked.policy is None:
        raise UserError(
            "a native log needs --policy: a name from `slatelab list policies`, a saved model's folder, or "
            "module:function. For an Open Bandit log add --format obd --target-table TABLE."
        )
    _refuse_open_bandit(asked)
    if asked.log.exists() and not (asked.log / "log.json").is_file():
        raise UserError(
            f"'{asked.log}' has no log.json, so SlateLab did not write it. For tables (CSV, Parquet, JSON lines) give "
            "--mapping MAP.toml, which says what columns are (docs/any-log.md); for others --format obd, dsjson or ubi."
        )
    from scenarios.evaluate import evaluate_native
    from scenarios.progress import progress_on_stderr

    with progress_on_stderr(context.obj) as progress:
        return evaluate_native(
            asked.log,
            asked.policy,
            estimators=asked.estimators,
            level=asked.level,
            seed=asked.seed,
            progress=progress,
            wishes=wishes,
        )


def _open_bandit(asked: Asked, wishes: Wishes) -> Evaluation:
    """Evaluate a table of action probabilities on an Open Bandit log."""
    from simenv.errors import UserError

    if asked.target_table is None:
        raise UserError("an Open Bandit log needs --target-table: a CSV of action probabilities, or 'uniform'.")
    if asked.policy is not None:
        raise UserError("--policy belongs to native logs; an Open Bandit log takes its target from --target-table.")
    from scenarios.evaluate import evaluate_open_bandit

    return evaluate_open_bandit(
        asked.log,
        asked.target_table,
        campaign=asked.campaign,
        estimators=asked.estimators,
        level=asked.level,
        wishes=wishes,
    )


def _refuse_open_bandit(asked: Asked) -> None:
    """Refuse options of Open Bandit logs beside another log."""
    from simenv.errors import UserError

    if (asked.target_table, asked.campaign) != (None, None):
        raise UserError(
            "--target-table and --campaign belong to Open Bandit logs; add --format obd, or leave out both."
        )
