"""What happens around the steps of a training."""

from omegaconf import OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint

from mhdnn.training.assembly import loss_settings
from mhdnn.training.callbacks import NoProfiler
from mhdnn.training.checkpoints import LastCheckpoint


def test_last_checkpoint_has_the_name_of_lightnings_own() -> None:
    own, lightning = LastCheckpoint(filename="last"), ModelCheckpoint(filename="last")
    assert own.state_key == lightning.state_key
    assert own.state_key is own.state_key


def test_no_profiler_times_nothing() -> None:
    profiler = NoProfiler()
    with profiler.profile("outer"), profiler.profile("inner"):
        pass
    assert profiler.profile("outer") is profiler.profile("inner")


def test_stress_that_no_structure_has_is_not_looked_for() -> None:
    config = OmegaConf.create({"loss": {"force_weight": 1.0, "stress_weight": 0.1}})

    class Data:
        def __init__(self, **labels: frozenset[str]) -> None:
            self.labels = labels

        def reader_of(self, part: str) -> "Data":
            found = Data()
            found.labels = self.labels[part]  # type: ignore[assignment]
            return found

    energies, stress = frozenset({"energy"}), frozenset({"energy", "stress"})
    none = Data(train=energies, validation=energies)
    assert loss_settings(config, none) == {"force_weight": 1.0, "stress_weight": 0.0}  # type: ignore[arg-type]
    for data in (Data(train=stress, validation=energies), Data(train=energies, validation=stress)):
        assert loss_settings(config, data)["stress_weight"] == 0.1  # type: ignore[arg-type]
