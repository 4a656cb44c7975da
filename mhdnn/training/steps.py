"""The steps of an epoch: Lightning's, without what it does around each of them.

Lightning asks every callback for every hook, and reads the signature of `training_step`, in each step; for structures
of a dozen atoms that takes as long as the network. Hooks, their order and the counts in checkpoints are Lightning's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.strategies import SingleDeviceStrategy

from mhdnn.training.callbacks import NoProfiler

HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


class PlainSteps(_TrainingEpochLoop):
    """Steps on one device in the model's own precision; others are left to Lightning."""

    def on_run_start(self, data_fetcher: Any) -> None:
        super().on_run_start(data_fetcher)
        trainer = self.trainer
        self._is_plain = (
            type(trainer.strategy) is SingleDeviceStrategy
            and type(trainer.precision_plugin) is Precision
            and trainer.accumulate_grad_batches == 1
            and isinstance(trainer.profiler, NoProfiler)  # type: ignore[attr-defined]
        )
        self._listeners = {hook: self._listeners_of(hook) for hook in HOOKS}

    def _listeners_of(self, hook: str) -> list[Callable[..., Any]]:
        """Methods of the callbacks that do something."""
        methods = [getattr(callback, hook) for callback in self.trainer.callbacks]  # type: ignore[attr-defined]
        nothing = getattr(pl.Callback, hook)
        return [method for method in methods if getattr(method, "__func__", None) is not nothing]

    def _tell(self, hook: str, *arguments: Any) -> None:
        module = self.trainer.lightning_module
        if self._listeners[hook]:
            module._current_fx_name = hook  # `log` asks for it
            for listener in self._listeners[hook]:
                listener(self.trainer, module, *arguments)
            module._current_fx_name = None

    def advance(self, data_fetcher: Any) -> None:
        """One step.

        :raises StopIteration: after the last batch
        """
        if self.restarting or not self._is_plain:
            super().advance(data_fetcher)
            return
        trainer, progress = self.trainer, self.batch_progress
        self.val_loop.restarting = False
        batch, _, _ = next(data_fetcher)
        number = self.batch_idx + 1
        progress.is_last_batch = data_fetcher.done
        if trainer.strategy.root_device.type != "cpu":
            batch = batch.to(trainer.strategy.root_device)
        progress.increment_ready()
        trainer._logger_connector.on_batch_start(batch)
        self._tell("on_train_batch_start", batch, number)
        progress.increment_started()
        loss = self._step(batch, number)
        progress.increment_processed()
        self.update_lr_schedulers("step", update_plateau_schedulers=False)
        if self._num_ready_batches_reached():
            self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        self._tell("on_train_batch_end", {"loss": loss}, batch, number)
        trainer._logger_connector.on_batch_end()
        progress.increment_completed()
        trainer._logger_connector.update_train_step_metrics()

    def _step(self, batch: Any, number: int) -> torch.Tensor:
        """Forward, backward and the optimiser's step; returns the loss."""
        trainer, module, optimizer = self.trainer, self.trainer.lightning_module, self.trainer.optimizers[0]
        counts = self.automatic_optimization.optim_progress.optimizer

        @torch.enable_grad()
        def gradients() -> torch.Tensor:
            module._current_fx_name = "training_step"
            loss = cast(torch.Tensor, module.training_step(batch, number))
            counts.zero_grad.increment_ready()
            self._tell("on_before_zero_grad", optimizer)
            counts.zero_grad.increment_started()
            module.optimizer_zero_grad(trainer.current_epoch, number, optimizer)
            counts.zero_grad.increment_completed()
            self._tell("on_before_backward", loss)
            module.backward(loss)
            self._tell("on_after_backward")
            self._tell("on_before_optimizer_step", optimizer)
            module.configure_gradient_clipping(optimizer, trainer.gradient_clip_val, trainer.gradient_clip_algorithm)
            module._current_fx_name = None
            return loss.detach()

        counts.step.increment_ready()
        loss = optimizer.step(gradients)  # type: ignore[arg-type]
        counts.step.increment_completed()
        return cast(torch.Tensor, loss)
