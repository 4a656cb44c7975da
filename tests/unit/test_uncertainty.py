"""Expected errors: posterior variances by hand, the formula written again, known errors, foreign atoms."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import load_model, metadata_of, save_model
from mhdnn.evaluation.calibration import calibration_of
from mhdnn.evaluation.calibration_figure import calibration_figure
from mhdnn.evaluation.predictions import Predictions
from mhdnn.evaluation.run import predict_structures
from mhdnn.neighbors import find_pairs
from mhdnn.potential import Potential
from mhdnn.prediction import SeenAtoms, predict
from mhdnn.training.domain import fit_domain
from mhdnn.training.uncertainty import PRIOR, farthest_points, fit_error_model, fit_posterior
from mhdnn.uncertainty.calibration import gaussian_scales, positive_regression, rank_correlation, upper_quantile
from mhdnn.uncertainty.model import MOST_AXES, OUTSIDE_FACTOR
from tests.builders import (
    batch_of,
    geometry_of,
    legendre_settings,
    model_settings,
    random_potential,
    structure_of,
    structures,
)
from tests.tolerances import ROUND_OFF

ELEMENTS = [6, 14, 50]
CHANGES = {"angular": {"legendre": legendre_settings(cross_terms=False, max_degree=2)}}
NOISE = 0.5  # of the force


def rattled_crystals(number: int, seed: int, amplitude: float = 0.1) -> list[Atoms]:
    """SiC cells with a tin atom, of growing disorder."""
    rng, many = np.random.default_rng(seed), []
    for _ in range(number):
        atoms = bulk("SiC", "zincblende", a=4.4, cubic=True)
        atoms.numbers[rng.integers(8)] = 50
        atoms.positions += rng.normal(scale=amplitude * rng.uniform(0.2, 1.0), size=atoms.positions.shape)
        many.append(atoms)
    return many


def labelled(potential, many: list[Atoms], seed: int):
    """Batch whose forces and energies differ from the prediction by noise in proportion to the forces."""
    batch, rng = batch_of(*many), np.random.default_rng(seed)
    prediction = predict(potential, batch.geometry)
    size = NOISE * prediction.forces.norm(dim=1, keepdim=True)
    forces = prediction.forces + size * torch.tensor(rng.normal(size=prediction.forces.shape))
    energy = prediction.energy + 0.1 * torch.tensor(rng.normal(size=len(many)))
    return batch.with_labels(forces=forces, energy=energy)


def small_potential(seed: int = 0) -> Potential:
    """With fewer functions than axes."""
    return random_potential(ELEMENTS, seed, **CHANGES)


@pytest.fixture(scope="module")
def potential():
    result = small_potential()
    training = [batch_of(*rattled_crystals(20, seed)) for seed in (0, 1)]
    fit_domain(result, training)
    assert fit_error_model(result, lambda: training, [labelled(result, rattled_crystals(90, 2), 0)], training)
    return result


def test_grade_is_the_posterior_of_bayesian_linear_regression(potential):
    """The covariance of the weights, written out in numpy with all functions instead of their principal axes."""
    geometries = [geometry_of(*rattled_crystals(20, seed)) for seed in (0, 1)]
    assert potential.descriptor.num_functions <= MOST_AXES
    rows = []
    for geometry in geometries:
        seen = SeenAtoms(potential, geometry)
        functions, element = seen.functions.detach().numpy(), seen.element_index.numpy()
        features = np.zeros((len(element), 3, 1 + functions.shape[1]))
        features[np.arange(len(element)), element, 0] = 1.0
        features[np.arange(len(element)), element, 1:] = functions
        for number, size in enumerate(geometry.num_atoms_per_structure.tolist()):
            rows.append(features[geometry.structure_index.numpy() == number].sum(0).ravel() / size**0.5)
    information = np.array(rows).T @ np.array(rows)
    penalty = PRIOR * np.trace(information) / len(information)
    covariance = np.linalg.inv(information + penalty * np.eye(len(information)))
    many = list(structures().values())
    geometry = geometry_of(*many)
    seen = SeenAtoms(potential, geometry)
    functions, element = seen.functions.detach().numpy(), seen.element_index.numpy()
    flat = np.zeros((len(element), 3, 1 + functions.shape[1]))
    flat[np.arange(len(element)), element] = np.hstack([np.ones((len(element), 1)), functions])
    flat = flat.reshape(len(element), -1)
    expected = np.sqrt(np.einsum("ij,jk,ik->i", flat, covariance, flat))
    got = potential.uncertainty.grades(seen.functions.detach(), seen.element_index)[:, 0]
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    sums = np.array([flat[geometry.structure_index.numpy() == number].sum(0) for number in range(len(many))])
    structure = (seen.element_index, geometry.structure_index, len(many))
    got = potential.uncertainty.structure_grades(seen.functions.detach(), *structure)
    np.testing.assert_allclose(got, np.sqrt(np.einsum("ij,jk,ik->i", sums, covariance, sums)), rtol=1e-6)


def test_what_the_axes_leave_over_counts_with_the_prior():
    """In the limit of no axes, the grade is the length of the functions over the square root of the penalty."""
    potential = random_potential([14])
    fit_posterior(potential, lambda: [batch_of(bulk("Si"), bulk("Si", a=5.6))])
    model = potential.uncertainty
    model.largest_grade.fill_(1.0)
    model.radius.fill_(1.0)
    model.axes.zero_()
    functions = torch.randn(5, model.axes.shape[0], dtype=torch.float64)
    constant = model.atomic_factor[0, 0].square().sum()
    expected = (constant + functions.square().sum(1) * model.inverse_penalty).sqrt()
    torch.testing.assert_close(model.grades(functions, torch.zeros(5).long())[:, 0], expected)


def test_expected_errors_by_hand(potential):
    """The formula as loops over atoms and pairs, at atoms within, a little and far beyond the training set."""
    somewhat = [atoms for seed in (7, 8, 9) for atoms in rattled_crystals(2, seed, amplitude=0.17)]
    geometry, model = geometry_of(structures()["triclinic"], *somewhat), potential.uncertainty
    prediction, seen = predict(potential, geometry, uncertainty=True), SeenAtoms(potential, geometry)
    grades = model.grades(seen.functions.detach(), seen.element_index).numpy()
    forces = np.linalg.norm(prediction.forces.numpy(), axis=1)
    own = np.stack([np.log(grades[:, 0]), np.log(forces + float(model.force_floor)), grades[:, 1]])
    shares = []
    for atom in range(geometry.num_atoms):
        pairs = np.flatnonzero(geometry.center_index.numpy() == atom)
        weights = (1 - (seen.vectors[pairs].detach().numpy() ** 2).sum(1) / 4.5**2) ** 2
        neighbors = geometry.neighbor_index.numpy()[pairs]
        means = (own[:, atom] + own[:, neighbors] @ weights) / (1 + weights.sum())
        (grade, force, excess), (mean_grade, mean_force, mean_excess) = own[:, atom], means
        element = int(seen.element_index[atom])
        error = np.exp(float(model.offset[element]) + model.weights.numpy() @ [grade, mean_grade, force, mean_force])
        error = max(error, float(model.least_error[element]))
        if excess > 1.0:
            error = max(error, min(error * excess**8, excess * float(model.largest_error)))
        foreign = max(mean_excess, excess / 1.5)
        shares.append(min(max((foreign - 0.9) / 0.1, 0.0), 1.0))
        error = max(error, error ** (1 - shares[-1]) * (foreign * float(model.largest_error)) ** shares[-1])
        assert float(prediction.force_errors[atom]) == pytest.approx(error, rel=1e-10)
    assert 0.0 in shares
    assert 1.0 in shares
    assert any(0.0 < share < 1.0 for share in shares)


def test_expected_errors_of_energies_by_hand(potential):
    """Beyond the largest of the training set errors of forces count over half an ångström; before it they don't."""
    model = potential.uncertainty
    largest = float(model.largest_error)
    grades, num_atoms = torch.tensor([0.3, 0.7], dtype=torch.float64), torch.tensor([3, 1])
    forces = largest * torch.tensor([0.5, 1.0, 0.1, 3.0], dtype=torch.float64)
    alpha, beta = model.energy_weights.tolist()
    known = [(alpha * 0.3) ** 2 + 3 * beta**2, (alpha * 0.7) ** 2 + beta**2]
    found = model.raised_energies(model.energy_errors(grades, num_atoms), forces, torch.tensor([0, 0, 0, 1]))
    assert found[0].item() == pytest.approx(known[0] ** 0.5, rel=1e-12)
    assert found[1].item() == pytest.approx((known[1] + (0.5 * 2 * largest) ** 2) ** 0.5, rel=1e-12)


