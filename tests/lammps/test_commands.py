"""LAMMPS's own commands with the pair style: derivatives, virials, excluded atoms, dynamics, restarts."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from tests.builders import structures
from tests.lammps.runs import BAR_PER_EV_PER_CUBIC_ANGSTROM, Frame, header, run_lammps

pytestmark = pytest.mark.slow
MODELS = ["short_range_model", "charge_model"]
PRESSURES = ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")


def crystal() -> Atoms:
    """Triclinic, 16 atoms of three elements."""
    atoms = structures()["triclinic"].repeat((2, 1, 1))
    atoms.numbers[3] = 50
    atoms.rattle(0.05, seed=5)
    return atoms


def script_for(folder, atoms, model, style="", atom_style="atomic", units="metal"):
    folder.mkdir(exist_ok=True)
    frame = Frame(atoms, sorted(set(atoms.symbols)))
    lines = header(frame, folder, units, atom_style)
    return lines + f"pair_style mhdnn {style}\npair_coeff * * {model} {' '.join(frame.elements)}\n"


def printed(output, label):
    """Numbers of the lines that begin with a label, shape (num_lines, num_numbers)."""
    lines = [line.split()[1:] for line in output.splitlines() if line.startswith(label + " ")]
    return np.array(lines, dtype=float)


@pytest.fixture(params=MODELS)
def model(request):
    return request.getfixturevalue(request.param)


NUMDIFF = """
fix differences all numdiff 1 1e-4
variable ex atom abs(fx-f_differences[1])
variable ey atom abs(fy-f_differences[2])
variable ez atom abs(fz-f_differences[3])
compute errors all reduce max v_ex v_ey v_ez
thermo_style custom step pe c_errors[*]
run 0
print "ERRORS $(c_errors[1]:%.17g) $(c_errors[2]:%.17g) $(c_errors[3]:%.17g)"
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_forces_by_fix_numdiff(model, tmp_path, ranks):
    output = run_lammps(tmp_path, script_for(tmp_path, crystal(), model, "solver dense") + NUMDIFF, ranks).stdout
    assert printed(output, "ERRORS").max() < 1e-6


def test_charges_by_the_iterative_solver_and_fix_numdiff(charge_model, tmp_path):
    script = script_for(tmp_path, crystal(), charge_model, "solver iterative accuracy 1e-12") + NUMDIFF
    assert printed(run_lammps(tmp_path, script).stdout, "ERRORS").max() < 1e-6


def deformed(frame, component, strain):
    """`change_box` to the cell under a strain of one component (a shear of LAMMPS's triangle of vectors)."""
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = frame.cell
    e = strain
    values = {
        "pxx": (lx * (1 + e), ly, lz, xy * (1 + e), xz * (1 + e), yz),
        "pyy": (lx, ly * (1 + e), lz, xy, xz, yz * (1 + e)),
        "pzz": (lx, ly, lz * (1 + e), xy, xz, yz),
        "pxy": (lx, ly, lz, xy + e * ly, xz + e * yz, yz),
        "pxz": (lx, ly, lz, xy, xz + e * lz, yz),
        "pyz": (lx, ly, lz, xy, xz, yz + e * lz),
    }[component]
    names = ("x final 0", "y final 0", "z final 0", "xy final", "xz final", "yz final")
    ends = " ".join(f"{name} {value:.17g}" for name, value in zip(names, values, strict=True))
    return f'change_box all {ends} remap units box\nrun 0\nprint "ENERGY $(pe:%.17g)"\n'


