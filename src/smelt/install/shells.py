"""How each shell says it: set a variable, unset it, run a script, set the search path.

Source: the reference's shells (rattler_shell); the text is the same but for values that must not be expanded (the
saved ones), which are quoted here so that they cannot be.
"""

from __future__ import annotations

import os
import re
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
    taken as it is; ``paths`` the whole search path, in which ``inherited`` stands for what it was before.
    ``extensions`` are those of scripts that it can run. Nothing in a path, or in the name of a prompt, is expanded.
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
    inherited: str = "${PATH}"
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


def _inert(text: str) -> str:
    """What means ``text`` and nothing else between the double quotes of a POSIX shell."""
    return re.sub(r'([\\$`"])', r"\\\1", text)


def _joined(paths: Sequence[str]) -> str:
    return ":".join(path if path == "${PATH}" else _inert(path) for path in paths)


def _shown(name: str) -> str:
    """A name for a prompt, which shells may expand each time they show it."""
    return re.sub(r"""[\\$`"'%!\x00-\x1f]""", "_", name)


# bash and its relatives


def _bash_set(name: str, value: str) -> str:
    if "$" in value:
        return f"export {name}=" + '"' + value.replace('"', '\\"') + '"'
    return _bash_keep(name, value)


def _bash_keep(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _bash_paths(paths: Sequence[str]) -> str:
    return f'export PATH="{_joined(paths) if os.name != "nt" else _unix_paths(paths)}"'


def _unix_paths(paths: Sequence[str]) -> str:
    """Windows paths for Git's bash."""
    cygpath = shutil.which("cygpath")
    if cygpath is None:
        return ":".join(paths)
    command = [cygpath, "--unix", "--path", ";".join(paths)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.strip()


def _bash_completions(prefix: Path) -> str:
    folder = prefix / "share/bash-completion/completions"
    if not folder.is_dir():
        return ""
    return (
        f"for _pixi_file in {shlex.quote(str(folder))}/*; do\n"
        '    [ -r "$_pixi_file" ] && . "$_pixi_file"\ndone\nunset _pixi_file\n'
    )


def _posix_prompt(name: str) -> str:
    return f'export PS1="({_shown(name)}) ${{PS1:-}}"'


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


def _fish_quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _fish_keep(name: str, value: str) -> str:
    return f"set -gx {name} {_fish_quoted(value)}"


def _fish_paths(paths: Sequence[str]) -> str:
    # a backtick is nothing special there
    escaped = (path if path == "$PATH" else re.sub(r'([\\$"])', r"\\\1", path) for path in paths)
    return f'set -gx PATH "{":".join(escaped)}"'


def _fish_completions(prefix: Path) -> str:
    folder = prefix / "share/fish/vendor_completions.d"
    return f"for file in {_fish_quoted(str(folder))}/*\n    source $file\nend\n" if folder.is_dir() else ""


def _fish_prompt(name: str) -> str:
    return f"""if not functions -q __smelt_prompt
    functions -c fish_prompt __smelt_prompt
end
function fish_prompt
    set -l before $status
    set_color -o green; echo -n "({_shown(name)}) "; set_color normal
    sh -c "exit $before"
    __smelt_prompt
end"""


def _xonsh_run(path: str) -> str:
    return f'{"source-bash" if path.endswith(".sh") else "source"} "{_double_quoted(path)}"'


def _xonsh_set(name: str, value: str) -> str:
    escaped = _double_quoted(value).replace("\n", "\\n").replace("\r", "\\r")
    return f'${name} = "{escaped}"'


# Windows


def _cmd_keep(name: str, value: str) -> str:
    return f'@SET "{name}={value.replace("%", "%%")}"'


def _cmd_paths(paths: Sequence[str]) -> str:
    escaped = (path if path == "%PATH%" else path.replace("%", "%%") for path in paths)
    return f'@SET "{_path_name()}={os.pathsep.join(escaped)}"'


def _powershell_set(name: str, value: str) -> str:
    escaped = value.replace("`", "``").replace('"', '`"')
    return f'${{Env:{name}}} = "{escaped}"'


def _powershell_keep(name: str, value: str) -> str:
    escaped = value.replace("'", "''")
    return f"${{Env:{name}}} = '{escaped}'"


def _powershell_run(path: str) -> str:
    quoted = path.replace("'", "''")
    return f". '{quoted}'"


def _powershell_paths(paths: Sequence[str]) -> str:
    escaped = (path if path == "$Env:PATH" else re.sub(r'([`$"])', r"`\1", path) for path in paths)
    return f'${{Env:{_path_name()}}} = "{os.pathsep.join(escaped)}"'


def _powershell_prompt(name: str) -> str:
    return f'$old_prompt = $function:prompt\nfunction prompt {{"({_shown(name)}) $($old_prompt.Invoke())"}}'


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
    shown = rf'$"\({_shown(name)}\) (do $old_prompt)"'
    return f"let old_prompt = $env.PROMPT_COMMAND; $env.PROMPT_COMMAND = {{|| echo {shown}}}"


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
    run=lambda path: f'. "{_inert(path)}"',
    paths=lambda paths: f'export PATH="{_joined(paths)}"',
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
    run=lambda path: f"source {_fish_quoted(path)}",
    paths=_fish_paths,
    prompt=_fish_prompt,
    completions=_fish_completions,
    inherited="$PATH",
)

_XONSH = Shell(
    name="xonsh",
    extensions=("xsh", "sh"),
    set=_xonsh_set,
    keep=_xonsh_set,
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
    run=lambda path: f'@CALL "{path.replace("%", "%%")}"',
    paths=_cmd_paths,
    prompt=lambda name: f"@PROMPT ({_shown(name)}) $P$G",
    completions=_none,
    inherited="%PATH%",
    opening="@chcp 65001 > nul",
    newline="\r\n",
)

_POWERSHELL = Shell(
    name="powershell",
    extensions=("ps1",),
    set=_powershell_set,
    keep=_powershell_keep,
    unset=lambda name: f'${{Env:{name}}}=""',
    run=_powershell_run,
    paths=_powershell_paths,
    prompt=_powershell_prompt,
    completions=_none,
    inherited="$Env:PATH",
    opening="$OutputEncoding = [System.Console]::OutputEncoding = [System.Console]::InputEncoding = "
    "[System.Text.Encoding]::UTF8",
)

_NUSHELL = Shell(
    name="nushell",
    extensions=("nu",),
    set=_nu_set,
    keep=_nu_set,
    unset=lambda name: f"hide-env {_nu_name(name)}",
    run=lambda path: f'source-env "{_double_quoted(path)}"',
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
