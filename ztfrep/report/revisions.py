"""Files of another revision of the repository: a commit, a branch, a tag or an experiment."""

import subprocess
from pathlib import Path

from ztfrep.errors import InputError, quote

# Where DVC has the experiments: refs/exps/XX/YYYY/NAME, by the commit that they started from.
_EXPERIMENTS = "refs/exps"
_SECONDS = 60


class Revision:
    """A revision of a repository; `commit` is its full hash."""

    def __init__(self, name: str, commit: str) -> None:
        self.name, self.commit = name, commit

    def read(self, path: Path) -> bytes | None:
        """Return the bytes that a file of the working tree has in this revision; None without."""
        folder = path.parent.resolve()
        while not folder.is_dir():
            folder = folder.parent
        relative = path.resolve().relative_to(folder).as_posix()
        return _git(folder, "show", f"{self.commit}:./{relative}")


def find_revision(name: str, folder: Path, *, optional: bool) -> Revision | None:
    """Return the revision of a name in the repository of a folder.

    A name is anything that Git knows, or that of an experiment; one of the commit that is checked
    out comes first. None without Git, outside a repository, and in one without a commit, if
    `optional`. Raises InputError for an unknown name, and for experiments of the same name.
    """
    if _git(folder, "rev-parse", "--git-dir") is None:
        if optional:
            return None
        remedy = "run it in a clone of the repository, or leave out --against"
        found = "no Git repository"
        raise InputError(folder.resolve(), found=found, expected=f"one with {name}", remedy=remedy)
    commit = _commit(folder, name) or _experiment(folder, name)
    if commit is None and optional:
        return None
    if commit is None:
        expected = "a commit, a branch, a tag or an experiment"
        remedy = "list them with git log and dvc exp list --all-commits"
        raise InputError("--against", found=quote(name), expected=expected, remedy=remedy)
    return Revision(name, commit)


def _commit(folder: Path, name: str) -> str | None:
    # With this suffix no name is an option.
    output = _git(folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    return output.decode().strip() if output else None


def _experiment(folder: Path, name: str) -> str | None:
    listed = _git(folder, "for-each-ref", "--format=%(objectname) %(refname)", _EXPERIMENTS) or b""
    found = {}
    for line in listed.decode("utf-8", "replace").splitlines():
        commit, _, reference = line.partition(" ")
        parts = reference.removeprefix(f"{_EXPERIMENTS}/").split("/", 2)
        # Other references are those of experiments that run.
        if len(parts) == 3 and (len(parts[0]), len(parts[1])) == (2, 38) and parts[2] == name:
            found[parts[0] + parts[1]] = commit
    head = _commit(folder, "HEAD")
    if head in found:
        return found[head]
    if len(found) > 1:
        raise InputError(
            "--against",
            found=f"{len(found)} experiments of the name {quote(name)}",
            expected="one",
            remedy="give the commit of one: dvc exp list --all-commits --rev",
        )
    return next(iter(found.values()), None)


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Return the output of a Git command; None if it fails, and without Git."""
    try:
        completed = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return completed.stdout if completed.returncode == 0 else None
