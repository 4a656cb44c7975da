"""Charges that answer to the far end of a chain: charge equilibration against a purely local charge network.

    python benchmarks/nonlocal_charges.py [--output F.json] [--plot F.png] [--override trainer.max_epochs=50]

C10H2 and C10H3+ (data/carbon_chains.h5, test structures held out): the second hydrogen at one end changes the charges
of all carbon atoms. `local` is the same electronegativity network trained to give the charges themselves, for the
charges, and the same potential without charges for energies and forces. Both models see the same data and the same
functions; what learns energies does so for equally many epochs. After Ko, Finkler, Goedecker and Behler (2021),
https://doi.org/10.1038/s41467-020-20427-2.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.data.dataset import collate
from mhdnn.deploy.model_file import load_model
from mhdnn.factory import build_potential
from mhdnn.prediction import SeenAtoms, predict_charges
from mhdnn.structure import Batch, Geometry
from mhdnn.training.assembly import model_settings
from mhdnn.training.callbacks import MovingAverage
from mhdnn.training.charges import ChargeModule, fit_charge_scaling
from mhdnn.training.initialization import fit_scaling
from mhdnn.training.stages import ChargeStage

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DATA = Path(__file__).resolve().parent.parent / "data/carbon_chains.h5"
SETTINGS = ["experiment=carbon_chains", f"data.train={DATA}"]


class LocalChargeModule(ChargeModule):
    """Charges straight from the symmetry functions of each atom."""

    def charges(self, batch: Batch) -> torch.Tensor:
        return local_charges(self.potential, batch.geometry)


def local_charges(potential: torch.nn.Module, geometry: Geometry) -> torch.Tensor:
    atoms = SeenAtoms(potential, geometry)
    return potential.charge_model.electronegativity(atoms.functions, atoms.element_index)


def train_with_command(folder: Path, overrides: list[str]) -> dict[str, Any]:
    """Errors of `mhdnn train` on the test structures."""
    command = [sys.executable, "-m", "mhdnn.cli", "train", *SETTINGS, f"hydra.run.dir={folder}", "report=false"]
    subprocess.run([*command, *overrides], check=True)
    return json.loads((folder / "errors.json").read_text())["test"]


def compose_config(overrides: list[str]) -> Any:
    with initialize_config_module("mhdnn.configs", version_base="1.3"):
        return compose("train", overrides=[*SETTINGS, *overrides])


def train_local(overrides: list[str]) -> tuple[torch.nn.Module, StoreDataModule]:
    """The electronegativity network trained to give charges, as long as charges are trained otherwise."""
    config = compose_config(overrides)
    pl.seed_everything(config.seed, verbose=False)
    data = StoreDataModule(**config.data, cutoff=config.cutoff, seed=config.seed)
    settings = model_settings(config, data)
    potential = build_potential(settings)
    fit_scaling(potential, data.sample(config.initialization.scaling_atoms))
    fit_charge_scaling(potential, data.sample(config.initialization.scaling_atoms))
    potential.charge_model.network.output_scale.copy_(1.0 / potential.charge_model.charge_scale)
    potential.charge_model.electronegativity_shift.data.copy_(potential.charge_model.charge_mean)
    ChargeStage(config.charges.max_epochs).choose_parameters(potential)
    module = LocalChargeModule(
        potential, settings, optimizer=instantiate(config.optimizer), scheduler=instantiate(config.scheduler)
    )
    trainer = pl.Trainer(
        max_epochs=config.charges.max_epochs,
        gradient_clip_val=config.trainer.gradient_clip_val,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        inference_mode=False,
        callbacks=[MovingAverage(config.callbacks.average.decay)],
    )
    trainer.fit(module, datamodule=data)
    return potential, data


def test_charges(potential: torch.nn.Module, data: StoreDataModule, predict: Any) -> list[tuple[Batch, np.ndarray]]:
    """Predictions of single test structures."""
    dataset = data.dataset("test")
    batches = [collate([dataset[index]]) for index in range(len(dataset))]
    with torch.no_grad():
        return [(batch, predict(potential, batch.geometry).detach().numpy()) for batch in batches]


def charge_rmse(predictions: list[tuple[Batch, np.ndarray]]) -> float:
    differences = [predicted - batch.labels.charges.numpy() for batch, predicted in predictions]
    return float(np.sqrt(np.mean(np.concatenate(differences) ** 2)))


def carbon_profile(batch: Batch, charges: np.ndarray) -> np.ndarray:
    """Charges of the carbon atoms from one end to the other, the end with more hydrogen first."""
    positions, numbers = batch.geometry.positions.numpy(), batch.geometry.atomic_numbers.numpy()
    carbon = positions[numbers == 6]
    axis = np.linalg.svd(carbon - carbon.mean(0))[2][0]
    place = (positions - carbon.mean(0)) @ axis
    if place[numbers == 1].sum() > 0:  # more hydrogen where the axis points to
        place = -place
    return charges[numbers == 6][np.argsort(place[numbers == 6])]


def plot(local: list[tuple[Batch, np.ndarray]], equilibrated: list[tuple[Batch, np.ndarray]], path: Path) -> None:
    """Mean charge along the chain for both terminations: DFT, local, equilibrated."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for panel, total, title in zip(axes, (0.0, 1.0), ("C10H2", "C10H3+"), strict=True):
        reference = [
            carbon_profile(b, b.labels.charges.numpy()) for b, _ in local if float(b.geometry.total_charge) == total
        ]
        panel.plot(range(1, 11), np.mean(reference, 0), "o-", color="black", label="DFT (Hirshfeld)")
        for name, predictions, color in (("local", local, "tab:orange"), ("equilibrated", equilibrated, "tab:blue")):
            profiles = [carbon_profile(b, q) for b, q in predictions if float(b.geometry.total_charge) == total]
            panel.plot(range(1, 11), np.mean(profiles, 0), "s--", color=color, label=name, markersize=4)
        panel.set_title(f"{title}, mean of {len(reference)} test structures")
        panel.set_xlabel("carbon atom along the chain")
        panel.set_xticks(range(1, 11))
    axes[0].set_ylabel("charge, e")
    axes[1].legend()
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--override", action="append", default=[], help="of mhdnn train, for all models")
    arguments = parser.parse_args()
    config = compose_config(arguments.override)
    epochs = f"trainer.max_epochs={config.trainer.max_epochs + config.charges.joint_epochs}"
    potential, data = train_local(arguments.override)
    local = test_charges(potential, data, local_charges)
    with tempfile.TemporaryDirectory() as folder:
        equilibrated_errors = train_with_command(Path(folder) / "equilibrated", arguments.override)
        no_charges = ["charges=none", "~charges.joint_epochs"]
        without = train_with_command(Path(folder) / "local", [*no_charges, *arguments.override, epochs])
        script, _ = load_model(Path(folder) / "equilibrated/model.pt")
        equilibrated = test_charges(script, data, predict_charges)
    records = [
        {
            "model": model,
            "charge_rmse_e": charge_rmse(charges),
            **{key: errors[key] for key in ("energy_rmse_mev_per_atom", "force_rmse_ev_per_angstrom")},
        }
        for model, charges, errors in (("local", local, without), ("equilibrated", equilibrated, equilibrated_errors))
    ]
    table = Table("model", "charges, me RMSE", "energy, meV/atom RMSE", "forces, eV/Å RMSE")
    for r in records:
        table.add_row(
            r["model"],
            f"{1000 * r['charge_rmse_e']:.1f}",
            f"{r['energy_rmse_mev_per_atom']:.2f}",
            f"{r['force_rmse_ev_per_angstrom']:.3f}",
        )
    Console().print(table)
    if arguments.output:
        arguments.output.write_text(json.dumps(records, indent=2))
    if arguments.plot:
        plot(local, equilibrated, arguments.plot)


if __name__ == "__main__":
    main()
