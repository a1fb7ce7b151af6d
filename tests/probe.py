"""A hook for trainings of two processes: what each ends with, and a stop of the second."""

import os
import resource
import signal
import time

import torch
from mmagic.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook


@HOOKS.register_module()
class ProbeHook(Hook):
    """Keeps weights and scores; with a stop file, asks the second process to stop.

    That is in the third iteration, from which on no file may be larger than LARGEST_FILE bytes.
    """

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == 2 and get_rank() == 1 and 'FACESR_STOP_FILE' in os.environ:
            os.kill(os.getpid(), signal.SIGUSR1)
        if batch_idx == 2 and 'LARGEST_FILE' in os.environ:
            most = int(os.environ['LARGEST_FILE'])
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def before_save_checkpoint(self, runner, checkpoint):
        if runner.iter == 3:
            time.sleep(3)

    def after_train(self, runner):
        torch.save(dict(runner.model.named_parameters()), f'{runner.work_dir}/{get_rank()}.pt')

    def after_val_epoch(self, runner, metrics):
        scores = {name: float(score) for name, score in metrics.items()}
        torch.save(scores, f'{runner.work_dir}/scores_{get_rank()}.pt')
