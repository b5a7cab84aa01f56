"""Planning of a training: it is rehearsed, fitted into its budget where it has one, and told to the user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from blemish.dataset.samples import Dataset
from blemish.durations import spoken
from blemish.errors import BlemishError, UnavailableError
from blemish.files import write_atomically
from blemish.inspector.torch_backend import pick_device
from blemish.methods.contract import StageSteps
from blemish.progress import Reporter
from blemish.threads import thread_count
from blemish.training.clock import Clock
from blemish.training.record import read_record
from blemish.training.rehearsal import Work, rehearse
from blemish.training.request import PLAN_FILE, Request
from blemish.training.time_plan import Budget, Part, StepCount, TimePlan, fitted
from blemish.training.trainer import training_title
from blemish.untrusted import read_json

FEW_STEPS = 200  # of all stages together; so short a training is not worth a rehearsal
UNMEASURED_SHARE = 0.8  # of the time for the stages, where nothing was measured
SHORTER = 1 / 3  # of the time, for what a shorter training would be
SPARE = 1.1  # of a time that is proposed


def planned(
    request: Request, dataset: Dataset, work: Work, clock: Clock, reporter: Reporter
) -> tuple[Request, TimePlan | None]:
    """The request with settings that fit its budget, and the plan; None where there is nothing to plan.

    A resumed run keeps its own plan, or goes on without one. Raises BlemishError where a budget that the user
    gave is too short.
    """
    budget = request.budget
    stored = read_record(request.run) if request.resume else None
    if stored is not None and stored.method == request.method.name:
        return request, plan_before(request, reporter)
    if budget is None or num_steps(request) < FEW_STEPS:
        return request, None
    adjustable = [each for each in request.method.stage_steps if each.setting not in budget.fixed]
    try:
        for cheaper, full in rehearsed(request, budget, dataset, work):
            changed = cheaper
            left = None if budget.seconds is None else budget.seconds - clock.elapsed
            plan = full if left is None else fitted(full, adjustable, left)
            too_long = left is not None and plan.seconds > left
            if not too_long:
                break
    except UnavailableError:
        raise
    except BlemishError:  # perhaps only for want of the images left out; else training itself will say it
        reporter.line("How long this training takes could not be measured beforehand.")
        return request, unmeasured(request, budget)
    stages = {part.stage for part in plan.stages}
    # Where the time is too short for the least steps, they are taken all the same.
    plan = plan.with_fixed(stages if too_long else stages - {each.stage for each in adjustable})
    plan = plan.with_least(adjustable)
    needed = plan.seconds + clock.elapsed
    if too_long and budget.required:
        raise BlemishError(
            f"{budget.source} must be time enough: {request.method.name} needs at least {spoken(needed)} for "
            f"these data on {machine(request)}. Received: {spoken(budget.seconds or 0)}. "
            f"Give --time-budget {as_option(needed * SPARE)}, or fewer images."
        )
    for line in described(plan, full, adjustable, machine(request)):
        reporter.line(line)
    steps = {part.stage: part.steps for part in plan.stages}
    changes = {each.setting: steps[each.stage] for each in adjustable if each.stage in steps}
    return with_settings(changed, changes), plan


def plan_before(request: Request, reporter: Reporter) -> TimePlan | None:
    """Plan of the run that is resumed; None where it had none. Raises BlemishError for another time."""
    file, budget = request.run / PLAN_FILE, request.budget
    required = budget is not None and budget.required
    if not file.is_file():
        if required and num_steps(request) >= FEW_STEPS:
            reporter.line("The run was not planned for a time, so --time-budget changes nothing.")
        return None
    plan = read_plan(file)
    if budget is not None and required and budget.seconds != plan.budget:
        raise BlemishError(
            f"{file}: --resume keeps the time that the run was planned for. Received: --time-budget "
            f"{as_option(budget.seconds or 0)}. Leave it out, or choose another --out."
        )
    return plan


def rehearsed(
    request: Request, budget: Budget, dataset: Dataset, work: Work
) -> Iterator[tuple[Request, TimePlan]]:
    """The request and cheaper ones like it, each with its plan at all steps."""
    for changes in ({}, *request.method.cheaper):
        given = changes.keys() & budget.fixed
        if given or any(value >= getattr(request.settings, name) for name, value in changes.items()):
            continue
        changed = with_settings(request, changes)
        told = {"budget": budget.seconds, "source": budget.source, "changed": changes}
        yield changed, rehearse(changed, dataset, work).model_copy(update=told)


def unmeasured(request: Request, budget: Budget) -> TimePlan | None:
    """Plan of a training that could not be rehearsed: its stages share the time by their steps, and each is
    kept to its share on the way. None without a limit.
    """
    if budget.seconds is None:
        return None
    each = budget.seconds * UNMEASURED_SHARE / max(1, num_steps(request))
    parts = []
    for stage in request.method.stage_steps:
        steps = getattr(request.settings, stage.setting)
        parts.append(
            Part(
                title=training_title(stage.stage),
                seconds=each * steps,
                stage=stage.stage,
                steps=steps,
                full_steps=steps,
                least=stage.least,
                fixed=stage.setting in budget.fixed,
            )
        )
    rest = budget.seconds * (1 - UNMEASURED_SHARE)
    return TimePlan(parts=tuple(parts), rest=rest, budget=budget.seconds, source=budget.source)


def num_steps(request: Request) -> int:
    """Steps of all stages together, by the settings."""
    return sum(getattr(request.settings, each.setting) for each in request.method.stage_steps)


def with_settings(request: Request, changes: Mapping[str, Any]) -> Request:
    """The request with some settings changed."""
    settings = request.settings
    changed = type(settings).model_validate({**settings.model_dump(), **changes}) if changes else settings
    return replace(request, settings=changed)


# Words


def machine(request: Request) -> str:
    """Words on what the training runs on: "2 cores", or the name of the GPU."""
    if pick_device(request.settings.device) == "cuda":
        return torch.cuda.get_device_name()
    threads = thread_count()
    return f"{threads} cores" if threads > 1 else "1 core"


def described(plan: TimePlan, full: TimePlan, adjustable: Sequence[StageSteps], machine: str) -> list[str]:
    """Lines before training: how long and on what, the stages, and what less or more time would give.

    full: the plan without a limit
    """
    limit = f" ({plan.source} allows {spoken(plan.budget)})" if plan.budget is not None else ""
    memory = f" and {plan.memory / 1e9:.1f} GB of memory or more" if plan.memory else ""
    lines = [f"Training takes about {spoken(plan.seconds)}{limit}{memory}, as measured on {machine}:"]
    for part in plan.stages:
        of = f" of {part.full_steps}" if part.steps < part.full_steps else ""
        each = f"{part.seconds_per_step:.2g} s"
        steps = part.steps * part.seconds_per_step
        lines.append(f"  {part.title}: {part.steps}{of} steps of {each}, {spoken(steps)}")
    others = plan.seconds - sum(part.steps * part.seconds_per_step for part in plan.stages)
    lines.append(f"  reading, filling caches, thresholds and the rest: {spoken(others)}")
    if plan.changed:
        changes = ", ".join(f"{name}={value}" for name, value in plan.changed.items())
        lines.append(f"  with {changes}, to fit")
    shorter = fitted(full, adjustable, plan.seconds * SHORTER)
    if shorter.seconds * SPARE < plan.seconds:
        lines.append(f"Shorter: --time-budget {as_option(shorter.seconds * SPARE)}, {steps_of(shorter)}.")
    if plan.seconds < full.seconds:
        lines.append(f"Longer: --time-budget {as_option(full.seconds * SPARE)}, {steps_of(full)}.")
    return lines


def steps_saved(plan: TimePlan | None, counts: Mapping[str, StepCount]) -> tuple[str, ...]:
    """Sentence for the report where the budget did not allow all steps; else none. counts: by stage"""
    stages = {part.stage: part.full_steps for part in plan.stages if part.stage} if plan else {}
    cut = {
        name: count.taken
        for name, count in counts.items()
        if not count.ended_early and count.taken < stages.get(name, 0)
    }
    if plan is None or plan.budget is None or not cut:
        return ()
    steps = ", ".join(f"{name} {number} of {stages[name]}" for name, number in cut.items())
    return (f"Not all steps were trained, as {plan.source} allows {spoken(plan.budget)}: {steps}.",)


def steps_of(plan: TimePlan) -> str:
    """Words on the steps of a plan's stages: "600 and 180 steps"."""
    numbers = [str(part.steps) for part in plan.stages]
    return f"{', '.join(numbers[:-1])} and {numbers[-1]} steps" if len(numbers) > 1 else f"{numbers[0]} steps"


def as_option(seconds: float) -> str:
    """A time as --time-budget takes it, rounded up to whole minutes: "17m"."""
    return f"{ceil(seconds / 60)}m"


# Kept with the run


def keep_plan(run: Path, plan: TimePlan | None) -> None:
    """Write RUN/plan.json, or remove that of an earlier attempt."""
    file = run / PLAN_FILE
    if plan is None:
        file.unlink(missing_ok=True)
    else:
        write_atomically(file, plan.model_dump_json(indent=1) + "\n")


def read_plan(file: Path) -> TimePlan:
    """Read a plan.json. Raises BlemishError for a file that `keep_plan` did not write."""
    try:
        return TimePlan.model_validate(read_json(file))
    except ValidationError as error:
        raise BlemishError(f"{file} holds no plan. Remove it to go on without one.") from error
