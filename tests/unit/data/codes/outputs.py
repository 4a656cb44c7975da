"""Outputs of VASP and FHI-aims in the style that the programs print, from steps of `physics`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.unit.data.codes.physics import SYMBOLS, Step

KILOBAR = 1602.176634
"""1 eV/Å³ in kB."""
VALENCE = {"Li": 1.0, "O": 6.0}
ORDER = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))


def outcar(
    steps: Sequence[Step],
    iterations: Sequence[int] | None = None,
    most: int = 60,
    electrons: float = 13.0,
    between: str = "",
    vdw: bool = False,
    version: str = "6.3.0",
) -> str:
    """
    :param iterations: electronic iterations of each step
    :param between: what stands behind each step, such as steps of a force field
    :param vdw: with columns of forces without the van der Waals part
    """
    head = [f" vasp.{version} 20Jan22 (build) complex", ""]
    for symbol in ("Li", "O"):
        head += [
            f"   VRHFIN ={symbol}: some electrons",
            f"   TITEL  = PAW_PBE {symbol + '_sv' * (symbol == 'Li')} 17Jan2003",
            f"   POMASS =    7.010; ZVAL   =   {VALENCE[symbol]:6.3f}    mass and valenz",
        ]
    head += [
        "   ions per type =               1   2",
        f"   NELM   = {most:6d};   NELMIN=  2; NELMDL= -5     # of ELM steps",
        "   ISIF   =      2    stress and relaxation",
        "   POMASS =   7.01 16.00",
        "   ZVAL   =   1.00  6.00",
        f"   NELECT =   {electrons:10.4f}    total number of electrons",
        "",
    ]
    counts = iterations or [5] * len(steps)
    parts = [_outcar_step(step, i + 1, count, vdw) for i, (step, count) in enumerate(zip(steps, counts, strict=True))]
    return "\n".join(head) + "\n" + between.join(parts)


def _outcar_step(step: Step, number: int, iterations: int, vdw: bool) -> str:
    volume = np.linalg.det(step.cell)
    pressure = [-step.stress[pair] for pair in ORDER]
    lines = []
    for i in range(iterations):
        dashes = "-" * 39
        lines.append(f"{dashes} Iteration {number:6d}({i + 1:4d})  {dashes}")
        lines.append(f"  free energy    TOTEN  =    {step.free + 0.1 * (iterations - i):16.8f} eV")
    lines += [
        "------------------------ aborting loop because EDIFF is reached ----------------------------------------",
        "  FORCE on cell =-STRESS in cart. coord.  units (eV):",
        "  Direction    XX          YY          ZZ          XY          YZ          ZX",
        "  Total    " + "".join(f"{value * volume:12.5f}" for value in pressure),
        "  in kB    " + "".join(f"{value * KILOBAR:12.5f}" for value in pressure),
        f"  external pressure = {sum(pressure[:3]) / 3 * KILOBAR:10.2f} kB  Pullay stress =        0.00 kB",
        "",
        " VOLUME and BASIS-vectors are now :",
        f"  volume of cell : {volume:11.2f}",
        "      direct lattice vectors                 reciprocal lattice vectors",
        *("  " + "".join(f"{x:13.9f}" for x in [*vector, 0.1, 0.2, 0.3]) for vector in step.cell),
        "",
    ]
    title = " POSITION                                       TOTAL-FORCE (eV/Angst)"
    lines += [title + ",                                   FORCE-w/o vdW (eV/Angst)" * vdw, " " + "-" * 83]
    for position, force in zip(step.positions, step.forces, strict=True):
        row = "".join(f"{x:13.5f}" for x in position) + "   " + "".join(f"{x:14.6f}" for x in force)
        lines.append(row + ("   " + f"{0.5:14.6f}" * 2 + "           NaN") * vdw)
    without = f" eV    w/o vdW =   {step.free - 1:16.8f}" * vdw
    lines += [
        " " + "-" * 83,
        "    total drift:                                0.000000      0.000000      0.000000",
        "",
        "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)",
        "  ---------------------------------------------------",
        f"  free  energy   TOTEN  =  {step.free:16.8f} eV{without[3:]}",
        "",
        f"  energy  without entropy= {2 * step.extrapolated - step.free:16.8f}{without}"
        f"  energy(sigma->0) = {step.extrapolated:16.8f}",
        "",
        f"% ion-electron   TOTEN  =  {step.free:16.6f}  see above",
        "",
    ]
    return "\n".join(lines) + "\n"


ML_STEP = """\
  ML FORCE on cell =-STRESS in cart. coord. units (eV/cell)
  in kB       9.00000     9.00000     9.00000     0.00000     0.00000     0.00000
      direct lattice vectors                 reciprocal lattice vectors
     9.000000000  0.000000000  0.000000000     0.100000000  0.000000000  0.000000000
     0.000000000  9.000000000  0.000000000     0.000000000  0.100000000  0.000000000
     0.000000000  0.000000000  9.000000000     0.000000000  0.000000000  0.100000000

  POSITION                                       TOTAL-FORCE (eV/Angst) (ML)
 -----------------------------------------------------------------------------------
      9.00000      9.00000      9.00000         9.000000      9.000000      9.000000
      9.00000      9.00000      9.00000         9.000000      9.000000      9.000000
      9.00000      9.00000      9.00000         9.000000      9.000000      9.000000
 -----------------------------------------------------------------------------------
  free  energy ML TOTEN  =        99.00000000 eV

  ML energy  without entropy=       99.00000000  ML energy(sigma->0) =       99.00000000
