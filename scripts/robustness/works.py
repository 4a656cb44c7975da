"""Work that is killed: what it is given, what it does, and what must be true after each kill."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
import torch
import yaml
from ase.build import bulk, fcc100
from ase.calculators.emt import EMT

from mhdnn.cli import main
from mhdnn.data.convert import convert
from mhdnn.data.split import assign_split, store_split
from mhdnn.data.store import StoreReader, StoreWriter
from mhdnn.deploy.export import read_checkpoint
from mhdnn.kernels.build import build, library_path
from tests.builders import structure_of

NUM_STRUCTURES = 400
OTHER_FILE_SYSTEM = Path("/dev/shm")
EPOCHS = 6
SMALL = [
    "cutoff=4.5", "descriptor=legendre", "descriptor.radial.num=6", "descriptor.angular.legendre.max_degree=1",
    "network.hidden=[6]",
    "descriptor.angular.legendre.radial.num=2", "trainer.enable_progress_bar=false", "report=false",
]  # fmt: skip
SUMMATION = 1e-6
"""A fresh calculator finds the neighbours in another order, and dynamics lets round-off grow."""
COUNTING_ORACLE = """\
from ase.calculators.emt import EMT


class CountingOracle(EMT):
    def calculate(self, atoms=None, *rest):
        with open("calls", "a") as stream:
            stream.write("call\\n")
        super().calculate(atoms, *rest)
"""
COMPILER = """\
#!/bin/sh
# Takes its time; what it "compiles" is the library that is there, in two halves.
for word; do case "$last" in -o) out="$word";; esac; last="$word"; done
case "$out" in
    *.so) head -c 100000 "$MHDNN_REAL_LIBRARY" > "$out"; sleep 0.2; cat "$MHDNN_REAL_LIBRARY" > "$out";;
    *.o) sleep 0.1; : > "$out";;
    *) exec c++ "$@";;
