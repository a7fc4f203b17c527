"""An interactive shell in an activated environment.

The shell starts as it always does, with the user's own start-up files, and reads after them a script that sets the
variables, the prompt and the completions: so a start-up file that changes the search path does not undo the activation.
Source: the reference's page ``pixi shell``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from smelt.errors import InstallError
from smelt.install.shells import Shell

_PROGRAMS = {"cmd": ("cmd.exe",), "powershell": ("pwsh", "powershell"), "nushell": ("nu",)}
_ZSH_FILES = (".zshenv", ".zprofile", ".zshrc", ".zlogin")


def activation_script(
    shell: Shell,
    prefix: Path,
    changed: Mapping[str, str],
    *,
    prompt: str | None = None,
    completions: bool = True,
) -> str:
    """What the shell reads: ``changed`` variables as they are, then completions, the wrapper function, the prompt.

    ``prompt``: the name to show; None leaves the prompt as it is.
    """
    lines = [shell.opening] if shell.opening else []
    for name, value in changed.items():
        if name.upper() == "PATH":
            lines.append(shell.paths(value.split(os.pathsep)))
        else:
            lines.append(shell.keep(name, value))
    if completions and (more := shell.completions(prefix)):
        lines.append(more.rstrip("\n"))
    if shell.hook:
        lines.append(shell.hook)
    if prompt is not None and (said := shell.prompt(prompt)):
        lines.append(said)
    return shell.newline.join("\n".join(lines).split("\n")) + shell.newline


def run_shell(shell: Shell, script: str, outer: Mapping[str, str]) -> int:
    """Run ``shell`` on the terminal of this process until it ends, and give its exit code.

    Ctrl-C and the like are the shell's business meanwhile. Raises InstallError (``shell-missing``) where there is no
    such shell.
    """
    names = _PROGRAMS.get(shell.name, (shell.name,))
    program = next((found for name in names if (found := shutil.which(name, path=outer.get("PATH")))), None)
    if program is None:
        raise InstallError(
            f"there is no `{names[0]}` on the search path",
            code="shell-missing",
            help="install it, or start smelt from another shell (SHELL=bash)",
        )
    with tempfile.TemporaryDirectory(prefix="smelt-shell-") as name:
        folder = Path(name)
        path = folder / f"activate.{shell.extensions[0]}"
        path.write_text(script, encoding="utf-8", errors="surrogateescape", newline="")
        arguments, variables = _start(shell, path, outer)
        ignored = [signal.SIGINT] + ([signal.SIGQUIT, signal.SIGTSTP] if os.name == "posix" else [])
        before = {number: signal.signal(number, _pass) for number in ignored}
        try:
            done = subprocess.run([program, *arguments], env={**outer, **variables}, check=False)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _pass(number: int, frame: object) -> None:
    """A handler that does nothing: the child has the default again, as it would not with an ignored signal."""


def _start(shell: Shell, script: Path, outer: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The arguments that make the shell read its own files and then ``script``, and variables for it."""
    if shell.name == "bash":
        rc = script.with_name("bashrc")
        own = (
            "[ -r ~/.bashrc ] && . ~/.bashrc\n" if os.name != "nt" else "[ -r ~/.bash_profile ] && . ~/.bash_profile\n"
        )
        rc.write_text(f"{own}{shell.run(str(script))}\n", encoding="utf-8")
        return ["--rcfile", str(rc), "-i"], {}
    if shell.name == "zsh":
        return ["-i"], _zsh_folder(script, outer)
    if shell.name == "fish":
        return ["-i", "-C", shell.run(str(script))], {}
    if shell.name == "xonsh":
        own = Path(outer.get("HOME", "~")).expanduser() / ".xonshrc"
        return ["-i", "--rc", *([str(own)] if own.is_file() else []), str(script)], {}
    if shell.name == "nushell":
        return ["--execute", shell.run(str(script))], {}
    if shell.name == "powershell":
        return ["-NoLogo", "-NoExit", "-File", str(script)], {}
    return ["/K", str(script)], {}


def _zsh_folder(script: Path, outer: Mapping[str, str]) -> dict[str, str]:
    """zsh knows no option for a start-up file: a ``ZDOTDIR`` whose files read the user's, and the last the script."""
    folder = script.with_name("zsh")
    folder.mkdir()
    home = shlex.quote(outer.get("ZDOTDIR") or outer.get("HOME", ""))
    restore = f"ZDOTDIR={home}" if outer.get("ZDOTDIR") else "unset ZDOTDIR"
    for name in _ZSH_FILES:
        lines = [f"[ -r {home}/{name} ] && . {home}/{name}"]
        if name == ".zshenv":
            lines.append(f"ZDOTDIR={shlex.quote(str(folder))}")
        if name == ".zshrc":
            lines += [f". {shlex.quote(str(script))}", restore]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"ZDOTDIR": str(folder)}
