"""Picture of an intercalation electrode: hull, voltage profile, volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from mhdnn.evaluation.plots import PALETTE, label_axes, new_figure, style_axes

if TYPE_CHECKING:
    from mhdnn.properties.voltage import Intercalation, Plateau


def voltage_figure(states: Intercalation, plateaus: Sequence[Plateau]) -> Figure:
    """Formation energies with the hull, the voltage against x, and volumes of all structures."""
    figure = new_figure(12, 3.8, f"{states.ion} in {states.host}")
    hull, profile, volume = figure.subplots(1, 3)
    x_label = f"x in {states.ion}$_x${states.host}"
    stable, ions = states.stable, states.ions
    for axes in (hull, profile, volume):
        style_axes(axes)
    hull.plot(
        ions, states.formation_energies, "o", color=PALETTE[0], markersize=4, fillstyle="none", label="structures"
    )
    hull.plot(ions[stable], states.formation_energies[stable], "o-", color=PALETTE[1], markersize=5, label="hull")
    hull.legend(frameon=False, fontsize=9)
    label_axes(hull, x_label, "formation energy, eV per formula unit")
    profile.step(
        [plateau.charged for plateau in plateaus] + [plateaus[-1].discharged],
        [plateau.voltage for plateau in plateaus] + [plateaus[-1].voltage],
        where="post",
        color=PALETTE[2],
        linewidth=1.8,
    )
    label_axes(profile, x_label, f"voltage against {states.ion}, V")
    if np.isfinite(states.volumes).any():
        volume.plot(ions, states.volumes, "o", color=PALETTE[0], markersize=4, fillstyle="none")
        volume.plot(ions[stable], states.volumes[stable], "o-", color=PALETTE[1], markersize=5)
    label_axes(volume, x_label, "volume, Å³ per formula unit")
    return figure
