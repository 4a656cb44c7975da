"""Commands beside the pair style that would change energies without a word end the run; those that don't, don't."""

import re

import pytest

from tests.builders import structures
from tests.lammps.runs import Frame, header, run_many

OVERLAY = "pair_style hybrid/overlay mhdnn {other}\npair_coeff * * mhdnn {model} C Si\n"
HYBRID = OVERLAY.replace("hybrid/overlay", "hybrid")
LJ = "lj/cut 4.0"
NEUTRAL = {
    # commands after the pair style, and what the error says; None: it runs
    "groups": ("group g id 1 2\nneigh_modify exclude group g g", "`neigh_modify exclude group g g`.*`fix setforce"),
    "types": ("neigh_modify exclude type 1 2", "`neigh_modify exclude type 1 2`.*`fix setforce 0 0 0`"),
    "molecules": ("neigh_modify exclude molecule/intra all", "`neigh_modify exclude molecule/intra all`"),
    "between molecules": ("neigh_modify exclude molecule/inter all", "`neigh_modify exclude molecule/inter all`"),
    "between two runs": ("group g id 1 2\nrun 0\nneigh_modify exclude group g g", "`neigh_modify exclude group g g`"),
    "empty group": ("group g id 999\nneigh_modify exclude group g g", None),
    "deletion on trial": ("group g id 3\nneigh_modify exclude group g all", None),
    "included group": ("group g id 1 2\natom_modify first g\nneigh_modify include g", "`neigh_modify include`"),
    "no bonds": ("", None),  # special_bonds of atom_style full are zero
    "total charge": ("pair_style mhdnn total_charge 1\npair_coeff * * {model} C Si", "total_charge: .*no charges"),
    "field": ("pair_style mhdnn efield 0 0 1\npair_coeff * * {model} C Si", "efield: the model has no charges"),
    "hybrid": (
        HYBRID.replace("{other}", LJ) + "pair_coeff 1 2 lj/cut 0.01 2.0",
        "`pair_style hybrid` gives pairs of atom types 1 and 2 to another style.*`pair_style hybrid/overlay`",
    ),
    "hybrid of other types": (
        HYBRID.replace("{other}", LJ).replace("C Si", "C NULL") + "pair_coeff * 2 lj/cut 0.01 2.0",
        None,
    ),
    "none in an overlay": (
        OVERLAY.replace("{other}", LJ) + "pair_coeff 2 2 lj/cut 0.01 2.0\npair_coeff 1 2 none",
        "`pair_style hybrid/overlay` gives pairs of atom types 1 and 2 to another style or to none",
    ),
    "overlay": (OVERLAY.replace("{other}", LJ) + "pair_coeff 1 2 lj/cut 0.01 2.0", None),
    "NULL alone": ("pair_coeff * * {model} C NULL", "All pair coeffs are not set"),  # LAMMPS's own
    "folder": ("pair_coeff * * . C Si", "is a folder; expected a model file"),
    "elements": ("pair_coeff * * {model} C", "an element \\(or NULL\\) for each of the 2 atom types"),
}
CHARGED = {
    "fix efield": ("fix e all efield 0 0 1", "`fix e ... efield` acts on charges.*`pair_style mhdnn efield Ex Ey Ez`"),
    "fix qeq": ("fix q all qeq/point 1 6.0 1e-6 200 param.qeq", "`fix q ... qeq/point` acts on charges.*remove it"),
    "other charges": (
        OVERLAY.replace("{other}", "coul/cut 5.0") + "pair_coeff * * coul/cut",
        "sub-style coul/cut acts on charges of atom types 1 and 1, .* counted twice",
    ),
    "charges of other types": (
        HYBRID.replace("{other}", "coul/cut 5.0 lj/cut 4.0").replace("C Si", "C NULL")
        + "pair_coeff 2 2 coul/cut\npair_coeff 1 2 lj/cut 0.01 2.0",
        None,
    ),
    "periodic field": (
        "pair_style mhdnn efield 0 0.1 0\npair_coeff * * {model} C Si",
        "efield: expected no field along periodic directions, .* got one along y",
    ),
    "no components": ("pair_style mhdnn efield 0 0.1", "efield: a value is missing"),
    "none": ("set type 1 charge 5.0", None),
}


