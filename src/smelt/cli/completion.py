"""``smelt completion``: scripts that make shells complete smelt's command lines.

The scripts only ask ``smelt __complete`` (``smelt.cli.completing``), so they stay right when smelt changes.
"""

from __future__ import annotations

import argparse
import re

from smelt.cli.terminal import Terminal, program

# bash splits words at `:` and `=` too: they are put together again, and what stands before is left out of the answers.
_BASH = """\
_smelt() {
    local IFS=$' \\t\\n' rest=$COMP_LINE word before index
    local -a words=()
    for ((index = 0; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if [[ -z $COMP_LINE || $rest == [[:space:]]* || $index == 0 ]]; then
            rest=${rest#"${rest%%[![:space:]]*}"}
            words+=("$word")
        else
            words[${#words[@]}-1]+=$word
        fi
        rest=${rest#"$word"}
    done
    IFS=$'\\n'
    COMPREPLY=($("${words[0]/#\\~/$HOME}" __complete --plain -- "${words[@]:1}" 2>/dev/null))
    if [[ ${COMPREPLY[0]} == ":files" ]]; then
        COMPREPLY=()
        return
    fi
    compopt +o default 2>/dev/null
    word=${words[${#words[@]}-1]}
    before=${word%"${word##*[$COMP_WORDBREAKS]}"}
    if [[ -n $COMP_LINE && -n $before ]]; then
        COMPREPLY=("${COMPREPLY[@]#"$before"}")
    fi
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
    done < <("${(Q)words[1]/#\\~/$HOME}" __complete -- "${(@Q)words[2,$CURRENT]}" 2>/dev/null)
    if [[ ${found[1]} == "\\\\:files:" ]]; then
        [[ ${words[CURRENT]} == -*=* ]] && compset -P '*='
        _files
    elif (( ${#found} )); then
        _describe smelt found
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
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] __complete -- $words[2..] "$current" 2>/dev/null)
    if test "$found[1]" = ":files"
        __fish_complete_path (string replace -r '^-[^=]*=' '' -- "$current")
    else
        printf '%s\\n' $found
    end
end
complete -c smelt -f -a '(__smelt_complete)'
"""

_NUSHELL = """\
def "nu-complete smelt" [context: string] {
    let words = ($context | split row " " | skip 1)
    let found = (^smelt __complete -- ...$words | lines)
    if ($found | get 0? | default "") == ":files" {
        null
    } else {
        $found | each {|line|
            let parts = ($line | split row "\\t")
            { value: ($parts | get 0), description: ($parts | get 1? | default "") }
        }
    }
}
export extern "smelt" [...words: string@"nu-complete smelt"]
"""

_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName smelt -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
    if ($wordToComplete -eq "") { $words += "" }
    smelt __complete -- @words 2>$null | Where-Object { $_ -ne ":files" } | ForEach-Object {
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
        if (eq $line ":files") {
            edit:complete-filename $words[-1]
        } else {
            var parts = [(str:split "\\t" $line)]
            edit:complex-candidate $parts[0] &display=$parts[0]' '$parts[-1]
        }
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
    """Print the script: ``eval "$(smelt completion --shell bash)"`` in a start-up file puts it into force.

    It completes the name that smelt is called by.
    """
    script = SCRIPTS[arguments.shell]
    name = program()
    if name != "smelt":
        script = re.sub(r"_smelt\b", re.sub(r"\W", "_", f"_{name}"), script)
        script = re.sub(r"\b(?<!_)smelt\b", name, script)
    terminal.out.write(script)
    return 0
