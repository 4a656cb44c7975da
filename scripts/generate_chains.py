"""Make the bundled set of carbon chains, C10H2 and C10H3+: structures, labels, HDF5.

    python scripts/generate_chains.py records/ --count 224      # a Python that has PySCF and ASE
    python scripts/generate_chains.py records/ --converge 3     # the same: how far from convergence
    python scripts/generate_chains.py records/ --collect data/carbon_chains.h5    # a Python that has mhdnn

The first writes one record per structure as soon as it is done and skips records that exist, so it can be
interrupted and started again, also with a larger count. The last drops what did not converge (and says how
many), and writes the store.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process per core is faster than threads here

import numpy as np
from ase import Atoms
from dft.chains import Candidate, PySCFChains, candidates
from dft.codes import NotConverged

SEED = 11
VALIDATION, TEST, SPLIT_SEED = 0.1, 0.15, 0
ATTRIBUTES = {"source": "scripts/generate_chains.py of mhdnn", "licence": "CC0-1.0"}
FINE_GRID, FINE_TOLERANCE = (100, 590), 1e-10


def label_one(code: PySCFChains, candidate: Candidate, folder: Path) -> dict[str, Any]:
    """Label one structure and write its record; returns the record."""
    start = time.process_time()
    record = {
        "name": candidate.name,
        "group": candidate.group,
        "temperature": candidate.temperature,
        "numbers": candidate.atoms.numbers.tolist(),
        "positions": candidate.atoms.positions.tolist(),
        "total_charge": candidate.total_charge,
        **code.description,
    }
    try:
        label = code.label(candidate.atoms, candidate.total_charge)
        record |= {
            "converged": True,
            "energy": label.energy,
            "forces": label.forces.tolist(),
            "charges": label.charges.tolist(),
            "missing_charge": label.missing_charge,
            "gap": label.gap,
        }
    except NotConverged as error:
        record |= {"converged": False, "reason": str(error)}
    record["cpu_seconds"] = round(time.process_time() - start, 1)
    target = folder / f"{candidate.name}.json"
    aside = target.with_suffix(".part")
    aside.write_text(json.dumps(record))
    aside.replace(target)
    return record


def label_all(folder: Path, count: int, seed: int) -> None:
    """Label every structure that has no record yet."""
    folder.mkdir(parents=True, exist_ok=True)
    everything = candidates(seed, count)
    open_ones = [c for c in everything if not (folder / f"{c.name}.json").exists()]
    print(f"{len(everything)} structures, {len(open_ones)} to do", flush=True)
    code = PySCFChains()
    start = time.monotonic()
    for number, candidate in enumerate(open_ones, start=1):
        record = label_one(code, candidate, folder)
        left = (time.monotonic() - start) / number * (len(open_ones) - number) / 60
        state = "converged" if record["converged"] else "NOT CONVERGED"
        line = f"{candidate.name}: {state}, {record['cpu_seconds']} CPU-s, about {left:.0f} min left"
        print(f"[{number}/{len(open_ones)}] {line}", flush=True)


def read_records(folder: Path) -> list[dict[str, Any]]:
    """All records, in the order of their names."""
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not records:
        raise SystemExit(f"{folder}: no records; run `generate_chains.py {folder}` first")
    return records


def collect(folder: Path, target: Path) -> None:
    """Write all converged records as one schema-1 store."""
    from mhdnn.data.split import assign_split
    from mhdnn.data.store import StoreWriter
    from mhdnn.structure import Structure

    records = read_records(folder)
    converged = [record for record in records if record["converged"]]
    for record in records:
        if not record["converged"]:
            print(f"dropped, not converged: {record['name']} ({record['reason']})")
    split = assign_split([record["group"] for record in converged], VALIDATION, TEST, SPLIT_SEED)
    attributes = {
        **ATTRIBUTES,
        **{key: converged[0][key] for key in ("code", "functional", "charge_scheme", "settings")},
        "energy_kind": "free",
        "num_dropped_unconverged": str(len(records) - len(converged)),
    }
    with StoreWriter(target, attributes) as writer:
        for record, part in zip(converged, split, strict=True):
            structure = Structure(
                atomic_numbers=np.array(record["numbers"]),
                positions=np.array(record["positions"]),
                cell=np.zeros((3, 3)),
                pbc=np.zeros(3, dtype=bool),
                energy=record["energy"],
                forces=np.array(record["forces"]),
                charges=np.array(record["charges"]),
                total_charge=float(record["total_charge"]),
                group=record["group"],
            )
            writer.append(structure, split=str(part))
    families = Counter(record["group"].split("/")[0] for record in converged)
    print(f"{target}: {dict(families)}, {len(records) - len(converged)} dropped, {dict(Counter(split))}")


def converge(folder: Path, count: int) -> None:
    """Compare ``count`` records, evenly chosen, with labels of a finer grid and tighter cycles."""
    converged = [record for record in read_records(folder) if record["converged"]]
    code = PySCFChains(FINE_GRID, FINE_TOLERANCE)
    for record in converged[:: max(1, len(converged) // count)][:count]:
        fine = code.label(Atoms(record["numbers"], record["positions"]), record["total_charge"])
        energy = 1e3 * abs(record["energy"] - fine.energy) / len(fine.charges)
        forces = 1e3 * np.array(record["forces"]) - 1e3 * fine.forces
        charges = 1e3 * np.abs(np.array(record["charges"]) - fine.charges).max()
        print(
            f"{record['name']}: energy {energy:.4f} meV/atom, forces at most {np.abs(forces).max():.2f} and "
            f"{np.sqrt((forces**2).mean()):.2f} meV/Å (root mean square), charges at most {charges:.3f} me",
            flush=True,
        )


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="records, one file per structure")
    parser.add_argument("--count", type=int, default=224, help="structures, half of each molecule")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--converge", type=int, metavar="N", help="label N records again, more finely, and compare")
    parser.add_argument("--collect", type=Path, metavar="FILE", help="write the records as HDF5")
    chosen = parser.parse_args(arguments)
    if chosen.collect is not None:
        collect(chosen.folder, chosen.collect)
    elif chosen.converge is not None:
        converge(chosen.folder, chosen.converge)
    else:
        label_all(chosen.folder, chosen.count, chosen.seed)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        raise SystemExit("interrupted; start again with the same arguments to go on") from None
