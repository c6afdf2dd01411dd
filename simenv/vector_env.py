"""The Gymnasium vector environment: N rows of the world's physics, natively batched.

Autoreset is NEXT_STEP, as RLlib needs: the step after an episode's end ignores the row's action, gives reward 0 and the
first observation of the row's next episode. Row i plays shoppers i, i + N, i + 2N, ... of the seed's population.

Wrappers for libraries that want flat observations, scores or a single choice are in `simenv.wrappers`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from simenv.catalogue import I64
from simenv.columns import overwrite, settle, take
from simenv.compiled.backend import Backend
from simenv.errors import UserError, unknown_name
from simenv.observation import Observation, action_space_of, observation, observation_space_of
from simenv.params import WorldParams
from simenv.state import nothing_happened
from simenv.world import Outcome, Page, State, World, begin, make_world, observe, step
from simenv.worlds import load_world

if TYPE_CHECKING:
    from simenv.render import ResultPage

Episode = Literal["session", "shopper"]
Frame = str | npt.NDArray[np.uint8]
Actions = npt.NDArray[np.integer[Any]]

RENDER_MODES = ("ansi", "rgb_array")


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where an environment stands between two steps: all that what comes next depends on, beside its world and episode.

    luck: names the population. state: of the rows. next: (N,) the shopper that starts next in each row. over: (N,) the
    episode is over, the next step starts another. left: (N,) its shopper will not come back.
    """

    luck: int
    state: State
    next: I64
    over: npt.NDArray[np.bool_]
    left: npt.NDArray[np.bool_]


