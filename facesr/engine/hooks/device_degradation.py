"""Training pairs made on the device, the same ones after a resume."""

from __future__ import annotations

from typing import Any

from mmagic.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...degradation.preprocessor import FacePreprocessor
from ...degradation.transform import BlindDegradation
from ...errors import UserError
from ..unwrap import unwrap


@HOOKS.register_module()
class DeviceDegradationHook(Hook):
    """Hands what ``BlindDegradation`` leaves to the device over to the model's preprocessor.

    A resumed run draws as the uncut one on the same model of GPU; on another the noise differs.

    Raises:
        UserError: the model's ``data_preprocessor`` is not a ``FacePreprocessor``.
    """

    def before_train(self, runner: Runner) -> None:
        self._preprocessor: FacePreprocessor | None = None
        pipeline = getattr(runner.train_dataloader.dataset, 'pipeline', None)
        for transform in getattr(pipeline, 'transforms', []):
            if isinstance(transform, BlindDegradation) and transform.on_device:
                preprocessor = unwrap(runner.model).data_preprocessor
                if not isinstance(preprocessor, FacePreprocessor):
                    raise UserError(
                        'BlindDegradation on the device needs model.data_preprocessor of type '
                        f'FacePreprocessor, not {type(preprocessor).__name__}'
                    )
                preprocessor.prepare(transform, runner.seed, runner.rank)
                self._preprocessor = preprocessor

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if self._preprocessor is not None:
            self._preprocessor.iteration = runner.iter
