"""How each shell says it: set a variable, unset it, run a script, set the search path.

Source: the reference's shells (rattler_shell); the text is the same but for values that must not be expanded (the
saved ones), which are quoted here so that they cannot be.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from smelt.errors import UsageError
from smelt.text import closest


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """The syntax of one shell.

    ``set`` takes a name and a value whose references to variables are to be expanded, ``keep`` one that is to be
    taken as it is; ``paths`` the whole search path. ``extensions`` are those of scripts that it can run.
    """

    name: str
    extensions: tuple[str, ...]
    set: Callable[[str, str], str]
    keep: Callable[[str, str], str]
    unset: Callable[[str], str]
    run: Callable[[str], str]
    paths: Callable[[Sequence[str]], str]
    prompt: Callable[[str], str]
    completions: Callable[[Path], str]
    opening: str = ""
    hook: str = ""
    newline: str = "\n"


def find_shell(name: str) -> Shell:
    """The shell called ``name``. Raises UsageError naming the known ones."""
    shell = SHELLS.get(name)
    if shell is None:
        guess = closest(name, SHELLS)
        raise UsageError(
            f"there is no shell called `{name}` here",
            help=(f"did you mean `{guess}`? " if guess else "") + "known: " + ", ".join(SHELLS),
        )
    return shell


def guess_shell(environ: Mapping[str, str]) -> Shell:
    """The shell that called us: the first known one among our parent processes, else ``$SHELL``, else the usual."""
    for name in _parents():
        for known, shell in _BY_PROGRAM:
            if known in name:
                return shell
    program = Path(environ.get("SHELL", "")).stem.lower()
    for known, shell in _BY_PROGRAM:
        if known in program:
            return shell
    return SHELLS["cmd"] if os.name == "nt" else SHELLS["bash"]


def _parents() -> list[str]:
    """Names of our parent processes, nearest first, where ``/proc`` tells them."""
    names: list[str] = []
    pid = os.getppid()
    while pid > 1:
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        names.append(text[text.index("(") + 1 : text.rindex(")")].lower())
        pid = int(text[text.rindex(")") + 2 :].split()[1])
    return names


def _double_quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


# bash and its relatives


def _bash_set(name: str, value: str) -> str:
    if "$" in value:
        return f"export {name}=" + '"' + value.replace('"', '\\"') + '"'
    return _bash_keep(name, value)


def _bash_keep(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _bash_paths(paths: Sequence[str]) -> str:
    return f'export PATH="{":".join(paths) if os.name != "nt" else _unix_paths(paths)}"'


def _unix_paths(paths: Sequence[str]) -> str:
    """Windows paths for Git's bash."""
    cygpath = shutil.which("cygpath")
    if cygpath is None:
        return ":".join(paths)
    done = subprocess.run([cygpath, "--unix", "--path", ";".join(paths)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _bash_completions(prefix: Path) -> str:
    folder = prefix / "share/bash-completion/completions"
    if not folder.is_dir():
        return ""
    return (
        f"for _pixi_file in {shlex.quote(str(folder))}/*; do\n"
        '    [ -r "$_pixi_file" ] && . "$_pixi_file"\ndone\nunset _pixi_file\n'
    )


def _posix_prompt(name: str) -> str:
    return f'export PS1="({name}) ${{PS1:-}}"'


_POSIX_HOOK = """smelt() {
    "${PIXI_EXE:-smelt}" "$@" || return $?
    case "${1-}" in
    add | a | remove | rm | install | i)
        eval "$("${PIXI_EXE:-smelt}" shell-hook --change-ps1 false)"
        hash -r
        ;;
    esac
    return 0
}"""


# zsh, fish, xonsh


def _zsh_set(name: str, value: str) -> str:
    return f'export {name}="{_double_quoted(value)}"'


def _zsh_completions(prefix: Path) -> str:
    folder = prefix / "share/zsh/site-functions"
    return f"fpath+=({shlex.quote(str(folder))})\nautoload -Uz compinit\ncompinit\n" if folder.is_dir() else ""


def _fish_keep(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{escaped}'"


def _fish_completions(prefix: Path) -> str:
    folder = prefix / "share/fish/vendor_completions.d"
    return f"for file in {folder}/*\n    source $file\nend\n" if folder.is_dir() else ""


def _fish_prompt(name: str) -> str:
    return f"""if not functions -q __smelt_prompt
    functions -c fish_prompt __smelt_prompt
end
function fish_prompt
    set -l before $status
    set_color -o green; echo -n "({name}) "; set_color normal
    sh -c "exit $before"
    __smelt_prompt
end"""


def _xonsh_run(path: str) -> str:
    return f'{"source-bash" if path.endswith(".sh") else "source"} "{path}"'


# Windows


def _cmd_keep(name: str, value: str) -> str:
    return f'@SET "{name}={value.replace("%", "%%")}"'


def _powershell_set(name: str, value: str) -> str:
    escaped = value.replace("`", "``").replace('"', '`"')
    return f'${{Env:{name}}} = "{escaped}"'


def _powershell_keep(name: str, value: str) -> str:
    escaped = value.replace("'", "''")
    return f"${{Env:{name}}} = '{escaped}'"


def _powershell_prompt(name: str) -> str:
    return f'$old_prompt = $function:prompt\nfunction prompt {{"({name}) $($old_prompt.Invoke())"}}'


def _path_name() -> str:
    return "Path" if os.name == "nt" else "PATH"


def _nu_name(name: str) -> str:
    return name if all(c.isascii() and (c.isalnum() or c in "_-") for c in name) else f'"{name}"'


def _nu_set(name: str, value: str) -> str:
    return f'$env.{_nu_name(name)} = "{_double_quoted(value)}"'


def _nu_paths(paths: Sequence[str]) -> str:
    quoted = ", ".join(f'"{_double_quoted(path)}"' for path in paths)
    return f"$env.{_path_name()} = [{quoted}]"


def _nu_prompt(name: str) -> str:
    return f'let old_prompt = $env.PROMPT_COMMAND; $env.PROMPT_COMMAND = {{|| echo $"\\({name}\\) (do $old_prompt)"}}'


def _none(_: Path) -> str:
    return ""


_BASH = Shell(
    name="bash",
    extensions=("sh",),
    set=_bash_set,
    keep=_bash_keep,
    unset=lambda name: f"unset {name}",
    run=lambda path: f". {shlex.quote(path)}",
    paths=_bash_paths,
    prompt=_posix_prompt,
    completions=_bash_completions,
    hook=_POSIX_HOOK,
)

_ZSH = Shell(
    name="zsh",
    extensions=("sh",),
    set=_zsh_set,
    keep=_bash_keep,
    unset=lambda name: f"unset {name}",
    run=lambda path: f'. "{path}"',
    paths=lambda paths: _zsh_set("PATH", ":".join(paths)),
    prompt=_posix_prompt,
    completions=_zsh_completions,
    hook=_POSIX_HOOK.replace("hash -r", "rehash"),
)

_FISH = Shell(
    name="fish",
    extensions=("fish",),
    set=lambda name, value: f'set -gx {name} "{_double_quoted(value)}"',
    keep=_fish_keep,
    unset=lambda name: f"set -e {name}",
    run=lambda path: f'source "{path}"',
    paths=lambda paths: f'set -gx PATH "{_double_quoted(":".join(paths))}"',
    prompt=_fish_prompt,
    completions=_fish_completions,
)

_XONSH = Shell(
    name="xonsh",
    extensions=("xsh", "sh"),
    set=lambda name, value: f'${name} = "{_double_quoted(value)}"',
    keep=lambda name, value: f'${name} = "{_double_quoted(value)}"',
    unset=lambda name: f"del ${name}",
    run=_xonsh_run,
    paths=lambda paths: f'${_path_name()} = "{_double_quoted(os.pathsep.join(paths))}"',
    prompt=lambda _: "",
    completions=_none,
)

_CMD = Shell(
    name="cmd",
    extensions=("bat",),
    set=lambda name, value: f'@SET "{name}={value}"',
    keep=_cmd_keep,
    unset=lambda name: f"@SET {name}=",
    run=lambda path: f'@CALL "{path}"',
    paths=lambda paths: f'@SET "{_path_name()}={os.pathsep.join(paths)}"',
    prompt=lambda name: f"@PROMPT ({name}) $P$G",
    completions=_none,
    opening="@chcp 65001 > nul",
    newline="\r\n",
)

_POWERSHELL = Shell(
    name="powershell",
    extensions=("ps1",),
    set=_powershell_set,
    keep=_powershell_keep,
    unset=lambda name: f'${{Env:{name}}}=""',
    run=lambda path: f'. "{path}"',
    paths=lambda paths: _powershell_set(_path_name(), os.pathsep.join(paths)),
    prompt=_powershell_prompt,
    completions=_none,
    opening="$OutputEncoding = [System.Console]::OutputEncoding = [System.Console]::InputEncoding = "
    "[System.Text.Encoding]::UTF8",
)

_NUSHELL = Shell(
    name="nushell",
    extensions=("nu",),
    set=_nu_set,
    keep=_nu_set,
    unset=lambda name: f"hide-env {_nu_name(name)}",
    run=lambda path: f'source-env "{path}"',
    paths=_nu_paths,
    prompt=_nu_prompt,
    completions=_none,
)

SHELLS: Mapping[str, Shell] = {shell.name: shell for shell in (_BASH, _ZSH, _FISH, _XONSH, _CMD, _POWERSHELL, _NUSHELL)}
_BY_PROGRAM: tuple[tuple[str, Shell], ...] = (
    ("bash", _BASH),
    ("zsh", _ZSH),
    ("xonsh", _XONSH),
    ("fish", _FISH),
    ("pwsh", _POWERSHELL),
    ("powershell", _POWERSHELL),
    ("cmd.exe", _CMD),
    ("nu", _NUSHELL),
)
