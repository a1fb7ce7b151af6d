"""The leaderboard's score, and writing what it scores."""

from .restore import Restorer
from .results import test
from .score import format_scores, score_folder, score_image, write_csv

__all__ = ['Restorer', 'format_scores', 'score_folder', 'score_image', 'test', 'write_csv']
