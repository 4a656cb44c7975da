"""Figures of benchmarks/descriptors.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, ScalarFormatter

LABELS = {"wide": "wide", "legendre": "Legendre", "narrow": "narrow"}
MARKERS = {"wide": "o", "legendre": "s", "narrow": "^"}


def plot_neighbors(records: list[dict[str, Any]], path: Path) -> None:
    """Time of each method against the number of neighbours, with fitted power laws."""
    figure, axes = plt.subplots(figsize=(5.6, 4.2), layout="constrained")
    for method, label in LABELS.items():
        points = [(r["num_neighbors"], r["us_per_atom"]) for r in records if r["method"] == method]
        neighbors, times = np.array(sorted(points)).T
        slope, offset = np.polyfit(np.log(neighbors), np.log(times), 1)
        (line,) = axes.plot(neighbors, times, MARKERS[method], label=f"{label}, exponent {slope:.2f}")
        axes.plot(neighbors, np.exp(offset) * neighbors**slope, "-", color=line.get_color(), linewidth=1)
    finish(axes, "neighbours of an atom", [r["num_neighbors"] for r in records if r["method"] == "wide"])
    axes.legend()
    figure.savefig(path, dpi=160)
    plt.close(figure)


def plot_atoms(records: list[dict[str, Any]], path: Path) -> None:
    """Time against the number of atoms; one line for each number of threads."""
    figure, axes = plt.subplots(figsize=(5.6, 4.2), layout="constrained")
    for threads, marker in ((1, "o-"), (2, "s")):
        points = [(r["num_atoms"], r["us_per_atom"]) for r in records if r["threads"] == threads]
        atoms, times = np.array(sorted(points)).T
        axes.plot(atoms, times, marker, label="1 thread" if threads == 1 else f"{threads} threads")
    finish(axes, "atoms of silicon", sorted({r["num_atoms"] for r in records}))
    axes.set_yscale("linear")
    axes.set_ylim(bottom=0.0)
    axes.legend()
    figure.savefig(path, dpi=160)
    plt.close(figure)


def finish(axes: Axes, label: str, ticks: list[float]) -> None:
    """Logarithmic axes with plain numbers."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(ticks, [f"{tick:.0f}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel(label)
    axes.set_ylabel("energy and forces, µs for each atom (float32)")
    axes.grid(True, linewidth=0.3)
