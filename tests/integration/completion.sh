#!/usr/bin/env bash
# Shell completion and manual pages, which are made from the tables of commands: every command, verb and option is in them, and shells
# and man take them.
set -u
cd "$(dirname "$0")/../.." || exit 1
unset TAPEDECK_PLUGIN_PATH TAPEDECK_TOKEN TAPEDECK_TOKEN_FILE
export TAPEDECK_HUB=http://127.0.0.1:1 # nobody is there: names that only a hub knows are left out
tapedeck=$PWD/${BUILD:-build}/tapedeck
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
ln -s "$tapedeck" "$dir/tapedeck"
PATH=$dir:$PATH
number=0

# check NAME COMMAND...: what must succeed.
check() {
    local name=$1
    shift
    number=$((number + 1))
    if "$@" >"$dir/check" 2>&1; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        head -c 2000 "$dir/check" | sed 's/^/#   /'
    fi
}

# Words of the command line, the last one being completed; what bash offers, on one line.
# shellcheck disable=SC1090,SC2034 # bash sets these for completions
offers() {
    (
        source "$dir/bash"
        compopt() { :; }
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        _tapedeck
        echo "${COMPREPLY[*]}"
    )
}
offers_exactly() { # WANT WORDS...
    local got want=$1
    got=$(offers "${@:2}")
    [[ $got == "$want" ]] || { echo "got: $got" && false; }
}
offers_word() { # WORD WORDS...
    local got
    got=$(offers "${@:2}")
    [[ " $got " == *" $1 "* ]] || { echo "got: $got" && false; }
}

for shell in bash zsh fish; do
    check "completion $shell" "$tapedeck" completion $shell
    "$tapedeck" completion $shell >"$dir/$shell"
    if command -v $shell >/dev/null; then
        check "$shell reads it" $shell -n "$dir/$shell"
    fi
done
no_such_shell() {
    "$tapedeck" completion tcsh
    [[ $? -eq 2 ]]
}
check "another shell is refused" no_such_shell

check "a command" offers_exactly "snapshot" tapedeck sn
check "commands that begin alike" offers_exactly "dissection dissect" tapedeck dissec
check "a verb" offers_exactly "create" tapedeck snapshot cr
check "all verbs" offers_exactly "create list show verify delete upload download export dissect import --help" tapedeck snapshot ""
check "verbs of a command that parses by itself" offers_exactly "list window --help" tapedeck raw ""
check "an option" offers_exactly "--allow-partial" tapedeck snapshot create x --al
check "the values of an option" offers_exactly "table json yaml" tapedeck snapshot list -o ""
check "and of its long form" offers_exactly "pcap pcapng" tapedeck snapshot export x --format pcap
check "of an option with one word" offers_exactly "zstd gzip none" tapedeck snapshot export x --compression ""
check "options of a command without verbs" offers_word "--decode-as" tapedeck dissect --
touch "$dir/some.pcap"
check "a file" offers_exactly "$dir/some.pcap" tapedeck dissect "$dir/som"
check "a file for an option" offers_exactly "$dir/some.pcap" tapedeck snapshot export x -w "$dir/som"
check "a file for --token-file" offers_exactly "$dir/some.pcap" tapedeck node list --token-file "$dir/som"
check "nothing for a time" offers_exactly "" tapedeck snapshot create x --last ""
check "no snapshots without a hub" offers_exactly "" tapedeck snapshot show ""

# What --help says is in all of them. The long options of each command and verb, as --help prints them.
all_options() { "$tapedeck" "$@" --help | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u; }
in_page() { # PAGE WORDS...
    local option
    while read -r option; do
        grep -qF -- "${option//-/\\-}" "$dir/$1.1" || { echo "$option of ${*:2} is not in $1.1" && return 1; }
    done < <(all_options "${@:2}")
}
in_completion() { # WORDS...
    local option
    while read -r option; do
        offers_word "$option" tapedeck "$@" -- || { echo "$option of $*" && return 1; }
    done < <(all_options "$@")
}
commands=$("$tapedeck" --help | sed -nE 's/^  ([a-z]+) .*/\1/p')
check "there are commands" test "$(wc -w <<<"$commands")" -gt 15
"$tapedeck" manual >"$dir/tapedeck.1"
check "all pages are listed" diff <("$tapedeck" manual --list) <(echo tapedeck && sed 's/^/tapedeck-/' <<<"$commands")
for command in $commands; do
    page=tapedeck-$command
    "$tapedeck" manual "$command" >"$dir/$page.1"
    check "$page.1 begins as a page does" grep -q "^\.TH TAPEDECK.*${command^^} 1" "$dir/$page.1"
    check "tapedeck.1 names it" grep -q "^\.BR tapedeck.-$command (1)" "$dir/tapedeck.1"
    verbs=$("$tapedeck" "$command" --help | sed -nE '/^Usage: tapedeck [a-z]+ VERB \[OPTIONS\]$/,/^`/s/^  ([a-z]+) .*/\1/p')
    if [[ -n $verbs ]]; then
        for verb in $verbs; do
            check "$command $verb: all options are in the page" in_page "$page" "$command" "$verb"
            check "$command $verb: and in the completion" in_completion "$command" "$verb"
        done
    elif [[ $command != completion && $command != manual && $command != raw && $command != call ]]; then
        check "$command: all options are in the page" in_page "$page" "$command"
        check "$command: and in the completion" in_completion "$command"
    fi
done
if command -v man >/dev/null; then
    renders() {
        [[ -z $(LC_ALL=C.UTF-8 MANROFFSEQ='' man --warnings -E UTF-8 -l "$1" 2>&1 >/dev/null) ]] && man -l "$1" | grep -q SYNOPSIS
    }
    for page in "$dir"/*.1; do
        check "man reads ${page##*/}" renders "$page"
    done
fi
if command -v fish >/dev/null; then
    fish_offers() { [[ $(fish -c "source $dir/fish; complete -C '$2'" | cut -f 1 | tr '\n' ' ') == "$1 " ]]; }
    check "fish: a command" fish_offers snapshot "tapedeck sn"
    check "fish: a verb" fish_offers create "tapedeck snapshot cr"
    check "fish: an option" fish_offers --allow-partial "tapedeck snapshot create x --al"
    check "fish: a value" fish_offers yaml "tapedeck snapshot list -o y"
fi
echo "1..$number"
