"""From records of DFT runs to a store: labels with dispersion, what is dropped, what is appended, charges."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from mhdnn.data.store import StoreReader
from mhdnn.dispersion import DispersionCorrection

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def collect(monkeypatch):
    """The module as `scripts/generate_dft.py` sees it."""
    pytest.importorskip("dftd3")
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("dft.collect")


def write_record(folder, group, number, converged=True, **labels):
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng([len(group), number])
    record = {
        "name": f"{group.replace('/', '-')}-{number}", "group": group, "numbers": [6, 50],
        "positions": (rng.normal(0, 0.1, (2, 3)) + [[0, 0, 0], [0, 0, 2.2]]).tolist(),
        "cell": [[4, 0, 0], [0, 4, 0], [0, 0, 9]], "pbc": [True] * 3, "converged": converged, "reason": "never",
        "code": "code", "functional": "PBE", "settings": "some",
        "energy": -10.0 - number, "forces": rng.normal(size=(2, 3)).tolist(), "stress": rng.normal(size=6).tolist(),
        **labels,
    }  # fmt: skip
    (folder / f"{record['name']}.json").write_text(json.dumps(record))
    return record


def test_store_and_what_is_appended(collect, tmp_path, capsys):
    records = [write_record(tmp_path / "first", f"family/{n // 2:02d}", n) for n in range(24)]
    write_record(tmp_path / "first", "family/99", 0, converged=False)
    target = tmp_path / "set.h5"
    collect.write_store(tmp_path / "first", target)
    assert "24 structures, 1 dropped, {'" in capsys.readouterr().out
    first = [StoreReader(target).record(index) for index in range(24)]
    by_energy = {record["energy"]: record for record in records}
    for structure, dispersion, part, *_ in first:
        record = by_energy[round(structure.energy - dispersion.energy, 9)]
        expected = DispersionCorrection("bj", "pbe").labels(collect.atoms_of(record))
        assert dispersion.energy == pytest.approx(expected.energy, abs=1e-12)
        np.testing.assert_allclose(structure.forces, np.add(record["forces"], expected.forces), atol=1e-12)
        np.testing.assert_allclose(structure.stress, np.add(record["stress"], expected.stress), atol=1e-12)
        assert part in ("train", "validation", "test")

    for number in range(6):
        write_record(tmp_path / "more", f"other/{number:02d}", number)
    collect.append_records(tmp_path / "more", target)
    reader = StoreReader(target)
    assert len(reader) == 30
    assert reader.attributes["num_dropped_unconverged"] == "1"
    assert reader.attributes["dispersion"] == "d3 bj pbe"
    for index, (structure, _, part, *_) in enumerate(first):
        assert reader.record(index).structure.energy == structure.energy
        assert reader.record(index).split == part
    assert {group.split("/")[0] for group in reader.groups[24:]} == {"other"}
    with pytest.raises(SystemExit, match="append them once"):
        collect.append_records(tmp_path / "more", target)


def test_charges_find_their_structures(collect, tmp_path):
    for number in range(10):
        write_record(tmp_path / "energies", f"family/{number:02d}", number)
    target = tmp_path / "set.h5"
    collect.write_store(tmp_path / "energies", target)
    for number in (3, 7):
        charges = {"charges": [0.1 * number + 0.001, -0.1 * number + 0.001]}
        settings = {"charge_scheme": "hirshfeld", "charge_settings": "fine"}
        write_record(tmp_path / "charges", f"family/{number:02d}", number, **charges, **settings)
    collect.add_charges(tmp_path / "charges", target)
    reader = StoreReader(target)
    found = {reader[index].group: reader[index].charges for index in range(10)}
    assert [group for group, charges in found.items() if charges is not None] == ["family/03", "family/07"]
    np.testing.assert_allclose(found["family/03"], [0.3, -0.3], atol=1e-12)  # what was missing is spread evenly
    assert reader.attributes["charge_scheme"] == "hirshfeld"
