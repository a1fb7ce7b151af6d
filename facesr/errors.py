"""The exceptions that the tools show to a user without a traceback."""

import errno
import os


class UserError(Exception):
    """A user's mistake, in one line: what is wrong, with which file or key, what to do."""

    def __str__(self) -> str:
        # A data loader's worker puts its own traceback before the message it hands over.
        return super().__str__().strip().rpartition('UserError: ')[2]


#: What to do about the operating system's refusals.
REMEDIES = {
    errno.ENOSPC: 'free some, or choose another place',
    errno.EDQUOT: 'free some, or choose another place',
    errno.EFBIG: 'raise the limit (ulimit -f), or choose another place',
    errno.EROFS: 'choose another place',
    errno.EACCES: 'give yourself the permission, or choose another place',
    errno.EPERM: 'give yourself the permission, or choose another place',
    errno.ENAMETOOLONG: 'choose a shorter name',
    errno.EISDIR: 'a file name is expected',
    errno.ENOTDIR: 'a folder is expected',
    errno.EEXIST: 'a folder is expected',
    errno.ENOENT: 'check the name',
    errno.EIO: 'check the disk',
    errno.EMFILE: 'close other programs, or raise the limit: ulimit -n',
}


def describe_refusal(error: OSError | UnicodeError) -> str:
    """Say in one line what the operating system refused, for which file, and what to do."""
    if isinstance(error, UnicodeError):
        return f'a name or text is not UTF-8 ({error.reason}); rename the file'  # type: ignore[attr-defined]
    place = '' if error.filename is None else f'{os.fsdecode(error.filename)}: '
    remedy = REMEDIES.get(error.errno or 0)
    return f'{place}{error.strerror or error}{f"; {remedy}" if remedy else ""}'


class StoppedError(BaseException):
    """A run was asked to stop, and has saved what there was; the tools exit with 75.

    ``sysexits.h`` calls 75 a temporary failure: trying again helps. It can be raised anywhere, and
    no ``except Exception`` may take it for a mistake.
    """

    exit_code = 75
