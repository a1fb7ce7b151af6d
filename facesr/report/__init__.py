"""Pictures of a run."""

from .panel import PanelVisualizer, draw_panel, stack_panels

__all__ = ['PanelVisualizer', 'draw_panel', 'stack_panels']
