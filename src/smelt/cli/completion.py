"""``smelt completion``: scripts that make shells complete smelt's command lines.

The scripts only ask ``smelt __complete`` (``smelt.cli.completing``), so they stay right when smelt changes.
"""

from __future__ import annotations

import argparse

from smelt.cli.terminal import Terminal

_BASH = """\
_smelt() {
    local IFS=$'\\n'
    COMPREPLY=($("${COMP_WORDS[0]}" __complete --plain -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _smelt smelt
"""

_ZSH = """\
#compdef smelt
_smelt() {
    local -a found
    local value help
    while IFS=$'\\t' read -r value help; do
        found+=("${value//:/\\\\:}:${help}")
    done < <("${words[1]}" __complete -- "${(@)words[2,$CURRENT]}" 2>/dev/null)
    if (( ${#found} )); then
        _describe smelt found
    else
        _files
    fi
}
if [ "$funcstack[1]" = "_smelt" ]; then
    _smelt "$@"
else
    compdef _smelt smelt
fi
"""

_FISH = """\
function __smelt_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete -- $words[2..] 2>/dev/null
end
complete -c smelt -a '(__smelt_complete)'
"""

_NUSHELL = """\
def "nu-complete smelt" [context: string] {
    let words = ($context | split row " " | skip 1)
    ^smelt __complete -- ...$words | lines | each {|line|
        let parts = ($line | split row "\\t")
        { value: ($parts | get 0), description: ($parts | get 1? | default "") }
    }
}
export extern "smelt" [...words: string@"nu-complete smelt"]
"""

_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName smelt -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
    if ($wordToComplete -eq "") { $words += "" }
    smelt __complete -- @words 2>$null | ForEach-Object {
        $value, $help = $_ -split "`t", 2
        $tip = if ($help) { $help } else { $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, "ParameterValue", $tip)
    }
}
"""

_ELVISH = """\
use str
set edit:completion:arg-completer[smelt] = {|@words|
    smelt __complete -- (all $words[1..]) 2>/dev/null | from-lines | each {|line|
        var parts = [(str:split "\\t" $line)]
        edit:complex-candidate $parts[0] &display=$parts[0]' '$parts[-1]
    }
}
"""

SCRIPTS = {
    "bash": _BASH,
    "elvish": _ELVISH,
    "fish": _FISH,
    "nushell": _NUSHELL,
    "powershell": _POWERSHELL,
    "zsh": _ZSH,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Source: the reference's page ``pixi completion``."""
    parser.add_argument("--shell", "-s", required=True, choices=sorted(SCRIPTS), help="the shell to complete in")


def execute(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Print the script: ``eval "$(smelt completion --shell bash)"`` in a start-up file puts it into force."""
    terminal.out.write(SCRIPTS[arguments.shell])
    return 0