def test_energies_of_what_is_foreign_are_uncertain(potential, tmp_path):
    """Two silicon atoms that nearly meet: as the calculator, its twin in torch and `mhdnn evaluate` say it."""
    path = tmp_path / "model.pt"
    save_model(potential, path, metadata_of(potential, model_settings(ELEMENTS, **CHANGES), {}))
    atoms = Atoms("Si2", [[0, 0, 0], [0.9, 0, 0]], cell=[20] * 3, pbc=True)
    found = []
    for with_core in (True, False):
        calculator = MHDNNCalculator(path, extrapolation="off")
        if not with_core:
            calculator.core = None
        calculator.calculate(atoms.copy())
        found.append(calculator.results["energy_uncertainty"])
        beyond = calculator.results["uncertainties"] - float(potential.uncertainty.largest_error)
        assert (beyond > 0).all()
        assert found[-1] > 0.5 * np.linalg.norm(beyond)
    structure = structure_of(atoms)
    item = (0, structure, find_pairs(atoms.positions, atoms.cell[:], atoms.pbc, 4.5))
    found.append(float(predict_structures(load_model(path)[0], [item], ELEMENTS, "pair").energy_uncertainty[0]))
    np.testing.assert_allclose(found, found[0], rtol=1e-9)


def errors_along(potential, excess, around):
    """Expected errors of atoms alike but for these, from about half of the largest."""
    model = potential.uncertainty
    regressors = torch.zeros(len(excess), 4, dtype=torch.float64)
    regressors[:, 0] = -9.0 / model.weights[0]
    return model.errors_of(regressors, torch.stack([excess, around], 1), torch.ones(len(excess)).long())


