"""Elastic constants against second derivatives of the energy, lattice sums, another program, and symmetry."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import CalculationFailed, Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.optimize import BFGS
from matscipy.elasticity import fit_elastic_constants
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.elastic_tensor import (
    directional_youngs_modulus,
    invariant_stiffnesses,
    is_stable,
    moduli,
    rotated,
)
from mhdnn.properties.elasticity import (
    StrainedStresses,
    StrainSettings,
    deformation_gradient,
    deformed,
    elastic_constants,
    elasticity_report,
    fit_stiffness,
    necessary_directions,
    piola_kirchhoff,
)
from mhdnn.properties.relaxation import relaxed
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM as GPA

HALF_A_PERCENT = 5e-3
PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def small_strain(index: int, amount: float) -> np.ndarray:
    """Green strain in one Voigt direction -> F, by its series; exact to amount cubed."""
    eta = np.zeros((3, 3))
    i, j = PAIRS[index]
    eta[i, j] += amount / 2
    eta[j, i] += amount / 2
    return np.eye(3) + eta - 0.5 * eta @ eta


def energy_strained(atoms: Atoms, calculator: Calculator, deformation: np.ndarray) -> float:
    strained = atoms.copy()
    strained.set_cell(atoms.cell[:] @ deformation.T, scale_atoms=True)
    strained.calc = calculator
    if len(atoms) > 1:
        BFGS(strained, logfile=None).run(fmax=1e-6, steps=500)
    return strained.get_potential_energy()


def second_derivative(atoms: Atoms, calculator: Calculator, i: int, j: int, step: float = 2e-3) -> float:
    """Of the energy per volume by two strains, GPa: four points for i ≠ j, three for i = j."""
    if i == j:
        energies = [energy_strained(atoms, calculator, small_strain(i, s * step)) for s in (-1, 0, 1)]
        derivative = (energies[0] - 2 * energies[1] + energies[2]) / step**2
    else:
        derivative = 0.0
        for s, t in itertools.product((1, -1), repeat=2):
            deformation = small_strain(i, s * step) @ small_strain(j, t * step)
            derivative += s * t * energy_strained(atoms, calculator, deformation) / (4 * step**2)
    return derivative / atoms.get_volume() * GPA


@pytest.mark.parametrize("element", ["Cu", "Al"])
def test_emt_metals_against_second_derivatives_of_the_energy(element):
    report = elasticity_report(bulk(element), EMT())
    found = report.values["elastic_constants_gpa"]
    crystal = relaxed(bulk(element), EMT(), 1e-6, cell=True)
    for i, j in ((0, 0), (0, 1), (3, 3)):
        assert found[i, j] == pytest.approx(second_derivative(crystal, EMT(), i, j), rel=HALF_A_PERCENT)
    assert report.values["num_independent_constants"] == 3
    assert report.values["born_stable"]
    assert np.abs(report.values["residual_stress_gpa"]).max() < 1e-2
    assert np.nanmax(report.values["elastic_constants_error_gpa"]) < 0.05


def lattice_sums(lattice_constant: float, cutoff: float) -> tuple[float, float, float]:
    """First derivative of the energy by r² strain and C11, C12 of an fcc Lennard-Jones crystal (ε = σ = 1).

    Born's sums for a central pair potential u(r²): C_αβγδ = (1/2V) Σ 4 u''(r²) x_α x_β x_γ x_δ, and the pressure
    from Σ 2 u'(r²) x². Every atom is a centre of inversion, so that none moves when the crystal is strained.
    """
    reach = int(cutoff / lattice_constant) + 2
    cells = np.array(list(itertools.product(range(-reach, reach + 1), repeat=3)), dtype=float)
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    points = lattice_constant * (cells[:, None] + basis).reshape(-1, 3)
    square = (points**2).sum(axis=1)
    inside = (square > 1e-9) & (square < cutoff**2)
    x, s = points[inside] ** 2, square[inside]
    slope = 4 * (-6 * s**-7 + 3 * s**-4)
    curvature = 4 * (42 * s**-8 - 12 * s**-5)
    volume = lattice_constant**3 / 4
    pull = (2 * slope * x[:, 0]).sum() / (2 * volume)
    c11 = (4 * curvature * x[:, 0] ** 2).sum() / (2 * volume)
    c12 = (4 * curvature * x[:, 0] * x[:, 1]).sum() / (2 * volume)
    return pull, c11, c12


def test_lennard_jones_crystal_against_lattice_sums():
    cutoff = 6.03  # between two shells at every strain, so that no neighbour passes it
    spacing = brentq(lambda a: lattice_sums(a, cutoff)[0], 1.45, 1.65, xtol=1e-12)
    _, c11, c12 = lattice_sums(spacing, cutoff)
    atoms = bulk("Ar", "fcc", a=spacing)
    found = elastic_constants(atoms, LennardJones(rc=cutoff), StrainSettings(largest_strain=0.002)).stiffness
    np.testing.assert_allclose(found[:3, :3], np.full((3, 3), c12) + (c11 - c12) * np.eye(3), rtol=1e-5)
    # Cauchy's relation of central forces: C44 = C12
    np.testing.assert_allclose(found[3:, 3:], c12 * np.eye(3), atol=1e-5 * c12)


def test_lattice_sums_against_the_literature():
    """All neighbours: A6 = 14.45392 and A12 = 12.13188 (Ashcroft and Mermin, Solid State Physics, chapter 20).

    With them the neighbours' distance is (2 A12/A6)^(1/6) σ = 1.09 σ and the bulk modulus
    4 ε/σ³ A12 (A6/A12)^(5/2) = 75.2 ε/σ³.
    """
    spacing = brentq(lambda a: lattice_sums(a, 20.0)[0], 1.45, 1.65, xtol=1e-12)
    _, c11, c12 = lattice_sums(spacing, 20.0)
    assert spacing / np.sqrt(2) == pytest.approx((2 * 12.13188 / 14.45392) ** (1 / 6), rel=1e-4)
    assert (c11 + 2 * c12) / 3 == pytest.approx(4 * 12.13188 * (14.45392 / 12.13188) ** 2.5, rel=1e-3)


@pytest.fixture(scope="module")
def hexagonal() -> Atoms:
    return relaxed(bulk("Cu", "hcp", a=2.55, c=4.1), EMT(), 1e-5, cell=True)


def test_hexagonal_crystal_against_another_program(hexagonal):
    """EMT copper forced into hcp; its two atoms move against each other under strain."""
    found = elastic_constants(hexagonal, EMT(), StrainSettings(max_force=1e-5))
    assert len(found.basis) == 5
    hexagonal = hexagonal.copy()
    hexagonal.calc = EMT()
    expected, _ = fit_elastic_constants(
        hexagonal, symmetry="triclinic", N_steps=3, delta=1e-3, optimizer=BFGS, verbose=False, logfile=None, fmax=1e-5
    )
    np.testing.assert_allclose(found.stiffness, expected, atol=HALF_A_PERCENT * np.abs(expected).max())
    fixed = [second_derivative(hexagonal, EMT(), i, j) for i, j in ((0, 0), (0, 1), (0, 2), (2, 2), (3, 3))]
    of_fit = GPA * found.stiffness[[0, 0, 0, 2, 3], [0, 1, 2, 2, 3]]
    np.testing.assert_allclose(of_fit, fixed, rtol=HALF_A_PERCENT)


def test_triclinic_alloy_needs_all_strains_and_relaxed_atoms():
    atoms = bulk("Cu", cubic=True)
    atoms.symbols = ["Cu", "Au", "Ni", "Cu"]
    atoms.rattle(0.05, seed=1)
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + [[0, 0.03, 0.01], [0, 0, -0.02], [0, 0, 0.01]]), scale_atoms=True)
    crystal = relaxed(atoms, EMT(), 1e-5, cell=True)
    # a primitive cubic cell has more symmetry than a tolerance of zero would find after relaxation; here the fit must
    # find every constant without help
    data = elastic_constants(crystal, EMT(), StrainSettings(max_force=1e-5, symmetry_tolerance=1e-9))
    for i, j in ((0, 0), (0, 2), (1, 2), (4, 4), (1, 1)):
        expected = second_derivative(crystal, EMT(), i, j)
        assert GPA * data.stiffness[i, j] == pytest.approx(expected, rel=HALF_A_PERCENT)
    np.testing.assert_allclose(data.stiffness, data.stiffness.T, atol=1e-12)


SYMMETRIES = {
    "cubic": (bulk("Cu"), 3, 2),
    "hexagonal": (bulk("Zn"), 5, 3),
    "tetragonal": (bulk("Sn", "bct", a=5.8, c=3.2), 6, 4),
    "orthorhombic": (Atoms("Cu", cell=[3.0, 3.3, 3.7], pbc=True), 9, 6),
    "monoclinic": (Atoms("Cu", cell=[3.0, 3.3, 3.7, 90, 103, 90], pbc=True), 13, 6),
    "triclinic": (Atoms("Cu", cell=[3.0, 3.3, 3.7, 81, 103, 97], pbc=True), 21, 6),
}


@pytest.mark.parametrize("name", SYMMETRIES)
def test_number_of_independent_constants(name):
    """Nye, Physical Properties of Crystals, table 9."""
    atoms, num_constants, most_strains = SYMMETRIES[name]
    basis = invariant_stiffnesses(atoms)
    assert len(basis) == num_constants
    assert len(necessary_directions(basis)) <= most_strains
    turned = atoms.copy()
    rotation = Rotation.from_rotvec([0.3, -0.4, 0.7]).as_matrix()
    turned.set_cell(atoms.cell[:] @ rotation.T, scale_atoms=True)
    elsewhere = invariant_stiffnesses(turned).reshape(num_constants, -1)
    moved = np.array([rotated(matrix, rotation).ravel() for matrix in basis])
    # the same space: projecting changes nothing
    np.testing.assert_allclose(moved @ elsewhere.T @ elsewhere, moved, atol=1e-7)


def test_magnetic_moments_lower_the_symmetry():
    atoms = bulk("Fe", cubic=True)
    assert len(invariant_stiffnesses(atoms)) == 3
    pair = Atoms("Fe2", [[0, 0, 0], [0, 0, 2.0]], cell=[2.0, 2.0, 4.0], pbc=True, magmoms=[2.0, -2.0])
    assert len(invariant_stiffnesses(pair)) == 6


def random_stiffness(seed: int) -> np.ndarray:
    matrix = np.random.default_rng(seed).normal(size=(6, 6))
    return matrix @ matrix.T + 3 * np.eye(6)


@pytest.mark.parametrize("name", SYMMETRIES)
def test_fit_recovers_a_stiffness_from_noisy_stresses(name):
    """Synthetic stresses: the constants lie within the error bars, as often as error bars promise."""
    basis = invariant_stiffnesses(SYMMETRIES[name][0])
    true = np.einsum("aij,kij,kmn->mn", random_stiffness(3)[None], basis, basis)
    directions = np.repeat(necessary_directions(basis), 4)
    amplitudes = np.tile([-0.01, -0.005, 0.005, 0.01], len(directions) // 4)
    exact = np.array([amplitude * true[:, d] for d, amplitude in zip(directions, amplitudes, strict=True)])
    deviations = []
    for seed in range(200):
        noise = 1e-3 * np.random.default_rng(seed).normal(size=exact.shape)
        errors = np.full(exact.shape, 1e-3) if seed % 2 else None
        found = fit_stiffness(basis, StrainedStresses(directions, amplitudes, exact + noise, errors))
        deviations.append((found.stiffness - true)[0, 0] / found.errors[0, 0])
    assert np.abs(np.mean(deviations)) < 0.25
    assert np.std(deviations) == pytest.approx(1.0, abs=0.15)


def test_errors_of_moduli_follow_from_those_of_the_constants():
    basis = invariant_stiffnesses(bulk("Cu"))
    directions, amplitudes = np.array([0, 0, 3, 3]), np.array([-0.01, 0.01, -0.01, 0.01])
    true = np.diag([170.0, 170, 170, 80, 80, 80])
    true[:3, :3] += 120 * (1 - np.eye(3))
    exact = np.array([amplitude * true[:, d] for d, amplitude in zip(directions, amplitudes, strict=True)])
    errors = np.full(exact.shape, 0.02)
    found = [
        fit_stiffness(basis, StrainedStresses(directions, amplitudes, exact + noise, errors)).moduli()
        for noise in 0.02 * np.random.default_rng(0).normal(size=(400, *exact.shape))
    ]
    for key in ("bulk_modulus_hill", "shear_modulus_voigt", "youngs_modulus_hill", "poisson_ratio_hill"):
        scatter = np.std([values[key] for values, _ in found])
        assert np.mean([bars[key] for _, bars in found]) == pytest.approx(scatter, rel=0.15)


def test_moduli_of_copper_by_hand():
    """C11, C12, C44 = 168.4, 121.4, 75.4 GPa and the textbook's formulas for cubic crystals."""
    stiffness = np.diag([168.4, 168.4, 168.4, 75.4, 75.4, 75.4])
    stiffness[:3, :3] += 121.4 * (1 - np.eye(3))
    values = moduli(stiffness)
    difference = 168.4 - 121.4
    reuss = 5 * difference * 75.4 / (4 * 75.4 + 3 * difference)
    voigt = (difference + 3 * 75.4) / 5
    assert values["bulk_modulus_hill"] == pytest.approx((168.4 + 2 * 121.4) / 3)
    assert values["shear_modulus_voigt"] == pytest.approx(voigt)
    assert values["shear_modulus_reuss"] == pytest.approx(reuss)
    assert values["universal_anisotropy"] == pytest.approx(5 * voigt / reuss - 5)
    bulk_modulus, shear = values["bulk_modulus_hill"], (voigt + reuss) / 2
    young = 9 * bulk_modulus * shear / (3 * bulk_modulus + shear)
    assert values["youngs_modulus_hill"] == pytest.approx(young)
    assert values["poisson_ratio_hill"] == pytest.approx(young / (2 * shear) - 1)
    along = directional_youngs_modulus(stiffness, np.array([[1, 0, 0], [1, 1, 1] / np.sqrt(3)]))
    c11, c12, c44 = 168.4, 121.4, 75.4
    assert along[0] == pytest.approx((c11 - c12) * (c11 + 2 * c12) / (c11 + c12))
    assert along[1] == pytest.approx(3 * c44 * (c11 + 2 * c12) / (c11 + 2 * c12 + c44))


