"""The controller: observe, decide, act. Everything it knows is in database, store and launcher; it may die anywhere."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from fmdj_cloud.control.act import Actor
from fmdj_cloud.control.actions import Launch
from fmdj_cloud.control.courtesy import Courtesy
from fmdj_cloud.control.decide import RunView, decide
from fmdj_cloud.control.launchers.base import Launcher, LauncherLostError, LaunchError
from fmdj_cloud.control.leader import Elector, Leader, new_holder
from fmdj_cloud.control.measure import Measures
from fmdj_cloud.control.observe import Observer, RefusalRotation, count_under_way
from fmdj_cloud.control.planning import Planner
from fmdj_cloud.control.profiles import profiles_of
from fmdj_cloud.control.report import PassReport, Tally
from fmdj_cloud.control.reuse import Reuser
from fmdj_cloud.control.settle import Settlement
from fmdj_cloud.errors import ConfigError, DatabaseError, FmdjError, LostRaceError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store

_log = logging.getLogger(__name__)
_DRAIN_PAUSE_S = 0.25


class Keeper(Protocol):
    """Keeps what people ask for elsewhere, such as in FacemapRuns, and what is done in step."""

    def reconcile(self, labs: Mapping[str, Lab], epoch: int, tally: Tally) -> None:
        """Look at all of it once; trouble is noted in `tally`."""
        ...


class Controller:
    """Turns pending tasks into published runs.

    Parameters
    ----------
    settings : Settings
    database : Database
        Used by this controller alone.
    store : Store
    launcher : Launcher
    clock : callable
        Monotonic seconds.
    elector : Elector, optional
        Who elects the leader instead of the ledger, and names this process.
    keeper : Keeper, optional
        Who turns what people ask for in other ways into what is wanted of tasks, before they are planned.
    beat : callable
        Told ``"pass"`` whenever the loop comes round, ``"database"`` when the database has answered.
    check : callable
        Raises LauncherLostError if the launcher hasn't been heard of for too long; asked while another leads, or nobody
        can say who does.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: Store,
        launcher: Launcher,
        clock: Callable[[], float] = time.monotonic,
        elector: Elector | None = None,
        keeper: Keeper | None = None,
        beat: Callable[[str], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        controller = settings.controller
        self._settings = settings
        self._database = database
        self._clock = clock
        self._ledger = Ledger(database)
        self._leader = Leader(
            self._ledger,
            elector.holder if elector is not None else new_holder(),
            lease_s=controller.lease_s,
            renew_s=controller.renew_s,
            clock=clock,
            elector=elector,
        )
        self._profiles = profiles_of(settings)
        self._keeper = keeper
        self._beat = beat
        self._check = check
        self._measures = Measures(self._ledger, clock)
        self._courtesy = Courtesy(controller, self._ledger, clock)
        self._planner = Planner(settings, self._ledger, store, self._leader, clock, self._courtesy)
        self._reuser = Reuser(settings, self._ledger, store, self._leader, self._courtesy)
        self._observer = Observer(self._ledger, store, launcher)
        self._refusals = RefusalRotation(self._ledger)
        self._settlement = Settlement(self._ledger, self._leader, clock)
        self._actor = Actor(settings, self._ledger, store, launcher, self._leader, self._profiles, self._courtesy)
        self._labs: dict[str, Lab] = {}
        self._closed: dict[str, ConfigError] = {}
        """Why pipelines can't be opened, by name."""
        self._told: tuple[str, ...] = ()
        """Errors of the last pass."""
        self._served: dict[str, int] = {}
        """Pipeline -> the higher, the later one of its runs was launched last."""

    def run_pass(self) -> PassReport:
        """Look at everything once and do what there is to do, if this controller leads.

        Raises
        ------
        DatabaseError
            If the database doesn't answer.
        LauncherLostError
            If the launcher hasn't answered for too long.
        """
        began = self._clock()
        report = self._pass()
        self._beat("database")
        self._measures.show(report, self._labs, self._clock() - began)
        return report

    def _pass(self) -> PassReport:
        tally = Tally(self._told)
        self._database.ensure_connected()
        if not self._leader.lead():
            self._actor.drop()
            self._check()
            return tally.report(leading=False)
        try:
            self._open_labs(tally)
            if self._keeper is not None:
                self._keeper.reconcile(self._labs, self._leader.check(), tally)
            self._courtesy.open(self._labs)
            self._plan(tally)
            self._advance(tally)
            report = tally.report(leading=True)
            self._settlement.note(report)
            self._settlement.answer_waiting(report, self._labs)
        except LostRaceError as error:
            _log.warning("This pass ends: %s", error.sentence)
            self._actor.drop()
            return tally.report(leading=False)
        self._told = report.errors
        return report

    def run_forever(self, stop: threading.Event) -> None:
        """Run passes until `stop` is set. Attempts under way go on without a controller.

        Raises
        ------
        LauncherLostError
            If the launcher hasn't answered for too long.
        """
        leading: bool | None = None
        told = ""
        while not stop.is_set():
            self._beat("pass")
            hurries = False
            try:
                report = self.run_pass()
            except LauncherLostError:
                self._resign()
                raise
            except FmdjError as error:
                if error.sentence != told:
                    _log.error("This pass failed: %s", error.sentence)
                told = error.sentence
                leading = None if isinstance(error, DatabaseError) else leading
            else:
                told, hurries = "", report.hurries
                if report.leading is not leading:
                    _log.info("This controller leads" if report.leading else "Another controller leads; standing by")
                    leading = report.leading
            stop.wait(0.0 if hurries else self._settings.controller.interval_s)
        self._resign()

    def _resign(self) -> None:
        self._actor.drop()
        try:
            self._leader.resign()
        except DatabaseError as error:
            _log.warning("The lease runs out by itself: %s", error.sentence)

    def drain(self, timeout: float | None = None) -> bool:
        """Run passes until no task is due and no run is ready or launched, or nothing but errors is left.

        Where another controller leads, it is asked for that, and its answer is waited for.

        Parameters
        ----------
        timeout : float, optional
            Seconds to try at most.

        Returns
        -------
        bool
            Whether all is settled.

        Raises
        ------
        ConfigError
            If no pipeline can be opened.
        """
        give_up = None if timeout is None else self._clock() + timeout
        asked: str | None = None
        try:
            while True:
                report = self.run_pass()
                if report.leading:
                    if self._closed and not self._labs:
                        raise next(iter(self._closed.values()))
                    settled = self._settlement.verdict(report, self._labs)
                elif asked is None:
                    asked = self._settlement.ask()
                    settled = None
                else:
                    settled = self._settlement.answer(asked)
                if settled is not None:
                    self._settlement.tell_brakes(pipeline.name for pipeline in self._settings.pipelines)
                    return settled
                if give_up is not None and self._clock() > give_up:
                    return False
                time.sleep(min(_DRAIN_PAUSE_S, self._settings.controller.interval_s))
        finally:
            self._actor.drop()
            self._leader.resign()

    def _open_labs(self, tally: Tally) -> None:
        for pipeline in self._settings.pipelines:
            if pipeline.name in self._labs:
                continue
            try:
                claimed_only = self._settings.controller.claimed_only
                lab = open_lab(self._database, self._ledger, pipeline, claimed_only=claimed_only)
                self._labs[pipeline.name] = lab
                self._closed.pop(pipeline.name, None)
            except ConfigError as error:
                self._closed[pipeline.name] = error
                tally.trouble(f"Pipeline {pipeline.name} can't be opened: {error.sentence}")

    def _plan(self, tally: Tally) -> None:
        """Plan tasks; a schema that somebody has just broken doesn't stop the other pipelines."""

        def guarded(lab: Lab, do: Callable[[], object]) -> bool:
            try:
                do()
            except (ConfigError, DatabaseError) as error:
                if isinstance(error, DatabaseError):
                    self._database.ensure_connected()
                tally.trouble(f"Pipeline {lab.name}: {error.sentence}")
                return False
            return True

        recheck = self._settings.controller.recheck_per_pass
        whole = [
            lab
            for lab in self._labs.values()
            if guarded(lab, partial(self._refusals.forget_edited, lab, recheck, self._leader.check()))
        ]
        self._planner.plan_pending(whole, guarded, tally)

    def _advance(self, tally: Tally) -> None:
        controller = self._settings.controller
        self._actor.settle(tally)
        try:
            scene = self._observer.gather(self._labs, controller.recheck_per_pass, tally)
        except LauncherLostError:
            raise
        except LaunchError as error:  # what can't be seen now is not decided now
            tally.trouble(error.sentence)
            return
        tally.under_way = count_under_way(scene.views, scene.jobs, scene.now)

        def compared(run_ids: Iterable[str]) -> tuple[RunView, ...]:
            return self._observer.with_obsolete(scene.views, run_ids, self._labs, tally)

        scene = replace(scene, views=self._reuser.publish_equal(scene.views, compared, scene.now, tally))
        checked: set[str] = set()
        while True:
            actions = decide(scene.views, scene.jobs, scene.known, controller, scene.now, self._profiles, self._served)
            unchecked = {action.run_id for action in actions if isinstance(action, Launch)} - checked
            if not unchecked:
                break
            # a task is compared right before its launch; one that was edited leaves its place to the next
            scene = replace(scene, views=compared(unchecked))
            checked |= unchecked
        for action in actions:
            if isinstance(action, Launch):
                pipeline = scene.view(action.run_id).run.pipeline
                self._served[pipeline] = max(self._served.values(), default=0) + 1
        self._actor.act_all(actions, scene, tally)
        self._courtesy.keep(scene.views)
