"""Which label a name stands for, in the dialects of the field.

Case, ``_``, ``-`` and dots don't matter. A name is a label's own name (``energy``, ``TotEnergy``, ``force``), also
together with one that says where reference values come from (``REF_``, ``dft_``, ``vasp_``, ``pbe_``), before it or
behind it. Other additions are not: ``mace_energy`` or ``gap_force`` are another model's predictions. Such names are
reported and taken only where the user names them.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mhdnn.data.unit_names import factor
from mhdnn.errors import DataError

STEMS: dict[str, tuple[str, ...]] = {
    "energy": (
        "energy", "totenergy", "totalenergy", "toten", "etot", "etotal", "potentialenergy", "potenergy", "epot",
        "energytotal", "energytot", "scfenergy", "electronicenergy", "configenergy",
    ),
    "free_energy": ("freeenergy", "efree", "energyfree", "efrenergy", "totalfreeenergy", "totfreeenergy"),
    "extrapolated_energy": ("e0energy", "energysigma0", "energyextrapolated", "extrapolatedenergy", "ewithoutentropy0"),
    "forces": ("force", "forces", "atomicforces", "atomforces", "totalforces", "totalforce"),
    "stress": ("stress", "stressvoigt", "stresstensor", "totalstress", "cellstress"),
    "virial": ("virial", "virials", "virialtensor", "totalvirial"),
    "charges": ("charge", "charges", "atomiccharges", "atomcharges", "partialcharges", "netcharges", "netatomiccharges",
                "atomiccharge", "partialcharge", "netatomiccharge", "q"),
    "total_charge": ("totalcharge", "charge", "systemcharge", "molecularcharge", "moleculecharge", "netcharge",
                     "cellcharge", "totcharge"),
}  # fmt: skip
"""Names of each label as one word in lower case."""

_REFERENCES = (
    "reference ref dft qm target true abinitio vasp qe pwscf espresso cp2k fhiaims aims castep gpaw orca gaussian "
    "psi4 siesta abinit conquest pbesol pbed3 pbe0 pbe rpbe revpbe blyp b3lyp hse06 hse r2scan rscan scan lda gga "
    "wb97x wb97mv wb97m ccsdt ccsd mp2 rpa"
)
_SCHEMES = (
    "hirshfeldi hirshfeld bader mbis mulliken ddec6 ddec cm5 loewdin lowdin npa nbo resp esp chelpg becke voronoi "
    "iao mk"
)
_LENGTHS = "length position positions pos coordinate coordinates coord coords distance lattice cell box"
QUALIFIERS = tuple(_REFERENCES.split())
"""Where reference values come from."""
CHARGE_SCHEMES = tuple(_SCHEMES.split())
LENGTHS = frozenset(_LENGTHS.split())

LOOKS_LIKE_LABEL = re.compile(
    r"energ|poteng|toteng|toten|etot|epot|force|frc|grad|stress|virial|charge|mulliken|hirshfeld|bader|mbis|ddec|freeen"
    r"|^(e|e0|u|f|q|fx|fy|fz|f[123]|column\d+)$"  # the last: columns of plain XYZ files without a name
)
NO_LABEL = re.compile(
    r"weight|sigma|unit|mask|kinetic|ekin|scheme|cutoff|convergence|threshold|tolerance|charged"
    r"|^(energies|stresses|initialcharges|centerofcharge)$"
)
"""ASE's energies and stresses of single atoms are no labels of a structure either."""


QUANTITY_OF = {
    "energy": "energy",
    "free_energy": "energy",
    "extrapolated_energy": "energy",
    "forces": "forces",
    "stress": "stress",
    "virial": "virial",
    "charges": "charges",
    "total_charge": "charges",
}
"""What a label is measured in, a key of `mhdnn.data.unit_names.QUANTITIES`."""
LONGEST_NAME = 60


def plain(name: str) -> str:
    """A name as one word in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@lru_cache(maxsize=4096)
def label_of(name: str) -> frozenset[str]:
    """The labels that a name may stand for, keys of `STEMS`; none if it is no reference label."""
    word = plain(name)
    if len(word) > LONGEST_NAME:
        return frozenset()
    found = {label for label, stems in STEMS.items() if word in stems}
    if not found:
        found = {label for label, stems in STEMS.items() if _stripped(word, QUALIFIERS, stems)}
    if not found and _stripped(word, QUALIFIERS + CHARGE_SCHEMES, STEMS["charges"]):
        found = {"charges"}
    return frozenset(found)


@lru_cache(maxsize=4096)
def label_with_unit(name: str) -> tuple[frozenset[str], float | None]:
    """As `label_of`, also of names that end with a unit (``energy_Ha``, ``forces [eV/Å]``), and the unit's factor."""
    labels = label_of(name)
    if labels or len(name) > LONGEST_NAME:
        return labels, None
    for separator in re.finditer(r"[_\-. (\[{/]+", name):
        labels = label_of(name[: separator.start()]) - {"charges", "total_charge"}
        unit = name[separator.end() :].rstrip(")]}").replace("_per_", "/").replace("_", "/")
        for label in sorted(labels):
            try:
                return frozenset({label}), factor(unit, QUANTITY_OF[label], name)
            except DataError:
                continue
    return frozenset(), None


def quantity_with_unit_key(name: str) -> str | None:
    """The quantity whose unit is named by a key such as ``energy-unit``; ``""`` for all of them."""
    word = plain(name)
    if "unit" not in word or len(word) > LONGEST_NAME:
        return None
    rest = re.sub(r"^units?(of)?|units?$", "", word)
    if not rest or rest == "system":
        return ""
    if rest in LENGTHS:
        return "length"
    labels = label_of(rest)
    return QUANTITY_OF[sorted(labels)[0]] if labels else None


def charge_scheme_of(name: str) -> str | None:
    """The scheme of partitioning that the name of charges says: ``bader`` for ``REF_bader_charges``."""
    word = plain(name)
    return next((scheme for scheme in CHARGE_SCHEMES if scheme in word), None)


@lru_cache(maxsize=4096)
def looks_like_label(name: str) -> bool:
    """Whether a name probably means an energy, forces, a stress or charges, whosever they are."""
    word = plain(name)
    return bool(LOOKS_LIKE_LABEL.search(word)) and not NO_LABEL.search(word)


def is_kinetic(name: str) -> bool:
    """Whether a name means a kinetic energy: then a total energy beside it may hold it."""
    return bool(re.search(r"kinetic|ekin", plain(name)))


@lru_cache(maxsize=65536)
def _stripped(word: str, qualifiers: tuple[str, ...], stems: tuple[str, ...]) -> bool:
    """Whether the word is a stem with some qualifiers before or behind it."""
    if word in stems:
        return True
    for qualifier in qualifiers:
        shorter = len(qualifier) < len(word)
        if shorter and word.startswith(qualifier) and _stripped(word[len(qualifier) :], qualifiers, stems):
            return True
        if shorter and word.endswith(qualifier) and _stripped(word[: -len(qualifier)], qualifiers, stems):
            return True
    return False
