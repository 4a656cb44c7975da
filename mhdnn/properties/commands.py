"""The command ``mhdnn properties NAME key=value ...``."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from mhdnn.arguments import HELP, Key, call, first_line, keys_of, parse_arguments, print_keys
from mhdnn.errors import ConfigError
from mhdnn.evaluation.table import format_number
from mhdnn.properties.comparison import calculators_key, comparison, reports_of
from mhdnn.properties.report import Report

COMMANDS: dict[str, str] = {
    "interface": "mhdnn.properties.interfaces:interface_report",
    "separation": "mhdnn.properties.separation:separation_report",
    "gap_curve": "mhdnn.properties.gap_curve:gap_curve_report",
    "registry_map": "mhdnn.properties.separation:registry_map_report",
    "sliding": "mhdnn.properties.sliding:sliding_report",
    "charge_transfer": "mhdnn.properties.charge_transfer_report:charge_transfer_report",
    "interface_stress": "mhdnn.properties.interface_stress_report:interface_stress_report",
    "elasticity": "mhdnn.properties.elasticity:elasticity_report",
    "elasticity_md": "mhdnn.properties.elasticity_md:elasticity_md_report",
    "layer_elasticity": "mhdnn.properties.layer_elasticity:layer_elasticity_report",
    "fracture": "mhdnn.properties.fracture.report:fracture_report",
    "cleavage": "mhdnn.properties.fracture.cleavage:cleavage_report",
    "crack": "mhdnn.properties.fracture.crack_report:crack_report",
    "formation": "mhdnn.properties.formation:formation_report",
    "reaction": "mhdnn.properties.reactions:reaction_report",
    "voltage": "mhdnn.properties.voltage:voltage_report",
    "distortion": "mhdnn.properties.distortion:distortion_report",
    "structures": "mhdnn.properties.structures.catalog:structures_report",
    "surface": "mhdnn.properties.structures.terminations:surface_report",
    "arrangements": "mhdnn.properties.structures.arrangements:arrangements_report",
    "particle": "mhdnn.properties.particle_contact:particle_report",
    "tunnels": "mhdnn.properties.tunnel_report:tunnels_report",
    "amorphous": "mhdnn.properties.structures.amorphous:amorphous_report",
    "charging": "mhdnn.properties.charging_report:charging_report",
    "screen": "mhdnn.properties.screening.report:screen_report",
    "barrier": "mhdnn.properties.barrier:barrier_report",
    "diffusion": "mhdnn.properties.diffusion:diffusion_report",
}
"""Name of a command -> ``module:function``; the function returns a `Report`, and its signature decides the keys."""

LARGEST_MATRIX = 6
"""Rows and columns of a matrix that is printed: elastic constants."""
ROUND_OFF = 1e-9


def run(arguments: Sequence[str]) -> None:
    """Run a command, write its report and print its numbers; without arguments, list the commands.

    :raises ConfigError: for an unknown command or unusable arguments
    """
    console = Console(soft_wrap=True, highlight=False)
    if not arguments or arguments[0] in HELP:
        print_commands(console)
        return
    name, rest = arguments[0], arguments[1:]
    function = load(name)
    output = Key(
        "output",
        "a folder",
        Path,
        False,
        Path("properties") / name,
        "where JSON, pictures (PNG, PDF, SVG) and structures are written",
    )
    own = keys_of(function)
    keys = [*own, output]
    calculator = next((key for key in own if key.name == "calculator"), None)
    several = calculator is not None and any(text.startswith("calculators=") for text in rest)
    if calculator is not None and several:
        keys = [calculators_key(calculator), *(key for key in keys if key is not calculator)]
    if any(argument in HELP for argument in rest):
        print_keys(console, f"properties {name}", function, keys)
        return
    values = parse_arguments(keys, rest)
    folder = values.pop("output", output.default)
    if several:
        reports = reports_of(function, own, values, values.pop("calculators"))
        for label, report in reports.items():
            report.write(folder / label)
        report = comparison(reports)
    else:
        report = call(function, values)
    print_report(console, report, report.write(folder))


def load(name: str) -> Callable[..., Report]:
    """The function of a command.

    :raises ConfigError: if there is no such command
    """
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean `{close[0]}`? " if close else ""
        raise ConfigError(f"`{name}`: no such property; {hint}Expected one of {', '.join(COMMANDS)}")
    module, _, function = COMMANDS[name].partition(":")
    return getattr(importlib.import_module(module), function)


def print_commands(console: Console) -> None:
    """One line for each command: the first one of its docstring."""
    console.print("mhdnn properties NAME key=value ...     NAME --help shows the keys\n", markup=False)
    table = Table.grid(padding=(0, 3))
    for name in COMMANDS:
        table.add_row(name, first_line(load(name)))
    console.print(table)


def print_report(console: Console, report: Report, files: Sequence[Path]) -> None:
    """The numbers, short lists and small matrices of a report, its warnings, and where its files are."""
    table = Table.grid(padding=(0, 3))
    for key, value in named_numbers(report.values):
        if (text := short_text(value)) is not None:
            table.add_row(key, text)
    console.print(table)
    for key, value in report.values.items():
        if isinstance(value, np.ndarray) and value.ndim == 2 and 1 < max(value.shape) <= LARGEST_MATRIX:
            console.print(f"{key}\n{matrix_text(value)}", markup=False)
    for warning in report.warnings:
        console.print(f"warning: {warning}", markup=False, style="yellow")
    for file in files:
        console.print(str(file), markup=False)


def named_numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys and values of a report; of dictionaries within, the keys joined by dots."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", item) for inner, item in named_numbers(value))
        else:
            yield key, value


def short_text(value: object) -> str | None:
    """A value that fits on a line, or None; of a list with one, this one."""
    if isinstance(value, list) and len(value) == 1:
        return short_text(value[0])
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return str(value)
    if isinstance(value, float | np.floating):
        return format_number(float(value)) if np.isfinite(value) else "unknown"
    if isinstance(value, str):
        return value.replace("[", r"\[")
    if isinstance(value, list | tuple | np.ndarray) and np.ndim(value) == 1 and 0 < len(value) <= 6:
        parts = [short_text(item) for item in value]
        return None if None in parts else ", ".join(part for part in parts if part)
    return None


def matrix_text(matrix: np.ndarray) -> str:
    """Its rows in lines; what is round-off beside the largest number is zero."""
    largest = np.abs(matrix).max() if np.isfinite(matrix).all() else 0.0
    shown = np.where(np.abs(matrix) < ROUND_OFF * largest, 0.0, matrix)
    return "\n".join("".join(f"{value:11.4g}" for value in row) for row in shown)