def test_expected_errors_do_not_jump_at_the_edge_of_the_training_set(potential):
    """Towards other phases they rise to the largest, and on in proportion."""
    largest = potential.uncertainty.largest_error
    path = torch.linspace(0.5, 2.0, 1501, dtype=torch.float64)
    inside = torch.full_like(path, 0.5)
    surroundings, alone = errors_along(potential, inside, path), errors_along(potential, path, path / 1.5)
    for errors in (surroundings, alone):
        assert errors[0] < 0.7 * largest
        assert bool((errors[1:] >= errors[:-1]).all())
        assert float((errors[1:] / errors[:-1]).max()) < 1.1
    torch.testing.assert_close(surroundings[500:], largest * path[500:])
    torch.testing.assert_close(alone[540:545], (alone[0] * path[540:545] ** 8))
    torch.testing.assert_close(alone[1000:], largest * path[1000:])


def test_one_atom_a_little_beyond_is_no_other_phase(potential):
    """Four equal neighbours of weight w, and an atom beyond: by hand."""
    model = potential.uncertainty
    vectors = torch.tensor([[1.5, 0.0, 0.0]] * 4 + [[-1.5, 0.0, 0.0]] * 4, dtype=torch.float64)
    first, last = torch.zeros(4).long(), torch.arange(1, 5)
    weight = (1 - (1.5 / 4.5) ** 2) ** 2
    for excess in (1.2, 1.5, 3.0):
        grades = torch.tensor([[1.0, excess]] + [[1.0, 0.5]] * 4, dtype=torch.float64)
        found = model.foreignness(grades, vectors, torch.cat([first, last]), torch.cat([last, first]))
        mean = (excess + 4 * weight * 0.5) / (1 + 4 * weight)
        assert found[0].tolist() == pytest.approx([excess, max(mean, excess / 1.5)])
        assert found[1].tolist() == pytest.approx([0.5, (0.5 + weight * excess) / (1 + weight)])


def test_intervals_hold_on_new_structures(potential):
    """Errors of the same kind as those calibrated on: 68 % and 90 % of them inside, ordered as they are."""
    batch = labelled(potential, rattled_crystals(60, 11), 5)
    prediction, model = predict(potential, batch.geometry, uncertainty=True), potential.uncertainty
    errors = (prediction.forces - batch.labels.forces).norm(dim=1)
    assert float((errors <= prediction.force_errors).double().mean()) == pytest.approx(0.68, abs=0.07)
    inside = errors <= model.force_quantile * prediction.force_errors
    assert float(inside.double().mean()) == pytest.approx(0.90, abs=0.05)
    assert rank_correlation(prediction.force_errors.numpy(), errors.numpy()) > 0.4
    energies = (prediction.energy - batch.labels.energy).abs() <= model.energy_quantile * prediction.energy_errors
    assert float(energies.double().mean()) == pytest.approx(0.90, abs=0.15)


@pytest.mark.parametrize(
    "atoms",
    [
        Atoms("Si", cell=[20] * 3, pbc=True),
        Atoms("Si2", [[0, 0, 0], [0.3, 0, 0]], cell=[20] * 3, pbc=True),
        bulk("Si", "fcc", a=3.9),
        bulk("C"),
    ],
)
def test_foreign_structures_are_worse_than_all_of_training(potential, tmp_path, atoms):
    path = tmp_path / "model.pt"
    save_model(potential, path, metadata_of(potential, model_settings(ELEMENTS, **CHANGES), {}))
    atoms = atoms.copy()
    atoms.calc = MHDNNCalculator(path)
    with pytest.warns(UserWarning, match="outside the range"):
        atoms.get_potential_energy()
    assert atoms.calc.results["uncertainty"] >= OUTSIDE_FACTOR * float(potential.uncertainty.largest_error)


def test_training_set_is_within_the_largest(potential):
    for seed in (0, 1):
        prediction = predict(potential, geometry_of(*rattled_crystals(20, seed)), uncertainty=True)
        assert float(prediction.force_errors.max()) <= float(potential.uncertainty.largest_error) * (1 + 1e-9)


