"""A small potential in n2p2's files, and what it says of atoms, by plain loops over pairs and triplets.

Nothing of mhdnn is used here: the formulas are those of the documentation of n2p2 (symmetry functions, cutoffs,
scaling, networks) and of Ko et al. 2021 (charges), in the units of the files.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SYMBOLS = ("H", "O")  # by atomic number
NUMBERS = {"H": 1, "O": 8}
FUNCTIONS = {
    "H": [
        (2, ("H",), 0.02, 0.0, 9.0),
        (2, ("O",), 0.02, 0.0, 9.0),
        (2, ("O",), 0.4, 1.8, 9.0),
        (3, ("O", "O"), 0.03, 0.5, 6.0, -1, 4),
        (3, ("H", "O"), 0.01, 0.0, 9.0, 1, 1),
        (3, ("H", "O"), 0.01, 0.0, 9.0, -1, 2),
        (9, ("H", "H"), 0.02, 0.0, 9.0, 1, 3),
    ],
    "O": [
        (2, ("H",), 0.02, 0.0, 9.0),
        (2, ("O",), 0.05, 0.0, 9.0),
        (3, ("H", "H"), 0.01, 0.0, 9.0, 1, 1),
        (9, ("O", "O"), 0.03, 1.0, 9.0, 1, 1),
        (9, ("H", "O"), 0.03, 1.0, 9.0, -1, 2),
    ],
}
"""Type, neighbours, eta, shift, cutoff, and lambda and zeta; in n2p2's order: by type, cutoff, eta, shift, zeta,
lambda, neighbours."""


@dataclass
class OwnPotential:
    """Random weights and scaling, and the keywords of the input.nn.

    :param charges: whether it is of the fourth generation
    """

    charges: bool = False
    cutoff_type: int = 2
    alpha: float = 0.0
    nodes: dict[str, list[int]] = field(default_factory=lambda: {"H": [4, 3], "O": [4, 3]})
    activations: str = "t s l"
    keywords: dict[str, str] = field(default_factory=lambda: {"scale_symmetry_functions": ""})
    atom_energy: dict[str, float] = field(default_factory=lambda: {"H": -0.4, "O": -2.5})
    widths: dict[str, float] = field(default_factory=lambda: {"H": 0.6, "O": 1.2})
    hardness: dict[str, float] = field(default_factory=lambda: {"H": 0.9, "O": 1.7})
    seed: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.scaling, self.weights = {}, {}
        for symbol in SYMBOLS:
            count = len(FUNCTIONS[symbol])
            low = rng.uniform(0.0, 0.3, count)
            mean, high = low + rng.uniform(0.2, 0.5, count), low + rng.uniform(0.8, 2.0, count)
            self.scaling[symbol] = np.stack([low, high, mean, rng.uniform(0.2, 0.6, count)], 1)
            for network in ("short", "electrostatic") if self.charges else ("short",):
                sizes = [count + (self.charges and network == "short"), *self.nodes[symbol], 1]
                layers = [
                    (rng.uniform(-1, 1, (size_out, size_in)), rng.uniform(-1, 1, size_out))
                    for size_in, size_out in itertools.pairwise(sizes)
                ]
                self.weights[network, symbol] = layers

    def write(self, folder: Path) -> Path:
        """The files of the potential, with symmetry functions in another order."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["number_of_elements 2", "elements O H  # in any order", f"cutoff_type {self.cutoff_type} {self.alpha}"]
        lines += [f"{key} {value}" for key, value in self.keywords.items()]
        lines += [f"atom_energy {symbol} {energy}" for symbol, energy in self.atom_energy.items()]
        for network in ("short", "electrostatic") if self.charges else ("short",):
            lines += [f"global_hidden_layers_{network} {len(self.nodes['H'])}"]
            lines += [f"global_nodes_{network} {' '.join(map(str, self.nodes['H']))}"]
            lines += [f"element_nodes_{network} O {' '.join(map(str, self.nodes['O']))}"]
            lines += [f"global_activation_{network} {self.activations}"]
        if self.charges:
            lines += ["nnp_type 4G-HDNNP"]
            lines += [f"fixed_gausswidth {symbol} {width}" for symbol, width in self.widths.items()]
        functions = [self._line(symbol, function) for symbol in SYMBOLS for function in FUNCTIONS[symbol]]
        (folder / "input.nn").write_text("\n".join(lines + functions[::-1]) + "\n")
        self._write_scaling(folder)
        for (network, symbol), layers in self.weights.items():
            prefix = "weights" if network == "short" else "weightse"
            numbers = [number for weight, bias in layers for number in (*weight.T.ravel(), *bias)]
            path = folder / f"{prefix}.{NUMBERS[symbol]:03d}.data"
            path.write_text("# a comment\n" + "".join(f"{number:.17g} a 1\n" for number in numbers))
        for symbol in SYMBOLS if self.charges else ():
            (folder / f"hardness.{NUMBERS[symbol]:03d}.data").write_text(f"{self.hardness[symbol]}\n")
        return folder

    @staticmethod
    def _line(symbol: str, function: tuple) -> str:
        kind, neighbors, eta, shift, cutoff, *angular = function
        if kind == 2:
            return f"symfunction_short {symbol} 2 {neighbors[0]} {eta} {shift} {cutoff}"
        sign, zeta = angular
        return f"symfunction_short {symbol} {kind} {' '.join(neighbors[::-1])} {eta} {sign} {zeta} {cutoff} {shift}"

    def _write_scaling(self, folder: Path) -> None:
        lines = ["# columns"]
        for element, symbol in enumerate(SYMBOLS, start=1):
            for place, row in enumerate(self.scaling[symbol], start=1):
                lines.append(f"{element} {place} " + " ".join(f"{value:.17g}" for value in row))
        (folder / "scaling.data").write_text("\n".join(lines) + "\n")

    # ------------------------------------------------------------------ what it says

    def cutoff_function(self, r: float, cutoff: float) -> float:
        if r >= cutoff:
            return 0.0
        inner = 0.0 if self.cutoff_type in (0, 2, 3) else self.alpha * cutoff
        x = max(r - inner, 0.0) / (cutoff - inner)
        return {
            0: lambda: 1.0,
            1: lambda: 0.5 * (math.cos(math.pi * x) + 1.0),
            2: lambda: math.tanh(1.0 - x) ** 3,
            3: lambda: (math.tanh(1.0 - x) / math.tanh(1.0)) ** 3,
            4: lambda: math.exp(1.0 - 1.0 / (1.0 - x * x)),
            5: lambda: (2.0 * x - 3.0) * x**2 + 1.0,
            6: lambda: ((15.0 - 6.0 * x) * x - 10.0) * x**3 + 1.0,
            7: lambda: (x * (x * (20.0 * x - 70.0) + 84.0) - 35.0) * x**4 + 1.0,
            8: lambda: (x * (x * ((315.0 - 70.0 * x) * x - 540.0) + 420.0) - 126.0) * x**5 + 1.0,
        }[self.cutoff_type]()

    def functions(self, symbols: list[str], positions: np.ndarray, cell: np.ndarray | None, atom: int) -> np.ndarray:
        """Symmetry functions of an atom, not scaled."""
        near = neighbors(symbols, positions, cell, atom, 9.0)
        return np.array([self._function(function, near) for function in FUNCTIONS[symbols[atom]]])

    def _function(self, function: tuple, near: list[tuple[str, np.ndarray]]) -> float:
        kind, wanted, eta, shift, cutoff, *angular = function

        def radial(r: float) -> float:
            return math.exp(-eta * (r - shift) ** 2) * self.cutoff_function(r, cutoff)

        if kind == 2:
            return sum(radial(float(np.linalg.norm(v))) for symbol, v in near if symbol == wanted[0])
        sign, zeta = angular
        total = 0.0
        for (a, v), (b, w) in itertools.combinations(near, 2):
            if sorted((a, b)) != sorted(wanted):
                continue
            r, s = float(np.linalg.norm(v)), float(np.linalg.norm(w))
            term = (1.0 + sign * float(v @ w) / (r * s)) ** zeta * radial(r) * radial(s)
            total += term * (radial(float(np.linalg.norm(v - w))) if kind == 3 else 1.0)
        return 2.0 ** (1 - zeta) * total

    def scaled(self, symbol: str, values: np.ndarray) -> np.ndarray:
        low, high, mean, sigma = self.scaling[symbol].T
        first = float(self.keywords.get("scale_min_short", 0.0))
        width = float(self.keywords.get("scale_max_short", 1.0)) - first
        scale, center = (f"{word}_symmetry_functions" in self.keywords for word in ("scale", "center"))
        if scale:
            return first + width * (values - (mean if center else low)) / (high - low)
        if center:
            return values - mean
        if "scale_symmetry_functions_sigma" in self.keywords:
            return first + width * (values - mean) / sigma
        return values

    def network(self, name: str, symbol: str, inputs: np.ndarray) -> float:
        for (weight, bias), letter in zip(self.weights[name, symbol], self.activations.split(), strict=True):
            sums = weight @ inputs + bias
            if "normalize_nodes" in self.keywords:
                sums = sums / len(inputs)
            inputs = ACTIVATIONS[letter](sums)
        return float(inputs[0])

    def evaluate(
        self, symbols: list[str], positions: np.ndarray, cell: np.ndarray | None = None, total_charge: float = 0.0
    ) -> tuple[float, np.ndarray]:
        """Energy, and charges (zero without)."""
        atoms = range(len(symbols))
        inputs = [self.scaled(symbols[i], self.functions(symbols, positions, cell, i)) for i in atoms]
        charges, energy = np.zeros(len(symbols)), 0.0
        if self.charges:
            chi = np.array([self.network("electrostatic", symbols[i], inputs[i]) for i in atoms])
            charges, energy = self._electrostatics(symbols, positions, cell, chi, total_charge)
            of_networks = float(self.keywords.get("conv_charge", 1.0)) * charges
            inputs = [np.append(values, charge) for values, charge in zip(inputs, of_networks, strict=True)]
        short = sum(self.network("short", symbols[i], inputs[i]) for i in atoms)
        short = short / float(self.keywords.get("conv_energy", 1.0))
        mean = float(self.keywords.get("mean_energy", 0.0))
        return energy + short + sum(self.atom_energy.get(symbol, 0.0) + mean for symbol in symbols), charges

    def _electrostatics(
        self, symbols: list[str], positions: np.ndarray, cell: np.ndarray | None, chi: np.ndarray, total: float
    ) -> tuple[np.ndarray, float]:
        widths = np.array([self.widths[symbol] for symbol in symbols])
        matrix = coulomb_matrix(positions, cell, widths)
        size = len(symbols)
        system = np.ones((size + 1, size + 1))
        system[:size, :size] = matrix + np.diag([self.hardness[symbol] for symbol in symbols])
        system[size, size] = 0.0
        charges = np.linalg.solve(system, np.append(-chi, total))[:size]
        energy = 0.5 * charges @ matrix @ charges - (charges**2 / (2.0 * widths * math.sqrt(math.pi))).sum()
        words = self.keywords.get("screen_electrostatics", "").split()
        if words:
            inner, outer = float(words[0]), float(words[1])
            kind = {"c": 1, "e": 4, "p1": 5, "p2": 6, "p3": 7, "p4": 8}[words[2] if words[2:] else "c"]
            core = OwnPotential(cutoff_type=kind)
            for i in range(size):
                for j, vector in numbered_neighbors(positions, cell, i, outer):
                    r = float(np.linalg.norm(vector))
                    part = core.cutoff_function(max(r - inner, 0.0), outer - inner)
                    gamma = math.sqrt(2.0 * (widths[i] ** 2 + widths[j] ** 2))
                    energy -= 0.5 * charges[i] * charges[j] * math.erf(r / gamma) / r * part
        return charges, float(energy)


