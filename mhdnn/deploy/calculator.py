"""The ASE calculator."""

from __future__ import annotations

import copy
import hashlib
import inspect
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from mhdnn.deploy import choices
from mhdnn.deploy.core_library import CoreError
from mhdnn.deploy.core_model import CoreModel, core_model_of
from mhdnn.deploy.guard import ExtrapolationGuard
from mhdnn.deploy.model_file import opened_model, read_model
from mhdnn.dispersion import DispersionCorrection
from mhdnn.electrostatics import ChargeHistory
from mhdnn.electrostatics.system import solver_number
from mhdnn.errors import ConfigError, ModelError, NotFiniteError
from mhdnn.finite import first_not_finite
from mhdnn.kernels.threads import only_functions_in_parallel
from mhdnn.neighbors import NeighborPairs, find_pairs, squared_lengths
from mhdnn.prediction import ChargedAtoms, Prediction, Spread, predict
from mhdnn.structure import Geometry

NO_PAIRS = NeighborPairs(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros((0, 3)))


class MHDNNCalculator(Calculator):
    """A trained model as an ASE calculator: energy, free energy, atomic energies, forces, stress, charges, dipole.

    ``results`` also has the expected errors (`mhdnn.uncertainty`; files of older versions have none): of the force on
    each atom, ``uncertainties``, and the largest of them, ``uncertainty`` (eV/Å); of the energy, ``energy_uncertainty``
    (eV). Atoms outside the range of the training data have at least twice the largest of the training set. Ensembles
    have ``energy_spread``, ``forces_spread`` and ``stress_spread``, too, standard deviations of the members.

    Neighbours are searched within cutoff + skin and kept until an atom has moved by half the skin.
    The stress is per volume of the given cell (with its vacuum) and needs three cell vectors. ``stresses`` are the
    atoms' shares in it (`mhdnn.prediction.predict`; their sum is the stress), computed when they are asked for.

    A copy goes on with the model that was opened. A pickle holds the path of the file, and is opened again only if that
    has not changed. Child processes may calculate with what they have from before a fork.

    :param model: path of a model file
    :param device: cpu or cuda
    :param skin: Å
    :param total_charge: of all atoms, e; for models with charges (also `atoms.info["total_charge"]`)
    :param solver: of the charges: auto, dense or iterative
    :param dispersion: the correction that is added: model (what the model was trained without), none, or a name as
        in `mhdnn.dispersion.DispersionCorrection.parse`; with one there are no ``stresses``
    :param extrapolation: about atoms, and total charges, outside the range of the training data (`mhdnn.domain`): warn
        (at the 1st, 10th, 100th ... such calculation), off (not a word; expected errors rise nonetheless), or stop
    :raises ModelError: if the file is no model, or leaves out a correction that can't be added here
    :raises ConfigError: if an argument is out of range, or a correction would be counted twice
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress", "stresses", "charges", "dipole"]
    ignored_changes = {"initial_charges", "initial_magmoms"}  # the energy does not depend on them

    def __init__(
        self,
        model: str | Path,
        device: str = "cpu",
        skin: float = 0.5,
        total_charge: float = 0.0,
        solver: str = "auto",
        dispersion: str = "model",
        extrapolation: str = "warn",
        **kwargs: Any,
    ) -> None:
        choices.check_keywords(kwargs, ARGUMENTS)
        super().__init__(**kwargs)
        if not (isinstance(skin, (int, float)) and 0 <= skin < math.inf):
            raise ConfigError(f"`skin`: expected a length of at least 0 Å, got {skin!r}")
        self.device = choices.chosen_device(device)
        self.path, content = Path(model).absolute(), read_model(model)
        self.model_digest = _digest(content)
        solver_number(solver)
        with only_functions_in_parallel():
            self.potential, self.metadata = opened_model(content, model, self.device)
            self.core = core_model_of(content, Path(model), self.potential, self.device, solver)
        self.cutoff = float(self.metadata["cutoff"])
        self.skin = skin
        self.total_charge = total_charge
        self.solver = solver
        self.dispersion = choices.chosen_dispersion(self.metadata, dispersion)
        missing = ["stresses"] if self.dispersion else []
        if not self.metadata.get("charges"):
            missing += ["charges", "dipole"]
        self.implemented_properties = [p for p in self.implemented_properties if p not in missing]
        self.guard = ExtrapolationGuard(extrapolation, self.potential.domain, str(model))
        self.num_neighbor_searches = 0
        self._pairs: NeighborPairs | None = None
        self._searched: Atoms | None = None
        self._charges: torch.Tensor | None = None
        self._history = ChargeHistory()

    def description(self) -> dict[str, Any]:
        """What the results depend on, for journals: digest of the model file, total charge, correction added."""
        added = None if self.dispersion is None else str(self.dispersion)
        return {"model": self.model_digest, "total_charge": self.total_charge, "dispersion": added}

    @property
    def total_charge(self) -> float:
        """Of all atoms, e, where `atoms.info["total_charge"]` says nothing else."""
        return self._chosen_charge

    @total_charge.setter
    def total_charge(self, value: float) -> None:
        charge = choices.charge_number(value)
        if charge != 0.0 and not self.metadata["charges"]:
            raise ConfigError(
                f"`total_charge`: the model has no charges, and its energies don't depend on it, got {charge} e; leave "
                "it out, or train a model with `charges=equilibration`"
            )
        self._chosen_charge, self.results = charge, {}

    def set(self, **given: Any) -> dict[str, Any]:
        """Change the total charge (e); all else is chosen where the model is opened.

        :return: what has changed
        :raises ConfigError: if something else is given
        """
        others = [name for name in given if name != "total_charge"]
        if others:
            raise ConfigError(
                f"`{', '.join(others)}`: an open model can be set another total_charge only; open it with other "
                f"arguments instead, of {', '.join(ARGUMENTS)}"
            )
        changed = {name: value for name, value in given.items() if value != self.total_charge}
        for value in changed.values():
            self.total_charge = value
        return changed

    def __copy__(self) -> MHDNNCalculator:
        result = object.__new__(type(self))
        result.__dict__.update(self.__dict__)
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> MHDNNCalculator:
        result = memo[id(self)] = object.__new__(type(self))
        result.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return result

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = {name: getattr(self, name) for name in ("skin", "total_charge", "solver")}
        arguments |= {"device": str(self.device), "extrapolation": self.guard.choice}
        arguments["dispersion"] = "none" if self.dispersion is None else str(self.dispersion)
        state = {"atoms": self.atoms, "results": self.results}
        return _opened_again, (type(self), str(self.path), self.model_digest, arguments), state

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Called by ASE; fills ``self.results``, which are empty if it fails.

        :raises ConfigError: without atoms, or if their total charge is no number
        :raises ModelError: if the model does not know an element, or an atom is unlike all that it was trained on
            and `extrapolation` is stop
        :raises NotFiniteError: if a position, cell vector, energy, force, stress or charge is NaN or infinite
        """
        super().calculate(atoms, properties, system_changes)
        if self.atoms is None:
            raise ConfigError("`atoms`: expected atoms, got None; attach the calculator to some (`atoms.calc = ...`)")
        self.results, self._charges = {}, None
        self.guard.forget(len(self.atoms))
        num_threads = torch.get_num_threads()
        with only_functions_in_parallel():
            self._calculate(properties or [], num_threads)

    def _calculate(self, asked: list[str], num_threads: int) -> None:
        choices.check_elements(self.atoms.numbers, self.metadata, "atoms")
        self._check_geometry()
        shares = "stresses" in asked and bool(self.atoms.cell.rank == 3)
        if self.metadata["charges"]:
            self.guard.look_at_total_charge(self._total_charge())
        pairs = self._pairs_with_skin()
        core = None if shares else self.core
        prediction = self._asked_torch(pairs, shares) if core is None else self._asked_core(core, pairs, num_threads)
        geometry = self._geometry()
        self._check_finite(prediction, geometry)
        self.guard.report()
        results = self._results(prediction, geometry)
        results.update(self._uncertainties(prediction))
        if prediction.spread is not None:
            results.update(self._spread(prediction.spread, geometry))
        if self.dispersion:
            self._add_dispersion(results, self.dispersion, atomic="energies" in asked)
        self.results, self._charges = results, prediction.charges

    def _asked_core(self, core: CoreModel, pairs: NeighborPairs, num_threads: int) -> Prediction:
        try:
            return core.predict(self.atoms, pairs, self._total_charge(), self.guard, num_threads)
        except CoreError:
            self._asked_torch(pairs, False)  # says more of what is wrong with the atoms
            raise

    def _asked_torch(self, pairs: NeighborPairs, shares: bool) -> Prediction:
        return predict(
            self.potential,
            self._geometry(pairs),
            solver=self.solver,
            history=self._history,
            atomic_virials=shares,
            guard=self.guard,
            uncertainty=True,
            spread=True,
        )

    def _results(self, prediction: Prediction, geometry: Geometry) -> dict[str, Any]:
        """What every model gives."""
        energy = float(prediction.energy)
        results = {
            "energy": energy,
            "free_energy": energy,
            "energies": prediction.atomic_energies.cpu().numpy(),
            "forces": prediction.forces.cpu().numpy(),
        }
        if self.atoms.cell.rank == 3:
            results["stress"] = geometry.stress(prediction.virial)[0].cpu().numpy()
        if prediction.atomic_virials is not None:
            results["stresses"] = (prediction.atomic_virials / geometry.volume).cpu().numpy()
        if prediction.charges is not None:
            charges = prediction.charges.cpu().numpy()
            results["charges"] = charges
            # of the charges alone, about the origin; in a periodic direction it depends on the choice of the cell
            results["dipole"] = charges @ self.atoms.positions
        return results

    def _uncertainties(self, prediction: Prediction) -> dict[str, Any]:
        """Expected errors as results; empty for models of older versions."""
        if prediction.force_errors is None:
            return {}
        errors = prediction.force_errors
        results = {"uncertainties": errors.cpu().numpy(), "uncertainty": float(errors.max()) if len(errors) else 0.0}
        if prediction.energy_errors is not None:
            results["energy_uncertainty"] = float(prediction.energy_errors)
        return results

    def _spread(self, spread: Spread, geometry: Geometry) -> dict[str, Any]:
        """Standard deviations of the members of an ensemble: energy (eV), forces (eV/Å), stress (eV/Å³)."""
        results = {"energy_spread": float(spread.energy), "forces_spread": spread.forces.cpu().numpy()}
        if self.atoms.cell.rank == 3:
            results["stress_spread"] = geometry.stress(spread.virial)[0].cpu().numpy()
        return results

    def _check_finite(self, prediction: Prediction, geometry: Geometry) -> None:
        found = first_not_finite(prediction._asdict(), geometry)
        if found is not None:
            self._history.forget()
            raise NotFiniteError(
                f"`atoms`: {found[1]} of {self.atoms.get_chemical_formula()} is NaN or infinite; look for atoms at the "
                "same place and for positions or cell vectors that are no numbers"
            )

    @property
    def outside_training(self) -> np.ndarray:
        """Atoms of the last calculation outside the range of the training data, shape (num_atoms,), bool."""
        return self.guard.outside

    @property
    def num_extrapolations(self) -> int:
        """Calculations with such atoms."""
        return self.guard.num_extrapolations

    def _add_dispersion(self, results: dict[str, Any], correction: DispersionCorrection, atomic: bool) -> None:
        part = correction.labels(self.atoms)
        results["energy"] = results["free_energy"] = results["energy"] + part.energy
        results["forces"] = results["forces"] + part.forces
        if part.stress is not None:
            results["stress"] = results["stress"] + part.stress
        energies = results.pop("energies")
        if atomic:  # as costly as all the rest of the correction
            results["energies"] = energies + correction.atomic_energies(self.atoms)

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation; for ASE."""
        changes = super().check_state(atoms, tol=tol)
        if self.atoms is not None and self._charge_of(self.atoms) != self._charge_of(atoms):
            changes.append("total_charge")
        return changes

    def charge_widths(self, atomic_numbers: np.ndarray) -> np.ndarray:
        """Widths s of the Gaussian charges of these elements, shape as given, Å.

        :raises ModelError: if the model has no charges, or does not know an element
        """
        if not self.metadata.get("charges"):
            raise ModelError("`charge_widths`: the model has no charges; train one with `charges=equilibration`")
        choices.check_elements(np.asarray(atomic_numbers), self.metadata, "atomic_numbers")
        numbers = torch.as_tensor(np.asarray(atomic_numbers), dtype=torch.long, device=self.device)
        return self.potential.charge_model.charge_widths(self.potential.element_index(numbers)).cpu().numpy()

    def electrostatic_potential(self, points: np.ndarray) -> np.ndarray:
        """Potential of the charges at points (a line across an interface, a grid), for the atoms calculated last.

        :param points: shape (num_points, 3), Å
        :return: shape (num_points,), V
        :raises ModelError: if the model has no charges, or nothing has been calculated
        :raises ConfigError: if the points have another shape
        :raises NotFiniteError: if a coordinate is NaN or infinite
        """
        if self._charges is None:
            reason = "nothing has been calculated yet" if self.metadata.get("charges") else "the model has no charges"
            raise ModelError(f"`electrostatic_potential`: {reason}; it needs the charges of a calculation")
        where = torch.as_tensor(choices.checked_points(points), device=self.device)
        with only_functions_in_parallel():
            charged = ChargedAtoms(self.potential, self._geometry(), self.solver)  # charges need no pairs
            return charged.coulomb.potential_at(where, self._charges).detach().cpu().numpy()

    def _geometry(self, pairs: NeighborPairs | None = None) -> Geometry:
        """The atoms, with those of some pairs that are within the cutoff."""
        num_atoms = len(self.atoms)

        def tensor(values: Any, dtype: torch.dtype = torch.float64) -> torch.Tensor:
            return torch.as_tensor(np.asarray(values), dtype=dtype, device=self.device)

        center, neighbor, shifts = pairs or NO_PAIRS
        geometry = Geometry(
            atomic_numbers=tensor(self.atoms.numbers, torch.long),
            positions=tensor(self.atoms.positions),
            cell=tensor(self.atoms.cell[:]).unsqueeze(0),
            pbc=tensor(self.atoms.pbc, torch.bool).unsqueeze(0),
            structure_index=torch.zeros(num_atoms, dtype=torch.long, device=self.device),
            num_atoms_per_structure=tensor([num_atoms], torch.long),
            center_index=tensor(center, torch.long),
            neighbor_index=tensor(neighbor, torch.long),
            cell_shifts=tensor(shifts),
            total_charge=tensor([self._total_charge()]),
            dataset_index=tensor([0], torch.long),
        )
        if pairs is None:
            return geometry
        near = torch.nonzero(squared_lengths(geometry.pair_vectors()) < self.cutoff**2).squeeze(1)
        return geometry.with_pairs(near)

    def _check_geometry(self) -> None:
        """Refuse what is no number before neighbours are searched for."""
        for name, values in (("positions", self.atoms.positions), ("cell", self.atoms.cell[:])):
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if len(bad):
                what = f"cell vector {bad[0]}" if name == "cell" else f"the position of atom {bad[0]}"
                raise NotFiniteError(
                    f"`atoms`: {what} is NaN or infinite, {values[bad[0]].tolist()} Å; look for atoms too close at the "
                    "start, or choose a smaller time step"
                )
        total_charge = self._total_charge()
        if not math.isfinite(total_charge):
            raise NotFiniteError(f"`total_charge`: expected a number in e, got {total_charge}")

    def _total_charge(self) -> float:
        return self._charge_of(self.atoms)

    def _charge_of(self, atoms: Atoms) -> float:
        return choices.charge_number(atoms.info.get("total_charge", self.total_charge))

    def _pairs_with_skin(self) -> NeighborPairs:
        """Pairs within cutoff and skin, the kept ones if none other can have come within the cutoff."""
        if self._pairs is None or not self._list_holds():
            self._pairs = find_pairs(self.atoms.positions, self.atoms.cell[:], self.atoms.pbc, self.cutoff + self.skin)
            self._searched = self.atoms.copy()
            self.num_neighbor_searches += 1
        return self._pairs

    def _list_holds(self) -> bool:
        """Whether no pair can have come within the cutoff since the last search."""
        last = self._searched
        if last is None or len(last) != len(self.atoms) or not np.array_equal(last.pbc, self.atoms.pbc):
            return False
        if not np.array_equal(last.cell[:], self.atoms.cell[:]):
            return False
        moved = np.linalg.norm(self.atoms.positions - last.positions, axis=1)
        return bool(2 * moved.max(initial=0.0) < self.skin)


ARGUMENTS = tuple(name for name in inspect.signature(MHDNNCalculator).parameters if name != "kwargs")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _opened_again(kind: type[MHDNNCalculator], path: str, digest: str, arguments: dict[str, Any]) -> MHDNNCalculator:
    """What a pickle holds: the calculator of a file that must be the same as then."""
    found = _digest(read_model(path))
    if found != digest:
        raise ModelError(
            f"{path}: another file has taken the place of the one that was pickled (its SHA-256 begins with {found}, "
            f"expected {digest}); put that one back, or open the new one by MHDNNCalculator"
        )
    return kind(path, **arguments)