def test_isotropic_body():
    lame, shear = 3.0, 2.0
    stiffness = lame * np.pad(np.ones((3, 3)), (0, 3)) + shear * np.diag([2, 2, 2, 1, 1, 1])
    values = moduli(stiffness)
    assert values["universal_anisotropy"] == pytest.approx(0, abs=1e-12)
    assert values["bulk_modulus_reuss"] == pytest.approx(lame + 2 * shear / 3)
    rotation = Rotation.from_rotvec([1.0, 0.2, -0.5]).as_matrix()
    np.testing.assert_allclose(rotated(stiffness, rotation), stiffness, atol=1e-12)
    young = values["youngs_modulus_hill"]
    directions = Rotation.random(5, random_state=1).as_matrix()[:, 0]
    np.testing.assert_allclose(directional_youngs_modulus(stiffness, directions), young)


def test_unstable_crystal():
    stiffness = np.diag([1.0, 1, 1, -0.1, 0.5, 0.5])
    assert not is_stable(stiffness)
    assert np.isnan(moduli(stiffness)["youngs_modulus_hill"])
    square = relaxed(bulk("Cu", "sc", a=2.4), EMT(), 1e-4, cell=True)
    report = elasticity_report(square, EMT(), relax_cell=False, settings=StrainSettings(max_force=1e-3))
    assert not report.values["born_stable"]
    assert report.values["smallest_eigenvalue_gpa"] < 0


