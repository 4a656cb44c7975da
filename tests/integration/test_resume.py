"""A resumed training gives the same numbers as one that was never interrupted."""

import torch

from tests.integration.conftest import SMALL, run_mhdnn, run_process


def state(folder):
    checkpoint = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    return checkpoint["current_model_state"], checkpoint["state_dict"], checkpoint["optimizer_states"][0]["state"]


def arguments(store, folder, *more):
    return [
        "train",
        f"data.train={store}",
        "trainer.max_epochs=6",
        "report=false",
        f"hydra.run.dir={folder}",
        *SMALL,
        *more,
    ]


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_resumed_equals_uninterrupted(emt_store, tmp_path):
    straight, stopped, resumed = tmp_path / "straight", tmp_path / "stopped", tmp_path / "resumed"
    run_mhdnn(*arguments(emt_store, straight), folder=tmp_path)
    # an exception at the start of the fourth epoch, as a full disk or a cut connection would give one
    crash = "+callbacks.crash={_target_: tests.integration.crash.CrashAtEpoch, epoch: 3}"
    run_process(*arguments(emt_store, stopped, crash, "hydra.job.chdir=false"), folder=".", expect=1)
    checkpoint = stopped / "checkpoints/last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["epoch"] < 3  # written every five seconds
    run_process(*arguments(emt_store, resumed, f"resume={checkpoint}"), folder=tmp_path)
    for first, second in zip(state(straight)[:2], state(resumed)[:2], strict=True):
        assert_same(first, second)
    for parameter, values in state(straight)[2].items():
        assert_same(values, state(resumed)[2][parameter])
    assert (straight / "errors.json").read_text() == (resumed / "errors.json").read_text()


def test_another_architecture_is_refused(trained, emt_store, tmp_path):
    output = run_mhdnn(
        *arguments(emt_store, tmp_path / "other", f"resume={trained / 'checkpoints/last.ckpt'}", "network.hidden=[9]"),
        folder=tmp_path,
        expect=1,
    )
    assert "network.hidden=[8]" in output
    assert "network.hidden=[9]" in output
    assert "Traceback" not in output


def test_not_a_checkpoint(tmp_path, emt_store):
    path = tmp_path / "bad.ckpt"
    path.write_text("nothing")
    output = run_mhdnn(*arguments(emt_store, tmp_path / "x", f"resume={path}"), folder=tmp_path, expect=1)
    assert "not a checkpoint" in output


def test_interrupt_leaves_a_usable_checkpoint(emt_store, tmp_path):
    folder = tmp_path / "run"
    crash = "+callbacks.crash={_target_: tests.integration.crash.InterruptAtEpoch, epoch: 2}"
    output = run_process(*arguments(emt_store, folder, crash), folder=".", expect=130)
    assert "Traceback" not in output
    path = folder / "checkpoints/interrupted.ckpt"
    assert torch.load(path, weights_only=True)["epoch"] == 2
    run_mhdnn("export", f"checkpoint={path}", f"output={tmp_path / 'model.pt'}", folder=tmp_path)
    assert (tmp_path / "model.pt").exists()
