"""Make the bundled DFT set and the points of an interface: structures, labels, files.

    /usr/bin/python3 scripts/generate_dft.py label records/ --workers 2     # a Python that has GPAW
    python scripts/generate_dft.py collect records/ data/sn_graphene.h5     # a Python that has mhdnn

    /usr/bin/python3 scripts/generate_dft.py label more/ --structures adhesion
    python scripts/generate_dft.py append more/ data/sn_graphene.h5

    /usr/bin/python3 scripts/generate_dft.py label points/ --structures interface
    python scripts/generate_dft.py collect-interface points/ data/sn_graphene_interface.extxyz

``label`` writes one record per structure as soon as it is done and skips records that exist, so it can
be interrupted and started again. ``collect`` adds the D3(BJ) dispersion, drops what did not converge
(and says how many), and writes the store; ``append`` puts further records behind those of a store.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process per core is faster than threads here

from dft import adhesion, interface, structures
from dft.codes import GPAWHirshfeld, GPAWPlaneWaves, NotConverged
from dft.structures import Candidate

SEED = 7
STRUCTURES: dict[str, Callable[[], list[Candidate]]] = {
    "training": lambda: structures.candidates(SEED),
    "adhesion": lambda: adhesion.candidates(SEED),
    "near_rest": lambda: adhesion.candidates_near_rest(SEED),
    "interface": interface.candidates,
}


def label_one(candidate: Candidate, folder: Path) -> str:
    """Label one structure and write its record; returns a line for the terminal."""
    code = GPAWPlaneWaves()

    def run(log: Path) -> dict[str, Any]:
        label = code.label(candidate.atoms, candidate.k_points, log)
        return {"energy": label.energy, "forces": label.forces.tolist(), "stress": label.stress.tolist()}

    return write_record(candidate, folder, code.description, run)


def charge_one(candidate: Candidate, folder: Path) -> str:
    """The same for the charges."""
    code = GPAWHirshfeld()

    def run(log: Path) -> dict[str, Any]:
        return {"charges": code.label(candidate.atoms, candidate.k_points, log).tolist()}

    return write_record(candidate, folder, code.description, run)


def write_record(
    candidate: Candidate, folder: Path, description: dict[str, str], run: Callable[[Path], dict[str, Any]]
) -> str:
    """Run a code on a structure and write what it gave; returns a line for the terminal.

    :param run: labels, from the path of the code's log
    """
    atoms = candidate.atoms
    start = time.perf_counter()
    record = {
        "name": candidate.name,
        "group": candidate.group,
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell[:].tolist(),
        "pbc": atoms.pbc.tolist(),
        "k_points": list(candidate.k_points),
        **description,
    }
    try:
        record |= run(folder / f"{candidate.name}.log") | {"converged": True}
    except NotConverged as error:
        record |= {"converged": False, "reason": str(error)}
    record["seconds"] = round(time.perf_counter() - start, 1)
    target = folder / f"{candidate.name}.json"
    aside = target.with_suffix(".part")
    aside.write_text(json.dumps(record))
    aside.replace(target)
    return f"{candidate.name}: {'converged' if record['converged'] else 'NOT CONVERGED'}, {record['seconds']} s"


def run_all(one: Callable[[Candidate, Path], str], everything: list[Candidate], folder: Path, workers: int) -> None:
    """Make every record that is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    open_ones = [c for c in everything if not (folder / f"{c.name}.json").exists()]
    print(f"{len(everything)} structures, {len(open_ones)} to do", flush=True)
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(one, candidate, folder) for candidate in open_ones]
        for number, job in enumerate(as_completed(jobs), start=1):
            print(f"[{number}/{len(open_ones)}] {job.result()}", flush=True)


def collect(folder: Path, target: Path) -> None:
    """Write all converged records, with PBE and D3(BJ) parts, as one schema-1 store."""
    from dft.collect import write_store

    write_store(folder, target)


def append(folder: Path, target: Path) -> None:
    """Put all converged records behind those of a store."""
    from dft.collect import append_records

    append_records(folder, target)


def add_charges(folder: Path, target: Path) -> None:
    """Write the store again with the charges of the records."""
    from dft.collect import add_charges

    add_charges(folder, target)


def collect_interface(folder: Path, target: Path) -> None:
    """Write all converged records of an interface."""
    from dft.collect import write_interface

    write_interface(folder, target)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True)
    label = commands.add_parser("label", help="run DFT on every structure without a record")
    label.add_argument("folder", type=Path)
    label.add_argument("--workers", type=int, default=2)
    label.add_argument("--structures", choices=STRUCTURES, default="training")
    label.set_defaults(run=lambda a: run_all(label_one, STRUCTURES[a.structures](), a.folder, a.workers))
    charging = commands.add_parser("charges", help="Hirshfeld charges of every structure on graphene without a record")
    charging.add_argument("folder", type=Path)
    charging.add_argument("--workers", type=int, default=2)
    charging.set_defaults(run=lambda a: run_all(charge_one, structures.charged(SEED), a.folder, a.workers))
    collecting = commands.add_parser("collect", help="records to HDF5")
    collecting.add_argument("folder", type=Path)
    collecting.add_argument("target", type=Path)
    collecting.set_defaults(run=lambda a: collect(a.folder, a.target))
    appending = commands.add_parser("append", help="further records to the end of an HDF5 file")
    appending.add_argument("folder", type=Path)
    appending.add_argument("target", type=Path)
    appending.set_defaults(run=lambda a: append(a.folder, a.target))
    adding = commands.add_parser("add-charges", help="records of charges into an HDF5 file")
    adding.add_argument("folder", type=Path)
    adding.add_argument("target", type=Path)
    adding.set_defaults(run=lambda a: add_charges(a.folder, a.target))
    joining = commands.add_parser("collect-interface", help="records of an interface to extended XYZ")
    joining.add_argument("folder", type=Path)
    joining.add_argument("target", type=Path)
    joining.set_defaults(run=lambda a: collect_interface(a.folder, a.target))
    chosen = parser.parse_args(arguments)
    chosen.run(chosen)


if __name__ == "__main__":
    main(sys.argv[1:])