def test_deformation_gradient_has_the_strain():
    for index, (i, j) in enumerate(PAIRS):
        f = deformation_gradient(index, 0.02)
        strain = (f.T @ f - np.eye(3)) / 2
        assert strain[i, j] + (strain[j, i] if i != j else 0) == pytest.approx(0.02, abs=1e-14)
        assert np.count_nonzero(np.abs(strain) > 1e-14) == (1 if i == j else 2)


def test_interrupted_calculation_continues(tmp_path):
    class Counting(EMT):
        calls = 0

        def calculate(self, *arguments, **more):
            Counting.calls += 1
            if Counting.calls == 5:
                raise KeyboardInterrupt
            super().calculate(*arguments, **more)

    crystal = relaxed(bulk("Cu"), EMT(), cell=True)
    journal = tmp_path / "steps.json"
    with pytest.raises(KeyboardInterrupt):
        elastic_constants(crystal, Counting(), journal=journal)
    found = elastic_constants(crystal, Counting(), journal=journal)
    # the cell at rest tells that it is the same calculator; of 8 strained cells 3 were done before the interruption
    assert Counting.calls == 5 + 1 + 5
    np.testing.assert_allclose(found.stiffness, elastic_constants(crystal, EMT()).stiffness, atol=1e-12)
    with pytest.raises(ConfigError, match=r"steps.json.*`structure`"):
        elastic_constants(bulk("Al"), EMT(), journal=journal)
    with pytest.raises(ConfigError, match=r"steps.json.*`energy_ev`"):
        elastic_constants(crystal, LennardJones(sigma=2.2), journal=journal)
    journal.write_text("{}")
    with pytest.raises(ConfigError, match="got another file"):
        elastic_constants(crystal, EMT(), journal=journal)