def test_results_of_the_calculator(potential, tmp_path):
    path = tmp_path / "model.pt"
    save_model(potential, path, metadata_of(potential, model_settings(ELEMENTS, **CHANGES), {}))
    atoms = rattled_crystals(1, 3)[0]
    expected = predict(potential, geometry_of(atoms), uncertainty=True)
    atoms.calc = MHDNNCalculator(path)
    atoms.get_forces()
    np.testing.assert_allclose(atoms.calc.results["uncertainties"], expected.force_errors, atol=ROUND_OFF)
    assert atoms.calc.results["uncertainty"] == pytest.approx(float(expected.force_errors.max()))
    assert atoms.calc.results["energy_uncertainty"] == pytest.approx(float(expected.energy_errors))
    told = load_model(path)[1]["uncertainty"]
    assert told["num_atoms"] == 720
    assert told["num_structures"] == 90


def test_weights_without_error_model_leave_it_unfitted(potential, tmp_path):
    state = {name: value for name, value in potential.state_dict().items() if not name.startswith("uncertainty.")}
    again = small_potential(1)
    again.load_state_dict(state)
    assert not again.uncertainty.is_fitted()
    path = tmp_path / "model.pt"
    save_model(again, path, metadata_of(again, model_settings(ELEMENTS, **CHANGES), {}))
    atoms = rattled_crystals(1, 3)[0]
    atoms.calc = MHDNNCalculator(path)
    atoms.get_forces()
    assert "uncertainty" not in atoms.calc.results
    assert load_model(path)[1]["uncertainty"] is None


def test_too_few_forces_are_no_calibration(tmp_path):
    again = small_potential()
    batch = batch_of(*rattled_crystals(4, 0))
    assert not fit_error_model(again, lambda: [batch], [batch], [batch])
    assert not again.uncertainty.is_fitted()
    save_model(again, tmp_path / "model.pt", metadata_of(again, model_settings(ELEMENTS, **CHANGES), {}))


def test_farthest_points_on_a_line():
    points = torch.tensor([[0.0], [1.0], [9.0], [10.0], [4.0]])
    assert farthest_points(points, 4).squeeze(1).tolist() == [10.0, 0.0, 4.0, 1.0]


def test_regression_finds_weights_and_leaves_negative_ones_out():
    rng = np.random.default_rng(0)
    regressors, element = rng.normal(size=(4000, 2)), rng.integers(2, size=4000)
    values = np.array([1.0, -2.0])[element] + regressors @ [0.7, -0.4] + 0.1 * rng.normal(size=4000)
    solution = positive_regression(regressors, values, element, 3)
    np.testing.assert_allclose(solution, [1.0, -2.0, 1.0, 0.7, 0.0], atol=0.05)


def test_scales_of_known_noise():
    rng = np.random.default_rng(1)
    first, second = rng.uniform(0, 3, 20_000), np.ones(20_000)
    errors = rng.normal(size=20_000) * np.sqrt((0.5 * first) ** 2 + 0.2**2)
    np.testing.assert_allclose(gaussian_scales(errors, first, second), [0.5, 0.2], rtol=0.05)


def test_quantile_has_the_correction_for_few_values():
    assert upper_quantile(np.arange(1.0, 10.0), 0.9) == 9.0  # the 9th of 10 places
    assert upper_quantile(np.arange(1.0, 100.0), 0.9) == 90.0
    assert upper_quantile(np.array([3.0, 1.0]), 0.9) == 3.0


def predictions_of(forces: np.ndarray, expected: np.ndarray) -> Predictions:
    number = len(expected)
    columns = {"forces_reference": np.zeros((number, 3)), "forces_predicted": forces, "forces_uncertainty": expected}
    return Predictions(np.array([number]), ["a"], np.full(number, 6), **columns, forces_quantile=2.0)


def test_calibration_of_predictions_by_hand():
    forces = np.array([[1.0, 0, 0], [0, 3.0, 4.0], [0, 0, 2.0]])
    result = calibration_of(predictions_of(forces, np.array([0.4, 3.0, 2.0])))
    assert result["uncertainty_spearman"] == pytest.approx(1.0)
    assert result["coverage_90"] == pytest.approx(2 / 3)  # 1 > 0.8
    assert "energy_coverage_90" not in result


def test_figure_of_calibration():
    rng = np.random.default_rng(0)
    expected = rng.uniform(0.1, 1.0, 200)
    figure = calibration_figure(predictions_of(rng.normal(size=(200, 3)) * expected[:, None], expected), "test")
    assert figure is not None
    assert "inside" in figure.axes[0].get_title()
    assert calibration_figure(predictions_of(np.zeros((2, 3)), np.ones(2)), "few") is None