def test_pressure_by_box_differences_and_atoms(model, tmp_path):
    atoms, strain = crystal(), 1e-4
    frame = Frame(atoms, sorted(set(atoms.symbols)))
    script = script_for(tmp_path, atoms, model) + (
        "compute virials all stress/atom NULL pair\ncompute sums all reduce sum c_virials[*]\n"
        "compute energies all pe/atom\ncompute energy all reduce sum c_energies\n"
        "compute pressure all pressure NULL pair\nthermo_style custom step pe c_pressure[*] c_sums[*] c_energy\nrun 0\n"
        'print "PRESSURE $(c_pressure[1]:%.17g) $(c_pressure[2]:%.17g) $(c_pressure[3]:%.17g) $(c_pressure[4]:%.17g) '
        '$(c_pressure[5]:%.17g) $(c_pressure[6]:%.17g)"\n'
        'print "SUMS $(c_sums[1]:%.17g) $(c_sums[2]:%.17g) $(c_sums[3]:%.17g) $(c_sums[4]:%.17g) '
        '$(c_sums[5]:%.17g) $(c_sums[6]:%.17g)"\n'
        'print "TOTAL $(pe:%.17g) $(c_energy:%.17g)"\n'
    )
    for component in PRESSURES:
        script += deformed(frame, component, strain) + deformed(frame, component, -strain)
    output = run_lammps(tmp_path, script).stdout
    pressure, volume = printed(output, "PRESSURE")[0], atoms.get_volume()
    np.testing.assert_allclose(printed(output, "SUMS")[0], -pressure * volume, rtol=0, atol=1e-9 * volume * 1e4)
    total, summed = printed(output, "TOTAL")[0]
    assert summed == pytest.approx(total, rel=1e-12)
    energies = printed(output, "ENERGY").reshape(6, 2)
    differences = -(energies[:, 0] - energies[:, 1]) / (2 * strain * volume) * BAR_PER_EV_PER_CUBIC_ANGSTROM
    np.testing.assert_allclose(pressure, differences, rtol=0, atol=1e-6 * np.abs(pressure).max())


@pytest.mark.parametrize("ranks", [1, 2])
def test_trial_deletion_is_a_deletion(model, tmp_path, ranks):
    """What fix gcmc does to try a deletion: the atom stays, excluded from all interactions."""
    script = script_for(tmp_path, crystal(), model, "solver dense") + (
        "group gone id 5\nrun 0\n"
        'neigh_modify exclude group gone all\nrun 0\nprint "ENERGY $(pe:%.17g)"\n'
        'neigh_modify exclude none\ndelete_atoms group gone compress no\nrun 0\nprint "ENERGY $(pe:%.17g)"\n'
    )
    trial, deleted = printed(run_lammps(tmp_path, script, ranks).stdout, "ENERGY")[:, 0]
    assert trial == pytest.approx(deleted, rel=1e-12)


def test_grand_canonical_and_swaps(model, tmp_path):
    """Insertions, deletions and swaps together with dynamics: the energy is that of the atoms there are."""
    atoms = bulk("Si", "diamond", a=6.2, cubic=True).repeat((2, 1, 1))
    atoms.numbers[::2] = 6
    script = script_for(tmp_path, atoms, model, "solver dense") + (
        "fix insert all gcmc 2 10 10 2 29494 3000.0 -0.5 0.3 overlap_cutoff 1.2\n"
        "fix swap all atom/swap 5 5 12345 3000 ke no types 1 2\nfix integrate all nve\n"
        "thermo 1\nthermo_style custom step atoms pe press f_insert[4] f_insert[6] f_swap[2]\ntimestep 0.0002\nrun 10\n"
        'print "END $(pe:%.17g) $(f_insert[4]) $(f_insert[6])"\nwrite_data end.data nocoeff\n'
    )
    energy, inserted, deleted = printed(run_lammps(tmp_path, script).stdout, "END")[0]
    assert inserted + deleted > 0
    again = script_for(tmp_path, atoms, model, "solver dense")
    again = again.replace("atoms.data", "end.data") + 'run 0\nprint "END $(pe:%.17g)"\n'
    assert printed(run_lammps(tmp_path, again).stdout, "END")[0, 0] == pytest.approx(energy, rel=1e-9)


DYNAMICS = """
velocity all create 300 4711
timestep 0.0005
thermo 10
thermo_style custom step temp pe etotal press lx xy
thermo_modify format float %.12g
fix integrate all nve
run 20
unfix integrate
minimize 0 1e-3 5 20
fix relax all box/relax tri 0.0
minimize 0 1e-3 5 20
unfix relax
fix integrate all npt temp 300 300 0.1 tri 0 0 1
run 20
print "END $(pe:%.17g) $(lx:%.17g) $(xy:%.17g)"
"""


def test_dynamics_is_the_same_on_two_ranks(model, tmp_path):
    results = []
    for ranks in (1, 2):
        script = script_for(tmp_path / str(ranks), crystal(), model, "solver dense") + DYNAMICS
        results.append(printed(run_lammps(tmp_path / str(ranks), script, ranks).stdout, "END")[0])
    np.testing.assert_allclose(results[1], results[0], rtol=1e-8)