class SearchVectorEnv(VectorEnv[Observation, Actions, npt.NDArray[Any]]):
    """N shoppers searching side by side.

    Observation: a dict of batched arrays, see `observation_space_of`; ids and small contexts, no item features: those
    are the columns of `world.catalogue.public()`, gathered by whoever needs them.

    Action: (N, K) positions into `candidates`, best first. A slot stays empty where the position is a hole or repeats
    one higher up: nobody sees it, and it earns nothing. Positions outside [0, C), other shapes, and dtypes that are not
    integers (floats that happen to be whole and booleans too) raise `UserError`, and the environment is as it was.

    Reward: the sum over slots of what the world counts (clicks by default).

    Episode: "session" ends (terminated) when the shopper leaves; it is never truncated. "shopper" ends when they never
    come back (terminated) or would come back after the horizon (truncated: they would have gone on, and a learner may
    bootstrap). Never both.

    Info: `items`, `clicked`, `carted`, `purchased`, `revenue`, `dwell`, `returned`, each (N, K), and `house_clicked`
    (N, H) where the market has places of its own, with Gymnasium's `_key` masks that are False in rows that were reset.
    `action_mask`, (N, C) int8, belongs to the observation that comes with it: 1 where a
    position holds a candidate, 0 where it is a hole (a short candidate list, or shown on an earlier page).

    Rendering: a tuple of one text ("ansi") or one (height, width, 3) uint8 picture ("rgb_array") a row: the last page
    with what the shopper did, or only the query where none was shown yet. `show_truth` adds how good each result truly
    was.
    """

    def __init__(
        self,
        num_envs: int = 1,
        world: str | WorldParams = "default",
        episode: Episode = "session",
        render_mode: str | None = None,
        show_truth: bool = False,
        backend: Backend = "auto",
    ) -> None:
        """Make the market, see `make_world` for the backend; nothing is drawn before `reset`."""
        if episode not in ("session", "shopper"):
            raise UserError(f"episode is '{episode}'; expected 'session' or 'shopper'.")
        if num_envs < 1:
            raise UserError(f"num_envs is {num_envs}; expected at least 1.")
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise unknown_name("render mode", render_mode, RENDER_MODES)
        self.world: World = make_world(world, backend) if isinstance(world, WorldParams) else load_world(world, backend)
        self.episode, self.num_envs, self.render_mode, self.show_truth = episode, num_envs, render_mode, show_truth
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": list(RENDER_MODES), "render_fps": 1}
        self.single_observation_space = observation_space_of(self.world)
        self.single_action_space = action_space_of(self.world)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.luck: int | None = None
        self.state: State
        self.page: Page
        self.outcome: Outcome | None = None
        self._shown: tuple[State, Page, npt.NDArray[np.bool_]] | None = None  # what is rendered; the rows that played

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start every row with a new shopper.

        Args:
            seed: Names the population and its luck, and starts it from its first shopper. Without it the population
                goes on with the shoppers that nobody has played yet.
            options: Not used.
        """
        super().reset(seed=seed)
        if seed is not None or self.luck is None:
            self.luck = seed if seed is not None else int(self.np_random.integers(2**62))
            self._next = np.arange(self.num_envs, dtype=np.int64)
        self.state = begin(self.world, self.luck, self._next)
        self._next = self._next + self.num_envs
        self._over = np.zeros(self.num_envs, dtype=bool)
        self._left = np.zeros(self.num_envs, dtype=bool)
        self.outcome = self._shown = None
        made = self._observe()
        return made, self._info(None, np.ones(self.num_envs, dtype=bool))

    def step(
        self, actions: Actions
    ) -> tuple[Observation, npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], dict[str, Any]]:
        """Show a page to every row; rows whose episode is over start the next one instead."""
        if self.luck is None:
            raise ResetNeeded("call reset() before step().")
        slate = self._checked(actions)
        starts = self._over
        if self.render_mode is not None:
            self._shown = self.state, self.page, ~starts
        self.state, outcome = self._play(slate, starts)
        self.outcome = outcome
        reward = outcome.reward.sum(axis=1)
        self._left = outcome.gone | outcome.truncated
        if self.episode == "session":
            terminated, truncated = outcome.session_over.copy(), np.zeros(self.num_envs, dtype=bool)
        else:
            terminated, truncated = outcome.gone.copy(), outcome.truncated.copy()
        self._over = terminated | truncated
        made = self._observe()
        return made, reward, terminated, truncated, self._info(outcome, ~starts)

    def render(self) -> tuple[Frame, ...] | None:  # type: ignore[override]
        """One frame a row, see the class; None without a render mode."""
        if self.render_mode is None:
            return None
        pages = [self.result_page(row) for row in range(self.num_envs)]
        if self.render_mode == "ansi":
            from simenv.render import page_text

            return tuple(page_text(page) for page in pages)
        from simenv.draw import page_pixels  # loads Pillow

        return tuple(page_pixels(page) for page in pages)

    def result_page(self, row: int) -> ResultPage:
        """What a row's shopper sees and did: the last page shown, or the query where the row has just started."""
        from simenv.render import read_page

        if self.luck is None:
            raise ResetNeeded("call reset() before rendering.")
        if self._shown is None or not self._shown[2][row]:
            return read_page(self.world, self.state, self.page, row)
        state, page, _ = self._shown
        shown = read_page(self.world, state, page, row, self.outcome, self.show_truth)
        return shown if shown.ending == "leaves" else self._with_next(shown, row)

    def _with_next(self, shown: ResultPage, row: int) -> ResultPage:
        from simenv.render import with_next

        return with_next(shown, bool(self.state.page[row] > 0), int((self.page.filters[row] >= 0).sum()))

    @property
    def candidates(self) -> npt.NDArray[np.int32]:
        """(N, C) item ids of the current pages, -1 for a hole; not to be written into."""
        if self.luck is None:
            raise ResetNeeded("call reset() first: there are no candidates yet.")
        return self.page.candidates

    def query_strings(self) -> list[str]:
        """What the shoppers typed, N strings. Made on demand: nobody pays for strings that nobody reads."""
        return self.world.demand.strings(self.state)

    def standing(self) -> Standing:
        """Where it stands now, to go on from later or elsewhere."""
        if self.luck is None:
            raise ResetNeeded("call reset() first: it stands nowhere yet.")
        return Standing(self.luck, self.state, self._next, self._over, self._left)

    def go_on_from(self, standing: Standing) -> Observation:
        """Stand where an environment of the same world, episode and number of rows stood; the observation there."""
        if len(standing.next) != self.num_envs:
            raise UserError(f"what to go on from has {len(standing.next)} rows; this environment has {self.num_envs}.")
        self.luck, self.state, self._next = standing.luck, standing.state, standing.next
        self._over, self._left = standing.over, standing.left
        self.outcome = self._shown = None
        return self._observe()

    def start_next(self, row: int) -> None:
        """End a row's episode, if it is not over, without an outcome; its next shopper takes the row."""
        if not self._over[row]:
            self._over = self._over.copy()
            self._left = self._left.copy()
            self._over[row] = self._left[row] = True

    def _observe(self) -> Observation:
        self.page = observe(self.world, self.state)
        return observation(self.page)

    def _play(self, slate: npt.NDArray[np.integer[Any]], starts: npt.NDArray[np.bool_]) -> tuple[State, Outcome]:
        """Play the rows that do not start; the rows that do wait at their next visit, where nothing happens."""
        rows = np.flatnonzero(starts)
        if len(rows) == self.num_envs:
            return self._waiting(rows), nothing_happened(self.world.params, self.num_envs)
        if len(rows):
            slate = slate.copy()
            slate[rows] = -1  # nothing is shown to them, which is soon done
        after, outcome = step(self.world, self.state, self.page, slate)
        if len(rows):
            after = settle(after, rows, self._waiting(rows), self.state)
            outcome = settle(outcome, rows, nothing_happened(self.world.params, len(rows)), None)
        return after, outcome

    def _waiting(self, rows: npt.NDArray[np.intp]) -> State:
        """The state of rows that start: at the next visit, or at the first of a new shopper where the last is gone."""
        places = np.flatnonzero(self._left[rows])
        if not len(places):
            return self._at(rows)
        assert self.luck is not None
        new = rows[places]
        fresh = begin(self.world, self.luck, self._next[new])
        self._next = self._next.copy()
        self._next[new] += self.num_envs
        return fresh if len(places) == len(rows) else overwrite(self._at(rows), places, fresh)

    def _at(self, rows: npt.NDArray[np.intp]) -> State:
        return self.state if len(rows) == self.num_envs else take(self.state, rows)

    def _checked(self, actions: Actions) -> npt.NDArray[np.integer[Any]]:
        slate = as_array(actions)
        shape = (self.num_envs, self.world.params.n_slots)
        if slate.shape != shape or not np.issubdtype(slate.dtype, np.integer):
            raise UserError(f"the action has shape {slate.shape} and dtype {slate.dtype}; expected {shape}, integers.")
        n_candidates = self.world.params.n_candidates
        slate = np.ascontiguousarray(slate, dtype=np.int64)
        if slate.view(np.uint64).max() >= n_candidates:  # a negative one is a very large one here
            row = int(np.argmax(((slate < 0) | (slate >= n_candidates)).any(axis=1)))
            raise UserError(
                f"row {row} of the action is {slate[row].tolist()}; expected positions in [0, {n_candidates}). "
                "Actions are positions into `candidates`, not item ids."
            )
        return slate

    def _info(self, outcome: Outcome | None, played: npt.NDArray[np.bool_]) -> dict[str, Any]:
        info: dict[str, Any] = {
            "action_mask": (self.page.candidates >= 0).view(np.int8),
            "_action_mask": np.ones(self.num_envs, dtype=bool),
        }
        if outcome is not None:
            house = ("house_clicked",) if self.world.params.house.n else ()
            info["slot_reward"], info["_slot_reward"] = outcome.reward, played
            for name in ("items", "clicked", "carted", "purchased", "revenue", "dwell", "returned", *house):
                info[name], info[f"_{name}"] = getattr(outcome, name), played
        return info


def as_array(actions: Any) -> npt.NDArray[Any]:
    """An action as an array of whatever dtype it has.

    Raises:
        UserError: for ragged lists, which are no array.
    """
    try:
        return np.asarray(actions)
    except ValueError as error:
        raise UserError(f"the action is no array of numbers ({error}); expected rows of equal length.") from error