esac
"""


@dataclass(frozen=True)
class Work:
    """One kind of work.

    :param name: in the table
    :param prepare: writes what the work needs into an empty folder
    :param run: begins, or continues what was killed
    :param progress: how far it is; raises, or is less than before, if something is lost
    :param result: of the finished work, to be compared with that of one that was not killed
    :param tolerance: of the comparison, relative
    """

    name: str
    prepare: Callable[[Path], None]
    run: Callable[[Path], None]
    progress: Callable[[Path], float]
    result: Callable[[Path], object]
    tolerance: float = 0.0


def works() -> list[Work]:
    """All of them."""
    return [
        Work("convert", _prepare_conversion, _convert, _structures_of_result, _all_energies),
        Work("split", _prepare_split, _split, _split_is_there, _whole_split),
        Work("train", _prepare_training, _train, _epoch, _weights),
        Work("properties", _prepare_charging, _charge, _steps, _records, SUMMATION),
        Work("learn", _prepare_learning, _learn, _steps_of_learning, _learned),
        Work("build", _prepare_build, _build, _library_is_there, _library),
    ]


def _copper(seed: int) -> object:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=seed)
    atoms.calc = EMT()
    return atoms


def _prepare_conversion(folder: Path) -> None:
    frames = []
    for seed in range(NUM_STRUCTURES):
        atoms = _copper(seed)
        atoms.get_forces()
        frames.append(atoms)
    ase.io.write(folder / "source.extxyz", frames)
    with StoreWriter(folder / "result.h5") as writer:
        writer.append(structure_of(frames[0], energy=-1.0))


def _convert(folder: Path) -> None:
    convert([folder / "source.extxyz"], folder / "result.h5")


def _structures_of_result(folder: Path) -> float:
    count = len(list(StoreReader(folder / "result.h5")))
    if count not in (1, NUM_STRUCTURES):
        raise ValueError(f"{count} structures")
    return float(count)


def _all_energies(folder: Path) -> object:
    return StoreReader(folder / "result.h5").energies().tolist()


def _prepare_split(folder: Path) -> None:
    rng = np.random.default_rng(0)
    with StoreWriter(folder / "data.h5") as writer:
        for number in range(10 * NUM_STRUCTURES):
            atoms = bulk("Cu")
            writer.append(structure_of(atoms, energy=float(rng.normal()), group=f"copper/{number // 10}"))


def _split(folder: Path) -> None:
    groups = StoreReader(folder / "data.h5").groups
    for seed in range(4):
        store_split(folder / "data.h5", assign_split(groups, 0.1, 0.1, seed))


def _split_is_there(folder: Path) -> float:
    reader = StoreReader(folder / "data.h5")
    reader.energies()
    return 0.0 if reader.split is None else 1.0


def _whole_split(folder: Path) -> object:
    split = StoreReader(folder / "data.h5").split
    return None if split is None else split.tolist()


def _prepare_training(folder: Path) -> None:
    with StoreWriter(folder / "data.h5") as writer:
        for seed in range(24):
            atoms = _copper(seed)
            energy = float(atoms.get_potential_energy())
            writer.append(structure_of(atoms, energy=energy, forces=atoms.get_forces(), group=f"copper/{seed}"))


def _train(folder: Path) -> None:
    """With temporary files on another file system, where a rename is a copy."""
    if OTHER_FILE_SYSTEM.is_dir() and OTHER_FILE_SYSTEM.stat().st_dev != folder.stat().st_dev:
        os.environ["TMPDIR"], tempfile.tempdir = str(OTHER_FILE_SYSTEM), None
    last = folder / "run" / "checkpoints" / "last.ckpt"
    words = [f"data.train={folder / 'data.h5'}", f"trainer.max_epochs={EPOCHS}", f"hydra.run.dir={folder / 'run'}"]
    main(["train", *words, *SMALL, *([f"resume={last}"] if last.exists() else [])])


def _epoch(folder: Path) -> float:
    checkpoints = folder / "run" / "checkpoints"
    if (checkpoints / "best.ckpt").exists():
        read_checkpoint(checkpoints / "best.ckpt")
    last = checkpoints / "last.ckpt"
    return float(read_checkpoint(last)["epoch"]) if last.exists() else -1.0


def _weights(folder: Path) -> object:
    state = read_checkpoint(folder / "run" / "checkpoints" / "last.ckpt")["state_dict"]
    return {name: torch.as_tensor(value).tolist() for name, value in state.items()}


def _prepare_charging(folder: Path) -> None:
    atoms = fcc100("Cu", (2, 2, 2), vacuum=8.0, periodic=True)
    atoms.info = {}
    atoms.set_tags(0)
    ase.io.write(folder / "host.extxyz", atoms)


def _charge(folder: Path) -> None:
    os.chdir(folder)
    words = "atoms=host.extxyz calculator=ase.calculators.emt:EMT reference_energy=0.0 ion=Ag num_ions=6"
    main(["properties", "charging", *words.split(), "drive_steps=5", "relax_steps=10", "discharge=true", "output=out"])


def _steps(folder: Path) -> float:
    journal = folder / "charging_journal.json"
    return float(len(json.loads(journal.read_text())["results"])) if journal.exists() else 0.0


def _records(folder: Path) -> object:
    return json.loads((folder / "out" / "charging.json").read_text())["records"]


def _prepare_learning(folder: Path) -> None:
    ase.io.write(folder / "copper.extxyz", bulk("Cu", cubic=True))
    (folder / "oracle.py").write_text(COUNTING_ORACLE)
    training = [*SMALL[:-2], "trainer.max_epochs=3", *SMALL[-2:]]
    plan = {
        "structures": "copper.extxyz",
        "calculator": "oracle:CountingOracle",
        "sample": {"num": 12, "recipe": ["rattle:0.05"]},
        "test": {"num": 4},
        "training": training,
        "exploration": {"temperatures": [500], "steps": 20, "interval": 2, "limit": 0.001, "beyond": 100},
        "selection": {"num": 4},
        "max_rounds": 2,
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))


def _learn(folder: Path) -> None:
    os.chdir(folder)
    with (folder / "starts").open("a") as stream:
        stream.write("start\n")
    status = main(["learn", "plan.yaml"])
    if status:
        raise SystemExit(status)


def _steps_of_learning(folder: Path) -> float:
    """Steps in the journal; each start may have lost the label that was being computed, and no other."""
    calls, starts = (
        len(path.read_text().splitlines()) if path.exists() else 0 for path in (folder / "calls", folder / "starts")
    )
    kept = set()
    for path in folder.rglob("labels-*.jsonl"):
        for line in path.read_text().splitlines():
            if line.endswith("}") and line.startswith("{"):
                result = json.loads(line)
                kept.add((path.parent, result["structure"]))
    if calls > len(kept) + starts:
        raise ValueError(f"{calls} calls of the oracle for {len(kept)} labels in {starts} starts")
    journal = folder / "learning" / "journal.json"
    return float(len(json.loads(journal.read_text())["results"])) if journal.exists() else 0.0


def _learned(folder: Path) -> object:
    _steps_of_learning(folder)
    results = json.loads((folder / "learning" / "journal.json").read_text())["results"]
    labels = {
        str(path.relative_to(folder)): StoreReader(path).energies().tolist()
        for path in sorted(folder.glob("learning/round_*/labels.h5"))
    }
    return {"results": results, "labels": labels}


def _prepare_build(folder: Path) -> None:
    (folder / "real.so").write_bytes(build().read_bytes())
    (folder / "compiler").write_text(COMPILER)
    (folder / "compiler").chmod(0o755)


def _in_folder(folder: Path) -> Path:
    os.environ["MHDNN_REAL_LIBRARY"] = str(folder / "real.so")
    os.environ["CXX"], os.environ["TORCH_EXTENSIONS_DIR"] = str(folder / "compiler"), str(folder / "cache")
    return library_path()


def _build(folder: Path) -> None:
    _in_folder(folder)
    build()


def _library_is_there(folder: Path) -> float:
    libraries = list((folder / "cache").glob("*/*.so"))
    if any(library.read_bytes() != (folder / "real.so").read_bytes() for library in libraries):
        raise ValueError("half of a library where a whole one is expected")
    return float(len(libraries))


def _library(folder: Path) -> object:
    return _library_is_there(folder)
