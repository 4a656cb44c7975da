"""The regression of training errors on environments: known errors are found again, and limited to what was seen."""

import numpy as np
import torch

from mhdnn.prediction import SeenAtoms, predict
from mhdnn.training.residuals import FEWEST_ATOMS, fit_element, fit_residuals, ridge
from mhdnn.training.uncertainty import farthest_points, fit_landmarks, fit_posterior
from mhdnn.uncertainty.calibration import rank_correlation
from mhdnn.uncertainty.model import RIGIDITY_POWER, ErrorModel
from tests.builders import batch_of, geometry_of
from tests.unit.test_uncertainty import rattled_crystals, small_potential

WEIGHTS = torch.tensor([0.8, -0.6, 0.4], dtype=torch.float64)


def with_known_errors(potential, seed):
    """Labels whose distance from the prediction is exp(u · leading axes), in random directions; and its logarithm."""
    batch, rng = batch_of(*rattled_crystals(60, seed)), np.random.default_rng(seed)
    seen = SeenAtoms(potential, batch.geometry)
    axes = potential.uncertainty.features(seen.functions.detach())[:, 1:4]
    logarithms = (axes / axes.std(0)) @ WEIGHTS - 2.0
    directions = torch.tensor(rng.normal(size=(len(axes), 3)))
    directions /= directions.norm(dim=1, keepdim=True)
    forces = predict(potential, batch.geometry).forces + logarithms.exp().unsqueeze(1) * directions
    return batch.with_labels(forces=forces), logarithms


def fitted():
    """A potential whose residuals are fitted to known errors."""
    potential = small_potential()
    fit_posterior(potential, lambda: [batch_of(*rattled_crystals(60, 0))])
    training, _ = with_known_errors(potential, 0)
    fit_landmarks(potential, [training])
    fit_residuals(potential, [training])
    return potential


def test_known_errors_are_found():
    potential = fitted()
    model = potential.uncertainty
    assert float(model.rigidity_power) == RIGIDITY_POWER
    model.rigidity_power.zero_()
    model.largest_grade.fill_(1.0)
    model.radius.fill_(1.0)
    batch, logarithms = with_known_errors(potential, 1)
    seen = SeenAtoms(potential, batch.geometry)
    grades = model.grades(seen.functions.detach(), seen.element_index)[:, 0]
    silicon = seen.element_index == 1
    assert rank_correlation(grades[silicon].numpy(), logarithms[silicon].numpy()) > 0.9
    far = model.grades(50.0 * seen.functions.detach(), seen.element_index)[:, 0].log()
    assert bool((far >= model.residual_limits[0, seen.element_index] - 1e-9).all())
    assert bool((far <= model.residual_limits[1, seen.element_index] + 1e-9).all())


def test_errors_that_no_axis_tells_are_found_by_the_landmarks():
    """They grow with the distance from a plane through the middle, on either side."""
    generator = torch.Generator().manual_seed(0)
    model = ErrorModel(1, 2, 4.5)
    model.axes.copy_(torch.eye(2))
    points = [torch.rand(400, 2, generator=generator, dtype=torch.float64) - 0.5 for _ in range(2)]
    laws = [4.0 * own[:, 0].abs() for own in points]
    model.landmarks[0] = farthest_points(points[0], model.landmarks.shape[1])
    features = torch.cat([torch.ones(400, 1), points[0]], 1).double()
    fit_element(model, 0, features, torch.rand(400, 2, generator=generator).double(), laws[0], 1e-3)
    found = model.sizes(points[1].float(), torch.zeros(400).long())[:, 2]
    assert rank_correlation(found.numpy(), laws[1].numpy()) > 0.95
    np.testing.assert_allclose(found.median(), laws[1].median(), atol=0.1)
    linear = (torch.cat([torch.ones(400, 1), points[1]], 1).float() @ model.residual_weights[0]).numpy()
    assert abs(rank_correlation(linear, laws[1].numpy())) < 0.3


def test_h_by_numpy():
    potential = fitted()
    model = potential.uncertainty
    seen = SeenAtoms(potential, geometry_of(*rattled_crystals(2, 5)))
    functions, element = seen.functions.detach(), seen.element_index
    found = model.sizes(functions, element)[:, 2].numpy()
    for atom, number in enumerate(element.tolist()):
        features = np.concatenate([[1.0], functions[atom].numpy() @ model.axes.numpy()])
        squares = ((features[1:] - model.landmarks[number].numpy()) ** 2).sum(1)
        kernels = np.exp(-float(model.kernel_rates[number]) * squares)
        expected = features @ model.residual_weights[number].numpy() + kernels @ model.kernel_weights[number].numpy()
        np.testing.assert_allclose(found[atom], expected, rtol=1e-8)
    assert bool((model.kernel_weights.abs().amax(1) > 0).all())


def test_an_element_of_few_atoms_is_as_bad_as_the_worst():
    potential = small_potential()
    fit_posterior(potential, lambda: [batch_of(*rattled_crystals(60, 0))])
    training, _ = with_known_errors(potential, 0)
    tin = training.geometry.atomic_numbers == 50
    left_out = tin & (training.geometry.structure_index > 0)
    few = training.with_labels(forces=torch.where(left_out.unsqueeze(1), torch.nan, training.labels.forces))
    assert 0 < int(torch.isfinite(few.labels.forces[tin, 0]).sum()) < FEWEST_ATOMS
    fit_residuals(potential, [few])
    model = potential.uncertainty
    limits = model.residual_limits[:, 2]
    assert float(limits[0]) == float(limits[1])
    assert float(limits[0]) > float(model.residual_limits[0, :2].max())
    assert not model.residual_weights[2, 1:].any()


def test_weights_of_older_files_have_the_grade_of_rigidity():
    potential = small_potential()
    fit_posterior(potential, lambda: [batch_of(*rattled_crystals(20, 0))])
    left_out = ("resid", "power", "kernel")
    state = {
        name: value for name, value in potential.state_dict().items() if not any(word in name for word in left_out)
    }
    again = small_potential(1)
    again.load_state_dict(state)
    model = again.uncertainty
    model.largest_grade.fill_(1.0)
    model.radius.fill_(1.0)
    seen = SeenAtoms(again, geometry_of(*rattled_crystals(2, 3)))
    arguments = (seen.functions.detach(), seen.element_index)
    torch.testing.assert_close(model.grades(*arguments)[:, 0], model.sizes(*arguments)[:, 0])


def test_ridge_by_numpy():
    rng = np.random.default_rng(0)
    rows, targets = rng.normal(size=(50, 3)) + 2.0, rng.normal(size=50)
    centered = rows - rows.mean(0)
    expected = np.linalg.solve(centered.T @ centered + 50 * np.diag([0.1, 0.1, 0.0]), centered.T @ targets)
    found = ridge(torch.tensor(rows), torch.tensor(targets), torch.tensor([0.1, 0.1, 0.0], dtype=torch.float64))
    np.testing.assert_allclose(found[1:], expected)
    np.testing.assert_allclose(found[0], targets.mean() - rows.mean(0) @ expected)
