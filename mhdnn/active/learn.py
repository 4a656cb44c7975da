"""`mhdnn learn`: sample, label, train, explore, select, and again, until the model is trusted along its trajectories.

A plan may have further settings for the last, longer training. Its model is what will be used, so it explores, too:
where it isn't trusted, further rounds follow, of such trainings alone.

Everything stands in one folder: ``test.h5``, and for each round ``round_NN`` with its pool, its labels, all labels so
far, the training and the trajectories. What is finished is kept in ``journal.json``; the same command continues.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console

from mhdnn.active.calculation import mark_of
from mhdnn.active.continuation import FINAL, opened
from mhdnn.active.exploration import check_start, explore, limit_of, read_frames
from mhdnn.active.label import NothingLabelledError, label
from mhdnn.active.learning_report import Round, write_report
from mhdnn.active.plan import Plan, identity, without_runs
from mhdnn.active.recipes import Ingredients, parse
from mhdnn.active.sample import candidates
from mhdnn.active.select import select
from mhdnn.arguments import read_structures
from mhdnn.data.ase_bridge import bare, structure_from_atoms
from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter
from mhdnn.errors import ConfigError
from mhdnn.evaluation.errors import Errors
from mhdnn.files import alone_in, unwritable, write_atomically, write_text_atomically
from mhdnn.properties.calculators import description_of, resolve_calculator
from mhdnn.properties.journal import fingerprint
from mhdnn.structure import Structure
from mhdnn.training.command import check_overrides, train_in
from mhdnn.training.uncertainty import FEWEST_ATOMS, FEWEST_STRUCTURES

START = "start"
"""Group of the structures that everything starts from."""
TEST = "test"
RUN_FOLDER, FINAL_FOLDER = "run", "final"
"""Of a training and of one with the last settings, in that of its round."""


class Learning:
    """The loop, as far as it has come.

    :param plan: from `read_plan`
    :raises ConfigError: if the plan contradicts itself, or the folder is of another one (names all that differs)
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.folder = plan, Path(plan.folder)
        self.structures = [atoms for text in plan.structures for atoms in read_structures(text)]
        check_start(self.structures, plan.exploration.nearest)
        first = len(self.structures) + plan.sample.num + plan.test.num
        if first > plan.max_labels:
            raise ConfigError(
                f"`max_labels`: expected at least {first}, the structures with `sample.num` and `test.num`, got "
                f"{plan.max_labels}"
            )
        for overrides in (plan.training, [*plan.training, *plan.final]):
            check_overrides([*overrides, "data.train=train.h5"])
        self.oracle = resolve_calculator(plan.calculator, plan.settings)
        settings = identity(plan) | {
            "structures": [fingerprint(atoms) for atoms in self.structures],
            "oracle": description_of(self.oracle, plan.calculator),
        }
        self.console = Console(soft_wrap=True, highlight=False)
        self.journal, changes = opened(self.folder / "journal.json", settings, plan.changed)
        for change in changes:
            self.tell(f"changed: {change}")
        if any(change.startswith(("`training", "`validation", "`warm")) for change in changes):
            self.forget_training()
        if any(change.startswith(("`training", "`validation", "`final")) for change in changes):
            self.forget_final()

    def run(self) -> Path:
        """Go on until there is a reason to stop; returns the path of the report.

        :raises ConfigError: if another process works in the folder
        """
        with alone_in(self.folder, "folder"):
            return self.go_on()

    def go_on(self) -> Path:
        """`run`, in a folder of its own."""
        write_text_atomically(self.folder / "calculator.yaml", yaml.safe_dump(self.plan.settings))
        rounds: list[Round] = []
        number, is_final, is_over = 0, False, False
        self.begin()
        while not is_over:
            if number not in {one.number for one in rounds} and (reason := self.acquire(number)):
                report = write_report(self.folder, rounds, reason, self.plan)
                break
            rounds.append(self.look(number, is_final))
            reason = self.reason_to_stop(rounds[-1])
            is_over = bool(reason) and is_final == bool(self.plan.final)
            report = write_report(self.folder, rounds, reason if is_over else "goes on", self.plan)
            if reason and not is_over:
                self.tell(f"goes on with `final`: {reason}")
                number, is_final = self.begin_of_final(number), True
            else:
                number += 1
        self.tell(f"stopped: {reason}")
        self.tell(f"model:  {self.folder / 'model.pt'}")
        self.tell(f"report: {report}")
        return report

    def forget_training(self) -> None:
        """Leave a training with other settings that has begun, and its training set."""
        number = self.num_trained()  # also where `max_rounds` has become less
        self.journal.results.pop(f"round {number}: training set", None)
        shutil.rmtree(self.place(number) / "run", ignore_errors=True)

    def num_trained(self) -> int:
        """Trainings with the first settings that are done."""
        return sum(bool(re.fullmatch(r"round \d+: training", name)) for name in self.journal.results)

    def forget_final(self) -> None:
        """Leave trainings with other last settings, which can't go on with these, their model and what it explored."""
        for folder in self.folder.glob(f"round_*/{FINAL_FOLDER}"):
            shutil.rmtree(folder)
        for name in [name for name in self.journal.results if re.match(rf"round \d+: {FINAL}", name)]:
            del self.journal.results[name]
        trained = [self.run_of(number, False) / "model.pt" for number in range(self.num_trained())]
        if trained and trained[-1].is_file():
            write_atomically(self.folder / "model.pt", trained[-1].read_bytes())

    def begin_of_final(self, number: int) -> int:
        """Round of the first training with the last settings: a given one, or the last for which earlier ones of such
        settings have asked for labels.
        """
        if f"round {number}: {FINAL} training" in self.journal.results:
            return number
        found = [re.fullmatch(r"round (\d+): labels", name) for name in self.journal.results]
        return max(int(match[1]) for match in found if match)

    def place(self, number: int) -> Path:
        """Folder of a round."""
        return self.folder / f"round_{number:02d}"

    def step(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of a step, from the journal or computed."""
        result: dict[str, Any] = self.journal.get(name, compute)
        return result

    def tell(self, text: str) -> None:
        """A line on the terminal and, with the time, in the log.

        :raises OutputError: if the log can't be written
        """
        self.console.print(text, markup=False)
        path = self.folder / "log.txt"
        try:
            with path.open("a", encoding="utf-8") as stream:
                stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        except OSError as error:
            raise unwritable(path, error) from error

    def begin(self) -> None:
        """The first pool, all of which is labelled, and the test set."""
        plan, pool = self.plan, self.place(0) / "pool.h5"

        def write_first() -> dict[str, Any]:
            given = (structure_from_atoms(atoms, group=START) for atoms in map(bare, self.structures))
            made = self.sampled(plan.sample.num, plan.seed, plan.sample.recipe)
            return {"num": write_unique(pool, [*given, *made], set())}

        def write_test() -> dict[str, Any]:
            recipes = plan.test.recipe or plan.sample.recipe
            made = self.sampled(plan.test.num, plan.seed + 1, recipes)
            return {"num": write_unique(self.folder / "test_pool.h5", made, marks_of(pool))}

        self.step("round 0: pool", write_first)
        self.step("test: pool", write_test)
        self.step("test: labels", lambda: self.labelled(self.folder / "test_pool.h5", self.folder / "test.h5"))

    def sampled(self, num: int, seed: int, recipes: list[str]) -> Iterator[Structure]:
        """Candidates by recipes."""
        chosen = self.plan.sample
        ingredients = Ingredients(chosen.ion, chosen.particle, self.oracle, chosen.steps, chosen.time_step)
        made = [parse(text, ingredients) for text in recipes]
        return candidates(self.structures, num, seed, made, chosen.rattled, chosen.nearest)

    def labelled(self, pool: Path, output: Path) -> dict[str, Any]:
        """Label a pool; how many structures were computed, and how many have labels."""
        chosen = self.plan.label
        attributes = {name: getattr(chosen, name) for name in ("code", "functional", "dispersion", "energy_kind")}
        path = self.folder / "calculator.yaml"
        label(pool, self.plan.calculator, output, path, chosen.processes, limit=chosen.limit, **attributes)
        return {"num": len(StoreReader(pool)), "num_labelled": len(StoreReader(output))}

    def acquire(self, number: int) -> str:
        """Labels of a round, and the training set with all so far; returns why there are none, empty if there are.

        :raises NothingLabelledError: in the first round
        """
        place = self.place(number)
        pool = place / ("selected.h5" if number else "pool.h5")
        try:
            found = self.step(f"round {number}: labels", lambda: self.labelled(pool, place / "labels.h5"))
        except NothingLabelledError as error:
            if not number:
                raise
            return f"no structure of round {number} could be labelled, the same command tries again: {error}"
        self.tell(f"round {number}: {found['num_labelled']} of {found['num']} structures labelled")
        self.step(f"round {number}: training set", lambda: self.gather(number))
        return ""

    def gather(self, number: int) -> dict[str, Any]:
        """Write the training set: all labels so far, some of each round for validation."""
        for folder in (RUN_FOLDER, FINAL_FOLDER):  # what was trained on another set must not go on with this one
            shutil.rmtree(self.place(number) / folder, ignore_errors=True)
        sources = [StoreReader(self.place(one) / "labels.h5") for one in range(number + 1)]
        counts = {"train": 0, "validation": 0}
        with StoreWriter(self.place(number) / "train.h5", sources[0].attributes) as writer:
            for one, reader in enumerate(sources):
                generator = np.random.default_rng([self.plan.seed, one])
                validating = validation_of(reader.num_atoms, self.plan.validation, generator, is_first=one == 0)
                for index in range(len(reader)):
                    part = "validation" if index in validating else "train"
                    counts[part] += 1
                    record = reader.record(index)
                    writer.append(record.structure, record.dispersion, part)
        return counts

    def train(self, number: int, is_final: bool) -> Errors:
        """Train on all labels so far, or continue; returns the errors on the test set."""
        folder, settings = self.run_of(number, is_final), self.plan.training
        if is_final:
            settings = [*settings, *self.plan.final]
        elif self.plan.warm and number:
            before = self.run_of(number - 1, False) / "model.pt"
            settings = [*(text for text in settings if not text.startswith("init=")), f"init={quoted(before)}"]
        name = f"round {number}: {words_of(is_final)}training"
        errors: Errors = self.step(name, lambda: self.trained(number, folder, settings))["errors"]
        return errors

    def run_of(self, number: int, is_final: bool) -> Path:
        """Folder of a training."""
        return self.place(number) / (FINAL_FOLDER if is_final else RUN_FOLDER)

    def trained(self, number: int, folder: Path, settings: list[str]) -> dict[str, Any]:
        """Train, or continue, on the labels up to a round; returns the errors on the test set."""
        self.tell(f"round {number}: training in {folder}")
        paths = {"data.train": self.place(number) / "train.h5", "data.test": self.folder / "test.h5"}
        given = [f"{key}={quoted(path)}" for key, path in paths.items()]
        saved = sorted((folder / "checkpoints").glob("*last.ckpt"), key=lambda path: path.stat().st_mtime_ns)
        given += [f"resume={quoted(saved[-1])}"] if saved else []
        train_in(folder, [f"seed={self.plan.seed}", *settings, *given])
        errors = json.loads((folder / "errors.json").read_text(encoding="utf-8"))
        # here, so that it stays where later ones of a finished folder are passed over for want of `max_rounds`
        write_atomically(self.folder / "model.pt", (folder / "model.pt").read_bytes())
        return {"errors": errors[TEST]}

    def look(self, number: int, is_final: bool) -> Round:
        """Train and explore with the model; what is to be told of the round."""
        errors = self.train(number, is_final)
        name = f"round {number}: {words_of(is_final)}exploration"
        explored = self.step(name, lambda: self.explored(number, is_final))
        results = self.journal.results
        labels = [results[f"round {one}: labels"] for one in range(number + 1)]
        result = Round(
            number,
            is_final,
            sum(one["num_labelled"] for one in labels),
            results["test: labels"]["num_labelled"],
            results["test: labels"]["num"] + sum(one["num"] for one in labels),
            errors,
            explored["limit"],
            explored["trajectories"],
        )
        self.tell(f"{result}")
        return result

    def explored(self, number: int, is_final: bool) -> dict[str, Any]:
        """All trajectories of a round, each of which is a step of its own."""
        settings, model = self.plan.exploration, self.run_of(number, is_final) / "model.pt"
        head = f"round {number}: {words_of(is_final)}"
        limit = self.step(f"{head}limit", lambda: {"limit": limit_of(settings, model)})["limit"]
        trajectories = {}
        for index, name in enumerate(self.starts()):
            compute = partial(self.run_trajectory, number, is_final, index, limit)
            trajectories[name] = self.step(f"{head}{name}", compute)
        return {"limit": limit, "trajectories": trajectories}

    def starts(self) -> dict[str, tuple[int, float, int]]:
        """Structure, temperature and repetition of each trajectory, by its name."""
        settings = self.plan.exploration
        all_of_them = product(range(len(self.structures)), settings.temperatures, range(settings.trajectories))
        return {f"structure {one[0]}, {one[1]:g} K, {one[2]}": one for one in all_of_them}

    def run_trajectory(self, number: int, is_final: bool, index: int, limit: float) -> dict[str, Any]:
        """Run a trajectory, write its frames, and tell how far it went and where they are."""
        place, temperature, repetition = list(self.starts().values())[index]
        model = self.run_of(number, is_final) / "model.pt"
        generator = np.random.default_rng([self.plan.seed, number, index, *([1] if is_final else [])])
        found = explore(self.structures[place], model, self.plan.exploration, temperature, limit, generator)
        file = f"{place:02d}_{temperature:g}K_{repetition}.extxyz"
        found.write(self.trajectories_of(number, is_final) / file)
        return found.summary(limit) | {"file": file, "temperature": temperature}

    def trajectories_of(self, number: int, is_final: bool) -> Path:
        """Folder of what a round has met."""
        return self.place(number) / f"{words_of(is_final).replace(' ', '_')}exploration"

    def reason_to_stop(self, last: Round) -> str:
        """Why no further round follows `last`; empty if one does."""
        if last.is_trusted:
            return f"converged: no grade above {last.limit:.3g} eV/Å along {len(last.trajectories)} trajectories"
        kept = self.plan.final_rounds - 1 if self.plan.final and not last.is_final else 0
        if last.number + 1 >= max(1, self.plan.max_rounds - kept):
            return f"`max_rounds`: {last.number + 1} rounds are done, and the model is not trusted everywhere"
        if last.num_computed >= self.plan.max_labels:
            return f"`max_labels`: {last.num_computed} structures are computed, and the model is not trusted everywhere"
        if not self.chosen(last)["num"]:
            return "nothing new: the model is not trusted everywhere, but what it met is like what is labelled"
        return ""

    def chosen(self, last: Round) -> dict[str, Any]:
        """Select structures that were met in a round for the next one."""
        number = last.number + 1
        place = self.place(number)

        def write_pool() -> dict[str, Any]:
            return {"num": write_unique(place / "pool.h5", self.met(last), marks_of(self.folder / "test_pool.h5"))}

        def select_some() -> dict[str, Any]:
            num = min(self.plan.selection.num, self.plan.max_labels - last.num_computed)
            if not self.step(f"round {number}: pool", write_pool)["num"]:
                return {"num": 0}
            model = self.run_of(last.number, last.is_final) / "model.pt"
            known = self.place(last.number) / "train.h5"
            return {"num": len(select(place / "pool.h5", model, num, known, place / "selected.h5"))}

        return self.step(f"round {number}: selection", select_some)

    def met(self, last: Round) -> Iterator[Structure]:
        """What the next round can choose from: frames of the trajectories of the last, and candidates by recipes."""
        for one in last.trajectories.values():
            for frame in read_frames(self.trajectories_of(last.number, last.is_final) / one["file"]):
                yield structure_from_atoms(bare(frame), group=f"exploration/{one['temperature']:g}K")
        num = self.plan.exploration.candidates
        if num:
            yield from self.sampled(num, self.plan.seed + 2 + last.number, without_runs(self.plan.sample.recipe))


def words_of(is_final: bool) -> str:
    """What is of trainings with the last settings, in names of steps."""
    return f"{FINAL} " if is_final else ""


def validation_of(num_atoms: np.ndarray, part: float, generator: np.random.Generator, is_first: bool) -> set[int]:
    """Which structures validate: a part of them at random, of the first round enough for expected errors.

    :param num_atoms: of each structure
    :param part: of the structures
    :param is_first: whether at least `FEWEST_ATOMS` atoms are taken, if half of the structures have so many
    """
    order = generator.permutation(len(num_atoms))
    count = round(part * len(num_atoms))
    if is_first:
        enough = 1 + int(np.searchsorted(np.cumsum(num_atoms[order]), FEWEST_ATOMS))
        count = max(count, min(max(enough, FEWEST_STRUCTURES), len(num_atoms) // 2))
    return set(order[:count].tolist())


def marks_of(path: Path) -> set[str]:
    """What tells the structures of a dataset from others."""
    return {mark_of(structure) for structure in StoreReader(path)}


def write_unique(path: Path, structures: Iterable[Structure], known: set[str]) -> int:
    """Write a dataset of structures that differ from each other and from what is known; returns how many.

    Nothing is written if there are none.
    """
    unique: dict[str, Structure] = {}
    for structure in structures:
        mark = mark_of(structure)
        if mark not in known:
            unique.setdefault(mark, structure)
    if unique:
        with StoreWriter(path, {"source": "mhdnn learn"}) as writer:
            for structure in unique.values():
                writer.append(structure)
    return len(unique)


def quoted(path: Path) -> str:
    """A path as a value in Hydra's grammar."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
