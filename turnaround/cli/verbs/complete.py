"""`turnaround complete`: what your shell needs to complete words."""

from __future__ import annotations

from typing import Annotated

import typer

from turnaround.errors import ConfigError, near

# The scripts ask this program for the words that may follow, which Typer then prints: with what
# they mean, for zsh and fish. No shell may add a space after `optim.` or `optim.lr=`.
#
# Bash cuts words at `=`, and readline replaces only what follows it: pass whole words, take the
# part before `=` off the answers, and add no space after `optim.` or `optim.lr=`.
BASH = r"""
_turnaround() {
    local line=${COMP_LINE:0:COMP_POINT} words last
    read -ra words <<< "$line"
    [[ $line == *' ' ]] && words+=('')
    last=${words[-1]}
    local IFS=$'\n'
    COMPREPLY=($(COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) \
        _TURNAROUND_COMPLETE=complete_bash turnaround 2> /dev/null))
    COMPREPLY=("${COMPREPLY[@]#"${last%"${last##*=}"}"}")
    [[ ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace
}
complete -o default -F _turnaround turnaround
""".strip()
ZSH = r"""
#compdef turnaround
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
_turnaround() {
    local asked="${words[1,CURRENT-1]} $PREFIX" line word
    local -a found=("${(@f)$(_TYPER_COMPLETE_ARGS=$asked _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TURNAROUND_COMPLETE=complete_fish turnaround 2> /dev/null)}")
    local -a open opens whole wholes
    for line in ${found:#}; do
        word=${line%%$'\t'*}
        if [[ $word == *[=.] ]]; then
            open+=($word) opens+=("${line/$'\t'/  -- }")
        else
            whole+=($word) wholes+=("${line/$'\t'/  -- }")
        fi
    done
    if (( $#open + $#whole == 0 )); then
        compset -P '*='
        _files
        return
    fi
    compadd -l -d opens -S '' -- $open
    compadd -l -d wholes -- $whole
}
compdef _turnaround turnaround
""".strip()
FISH = r"""
function __turnaround
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp)
    set -lx _TYPER_COMPLETE_FISH_ACTION get-args
    set -lx _TURNAROUND_COMPLETE complete_fish
    turnaround 2> /dev/null
end
complete --command turnaround --arguments '(__turnaround)'
complete --command turnaround --no-files --condition 'test (count (commandline -opc)) -eq 1'
""".strip()
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def complete(
    shell: Annotated[
        str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)
    ],
) -> None:
    """Print what makes your shell complete verbs, runs, groups and settings.

    \b
    turnaround complete bash >> ~/.bashrc
    turnaround complete zsh >> ~/.zshrc
    turnaround complete fish > ~/.config/fish/completions/turnaround.fish
    """
    if shell not in SCRIPTS:
        raise ConfigError(f"{shell} is not one of the shells", near(shell, SCRIPTS))
    typer.echo(SCRIPTS[shell])
