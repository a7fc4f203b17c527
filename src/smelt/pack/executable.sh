#!/bin/sh
# An environment with the program that unpacks it, in the form of pixi-pack. What it takes: sh FILE --help
main() {
    set -u
    self=$0 archive=@ARCHIVE@ program=@PROGRAM@ sums='@SUMS@'
    [ -f "$self" ] || fail 'this script cannot find itself: save it as a file, and run it as: sh FILE'
    place=$(mktemp -d) || fail 'cannot make a temporary folder'
    trap 'rm -rf "$place"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    tail -n "+$archive" "$self" | head -n 1 | decode >"$place/environment.tar" || fail 'cannot take the archive out'
    tail -n "+$program" "$self" | head -n 1 | decode >"$place/pixi-unpack" || fail 'cannot take the unpacker out'
    found="$(sum <"$place/environment.tar") $(sum <"$place/pixi-unpack")"
    [ "$found" = "$sums" ] || fail 'this file is damaged: its checksum is wrong. Copy it here again'
    chmod +x "$place/pixi-unpack" || fail 'cannot make the unpacker executable'
    "$place/pixi-unpack" "$@" "$place/environment.tar"
}

decode() {
    if command -v base64 >/dev/null 2>&1; then base64 -d; else openssl base64 -d -A; fi
}

sum() {
    for tool in sha256sum 'shasum -a 256' 'openssl dgst -sha256 -r'; do
        if command -v "${tool%% *}" >/dev/null 2>&1; then
            found=$($tool)
            printf '%s' "${found%% *}"
            return
        fi
    done
    fail 'there is no program for sha256 on this machine (sha256sum, shasum, openssl)'
}

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

main "$@"; exit
@@END_HEADER@@