class OnlyEnergy(Calculator):
    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=None, system_changes=None):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"atoms": Atoms("Cu", cell=[3, 3, 9], pbc=[True, True, False])}, "three periodic directions"),
        ({"calculator": OnlyEnergy()}, "OnlyEnergy, which has none"),
    ],
)
def test_bad_input(changed, words):
    with pytest.raises(ConfigError, match=words):
        elastic_constants(**{"atoms": bulk("Cu"), "calculator": EMT()} | changed)


@pytest.mark.parametrize(
    "settings", [{"largest_strain": 0.0}, {"num_strains": 3}, {"degree": 2}, {"degree": 5}], ids=str
)
def test_strains_that_do_not_suffice(settings):
    with pytest.raises(ConfigError, match=f"`{next(iter(settings))}`"):
        StrainSettings(**settings)


def test_data_that_do_not_suffice():
    basis = invariant_stiffnesses(bulk("Cu"))
    with pytest.raises(ConfigError, match="determine 3 constants"):
        fit_stiffness(basis, StrainedStresses(np.array([0, 0]), np.array([-0.01, 0.01]), np.zeros((2, 6))))


def test_relaxation_that_does_not_end():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=0)
    with pytest.raises(PropertyError, match="Cu4"):
        relaxed(atoms, EMT(), 1e-8, max_steps=2)


