r"""Expected errors of forces and energies from one potential, at the cost of two small matrix products.

The linear energy model of the scaled functions, with a block of weights for each element, has the features

.. math:: \phi_i = [1, V^T G_i], \qquad \Phi_S = \bigoplus_Z \sum_{i\in S,\,Z_i=Z}\phi_i

(V: the leading principal axes of the training set). After training on the energies of the structures S its weights
have the posterior covariance

.. math:: P = \Bigl(\sum_S \frac{\Phi_S\Phi_S^T}{N_S} + \lambda\Bigr)^{-1}

in units of the variance of the noise (Bayesian linear regression; for networks Laplace approximation, or local
prediction rigidity: Bigi, Chong, Ceriotti, Grasselli 2024, https://doi.org/10.1088/2632-2153/ad805f). The **rigidity
grade** of an atom is the posterior standard deviation of its energy; what V leaves over counts with the prior:

.. math:: g_i^2 = \phi_i^T P_{Z_iZ_i}\phi_i + \bigl(|G_i|^2 - |V^TG_i|^2\bigr)/\lambda .

Alone it says little about errors that come from the form of the potential. These depend on where an atom is, and the
training set shows them:

.. math:: h_i = \mathbf u_{Z_i}\cdot\phi_i + \sum_n v_{Z_in}\exp(-\gamma_{Z_i}|V^TG_i - t_n|^2)

is a ridge regression of the logarithms of its errors of forces, limited to the values that the training set has, with
the landmarks :math:`t_n` of below. They grow with the forces, too. With the means over an atom and its neighbours,
:math:`\langle x\rangle_i = (x_i + \sum_j w_{ij}x_j)/(1 + \sum_j w_{ij})`, :math:`w_{ij} = (1 - r_{ij}^2/r_c^2)^2`, the
expected error of the force on an atom is

.. math:: \sigma_i = \max\bigl(s_Z,\;
          \exp(c_Z + a_1\ell_i + a_2\langle\ell\rangle_i + b_1 f_i + b_2\langle f\rangle_i)\bigr),
          \qquad \ell = h + \kappa\log g,\quad f = \log(|\mathbf F| + f_0),

fitted to the errors of structures that were not trained on; 68 % of them are below :math:`\sigma`
(`mhdnn.uncertainty.calibration`).

What is unlike all that was seen is worse than all of the training set. The **excess** :math:`e_i = \max(d_i/d_Z,
g_i/g_{max,Z})` has the distance :math:`d_i = \min_n|V^TG_i - t_n|` to the nearest of some landmarks :math:`t_n`, atoms
of this element that were chosen one after the other as the farthest from those before (Gonzalez 1985,
https://doi.org/10.1016/0304-3975(85)90224-5); :math:`d_Z` is the largest of the training set, or that of 99 % of the
structures that errors were seen on. Errors of an atom beyond rise steeply, up to :math:`e_i\sigma_{max}`:

.. math:: \sigma_i \ge \min(\sigma_i e_i^8, e_i\sigma_{max}) \quad\text{for } e_i > 1 .

Another phase is beyond everywhere, even where forces vanish. So the mean of an atom and its neighbours counts, and of
the atom alone what is more than A = 1.5:

.. math:: x_i = \max(\langle e\rangle_i, e_i/A), \qquad
          \sigma_i \ge \sigma_i^{1-t_i}(x_i\sigma_{max})^{t_i}, \qquad t_i = (x_i - x_0)/(1 - x_0)

within 0 and 1, with :math:`x_0` = 0.9: from one on it is :math:`x_i\sigma_{max}`. An atom outside the ranges of
`mhdnn.domain` counts as twice as bad as the training set.

The energy of a structure has, with the posterior variance :math:`g_S^2 = \Phi_S^TP\Phi_S` (and rest),

.. math:: \sigma_S^2 = \alpha^2 g_S^2 + \beta^2N_S + \sum_{i\in S} l^2\max(0, \sigma_i - \sigma_{max})^2 .

The variance of a linear model knows nothing of what is foreign; the last term does. It is zero in the training set.
With the length l it takes an error of the force for one of the energy over a displacement.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mhdnn.neighbors import squared_lengths

MOST_AXES = 64
"""Principal axes; of 16 to all, 64 are the fewest that lose nothing (rank correlation with errors of silicon)."""
MOST_FEATURES = 1024
"""Of all elements together, whose posterior covariance stands in the model file."""
NUM_WEIGHTS = 4
MOST_LANDMARKS = 128
"""Of an element; at most every second of its atoms, so that the others tell how far apart they are."""
RIGIDITY_POWER = 0.1
"""The power kappa of the rigidity grade; on the validation set of the bundled data ranks were best at 0 to 0.1, and a
small share lets the expected error grow towards what is foreign."""
LEAST_RADIUS = 1e-2
"""Of the length of the longest landmark, for distances from landmarks: where all atoms of an element are alike."""
ALONE = 1.5
"""A: the excess of a single atom that counts as one, however small its force."""
STEEPNESS = 8.0
"""Of errors with the excess. With 5 some melts of silicon are below the largest error of a model of its crystals; with
10 silicon on graphene and lithium at 600 K, where forces are as wrong as inside, is above that of its model in twice as
many structures."""
FOREIGN_FROM = 0.9
"""x0. The mean of the excess comes to 0.85 in the training set of silicon on graphene, to 0.94 in its dynamics, and to
1.2 and more in other phases of silicon and tin."""
OUTSIDE_FACTOR = 2.0
"""Of the largest expected error of the training set: the least one of an atom outside its ranges."""
FOREIGN_DISPLACEMENT = 0.5
"""l, Å: what an error of force beyond the training set makes of energy. For close pairs of carbon, and of lithium and
tin, it agrees with the disagreement of three models to a factor of about two."""


class ErrorModel(nn.Module):
    r"""Rigidity grades of atoms and structures, and the errors that are expected of them; zero until it is fitted.

    :param num_elements: of the potential
    :param num_functions: length of the descriptor
    :param cutoff: Å
    :ivar axes: V, shape (num_functions, num_axes)
    :ivar factor: L of :math:`P = LL^T`, shape (num_elements · (1 + num_axes), the same)
    :ivar atomic_factor: of its diagonal blocks, shape (num_elements, 1 + num_axes, 1 + num_axes)
    :ivar inverse_penalty: :math:`1/\lambda`
    :ivar residual_weights: u, shape (num_elements, 1 + num_axes)
    :ivar kernel_weights: v, shape (num_elements, num_landmarks); zero where they are not known, as in older files
    :ivar kernel_rates: :math:`\gamma_Z`, shape (num_elements,)
    :ivar residual_limits: smallest and largest h of the training set, shape (2, num_elements)
    :ivar rigidity_power: kappa; one where u is not known, as in files of older versions
    :ivar offset: c, shape (num_elements,)
    :ivar weights: a1, a2, b1, b2
    :ivar force_floor: f0, eV/Å
    :ivar least_error: s, shape (num_elements,), eV/Å
    :ivar landmarks: t, shape (num_elements, num_landmarks, num_axes)
    :ivar radius: d_Z, shape (num_elements,)
    :ivar largest_grade: rigidity grade in the training set, shape (num_elements,)
    :ivar largest_error: expected in the training set, eV/Å
    :ivar force_quantile: 90 % of errors of forces are below so many :math:`\sigma_i`
    :ivar energy_weights: alpha (eV), beta (eV)
    :ivar energy_quantile: 90 % of errors of energies are below so many :math:`\sigma_S`
    :ivar num_calibrated: structures and atoms that the calibration rests on
    """

    axes: torch.Tensor
    factor: torch.Tensor
    atomic_factor: torch.Tensor
    inverse_penalty: torch.Tensor
    residual_weights: torch.Tensor
    kernel_weights: torch.Tensor
    kernel_rates: torch.Tensor
    residual_limits: torch.Tensor
    rigidity_power: torch.Tensor
    offset: torch.Tensor
    weights: torch.Tensor
    force_floor: torch.Tensor
    least_error: torch.Tensor
    landmarks: torch.Tensor
    radius: torch.Tensor
    largest_grade: torch.Tensor
    largest_error: torch.Tensor
    force_quantile: torch.Tensor
    energy_weights: torch.Tensor
    energy_quantile: torch.Tensor
    num_calibrated: torch.Tensor

    def __init__(self, num_elements: int, num_functions: int, cutoff: float) -> None:
        super().__init__()
        self.num_elements, self.cutoff = num_elements, float(cutoff)
        self.outside_factor = OUTSIDE_FACTOR  # TorchScript reads no globals
        self.alone, self.foreign_from, self.steepness = ALONE, FOREIGN_FROM, STEEPNESS
        num_axes = max(0, min(MOST_AXES, num_functions, MOST_FEATURES // num_elements - 1))
        size = 1 + num_axes
        self.register_buffer("axes", torch.zeros(num_functions, num_axes))
        self.register_buffer("factor", torch.zeros(num_elements * size, num_elements * size))
        self.register_buffer("atomic_factor", torch.zeros(num_elements, size, size))
        self.register_buffer("landmarks", torch.zeros(num_elements, MOST_LANDMARKS, num_axes))
        self.register_buffer("residual_weights", torch.zeros(num_elements, size))
        self.register_buffer("kernel_weights", torch.zeros(num_elements, MOST_LANDMARKS))
        self.register_buffer("kernel_rates", torch.zeros(num_elements))
        self.register_buffer("rigidity_power", torch.ones((), dtype=torch.float64))
        for name, shape in (
            ("residual_limits", (2, num_elements)), ("inverse_penalty", ()),
            ("offset", (num_elements,)), ("weights", (NUM_WEIGHTS,)), ("force_floor", ()),
            ("least_error", (num_elements,)), ("largest_grade", (num_elements,)),
            ("radius", (num_elements,)), ("largest_error", ()),
            ("force_quantile", ()), ("energy_weights", (2,)), ("energy_quantile", ()),
        ):  # fmt: skip
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("num_calibrated", torch.zeros(2, dtype=torch.long))

    @torch.jit.export
    def is_fitted(self) -> bool:
        """Whether errors of forces are known."""
        return bool(self.num_calibrated[1] > 0)

    @torch.jit.export
    def knows_energies(self) -> bool:
        """Whether errors of energies are known."""
        return bool(self.num_calibrated[0] > 0)

    @torch.jit.export
    def features(self, functions: torch.Tensor) -> torch.Tensor:
        r""":math:`[1, V^TG]`, shape (num_rows, 1 + num_axes)."""
        return nn.functional.pad(functions @ self.axes, [1, 0], "constant", 1.0)

    @torch.jit.export
    def rests(self, functions: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        r""":math:`(|G|^2 - |V^TG|^2)/\lambda` of rows, shape (num_rows,)."""
        left = functions.square().sum(1) - features[:, 1:].square().sum(1)
        return self.inverse_penalty.to(left.dtype) * left.clamp(min=0.0)

    @torch.jit.export
    def sizes(self, functions: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        """Rigidity grades g, distances d from the nearest landmarks, and h, shape (num_centers, 3), float64.

        :param functions: scaled, shape (num_centers, num_functions)
        :param element_index: shape (num_centers,)
        """
        features = self.features(functions)
        nothing = torch.zeros_like(features[:, 0])
        result = torch.stack([self.rests(functions, features), nothing, nothing], 1)
        for element in range(self.num_elements):
            rows = torch.nonzero(element_index == element).squeeze(1)
            if rows.numel() > 0:
                own = features if self.num_elements == 1 else features.index_select(0, rows)
                rigidity = (own @ self.atomic_factor[element]).square().sum(1)
                squares = self.squared_distances(own, element)
                residuals = own @ self.residual_weights[element]
                residuals = residuals + self.kernels(squares, element) @ self.kernel_weights[element]
                result = result.index_add(0, rows, torch.stack([rigidity, squares.amin(1), residuals], 1))
        result = result.to(torch.float64)
        return torch.cat([result[:, :2].sqrt(), result[:, 2:]], 1)

    @torch.jit.export
    def grades(self, functions: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        r"""Grades :math:`g^\kappa e^h` and excesses of atoms, shape (num_centers, 2), float64; as `sizes`."""
        sizes = self.sizes(functions, element_index)
        limits = torch.stack([self.largest_grade, self.radius], 1).index_select(0, element_index)
        lower, upper = self.residual_limits.index_select(1, element_index).unbind(0)
        residuals = torch.minimum(torch.maximum(sizes[:, 2], lower), upper)
        grades = sizes[:, 0].pow(self.rigidity_power) * residuals.exp()
        return torch.stack([grades, (sizes[:, :2] / limits).amax(1)], 1)

    @torch.jit.export
    def squared_distances(self, features: torch.Tensor, element: int) -> torch.Tensor:
        """From the landmarks of an element, shape (num_rows, num_landmarks)."""
        axes, landmarks = features[:, 1:], self.landmarks[element]
        shares = torch.addmm(landmarks.square().sum(1), axes, landmarks.T, alpha=-2.0)
        return (shares + axes.square().sum(1, keepdim=True)).clamp(min=0.0)

    @torch.jit.export
    def kernels(self, squared_distances: torch.Tensor, element: int) -> torch.Tensor:
        r""":math:`\exp(-\gamma_Z|V^TG - t_n|^2)`, shape as `squared_distances`."""
        return (-self.kernel_rates[element] * squared_distances).exp()

    @torch.jit.export
    def structure_grades(
        self, functions: torch.Tensor, element_index: torch.Tensor, structure_index: torch.Tensor, num_structures: int
    ) -> torch.Tensor:
        """Posterior standard deviations of structures' energies, shape (num_structures,), float64; as `grades`."""
        rows = structure_index * self.num_elements + element_index
        size = num_structures * self.num_elements
        sums = torch.zeros(size, functions.shape[1], dtype=functions.dtype, device=functions.device)
        sums = sums.index_add(0, rows, functions)
        counts = torch.zeros(size, dtype=functions.dtype, device=functions.device)
        counts = counts.index_add(0, rows, torch.ones_like(rows, dtype=functions.dtype))
        return self.grades_of_sums(sums, counts, num_structures)

    @torch.jit.export
    def grades_of_sums(self, sums: torch.Tensor, counts: torch.Tensor, num_structures: int) -> torch.Tensor:
        """`structure_grades`, from sums of functions over the atoms of an element in a structure.

        :param sums: one row for each element of the first structure, then of the next, shape (num_structures ·
            num_elements, num_functions)
        :param counts: numbers of these atoms
        """
        features = torch.cat([counts.unsqueeze(1), sums @ self.axes], 1)
        rests = self.rests(sums, features).view(num_structures, -1).sum(1)
        squares = (features.view(num_structures, -1) @ self.factor).square().sum(1) + rests
        return squares.to(torch.float64).sqrt()

    @torch.jit.export
    def neighbor_weights(self, vectors: torch.Tensor) -> torch.Tensor:
        """Weights w of pairs within the cutoff, shape (num_pairs,)."""
        return (1.0 - squared_lengths(vectors) / self.cutoff**2).square()

    @torch.jit.export
    def neighborhood_means(
        self, values: torch.Tensor, vectors: torch.Tensor, center_index: torch.Tensor, neighbor_index: torch.Tensor
    ) -> torch.Tensor:
        r""":math:`\langle x\rangle` of the columns of values of atoms, in their shape (num_atoms, num_columns).

        :param vectors: from centre to neighbour, shape (num_pairs, 3), Å
        """
        weights = self.neighbor_weights(vectors)
        sums = values.index_add(0, center_index, weights.unsqueeze(1) * values.index_select(0, neighbor_index))
        totals = torch.ones(len(values), dtype=weights.dtype, device=weights.device).index_add(0, center_index, weights)
        return sums / totals.unsqueeze(1)

    @torch.jit.export
    def regressors(
        self,
        grades: torch.Tensor,
        forces: torch.Tensor,
        vectors: torch.Tensor,
        center_index: torch.Tensor,
        neighbor_index: torch.Tensor,
    ) -> torch.Tensor:
        r""":math:`\ell, \langle\ell\rangle, f, \langle f\rangle` of all atoms, shape (num_atoms, 4).

        :param grades: from `grades`, shape (num_atoms, 2)
        :param forces: predicted, shape (num_atoms, 3), eV/Å
        :param vectors: from centre to neighbour, shape (num_pairs, 3), Å
        """
        sizes = torch.stack([grades[:, 0], forces.square().sum(1).sqrt() + self.force_floor], 1)
        logarithms = sizes.log()
        means = self.neighborhood_means(logarithms, vectors, center_index, neighbor_index)
        return torch.stack([logarithms[:, 0], means[:, 0], logarithms[:, 1], means[:, 1]], 1)

    @torch.jit.export
    def foreignness(
        self, grades: torch.Tensor, vectors: torch.Tensor, center_index: torch.Tensor, neighbor_index: torch.Tensor
    ) -> torch.Tensor:
        """How foreign atoms are: e and x, shape (num_atoms, 2); parameters as of `regressors`."""
        excess = grades[:, 1]
        means = self.neighborhood_means(grades[:, 1:], vectors, center_index, neighbor_index)
        return torch.stack([excess, torch.maximum(means[:, 0], excess / self.alone)], 1)

    @torch.jit.export
    def errors_of(self, regressors: torch.Tensor, foreign: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        r"""Expected errors :math:`\sigma_i` of forces, shape (num_atoms,), eV/Å.

        :param foreign: from `foreignness`
        """
        errors = (self.offset.index_select(0, element_index) + regressors @ self.weights).exp()
        errors = torch.maximum(errors, self.least_error.index_select(0, element_index))
        beyond, around = foreign[:, 0].clamp(min=1.0), foreign[:, 1]
        largest = torch.maximum(errors, self.largest_error * beyond)
        errors = torch.minimum(errors * beyond.pow(self.steepness), largest)
        share = ((around - self.foreign_from) / (1.0 - self.foreign_from)).clamp(0.0, 1.0)
        return torch.maximum(errors, errors.pow(1.0 - share) * (self.largest_error * around).pow(share))

    @torch.jit.export
    def raised(self, errors: torch.Tensor, outside: torch.Tensor) -> torch.Tensor:
        """Expected errors with those of atoms outside the training data (bool), shape (num_atoms,), eV/Å."""
        return torch.where(outside, torch.maximum(errors, self.outside_factor * self.largest_error), errors)

    @torch.jit.export
    def energy_errors(self, structure_grades: torch.Tensor, num_atoms: torch.Tensor) -> torch.Tensor:
        r"""Expected errors of energies but for what is foreign, shape (num_structures,), eV."""
        squares = self.energy_weights.square()
        return (squares[0] * structure_grades.square() + squares[1] * num_atoms).sqrt()

    def raised_energies(
        self, errors: torch.Tensor, force_errors: torch.Tensor, structure_index: torch.Tensor
    ) -> torch.Tensor:
        r"""Expected errors :math:`\sigma_S` of energies, shape (num_structures,), eV.

        It is no part of the script, and is asked of files of older versions, too, as ``ErrorModel.raised_energies``.

        :param errors: from `energy_errors`
        :param force_errors: expected, those of atoms outside raised (`raised`), shape (num_atoms,), eV/Å
        :param structure_index: of each atom
        """
        foreign = FOREIGN_DISPLACEMENT * (force_errors - self.largest_error).clamp(min=0.0)
        return errors.square().index_add(0, structure_index, foreign.square()).sqrt()

    @torch.jit.ignore
    def metadata(self, symbols: Sequence[str]) -> dict[str, Any] | None:
        """The calibration as plain values; None where there is none."""
        if not self.is_fitted():
            return None
        num_structures, num_atoms = self.num_calibrated.tolist()
        by_element = {
            name: dict(zip(symbols, getattr(self, name).tolist(), strict=True))
            for name in ("offset", "least_error", "largest_grade", "radius")
        }
        names = ["weights", "rigidity_power", "force_floor", "largest_error", "force_quantile"]
        names += ["energy_weights", "energy_quantile"] if num_structures else []
        values = {name: getattr(self, name).tolist() for name in names}
        return {"num_structures": num_structures, "num_atoms": num_atoms, **by_element, **values}


def with_error_model(potential: nn.Module, state: dict[str, torch.Tensor], prefix: str, *_: object) -> None:
    """Hook of `load_state_dict`: weights of older files, which have no error model, leave it unfitted."""
    own: dict[str, torch.Tensor] = potential.uncertainty.state_dict()  # type: ignore[union-attr]
    for name, values in own.items():
        state.setdefault(f"{prefix}uncertainty.{name}", values)
