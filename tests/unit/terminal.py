"""What a command line is asked and answers."""

from __future__ import annotations

from collections.abc import Callable

Run = Callable[..., tuple[int, str, str]]
"""The fixture `run`: the words after `margrave`; exit code, stdout and stderr."""


def answer(run: Run, *words: object) -> str:
    """Of a verb that succeeds, which then says nothing on stderr."""
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    return out


def refusal(run: Run, *words: object) -> str:
    """The one line of a verb that fails, which then says nothing on stdout."""
    code, out, err = run(*words)
    assert code
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    return err
