"""Motion of the ions of a trajectory relative to their host: unwrapped, drift removed; hops counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mhdnn.errors import ConfigError, DataError

LARGEST_STEP = 0.4
"""Parts of a cell vector; atoms that move farther between frames can't be told from their images."""


@dataclass(frozen=True)
class IonMotion:
    """What diffusion is calculated from.

    :param positions: of the ions relative to the host, without jumps, shape (num_frames, num_ions, 3), Å
    :param time_between_frames: ps
    :param volume: mean one of the cell, Å³
    :param drift: of the host from the first frame to the last, which has been removed, Å
    """

    positions: np.ndarray
    time_between_frames: float
    volume: float
    drift: float

    @property
    def duration(self) -> float:
        """Time from the first frame to the last, ps."""
        return (len(self.positions) - 1) * self.time_between_frames

    def num_hops(self, length: float) -> int:
        """How often ions have moved farther than a length from where they hopped to before.

        :param length: longer than the amplitude of vibrations, Å
        """
        anchors, count = self.positions[0].copy(), 0
        for frame in self.positions[1:]:
            moved = np.linalg.norm(frame - anchors, axis=1) > length
            anchors[moved] = frame[moved]
            count += int(moved.sum())
        return count


def ion_motion(frames: Sequence[Atoms], ion: str, time_between_frames: float, unwrapped: bool = False) -> IonMotion:
    r"""The motion of one element relative to the centre of mass of all others, or of all if there are no others.

    Frames may be wrapped into the cell: between two, each atom moves along the shortest way, in the later cell (von
    Bülow et al., https://doi.org/10.1063/5.0008316).

    :param ion: symbol
    :param time_between_frames: ps
    :param unwrapped: whether positions are without jumps already (LAMMPS: xu yu zu), and are taken as they are
    :raises ConfigError: if the time is not positive or there are no such atoms
    :raises DataError: if frames have different atoms, or atoms move so far that the shortest way is not known
    """
    if not time_between_frames > 0:
        raise ConfigError(f"`time_between_frames`: expected a positive number, ps, got {time_between_frames}")
    numbers = frames[0].numbers
    if any(len(frame) != len(numbers) or (frame.numbers != numbers).any() for frame in frames):
        raise DataError(
            "`trajectories`: expected the same atoms in the same order in all frames, got others; sort them"
        )
    moving = np.array(frames[0].get_chemical_symbols()) == ion
    if not moving.any():
        raise ConfigError(f"`ion`: expected an element of {frames[0].symbols}, got {ion!r}")
    positions = np.array([frame.positions for frame in frames]) if unwrapped else _unwrapped(frames)
    masses = frames[0].get_masses() * (1.0 if moving.all() else ~moving)
    center = np.einsum("fac,a->fc", positions, masses) / masses.sum()
    volume = float(np.mean([frame.cell.volume if frame.cell.rank == 3 else np.nan for frame in frames]))
    relative = positions[:, moving] - center[:, None]
    return IonMotion(relative, time_between_frames, volume, float(np.linalg.norm(center[-1] - center[0])))


def _unwrapped(frames: Sequence[Atoms]) -> np.ndarray:
    """Positions without jumps over periodic boundaries, shape (num_frames, num_atoms, 3), Å."""
    result = [frames[0].positions.copy()]
    for before, after in zip(frames[:-1], frames[1:], strict=True):
        step = after.positions - before.positions
        if after.pbc.any():
            cell = after.cell.complete()[:]
            shares = step @ np.linalg.inv(cell)
            shares -= np.round(shares) * after.pbc
            largest = np.abs(shares[:, after.pbc]).max()
            if largest > LARGEST_STEP:
                raise DataError(
                    f"`trajectories`: an atom moves by {largest:.2f} of a cell vector between two frames, so that it "
                    "can't be told from its images; write frames more often, or unwrapped ones (`unwrapped=true`)"
                )
            step = shares @ cell
        result.append(result[-1] + step)
    return np.array(result)
