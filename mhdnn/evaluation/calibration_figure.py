"""Figure of true against expected errors."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from mhdnn.evaluation.calibration import force_calibration
from mhdnn.evaluation.plots import MAE_COLOR, new_figure, style_axes
from mhdnn.evaluation.predictions import Predictions
from mhdnn.evaluation.table import format_number

NUM_BINS = 10


def calibration_figure(predictions: Predictions, title: str) -> Figure | None:
    """True against expected errors of forces, with the median and the 90 % of tenths of the atoms."""
    found = force_calibration(predictions)
    if found is None or len(found.error) < NUM_BINS:
        return None
    order = np.argsort(found.expected)
    bins = np.array_split(order, NUM_BINS)
    centers = [np.median(found.expected[b]) for b in bins]
    figure = new_figure(5.0, 4.2)
    axes = figure.subplots()
    style_axes(axes)
    shown = np.maximum(found.error, 1e-3 * np.median(found.expected))
    axes.scatter(found.expected, shown, s=4, alpha=0.3, linewidths=0, color=MAE_COLOR, rasterized=True)
    for fraction, label in ((0.5, "median of a tenth"), (0.9, "90 % of a tenth")):
        axes.plot(centers, [np.quantile(shown[b], fraction) for b in bins], "o-", color="black", ms=3, lw=1,
                  alpha=1.0 if fraction == 0.5 else 0.5, label=label)  # fmt: skip
    line = np.array([found.expected.min(), found.expected.max()])
    axes.plot(line, found.quantile * line, "--", color="tab:red", lw=1, label="limit of 90 %")
    axes.set(xscale="log", yscale="log", xlabel="Expected error of force (eV/Å)", ylabel="Error of force (eV/Å)")
    axes.set_title(f"{title}\nrank correlation {format_number(found.spearman)}, {100 * found.coverage:.1f} % inside")
    axes.legend(fontsize="small")
    return figure
