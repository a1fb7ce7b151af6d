"""The exceptions that the tools show to a user without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """A user's mistake, told in one line: what is wrong, with which file or key, what to do."""

    def __str__(self) -> str:
        # A data loader's worker puts its own traceback before the message it hands over.
        return super().__str__().strip().rpartition('UserError: ')[2]


class StoppedError(Exception):
    """A run that was asked to stop has saved and can go on; the tools exit with 75 for it.

    75 is what ``sysexits.h`` calls a temporary failure: trying again is what helps.
    """

    exit_code = 75
