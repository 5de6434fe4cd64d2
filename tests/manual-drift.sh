#!/bin/sh
# Checks that program, manual and example configuration know the same names.
#
# usage: EYES_SCM_BIN=PROGRAM tests/manual-drift.sh
#
# Every EYES_* variable and every --flag that the program's --help prints must be in eyes-scm.8 or
# eyes-scm.conf.5, and the other way round; the example configuration may only name variables that exist.
set -eu
top=$(dirname "$0")/..
program=${EYES_SCM_BIN:?is the program to ask}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

names() { # the names in the text on stdin, one a line
	grep -oE -e '\bEYES_[A-Z_]*[A-Z]\b' -e '(^|[^[:alnum:]_-])--[a-z][a-z0-9-]*' | sed 's/^[^-E]*//' | sort -u
}

# Long lines, so that mandoc breaks no name at its hyphen; bold and underlined letters
# come as letter, backspace, letter.
rendered() {
	mandoc -Tascii -Owidth=1000 "$@" | sed "s/.$(printf '\b')//g"
}

"$program" --help >"$work/help.txt"
rendered "$top/man/eyes-scm.8" "$top/man/eyes-scm.conf.5" >"$work/manual.txt"
names <"$work/help.txt" >"$work/help"
names <"$work/manual.txt" >"$work/manual"
grep -oE '^#?[A-Z_]+=' "$top/packaging/eyes-scm.conf" | tr -d '#=' | sort -u >"$work/example"
grep -oE '\b[A-Z][A-Z_]*[A-Z]\b' "$work/help.txt" | sort -u >"$work/variables"

comm -23 "$work/help" "$work/manual" | sed 's/$/: in --help, but not in the manual/' >"$work/drift"
comm -13 "$work/help" "$work/manual" | sed 's/$/: in the manual, but not in --help/' >>"$work/drift"
comm -23 "$work/example" "$work/variables" | sed 's/$/: in packaging\/eyes-scm.conf, but not in --help/' >>"$work/drift"
[ -s "$work/help" ] || echo '--help names nothing' >>"$work/drift"
cat "$work/drift"
! [ -s "$work/drift" ]
