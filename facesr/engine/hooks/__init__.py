"""One hook a file."""

from .run_summary import RunSummaryHook, count_parameters
from .safe_checkpoint import SafeCheckpointHook

__all__ = ['RunSummaryHook', 'SafeCheckpointHook', 'count_parameters']