def test_hybrid_with_other_potentials(model, tmp_path):
    """hybrid/overlay adds, and NULL leaves a type out."""
    atoms = crystal()
    alone = script_for(tmp_path, atoms, model, "solver dense") + 'run 0\nprint "ENERGY $(pe:%.17g)"\n'
    style = alone.splitlines()[-4]
    zbl = "pair_style hybrid/overlay mhdnn solver dense zbl 1.0 2.0"
    both = alone.replace(style, zbl).replace("pair_coeff * *", "pair_coeff * * mhdnn")
    types = ((1, 6), (2, 14), (3, 50))
    pairs = [(*first, *second) for first in types for second in types if first <= second]
    coefficients = "".join(f"pair_coeff {n} {m} zbl {first} {second}\n" for n, first, m, second in pairs)
    both = both.replace("run 0", coefficients + "compute zbl all pair zbl\nrun 0", 1)
    both += 'print "ZBL $(c_zbl:%.17g)"\n'
    first, second = run_lammps(tmp_path, alone).stdout, run_lammps(tmp_path, both).stdout
    total = printed(first, "ENERGY")[0, 0] + printed(second, "ZBL")[0, 0]
    assert printed(second, "ENERGY")[0, 0] == pytest.approx(total, rel=1e-12)
    without = atoms[atoms.numbers != 50]
    expected = script_for(tmp_path, without, model, "solver dense") + 'run 0\nprint "ENERGY $(pe:%.17g)"\n'
    expected = printed(run_lammps(tmp_path, expected).stdout, "ENERGY")[0, 0]
    null = both.replace("C Si Sn", "C Si NULL").replace("zbl 1.0 2.0", "zbl 0.1 0.2")
    script = script_for(tmp_path, atoms, model).split("pair_style")[0] + "pair_style" + null.split("pair_style", 1)[1]
    assert printed(run_lammps(tmp_path, script).stdout, "ENERGY")[0, 0] == pytest.approx(expected, rel=1e-12)


def test_restart_continues(model, tmp_path):
    start = script_for(tmp_path, crystal(), model, "solver dense", atom_style="charge")
    common = "timestep 0.0005\nfix integrate all nve\n"
    end = 'run 10\nprint "END $(pe:%.17g) $(ke:%.17g) $(x[3]:%.17g)"\n'
    whole = start + "velocity all create 300 4711\n" + common + "run 10\nwrite_restart half.restart\n" + end
    pair = "pair_style" + start.split("pair_style")[1]
    rest = "read_restart half.restart\n" + pair + common + end
    expected = printed(run_lammps(tmp_path, whole).stdout, "END")
    np.testing.assert_allclose(printed(run_lammps(tmp_path, rest).stdout, "END"), expected, rtol=1e-12)


def test_units_real(model, tmp_path):
    results = []
    for units in ("metal", "real"):
        script = script_for(tmp_path, crystal(), model, units=units) + 'run 0\nprint "END $(pe:%.17g) $(fmax:%.17g)"\n'
        results.append(printed(run_lammps(tmp_path, script).stdout, "END")[0])
    np.testing.assert_allclose(results[1], 23.060549 * results[0], rtol=1e-7)


def test_heat_flux_by_the_motion_of_energy(short_range_model, tmp_path):
    """With centroid virials the heat flux of an isolated cluster is the time derivative of sum(e_i r_i)."""
    atoms = structures()["molecule"]
    step = 1e-5  # ps
    script = script_for(tmp_path, atoms, short_range_model) + (
        f"velocity all create 3000 4711\ntimestep {step}\nfix integrate all nve\n"
        "compute kinetic all ke/atom\ncompute potential all pe/atom\n"
        "compute virials all centroid/stress/atom NULL virial\n"
        "compute flux all heat/flux kinetic potential virials\n"
        "variable mx atom (c_kinetic+c_potential)*x\nvariable my atom (c_kinetic+c_potential)*y\n"
        "variable mz atom (c_kinetic+c_potential)*z\ncompute moment all reduce sum v_mx v_my v_mz\n"
        "thermo_style custom step c_flux[*] c_moment[*]\nthermo 1\nthermo_modify format float %.17g\nrun 2\n"
    )
    output = run_lammps(tmp_path, script).stdout
    table = np.array(re.findall(r"^ +[012] +(.*\S)", output, re.M)[-3:])
    numbers = np.array([row.split() for row in table], dtype=float)
    derivative = (numbers[2, 6:9] - numbers[0, 6:9]) / (2 * step)
    np.testing.assert_allclose(numbers[1, :3], derivative, rtol=0, atol=1e-6 * np.abs(derivative).max())