ACTIVATIONS = {
    "l": lambda x: x,
    "t": np.tanh,
    "s": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "p": lambda x: np.log(1.0 + np.exp(x)),
    "r": lambda x: np.maximum(x, 0.0),
    "g": lambda x: np.exp(-0.5 * x**2),
    "c": np.cos,
    "S": lambda x: 1.0 - 1.0 / (1.0 + np.exp(-x)),
    "e": lambda x: np.exp(-x),
    "h": lambda x: x**2,
}


def numbered_neighbors(
    positions: np.ndarray, cell: np.ndarray | None, atom: int, cutoff: float
) -> list[tuple[int, np.ndarray]]:
    """Neighbours of an atom, images too, and the vectors to them."""
    shifts = [np.zeros(3)] if cell is None else [np.array(n) @ cell for n in itertools.product(range(-3, 4), repeat=3)]
    found = []
    for other, position in enumerate(positions):
        for shift in shifts:
            vector = position + shift - positions[atom]
            if 1e-9 < np.linalg.norm(vector) < cutoff:
                found.append((other, vector))
    return found


def neighbors(
    symbols: list[str], positions: np.ndarray, cell: np.ndarray | None, atom: int, cutoff: float
) -> list[tuple[str, np.ndarray]]:
    """The same with symbols."""
    return [(symbols[other], vector) for other, vector in numbered_neighbors(positions, cell, atom, cutoff)]


