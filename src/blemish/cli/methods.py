"""`blemish methods`: which methods there are, and what each lets one set."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from blemish.cli.console import say
from blemish.cli.options import METHODS, beginning
from blemish.cli.stopping import App
from blemish.errors import refused_as_wrong_use

if TYPE_CHECKING:
    from blemish.methods.contract import Method
    from blemish.methods.describe import Setting

WIDEST = 110
app = App(rich_markup_mode=None, invoke_without_command=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.callback()
def methods(context: typer.Context, as_json: Json = False) -> None:
    """List the methods: what each needs and gives, what it costs, and when to take it."""
    if context.invoked_subcommand is not None:
        return
    from dataclasses import asdict

    from blemish.methods import find_method, method_names

    found = [find_method(name) for name in method_names()]
    if as_json:
        return say_json([{"name": m.name, "title": m.title, **asdict(m.summary)} for m in found])
    for method in found:
        print_summary(method)
    say("`blemish recommend DATA` names the one for a dataset; `blemish methods show NAME` lists settings.")


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help=f"One of {', '.join(METHODS)}.", autocompletion=beginning(METHODS)
        ),
    ],
    everything: Annotated[
        bool, typer.Option("--all", help="List every setting, in groups, not only those to try first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the settings of a method: range, default, meaning, and the presets that change it."""
    from dataclasses import asdict

    from blemish.methods import find_method
    from blemish.methods.describe import main_settings_of, preset_changes, settings_of

    with refused_as_wrong_use():
        method = find_method(name)
    settings = settings_of(method.settings_type)
    if as_json:
        return say_json([asdict(setting) for setting in settings])
    print_summary(method)
    main = main_settings_of(method.settings_type)
    say("Settings to try first, given as --set NAME=VALUE:", "")
    print_settings(main)
    if everything:
        for group in dict.fromkeys(setting.group for setting in settings if not setting.main):
            say(group, "")
            print_settings([each for each in settings if each.group == group and not each.main])
        say('"Open" marks what the method\'s paper leaves open.', "")
    print_presets(preset_changes(method.settings_type))
    rest = len(settings) - len(main)
    if not everything:
        say(f"`blemish methods show {name} --all` lists {rest} more.")


def print_summary(method: Method) -> None:
    """Print name and summary of a method as a paragraph."""
    say(f"{method.name} – {method.title}")
    summary = method.summary
    for head, text in (
        ("Needs", summary.needs),
        ("Gives", summary.gives),
        ("Cost", summary.cost),
        ("Take it when", summary.when),
    ):
        say_indented(f"{head}: {text}", 2)
    say("")


def print_settings(settings: Sequence[Setting]) -> None:
    """Print name, default and range of each setting, its meaning, and what presets make of it."""
    from blemish.methods.describe import in_yaml

    for setting in settings:
        changed = "".join(f"; {preset}: {in_yaml(value)}" for preset, value in setting.presets.items())
        say_indented(f"{setting.name} = {in_yaml(setting.default)}   ({setting.values}{changed})", 2)
        say_indented(setting.description, 6, further=6)
    say("")


def print_presets(presets: Mapping[str, Mapping[str, object]]) -> None:
    """Print a line for each preset: the time that training may take, and the settings that it changes."""
    from blemish.durations import spoken
    from blemish.training.time_plan import PRESET_SECONDS

    if not presets:
        return
    say("Presets, given as --preset NAME; what is set besides wins:", "")
    for preset, changed in presets.items():
        cpu, gpu = PRESET_SECONDS.get(preset, (None, None))
        time = "as long as it takes"
        if cpu is not None and gpu is not None:
            time = f"training within {spoken(cpu)}, on a GPU {spoken(gpu)}"
        say_indented(
            f"{preset}: {time}; {'changes ' + ', '.join(changed) if changed else 'values as above'}", 2
        )
    say("")


def say_indented(text: str, first: int, *, further: int = 6) -> None:
    """Print text in lines that fit the terminal. first, further: spaces before the first and other lines"""
    columns = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
    wrapper = textwrap.TextWrapper(max(columns, 40), " " * first, " " * further, break_on_hyphens=False)
    say(*wrapper.wrap(text))


def say_json(content: object) -> None:
    import json

    print(json.dumps(content, indent=1, ensure_ascii=False))