@pytest.mark.parametrize("direction", range(6))
def test_piola_kirchhoff_stress_is_the_derivative_of_the_energy(direction):
    """By the Green-Lagrange strain, per volume at rest, far from rest: 8 % compressed or sheared."""
    crystal, amplitude, step = bulk("Cu", cubic=True), -0.08, 1e-5

    def strained(eta):
        atoms = deformed(crystal, deformation_gradient(direction, eta))
        atoms.calc = EMT()
        return atoms

    energies = [strained(amplitude + sign * step).get_potential_energy() for sign in (1, -1)]
    expected = (energies[0] - energies[1]) / (2 * step) / crystal.get_volume()
    found = piola_kirchhoff(strained(amplitude).get_stress(), deformation_gradient(direction, amplitude))
    assert abs(expected) > 0.01
    assert found[direction] == pytest.approx(expected, rel=1e-5)


def test_constants_survive_a_strain_that_fails(tmp_path):
    """One of four strains of a direction fails: the constants of the others; all fail: the first failure is told."""

    class Fails(EMT):
        largest = 0.0045

        def calculate(self, *arguments, **keywords):
            super().calculate(*arguments, **keywords)
            if self.atoms.get_volume() > (1 + self.largest) * crystal.get_volume():
                raise CalculationFailed("no convergence")

    crystal = relaxed(bulk("Cu"), EMT(), 1e-6, cell=True)
    expected = elasticity_report(crystal, EMT(), relax_cell=False)
    report = elasticity_report(crystal, Fails(), relax_cell=False, journal=tmp_path / "steps.json")
    assert [text.split(" failed")[0] for text in report.warnings] == ["strain 0 +0.00600000"]
    constants = report.values["elastic_constants_gpa"]
    np.testing.assert_allclose(constants, expected.values["elastic_constants_gpa"], atol=0.5)
    Fails.largest = -1.0
    with pytest.raises(PropertyError, match="no convergence"):
        elasticity_report(crystal, Fails(), relax_cell=False)
