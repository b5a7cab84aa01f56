"""Sentences on what a stopped command has kept and how to go on, for each command.

What was kept where the work itself knows it comes as notes of the KeyboardInterrupt.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from blemish.cli.outcome import StoppedError
from blemish.cli.signals import stopped_by

Options = Mapping[str, Any]  # of the command, by the names of its arguments
Function = TypeVar("Function", bound=Callable[..., Any])
AGAIN = "Run the same command again."


def after_train(options: Options) -> str:
    out = options["out"]
    if any((out / "checkpoints").glob("*.safetensors")):
        going_on = shlex.join(["blemish", "train", "--out", str(out), "--resume"])
        return f"{out} keeps the last checkpoint. Go on with `{going_on}`."
    return f"There is no checkpoint yet to go on from. {AGAIN}"


def after_inspect(options: Options) -> str:
    if options["line_scan"]:
        return "The same command starts from the first strip."
    return "Go on with the same command and --resume."


def after_export(options: Options) -> str:
    return f"No bundle was written, and what was there before stays. {AGAIN}"


def after_demo(options: Options) -> str:
    if "station" in options:  # `station demo`
        return f"{options['station']} keeps what was drawn and trained. The same command goes on with it."
    out = options["out"]
    return f"{out} holds what was finished. Remove it, or choose another folder with --out, and start again."


def after_add_class(options: Options) -> str:
    return f"{options['bundle']} is as it was, and {options['out']} was not written. {AGAIN}"


def after_decide(options: Options) -> str:
    return f"The decision is as it was. {AGAIN}"


def after_reproduce(options: Options) -> str:
    return f"{options['out']} keeps the rows that are finished. The same command goes on with the next."


def after_split(options: Options) -> str:
    return f"The lists in {options['out']} are not finished. {AGAIN}"


def without_a_report(options: Options) -> str:
    return f"No report was finished. {AGAIN}"


def without_a_dataset(options: Options) -> str:
    return f"Nothing is kept in {options['out']}. {AGAIN}"


def after_backup(options: Options) -> str:
    return f"{options['out']} may hold a part, which `station restore` refuses. Remove it, and start again."


def after_restore(options: Options) -> str:
    return f"{options['station']} may hold a part of a station. Remove it, and start again."


def nothing_written(options: Options) -> str:
    return f"Nothing was written. {AGAIN}"


AFTER: Mapping[str, Callable[[Options], str]] = {
    "train": after_train,
    "inspect": after_inspect,
    "export": after_export,
    "demo": after_demo,
    "add-class": after_add_class,
    "remove-class": after_add_class,
    "accept": after_add_class,
    "reject": after_add_class,
    "rename-class": after_add_class,
    "decide": after_decide,
    "reproduce": after_reproduce,
    "evaluate": without_a_report,
    "embed": without_a_report,
    "agree": without_a_report,
    "convert": without_a_dataset,
    "synth": without_a_dataset,
    "tasks": without_a_dataset,
    "split": after_split,
    "backup": after_backup,
    "restore": after_restore,
}


class Command(TyperCommand):
    """A command that says, when it is stopped, what it has kept and how to go on."""

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt as stop:
            kept = getattr(stop, "__notes__", [])
            going_on = AFTER.get(str(self.name), nothing_written)(context.params)
            raise StoppedError(" ".join([f"{stopped_by()}.", *kept, going_on])) from stop


class Commands(TyperGroup):
    """A group of commands that was stopped before one of them began, where typer would not say how."""

    def parse_args(self, context: Any, args: list[str]) -> list[str]:
        """Parse with flags that are off where they were unset.

        To convert an unset one typer imports pydantic, which takes longer than all else of a help page.
        """
        for parameter in self.get_params(context):
            if getattr(parameter, "is_flag", False) and parameter.default is None:
                parameter.default = False
        return super().parse_args(context, args)

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt as stop:
            raise StoppedError(f"{stopped_by()} before anything was done.") from stop


class App(typer.Typer):
    """A typer app all of whose commands are of the class `Command`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=Commands, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        return super().command(name, cls=Command, **options)
