"""The exceptions that the tools show to a user without a traceback."""


class UserError(Exception):
    """A user's mistake, in one line: what is wrong, with which file or key, what to do."""

    def __str__(self) -> str:
        # A data loader's worker puts its own traceback before the message it hands over.
        return super().__str__().strip().rpartition('UserError: ')[2]


class StoppedError(BaseException):
    """A run was asked to stop, and has saved what there was; the tools exit with 75.

    ``sysexits.h`` calls 75 a temporary failure: trying again helps. It can be raised anywhere, and
    no ``except Exception`` may take it for a mistake.
    """

    exit_code = 75