def coulomb_matrix(positions: np.ndarray, cell: np.ndarray | None, widths: np.ndarray) -> np.ndarray:
    """Of Gaussian charges in atomic units; with a cell by Ewald's sums of everything that is not below 1e-14."""
    size = len(positions)
    matrix = np.diag(1.0 / (widths * math.sqrt(math.pi)))
    gamma = np.sqrt(widths[:, None] ** 2 + widths[None, :] ** 2)
    if cell is None:
        for i, j in itertools.combinations(range(size), 2):
            r = float(np.linalg.norm(positions[i] - positions[j]))
            matrix[i, j] = matrix[j, i] = math.erf(r / (math.sqrt(2.0) * gamma[i, j])) / r
        return matrix
    eta, volume = 2.0, abs(np.linalg.det(cell))
    matrix -= np.eye(size) * 2.0 / (math.sqrt(2.0 * math.pi) * eta)
    for i in range(size):
        for j, vector in numbered_neighbors(positions, cell, i, 8.5 * eta):
            r = float(np.linalg.norm(vector))
            matrix[i, j] += (math.erfc(r / (math.sqrt(2.0) * eta)) - math.erfc(r / (math.sqrt(2.0) * gamma[i, j]))) / r
    reciprocal = 2.0 * math.pi * np.linalg.inv(cell).T
    for n in itertools.product(range(-12, 13), repeat=3):
        k = np.array(n) @ reciprocal
        square = float(k @ k)
        if 0.0 < square < (8.5 / eta) ** 2:
            wave = np.exp(1j * positions @ k)
            factor = 4.0 * math.pi / volume * math.exp(-0.5 * eta**2 * square) / square
            matrix += factor * (wave[:, None] * wave.conj()[None, :]).real
    return matrix