"""
"""A step of a machine-learned force field, all numbers of which are wrong."""


def vasprun(
    steps: Sequence[Step],
    iterations: Sequence[int] | None = None,
    most: int = 60,
    electrons: float = 13.0,
    pressure: float = 0.0,
    incar: str = "",
) -> str:
    """
    :param pressure: ``PSTRESS`` in kB
    :param incar: more settings
    """
    atoms = "".join(f"<rc><c>{s}</c><c>{1 if s == 'Li' else 2}</c></rc>" for s in SYMBOLS)
    names = ("atomspertype", "element", "mass", "valence", "pseudopotential")
    types = "".join(
        f"<rc><c>{count}</c><c>{s}</c><c>7.0</c><c>{VALENCE[s]}</c><c>PAW_PBE {s}</c></rc>"
        for s, count in (("Li", 1), ("O", 2))
    )
    head = (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n'
        f'<incar><i type="int" name="NSW"> 3</i>{incar}</incar>\n'
        '<parameters><separator name="electronic">'
        f'<i name="NELECT"> {electrons:.8f}</i><separator name="electronic convergence"><i type="int" name="NELM">'
        f' {most}</i></separator></separator><separator name="ionic"><i name="PSTRESS"> {pressure}</i></separator>'
        '<separator name="response functions"><i type="int" name="NELM"> 1</i></separator></parameters>\n'
        f'<atominfo><atoms> 3 </atoms><array name="atoms"><set>{atoms}</set></array><array name="atomtypes">'
        + "".join(f"<field>{name}</field>" for name in names)
        + f"<set>{types}</set></array></atominfo>\n"
    )
    counts = iterations or [5] * len(steps)
    body = "".join(_calculation(s, count, pressure) for s, count in zip(steps, counts, strict=True))
    return head + body + "</modeling>\n"


def _calculation(step: Step, iterations: int, pressure: float) -> str:
    def energies(free: float, extrapolated: float) -> str:
        return f'<energy><i name="e_fr_energy"> {free:.8f} </i><i name="e_0_energy"> {extrapolated:.8f} </i></energy>'

    def array(name: str, values: np.ndarray) -> str:
        rows = "".join("<v>" + " ".join(f"{x:.8f}" for x in row) + "</v>" for row in values)
        return f'<varray name="{name}">{rows}</varray>'

    work = pressure / KILOBAR * np.linalg.det(step.cell)
    electronic = f"<scstep>{energies(step.free, step.extrapolated)}</scstep>\n" * iterations
    structure = (
        f"<structure><crystal>{array('basis', step.cell)}</crystal>"
        f"{array('positions', step.positions @ np.linalg.inv(step.cell))}</structure>"
    )
    return (
        f"<calculation>{electronic}{structure}{array('forces', step.forces)}"
        f"{array('stress', -step.stress * KILOBAR)}{energies(step.free + work, step.free + work)}</calculation>\n"
    )


def ml_ab(steps: Sequence[Step]) -> str:
    star, equal, dash = "*" * 50, "=" * 50, "-" * 50
    lines = [" 1.0 Version", star, "     The number of configurations", dash, f"          {len(steps)}", star]
    lines += ["     The atom types in the data file", dash, "     Li O", star]
    for i, step in enumerate(steps):
        pressure = [-step.stress[pair] * KILOBAR for pair in ORDER]
        lines += [f"     Configuration num.      {i + 1}", equal, "     System name", dash, "     test"]
        lines += [
            equal,
            "     The number of atom types",
            dash,
            "       2",
            equal,
            "     The number of atoms",
            dash,
            "  3",
        ]
        lines += [star, "     Atom types and atom numbers", dash, "     Li      1", "     O       2", equal]
        lines += ["     CTIFOR", dash, "   2.0E-003", equal]
        for title, rows in (
            ("Primitive lattice vectors (ang.)", step.cell),
            ("Atomic positions (ang.)", step.positions),
            ("Total energy (eV)", [[step.free]]),
            ("Forces (eV ang.^-1)", step.forces),
        ):
            lines += [f"     {title}", dash, *("  ".join(f"{x:20.12f}" for x in row) for row in rows), equal]
        lines += ["     Stress (kbar)", dash, "     XX YY ZZ", dash, " ".join(f"{x:.10f}" for x in pressure[:3]), dash]
        lines += ["     XY YZ ZX", dash, " ".join(f"{x:.10f}" for x in pressure[3:]), star]
    return "\n".join(lines) + "\n"


def aims(steps: Sequence[Step], dynamics: bool = True, charge: float = 0.0, extra: str = "", ending: str = "") -> str:
    """
    :param dynamics: MD, where the structure is printed behind its forces; otherwise a relaxation
    :param extra: printed in each step, such as charges
    :param ending: in place of the line that says that the last cycle converged
    """
    first = steps[0]
    lines = [
        "          Invoking FHI-aims ...",
        "          FHI-aims version      : 221103",
        f"  Charge =  {charge:13.6E}: Charged system requested.",
        "  Input geometry:",
        "  | Unit cell:",
        *("  |" + "".join(f"{x:18.8f}" for x in vector) for vector in first.cell),
        "  | Atomic structure:",
        "  |       Atom                x [A]            y [A]            z [A]",
        *(
            f"  | {i + 1:4d}: Species {s:9s}" + "".join(f"{x:18.8f}" for x in position)
            for i, (s, position) in enumerate(zip(SYMBOLS, first.positions, strict=True))
        ),
        "",
    ]
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        if number and not dynamics:
            lines += ["  Updated atomic structure:", _aims_title(), *_aims_geometry(step, cell=True), ""]
        lines += ["          Begin self-consistency loop: Re-initialization.", ""]
        lines.append(ending if last and ending else "  Self-consistency cycle converged.")
        lines += _aims_labels(step)
        lines.append(extra)
        if dynamics:
            lines.append("  Atomic structure (and velocities) as used in the preceding time step:")
            lines += [_aims_title(), *_aims_geometry(step, cell=False), "-" * 60]
    return "\n".join(lines) + "\n"


def _aims_title() -> str:
    return "                         x [A]             y [A]             z [A]"


def _aims_geometry(step: Step, cell: bool) -> list[str]:
    lines = ["  lattice_vector" + "".join(f"{x:18.8f}" for x in vector) for vector in step.cell] if cell else []
    for symbol, position in zip(SYMBOLS, step.positions, strict=True):
        lines.append("            atom" + "".join(f"{x:18.8f}" for x in position) + f"  {symbol}")
        if not cell:
            lines.append("        velocity          -6.24267483         -2.44688549          4.72721690")
    return lines


def _aims_labels(step: Step) -> list[str]:
    bar = "  +" + "-" * 67 + "+"
    lines = [bar, "  |              Analytical stress tensor - Symmetrized               |"]
    lines += ["  |                  Cartesian components [eV/A**3]                   |", bar]
    lines += ["  |                x                y                z                |", "  |" + " " * 67 + "|"]
    for axis, row in zip("xyz", step.stress, strict=True):
        lines.append(f"  |  {axis} " + "".join(f"{x:17.8f}" for x in row) + "           |")
    lines += [f"  |  Pressure:  {-np.trace(step.stress) / 3:15.8f}   [eV/A**3]                           |", bar, ""]
    lines += [
        "  Energy and forces in a compact form:",
        f"  | Total energy uncorrected      :  {step.extrapolated + 0.1:28.15E} eV",
        f"  | Total energy corrected        :  {step.extrapolated:28.15E} eV  <-- do not rely on this value",
        f"  | Electronic free energy        :  {step.free:28.15E} eV",
        "  Total atomic forces (unitary forces cleaned) [eV/Ang]:",
        *(f"  | {i + 1:4d}" + "".join(f"{x:30.15E}" for x in force) for i, force in enumerate(step.forces)),
        "",
    ]
    return lines
