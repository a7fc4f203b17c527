#!/bin/sh
# An environment that unpacks itself, written by smelt. To see what it takes: sh FILE --help
# Nothing runs before the last line is read, so a file that was cut off does nothing.
main() {
    set -u
    LC_ALL=C
    export LC_ALL
    title='@TITLE@' platform='@PLATFORM@' system='@SYSTEM@' machines=' @MACHINES@ ' glibc='@GLIBC@'
    line=@LINE@ size=@SIZE@ sum='@SHA256@' crc='@CKSUM@' longest=@LONGEST@ token='@TOKEN@'
    out=. name=env quiet='' only='' stage='' made='' moved='' placed=''
    while [ $# -gt 0 ]; do
        case $1 in
        -h | --help) usage; return 0 ;;
        -q | --quiet) quiet=yes ;;
        --check) only=yes ;;
        -o | --output-directory) [ $# -gt 1 ] || fail "$1 needs a folder"; out=$2; shift ;;
        --output-directory=*) out=${1#*=} ;;
        -e | --env-name) [ $# -gt 1 ] || fail "$1 needs a name"; name=$2; shift ;;
        --env-name=*) name=${1#*=} ;;
        *) fail "\`$1\` is not known here" "see: sh $0 --help" ;;
        esac
        shift
    done
    case $name in '' | . | .. | -* | .* | */*) fail "\`$name\` cannot be the name of an environment" ;; esac
    [ -n "$out" ] || fail 'the folder has no name'
    check_machine
    check_payload
    if [ -n "$only" ]; then say "$title for $platform is whole"; return 0; fi
    unpack
}

usage() {
    cat <<END
$title for $platform, packed by smelt.

usage: sh $0 [-o FOLDER] [-e NAME] [--check] [-q]

  -o, --output-directory FOLDER  where the environment and its activation scripts go (default: this folder)
  -e, --env-name NAME            the name of the environment (default: env)
      --check                    only see whether this file is whole
  -q, --quiet                    say nothing but errors
END
}

say() { [ -n "$quiet" ] || printf '%s\n' "$1"; }

fail() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf '  help: %s\n' "$2" >&2
    cleanup
    exit 1
}

# Everything as it was before.
cleanup() {
    trap - EXIT
    [ -z "$placed" ] || rm -rf "$prefix"
    if [ -n "$moved" ] && [ ! -e "$prefix" ]; then mv "$stage/old" "$prefix"; fi
    [ -z "$stage" ] || rm -rf "$stage"
    if [ -n "$made" ]; then
        while [ ! -d "$out" ] || rmdir "$out" 2>/dev/null; do
            [ "$out" != "$made" ] || break
            out=${out%/*}
        done
    fi
    return 0
}

check_machine() {
    found=$(uname -s)
    [ "$found" = "$system" ] || fail "this environment is for $platform, and this machine runs $found"
    found=$(uname -m)
    case $machines in *" $found "*) ;; *) fail "this environment is for $platform, and this machine is $found" ;; esac
    for tool in tar gzip sed dd tail wc mv rm mkdir; do
        command -v "$tool" >/dev/null 2>&1 || fail "\`$tool\` is not on this machine, and is needed to unpack"
    done
    [ -n "$glibc" ] || return 0
    found=$(getconf GNU_LIBC_VERSION 2>/dev/null) || return 0
    found=${found#glibc }
    case $found in *[!0-9.]* | '') return 0 ;; esac
    major=${found%%.*} minor=${found#*.}
    minor=${minor%%.*}
    if [ "$major" -lt "${glibc%%.*}" ] || { [ "$major" -eq "${glibc%%.*}" ] && [ "$minor" -lt "${glibc#*.}" ]; }; then
        fail "this environment needs glibc $glibc, and this machine has $found"
    fi
}

payload() { tail -n "+$line" "$self"; }

check_payload() {
    self=$0
    [ -f "$self" ] || fail 'this script cannot find itself' 'save it as a file, and run it as: sh FILE'
    found=$(payload | wc -c)
    [ "$found" -eq "$size" ] || fail "this file is damaged: $((found)) of $size bytes are there" 'copy it here again'
    if command -v sha256sum >/dev/null 2>&1; then
        found=$(payload | sha256sum)
    elif command -v shasum >/dev/null 2>&1; then
        found=$(payload | shasum -a 256)
    elif command -v openssl >/dev/null 2>&1; then
        found=$(payload | openssl dgst -sha256 -r)
    else
        found=$(payload | cksum)
        sum=$crc
    fi
    found=${found%% *}
    [ "$found" = "$sum" ] || fail 'this file is damaged: its checksum is wrong' 'copy it here again'
}

unpack() {
    make_folder
    prefix=${out%/}/$name
    case $prefix in *'
'*) fail 'an environment cannot be in a folder with a line break in its name' ;; esac
    [ "$longest" -eq 0 ] || [ "${#prefix}" -le "$longest" ] ||
        fail "$prefix is too long: its packages have room for $longest characters" 'name a shorter folder with -o'
    if [ -e "$prefix" ] || [ -L "$prefix" ]; then
        [ ! -L "$prefix" ] && [ -d "$prefix/conda-meta" ] ||
            fail "$prefix holds something that is not an environment" 'name another place with -o or -e'
    fi
    trap cleanup EXIT
    trap 'cleanup; exit 130' INT
    trap 'cleanup; exit 143' TERM HUP
    make_stage
    payload | gzip -dc | (cd "$stage" && tar -xof -) || fail "cannot unpack to $out" 'is there enough space?'
    [ -f "$stage/patches" ] && [ -d "$stage/env/conda-meta" ] || fail "cannot unpack to $out" 'is there enough space?'
    patch_all
    if [ -e "$prefix" ]; then
        mv "$prefix" "$stage/old" || fail "cannot replace $prefix"
        moved=yes
    fi
    placed=yes
    mv "$stage/env" "$prefix" || fail "cannot make $prefix"
    mv -f "$stage/activate.sh" "$stage/activate.fish" "$out/" || fail "cannot write to $out"
    made='' moved='' placed=''
    cleanup
    say "unpacked $title to $prefix"
    script=$out/activate.sh
    case $script in *[!A-Za-z0-9_./+:@%,=-]*) script="'$(printf '%s' "$script" | sed "s/'/'\\\\''/g")'" ;; esac
    say "activate it with: . $script"
}

make_folder() {
    case $out in /*) ;; *) out=$(pwd)/$out ;; esac
    folder=$out
    while [ ! -d "$folder" ] && [ -n "$folder" ]; do made=$folder folder=${folder%/*}; done
    if [ -n "$made" ]; then
        mkdir -p "$out" 2>/dev/null || fail "cannot make the folder $out" 'name another folder with -o'
        made=$(cd "$made" && pwd)
    fi
    out=$(cd "$out" && pwd) || fail 'the folder cannot be entered'
}

# What another process left that was killed is put right and removed.
make_stage() {
    common=$out/.$name.unpacking.$(uname -n)
    mkdir "$common.$$" 2>/dev/null || fail "cannot write to $out"
    stage=$common.$$
    for other in "$common".*; do
        process=${other##*.}
        [ "$other" != "$stage" ] && [ "$other" = "$common.$process" ] && [ -d "$other" ] || continue
        if kill -0 "$process" 2>/dev/null || [ -d "/proc/$process" ]; then
            fail "another process is unpacking into $prefix" "if that is not so, remove $other"
        fi
        if [ -e "$other/old" ] && [ ! -e "$prefix" ]; then mv "$other/old" "$prefix"; fi
        rm -rf "$other"
    done
}

patch_all() {
    text=$(printf '%s' "$prefix" | sed 's/[\\&|]/\\&/g')
    quoted=$(printf '%s' "$prefix" | sed "s/'/'\\\\''/g" | sed 's/[\\&|]/\\&/g')
    fish=$(printf '%s' "$prefix" | sed "s/[\\\\']/\\\\&/g" | sed 's/[\\&|]/\\&/g')
    put "$stage/activate.sh" -e "s|$token|$quoted|g"
    put "$stage/activate.fish" -e "s|$token|$fish|g"
    while read -r kind first second third path; do
        case $kind in
        text) put "$stage/env/$path" -e "s|$token|$text|g" ;;
        script) patch_script "$stage/env/$path" "$first" ;;
        binary) patch_binary "$stage/env/$path" "$first" "$second" "$third" ;;
        sign) [ "$system" != Darwin ] || codesign --force --sign - "$stage/env/$path" </dev/null 2>/dev/null ||
            fail "cannot sign $path" ;;
        *) fail "\`$kind\` is not known here" ;;
        esac
    done <"$stage/patches"
}

put() {
    file=$1
    shift
    { sed "$@" "$file" >"$stage/new" && cat "$stage/new" >"$file"; } || fail "cannot write $file"
}

# A first line `#!` that a kernel cannot read goes by way of sh (Python) or env. $2: its length without the prefix.
patch_script() {
    case $prefix in *' '*) bad=yes ;; *) bad='' ;; esac
    [ $((${#prefix} + $2)) -le 127 ] || bad=yes
    if [ -z "$bad" ]; then
        put "$1" -e "s|$token|$text|g"
        return
    fi
    put "$1" -e "1s|^#![ 	]*\\($token/[^ 	]*/python[0-9.]*\\)\\(.*\\)\$|#!/bin/sh\\
'''exec' \"\\1\"\\2 \"\$0\" \"\$@\" #'''|" \
        -e "1s|^#![ 	]*$token/[^ 	]*/\\([^/ 	]*\\)\\(.*\\)\$|#!/usr/bin/env \\1\\2|" \
        -e "s|$token|$text|g"
}

# A text in a binary: $2 the length of the placeholder, $3 where it begins, $4 the lengths of what follows each of them.
patch_binary() {
    position=$3 count=0
    {
        for tail in $(IFS=,; echo $4); do
            printf '%s' "$prefix"
            position=$((position + $2)) count=$((count + 1))
            [ "$tail" -eq 0 ] || dd if="$1" bs=1 skip="$position" count="$tail" 2>/dev/null || fail "cannot read $1"
            position=$((position + tail))
        done
        rest=$((count * ($2 - ${#prefix})))
        [ "$rest" -eq 0 ] || dd if=/dev/zero bs="$rest" count=1 2>/dev/null
    } >"$stage/new"
    dd if="$stage/new" of="$1" bs=1 seek="$3" conv=notrunc 2>/dev/null || fail "cannot write $1"
}

main "$@"; exit
