"""Make the bundled DFT set: structures, labels, HDF5.

    /usr/bin/python3 scripts/generate_dft.py label records/ --workers 2     # a Python that has GPAW
    python scripts/generate_dft.py collect records/ data/sn_graphene.h5     # a Python that has mhdnn

``label`` writes one record per structure as soon as it is done and skips records that exist, so it can
be interrupted and started again. ``collect`` adds the D3(BJ) dispersion, drops what did not converge
(and says how many), and writes the store.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process per core is faster than threads here

from dft.codes import GPAWPlaneWaves, NotConverged
from dft.structures import Candidate, candidates

SEED = 7


def label_one(candidate: Candidate, folder: Path) -> str:
    """Label one structure and write its record; returns a line for the terminal."""
    code = GPAWPlaneWaves()
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
        **code.description,
    }
    try:
        label = code.label(atoms, candidate.k_points, folder / f"{candidate.name}.log")
        record |= {
            "converged": True,
            "energy": label.energy,
            "forces": label.forces.tolist(),
            "stress": label.stress.tolist(),
        }
    except NotConverged as error:
        record |= {"converged": False, "reason": str(error)}
    record["seconds"] = round(time.perf_counter() - start, 1)
    target = folder / f"{candidate.name}.json"
    aside = target.with_suffix(".part")
    aside.write_text(json.dumps(record))
    aside.replace(target)
    return f"{candidate.name}: {'converged' if record['converged'] else 'NOT CONVERGED'}, {record['seconds']} s"


def label_all(folder: Path, workers: int, seed: int) -> None:
    """Label every structure that has no record yet."""
    folder.mkdir(parents=True, exist_ok=True)
    everything = candidates(seed)
    open_ones = [c for c in everything if not (folder / f"{c.name}.json").exists()]
    print(f"{len(everything)} structures, {len(open_ones)} to do", flush=True)
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(label_one, candidate, folder) for candidate in open_ones]
        for number, job in enumerate(as_completed(jobs), start=1):
            print(f"[{number}/{len(open_ones)}] {job.result()}", flush=True)


def collect(folder: Path, target: Path) -> None:
    """Write all converged records, with PBE and D3(BJ) parts, as one schema-1 store."""
    from dft.collect import write_store

    write_store(folder, target)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True)
    label = commands.add_parser("label", help="run DFT on every structure without a record")
    label.add_argument("folder", type=Path)
    label.add_argument("--workers", type=int, default=2)
    label.add_argument("--seed", type=int, default=SEED)
    label.set_defaults(run=lambda a: label_all(a.folder, a.workers, a.seed))
    collecting = commands.add_parser("collect", help="records to HDF5")
    collecting.add_argument("folder", type=Path)
    collecting.add_argument("target", type=Path)
    collecting.set_defaults(run=lambda a: collect(a.folder, a.target))
    chosen = parser.parse_args(arguments)
    chosen.run(chosen)


if __name__ == "__main__":
    main(sys.argv[1:])