def scripts(folder, model, cases, atom_style):
    start = header(Frame(structures()["triclinic"], ["C", "Si"]), folder, atom_style="charge")
    if atom_style == "full":
        lines = (folder / "atoms.data").read_text().split("Atoms\n")
        rows = [row.split() for row in lines[1].split("\n") if row]
        lines[1] = "\n" + "\n".join(" ".join([row[0], "1", *row[1:]]) for row in rows) + "\n"
        (folder / "atoms.data").write_text("Atoms\n".join(lines))
        start = start.replace("atom_style charge", "atom_style full")
    start += "pair_style mhdnn\npair_coeff * * {model} C Si\n"
    return {
        name: (start + commands + "\nrun 0\n").replace("{model}", str(model)) for name, (commands, _) in cases.items()
    }


@pytest.mark.parametrize(
    ("model", "cases", "style"), [("short_range_model", NEUTRAL, "full"), ("charge_model", CHARGED, "charge")]
)
def test_what_changes_energies_is_refused(request, tmp_path, model, cases, style):
    (tmp_path / "param.qeq").write_text("1 5.0 12.0 0 0 0\n2 6.0 11.0 0 0 0\n")
    found = run_many(tmp_path, scripts(tmp_path, request.getfixturevalue(model), cases, style))
    for name, (_, sentence) in cases.items():
        if sentence is None:
            assert float(found[name]), name
        else:
            assert re.search(sentence, found[name], re.DOTALL), (name, found[name])


def test_bonds(short_range_model, tmp_path):
    """Factors of zero take bonded neighbours out of the list; with others, or without bonds, all are there."""
    frame = Frame(structures()["triclinic"], ["C", "Si"])
    plain = header(frame, tmp_path)
    pair = f"pair_style mhdnn\npair_coeff * * {short_range_model} C Si\n"
    bond = plain.replace("atom_style atomic", "atom_style bond\nbond_style zero").replace(
        "read_data atoms.data", "read_data bond.data extra/bond/per/atom 2 extra/special/per/atom 4"
    )
    lines = (tmp_path / "atoms.data").read_text().replace("2 atom types", "2 atom types\n1 bond types").split("Atoms\n")
    rows = [row.split() for row in lines[1].split("\n") if row]
    lines[1] = "\n" + "\n".join(" ".join([row[0], "1", *row[1:]]) for row in rows) + "\n"
    (tmp_path / "bond.data").write_text("Atoms\n".join(lines))
    bond += pair + "bond_coeff *\n"
    create = "create_bonds single/bond 1 1 2\n"
    found = run_many(
        tmp_path,
        {
            "plain": plain + pair + "run 0\n",
            "no bonds": bond + "run 0\n",
            "bonds": bond + create + "run 0\n",
            "all there": bond + "special_bonds lj/coul 1 1 1\n" + create + "run 0\n",
        },
    )
    assert "`special_bonds` 0 0 0 takes bonded neighbors away; set `special_bonds lj/coul 1 1 1`" in found["bonds"]
    for name in ("no bonds", "all there"):
        assert float(found[name]) == pytest.approx(float(found["plain"]), rel=1e-10)


def test_box_without_atoms(charge_model, short_range_model, tmp_path):
    """Insertions may begin with it."""
    scripts = {}
    for name, model in (("short", short_range_model), ("charges", charge_model)):
        start = (
            "units metal\natom_style charge\nregion box block 0 12 0 12 0 12\ncreate_box 2 box\nmass * 10\n"
            f"pair_style mhdnn {{}}\npair_coeff * * {model} C Si\n"
        )
        scripts[name] = start.format("") + "run 0\n"
        scripts[name + ", then one"] = start.format("") + "run 0\ncreate_atoms 1 single 6 6 6\nrun 0\n"
        scripts[name + ", one"] = start.format("") + "create_atoms 1 single 6 6 6\nrun 0\n"
        scripts[name + ", gcmc"] = (
            start.format("extrapolation off") + "fix mc all gcmc 1 40 0 1 4711 1000 5.0 0.1 overlap_cutoff 1.2\nrun 1\n"
            "variable some equal count(all)>0\nif '$(v_some)==0' then 'print ${nothing_inserted}'\n"
        )
        if name == "charges":
            scripts["charged vacuum"] = start.format("total_charge 1") + "run 0\n"
    found = run_many(tmp_path, scripts)
    assert "no atoms can't have a total charge of 1 e" in found.pop("charged vacuum")
    for name in ("short", "charges"):
        assert float(found[name]) == 0.0
        assert float(found[name + ", then one"]) == pytest.approx(float(found[name + ", one"]), rel=1e-12)
        assert float(found[name + ", gcmc"]) != 0.0
