"""Minimum-energy paths by ASE's nudged elastic band with a climbing image.

Henkelman and Jónsson, https://doi.org/10.1063/1.1323224 (improved tangents); Henkelman, Uberuaga and Jónsson,
https://doi.org/10.1063/1.1329672 (climbing image); Smidstrup et al., https://doi.org/10.1063/1.4878664 (first guess by
image-dependent pair potentials).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import find_mic
from ase.mep import NEB
from ase.optimize import FIRE

from mhdnn.errors import ConfigError, DataError, PropertyError
from mhdnn.properties.band_file import BandFile
from mhdnn.properties.energy_profile import EnergyProfile
from mhdnn.properties.frames import with_results
from mhdnn.properties.path_symmetry import (
    Evaluations,
    Exchange,
    ImageCalculator,
    exchange_of_ends,
    make_symmetric,
    mirrored,
)
from mhdnn.properties.relaxation import relaxed

METHOD = "improvedtangent"
SPRING = 0.1  # eV/Å²
ROUGH = 5.0
"""The image climbs once forces are below this many times the limit."""
SYMMETRY_TOLERANCE = 0.1
"""Å; ends that an operation exchanges within this are made to be exchanged exactly."""
SAME_END = 0.2
"""Å; ends whose atoms are nearer than this are one."""
NUDGE = 0.05
"""Displacement for the curvature across the path, Å."""
UNSTABLE = -0.05
"""eV/Å²; a lower curvature across the path is no round-off."""
BEND = 0.3
"""How far the middle of a path is moved off an unstable line, Å."""
KEEP_EVERY = 10
"""Steps between writings of the band."""


@dataclass(frozen=True)
class BandSettings:
    """How a path is looked for.

    :param num_images: between the ends; an odd number has one in the middle, the saddle point of symmetric paths
    :param max_force: largest force on an atom across the path and, at the saddle point, along it, eV/Å
    :param max_steps: of the optimiser of the band
    :raises ConfigError: if a number is out of range
    """

    num_images: int = 7
    max_force: float = 0.03
    max_steps: int = 1000

    def __post_init__(self) -> None:
        if self.num_images < 1 or self.max_steps < 1 or not self.max_force > 0:
            raise ConfigError(
                "`num_images`, `max_steps`, `max_force`: expected at least one image and step and a force above 0, "
                f"got {self.num_images}, {self.max_steps}, {self.max_force}"
            )


@dataclass(frozen=True)
class MinimumEnergyPath:
    """A converged path.

    :param profile: images, energies
    :param symmetric: whether its halves are mirror images, so that only one was calculated
    :param num_calculations: energies and forces that the band took, ends aside
    :param bent: whether the first line was a ridge, which the path left
    :param ridge: whether energy still falls across the path at its highest point: it is no saddle point of first order
    """

    profile: EnergyProfile
    symmetric: bool
    num_calculations: int
    bent: bool
    ridge: bool


def minimum_energy_path(
    initial: Atoms,
    final: Atoms,
    calculator: BaseCalculator,
    settings: BandSettings,
    relax_ends: bool = True,
    file: BandFile | None = None,
) -> MinimumEnergyPath:
    """The path between two structures of the same atoms in the same order.

    The first guess is interpolated along the shortest way over periodic boundaries. If an operation exchanges the ends,
    the band starts symmetric and its second half is taken from the first. Where energy falls across the path at its
    highest point, the path is bent that way and relaxed again, without symmetry.

    :param relax_ends: to the force of the settings
    :param file: keeps the unfinished band
    :raises DataError: if the structures differ in more than positions, or are one and the same
    :raises PropertyError: if the ends or the band don't converge, or the ends relax to one place
    """
    start, end, exchange = _ends(initial, final, calculator, settings, relax_ends)
    guess = _interpolated(start, end, settings.num_images)
    if exchange is not None:
        make_symmetric(guess, exchange)
    path = _relaxed_band(guess, calculator, exchange, settings, file)
    direction = falling_direction(path.profile, calculator)
    if direction is None:
        return path
    atom = path.profile.moving_atom
    for number, image in enumerate(guess):
        image.positions[atom] += BEND * np.sin(np.pi * number / (len(guess) - 1)) * direction
    if file is not None:
        file.forget()
    count = path.num_calculations
    path = _relaxed_band(guess, calculator, None, settings, file)
    ridge = falling_direction(path.profile, calculator) is not None
    return replace(path, num_calculations=count + path.num_calculations, bent=True, ridge=ridge)


def _ends(
    initial: Atoms, final: Atoms, calculator: BaseCalculator, settings: BandSettings, relax: bool
) -> tuple[Atoms, Atoms, Exchange | None]:
    """Both ends with energies and forces, and what exchanges them."""
    same = len(initial) == len(final) and (initial.numbers == final.numbers).all()
    if not same or not np.allclose(initial.cell[:], final.cell[:], atol=1e-6) or (initial.pbc != final.pbc).any():
        raise DataError(
            "`initial`, `final`: expected the same atoms in the same order and cell, got "
            f"{initial.get_chemical_formula()} and {final.get_chemical_formula()}; make one from the other"
        )
    exchange = exchange_of_ends(initial, final, SYMMETRY_TOLERANCE)
    start = relaxed(initial, calculator, settings.max_force) if relax else initial
    if exchange is not None:
        end = mirrored(start, exchange, final.positions)
    else:
        end = relaxed(final, calculator, settings.max_force) if relax else final.copy()
    away, lengths = find_mic(end.positions - start.positions, start.cell, start.pbc)
    if lengths.max() < SAME_END:
        raise PropertyError(
            f"`initial`, `final`: expected two places, but the ends relax to one ({lengths.max():.2f} Å apart): one of "
            "them is no site"
        )
    start, end = with_results(start, calculator), end.copy()
    end.set_positions(start.positions + away, apply_constraint=False)
    return start, _with_mirrored_results(start, end, exchange) or with_results(end, calculator), exchange


def _with_mirrored_results(start: Atoms, end: Atoms, exchange: Exchange | None) -> Atoms | None:
    """The end with the mirrored forces of the start, if it is its mirror image."""
    if exchange is None or start.calc is None:
        return None
    forces = exchange.vectors(start.get_forces(apply_constraint=False))
    end.calc = SinglePointCalculator(end, energy=start.get_potential_energy(), forces=forces)
    return end


def _interpolated(start: Atoms, end: Atoms, number: int) -> list[Atoms]:
    """A band by image-dependent pair potentials; its images have no calculators but at the ends."""
    images = [start, *(start.copy() for _ in range(number)), end]
    band = NEB(images, method=METHOD)
    band.interpolate("idpp" if len(start) > 1 else "linear", mic=True, apply_constraint=False)
    return images


def _relaxed_band(
    guess: list[Atoms],
    calculator: BaseCalculator,
    exchange: Exchange | None,
    settings: BandSettings,
    file: BandFile | None,
) -> MinimumEnergyPath:
    """The band at rest, its highest image at the saddle point."""
    images = [guess[0], *(image.copy() for image in guess[1:-1]), guess[-1]]
    evaluations = Evaluations(calculator, exchange, 2 * len(images))
    for image in images[1:-1]:
        image.calc = ImageCalculator(evaluations)
    band = NEB(images, k=SPRING, method=METHOD)
    climbing = file is not None and file.restore(images)
    steps = 0
    for climb in (True,) if climbing else (False, True):
        band.climb = climb
        optimizer = FIRE(band, logfile=None)
        if file is not None:
            optimizer.attach(lambda climb=climb: file.keep(images, climb), interval=KEEP_EVERY)
        limit = settings.max_force if climb else ROUGH * settings.max_force
        try:
            converged = optimizer.run(fmax=limit, steps=max(1, settings.max_steps - steps))
        except PropertyNotImplementedError as error:
            raise ConfigError(f"`calculator`: expected one with forces for a path, got none ({error})") from error
        steps += optimizer.get_number_of_steps()
        if not converged:
            raise PropertyError(
                f"`max_steps`: expected a path with forces below {limit} eV/Å within {settings.max_steps} steps, which "
                "it did not reach; allow more, choose a larger `max_force` or other ends"
            )
    band.get_forces()
    profile = EnergyProfile(list(band.iterimages()))
    return MinimumEnergyPath(profile, _is_symmetric(profile, exchange), evaluations.num_calculations, False, False)


def _is_symmetric(profile: EnergyProfile, exchange: Exchange | None) -> bool:
    return exchange is not None and np.abs(profile.energies - profile.energies[::-1]).max() < 1e-6


def falling_direction(profile: EnergyProfile, calculator: BaseCalculator) -> np.ndarray | None:
    """The direction across the path in which the energy of the highest image falls with the moving atom, if it does.

    From the two curvatures across the path, by finite differences of forces. Other atoms stay: an energy that falls
    only if they follow is not seen.

    :return: unit vector, or None
    """
    saddle, atom = profile.images[profile.saddle], profile.moving_atom
    if profile.saddle in (0, len(profile.images) - 1):
        return None
    tangent = profile.positions[profile.saddle + 1, atom] - profile.positions[profile.saddle - 1, atom]
    across = np.linalg.svd(tangent[None])[2][1:]
    curvatures = np.zeros((2, 2))
    for row, direction in enumerate(across):
        forces = []
        for sign in (1.0, -1.0):
            moved = saddle.copy()
            moved.positions[atom] += sign * NUDGE * direction
            moved.calc = calculator
            forces.append(moved.get_forces(apply_constraint=False)[atom])
        curvatures[row] = across @ (forces[1] - forces[0]) / (2.0 * NUDGE)
    values, vectors = np.linalg.eigh(0.5 * (curvatures + curvatures.T))
    return vectors[:, 0] @ across if values[0] < UNSTABLE else None
