"""What the task shell does, row by row, as the shell that the reference documents does it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.tasks.shell.execute import run_script
from smelt.tasks.shell.launch import Streams
from smelt.tasks.shell.parser import ShellSyntaxError, parse
from smelt.tasks.shell.state import State

UNIX = sys.platform != "win32"
PY = "python"


def shell(text: str, folder: Path, *, stdin: bytes = b"", env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run ``text`` in ``folder``: exit code, standard output, standard error."""
    out, err, source = folder / ".out", folder / ".err", folder / ".in"
    source.write_bytes(stdin)
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "HOME": "/home/dir",
    } | (env or {})
    with out.open("wb") as o, err.open("wb") as e, source.open("rb") as i:
        code = run_script(
            parse(text), State.start(environment, str(folder)), Streams(i.fileno(), o.fileno(), e.fileno())
        )
    texts = [path.read_text().replace("\r\n", "\n") for path in (out, err)]
    for path in (out, err, source):
        path.unlink()
    return code, texts[0].replace(str(folder), "$DIR"), texts[1].replace(str(folder), "$DIR")


ROWS: list[tuple[str, str, int]] = [
    # words and quotes
    ("echo 1", "1\n", 0),
    ("echo 1 2   3", "1 2 3\n", 0),
    ('echo "1 2   3"', "1 2   3\n", 0),
    (r"echo 1 2\ \ \ 3", "1 2   3\n", 0),
    (r'echo "1 2\ \ \ 3"', "1 2\\ \\ \\ 3\n", 0),
    ('echo "a\\"b"', 'a"b\n', 0),
    (r"echo C:\dir\name", "C:\\dir\\name\n", 0),
    (r'echo "C:\\dir"', "C:\\\\dir\n", 0),
    ("echo 'a/b'/c", "a/b/c\n", 0),
    ("echo 'a/b'ctest\"te  st\"'asdf'", "a/bctestte  stasdf\n", 0),
    ('echo --test="2" --test=\'2\' test"TEST"', "--test=2 --test=2 testTEST\n", 0),
    ('"echo" "*"', "*\n", 0),
    (r"echo \( foo \)", "( foo )\n", 0),
    ('echo ""', "\n", 0),
    ("echo a '' b", "a  b\n", 0),
    # comments, lines
    ("echo foo # this is a comment", "foo\n", 0),
    ("echo foo#bar", "foo#bar\n", 0),
    ("# leading\necho foo\n# middle\necho bar\n# trailing", "foo\nbar\n", 0),
    ("echo foo && # comment\necho bar", "foo\nbar\n", 0),
    ("echo one\r\necho two", "one\ntwo\n", 0),
    ("echo hello |\n  cat", "hello\n", 0),
    ("FOO=bar\necho $FOO", "bar\n", 0),
    ("echo hel\\\nlo", "hello\n", 0),
    ("echo 'a\\\nb'", "a\\\nb\n", 0),
    # lists
    ("echo 1 && echo 2 || echo 3", "1\n2\n", 0),
    ("echo 1 || echo 2 && echo 3", "1\n3\n", 0),
    ("false || false || (echo 2 && false) || echo 3", "2\n3\n", 0),
    ("false ; echo 1", "1\n", 0),
    ("echo 1; false", "1\n", 1),
    (": ignored && echo ok", "ok\n", 0),
    # exit codes
    ("exit 5", "", 5),
    ("exit 258 && echo 1", "", 2),
    ("exit -1", "", 255),
    ("exit ; echo 2", "", 1),
    ("(exit 1) || echo 1", "1\n", 0),
    ("echo $? ; echo $? ; false ; echo $?", "\n0\n1\n", 0),
    ("(false || echo $?) && echo $?", "1\n0\n", 0),
    ("! echo 1 && echo 2", "1\n", 1),
    ("! (exit 5) && echo 1", "1\n", 0),
    ("! exit 5 && echo 1", "", 5),
    # variables
    ("VAR=1 && echo $VAR$VAR", "11\n", 0),
    ('TEST="1   2" ; echo $TEST', "1 2\n", 0),
    ("VAR=1 ; echo Test$VAR $ \\$VAR ${VAR} $NOTHING", "Test1 $ $VAR ${VAR}\n", 0),
    ('export VAR=1 VAR2=testing VAR3="test this out" && echo $VAR $VAR2 $VAR3', "1 testing test this out\n", 0),
    (f"VAR=1 {PY} -c 'import os; print(os.environ[\"VAR\"])' && echo [$VAR]", "1\n[]\n", 0),
    (f"VAR=1 ; {PY} -c 'import os; print(os.environ.get(\"VAR\"))'", "None\n", 0),
    (f"export VAR=1 ; unset VAR ; {PY} -c 'import os; print(os.environ.get(\"VAR\"))'", "None\n", 0),
    (f"EMPTY= {PY} -c 'import os; print(repr(os.environ[\"EMPTY\"]))'", "''\n", 0),
    ("(export TEST=1) && echo [$TEST]", "[]\n", 0),
    ("export A=1 | cat ; echo [$A]", "[]\n", 0),
    # substitutions
    ("echo $(echo 1 && echo 2)", "1 2\n", 0),
    ('echo "hi $(echo 1)"', "hi 1\n", 0),
    ("echo $(echo $(echo 1))", "1\n", 0),
    ("echo ``", "\n", 0),
    ("echo `echo \\`echo 1\\``", "1\n", 0),
    ('echo test$(echo "1    2")', "test1 2\n", 0),
    ("$(echo echo) $(exit 3) 1", "1\n", 0),
    # background
    ("sleep 0.1 && echo 2 & echo 1", "1\n2\n", 0),
    ("(sleep 0.1 && echo 2 &) ; echo 1", "1\n2\n", 0),
    ("exit 1 & exit 0", "", 1),
    ("sleep 5 && echo 1 & exit 1", "", 1),
    ("false || exit 0 & echo 1", "1\n", 0),
    (f"{PY} -c 'import sys; sys.exit(3)' & sleep 5 && echo 2 & sleep 5", "", 3),
    # pipes
    ("echo 1 | echo 2 && echo 3", "2\n3\n", 0),
    ("echo 1 | cat | cat", "1\n", 0),
    (f"{PY} -c 'import sys; print(1); print(2, file=sys.stderr)' |& cat > f ; cat f", None, 0),  # type: ignore[list-item]
    ("(exit 1) | true", "", 0),
    ("set -o pipefail && (exit 2) | (exit 3) | true", "", 3),
    ("echo '1   2 \t\t3  ' | xargs echo test", "test 1 2 3\n", 0),
    ("echo 'a b' | xargs -d \\n echo", "a b\n", 0),
    # options
    ("set -e; (exit 3); echo unreachable", "", 3),
    ("set -e; set +e; (exit 3); echo on", "on\n", 0),
    ("set -e; (exit 3) || echo recovered; echo after", "recovered\nafter\n", 0),
    ("set -o", "errexit\toff\npipefail\toff\n", 0),
    ("set +o", "set +o errexit\nset +o pipefail\n", 0),
    ("shopt", "failglob\toff\nglobstar\ton\nnullglob\toff\n", 0),
    ("shopt nullglob", "nullglob\toff\n", 1),
    ("shopt -s nullglob && echo hello *.nothing world", "hello world\n", 0),
    ("echo *.nothing", "*.nothing\n", 0),
    # braces
    ("echo {a,b}{1,2}", "a1 a2 b1 b2\n", 0),
    ("echo {a,{b,c}}", "a b c\n", 0),
    ("echo {1..7..2} {3..1} {a..e}", "1 3 5 7 3 2 1 a b c d e\n", 0),
    ("echo {} {abc} {abc abc}", "{} {abc} {abc abc}\n", 0),
    ("echo \"{a,b}\" '{a,b}'", "{a,b} {a,b}\n", 0),
    ("echo x{a,,b}y", "xay xy xby\n", 0),
    # redirects
    ("echo 5 6 > test.txt && cat test.txt", "5 6\n", 0),
    ("echo 1 > t && echo 2 >> t && cat < t", "1\n2\n", 0),
    ("echo 1 >| t && cat t", "1\n", 0),
    (f"{PY} -c 'import sys; print(1); print(2, file=sys.stderr)' 2> /dev/null", "1\n", 0),
    (f"{PY} -c 'import sys; print(2, file=sys.stderr)' 2>&1", "2\n", 0),
    (f"{PY} -c 'import sys; print(2, file=sys.stderr)' &> t && cat t", "2\n", 0),
    ("(echo 1; echo 2) > t && cat t", "1\n2\n", 0),
    # the built-in test
    ("test hello && test '' || echo empty", "empty\n", 0),
    ("test -n x && test -z '' && test a = a && test a != b && test 1 -lt 2 && test ! 1 -eq 2 && echo ok", "ok\n", 0),
    # reserved words are words where they are arguments
    ("echo for if do", "for if do\n", 0),
]
if UNIX:
    ROWS += [
        ("echo ~/test ~ \\~ '~' a~", "/home/dir/test /home/dir ~ ~ a~\n", 0),
        ("HOME=/nope echo ~", "/home/dir\n", 0),
        ("sh -c 'kill -TERM $$'", "", 143),
        ("yes | head -n 1", "y\n", 0),
        ("set -o pipefail && yes | head -n 1", "y\n", 141),
        ("ln -s . link && cd link && pwd && pwd -L", "$DIR/link\n$DIR\n", 0),
    ]


@pytest.mark.parametrize(("text", "out", "code"), ROWS, ids=[row[0] for row in ROWS])
def test_rows(text: str, out: str | None, code: int, tmp_path: Path) -> None:
    got_code, got_out, err = shell(text, tmp_path)
    assert got_code == code, err
    if out is None:
        assert sorted(got_out.split()) == ["1", "2"]
    else:
        assert got_out == out


COMPLAINTS: list[tuple[str, str, int]] = [
    ("nosuchcommand", "nosuchcommand: command not found\n", 127),
    ("$(echo 1) ; echo 2", "1: command not found\n", 0),
    ("exit bad args", "exit: too many arguments\n", 2),
    ("pwd -M", "pwd: unsupported flag: -M\n", 1),
    ("cd", "cd: expected at least 1 argument\n", 1),
    ("cd nowhere", "cd: nowhere: Not a directory\n", 1),
    ("unset -f X", "unset: unsupported flag: -f\n", 1),
    ("set -x", "set: invalid option: -x\n", 1),
    ("set -o nope", "set: unknown option: nope\n", 1),
    ("shopt -s -u nullglob", "shopt: cannot set and unset options simultaneously\n", 1),
    ("shopt -s", "shopt: option name required\n", 1),
    ("sleep", "sleep: missing operand\n", 1),
    ("test foo -unknown bar", "test: binary operator expected: -unknown\n", 2),
    ("echo 2 3> t", "only redirecting to stdout (1) and stderr (2) is supported\n", 1),
    ("cat - <&0", "input redirecting file descriptors is not implemented\n", 1),
    ("echo 1 > $EMPTY", "redirect path must be 1 argument, but found 0\n", 1),
    ("mkdir d && mkdir d", "mkdir: cannot create directory 'd': File exists\n", 1),
    ("mkdir", "mkdir: missing operand\n", 1),
    ("rm nothing", "rm: cannot remove 'nothing': No such file or directory\n", 1),
    ("mv a b", "mv: could not move a to b: No such file or directory\n", 1),
    ("cp a b", "cp: could not copy a to b: No such file or directory\n", 1),
    ("cp a", "cp: missing destination file operand after 'a'\n", 1),
    ("mkdir d && cp d e", "cp: could not copy d to e: source was a directory; maybe specify -r\n", 1),
    ("mkdir d && mv d/. e", "mv: cannot move 'd/.': refusing to move '.'\n", 1),
    ("cat nothing", "cat: nothing: No such file or directory\n", 1),
    ('echo "\'x" | xargs', "xargs: unmatched quote; by default quotes are special to xargs unless you use", 1),
    ("!echo 1", "History expansion is not supported:\n  !echo\n  ~\n", 1),
    (
        "shopt -s failglob && echo *.ts",
        "glob: no matches found '*.ts' (run `shopt -u failglob` to pass unmatched glob patterns literally)\n",
        1,
    ),
]


@pytest.mark.parametrize(("text", "err", "code"), COMPLAINTS, ids=[row[0] for row in COMPLAINTS])
def test_complaints(text: str, err: str, code: int, tmp_path: Path) -> None:
    got_code, _, got = shell(text, tmp_path)
    assert got.startswith(err)
    assert got_code == code


SYNTAX: list[tuple[str, str]] = [
    ("", "the command is empty"),
    ("# just a comment", "the command is empty"),
    ("&& testing", "unexpected character"),
    ("(test", "expected a closing parenthesis of the subshell"),
    ('cmd "test', "expected a closing double quote"),
    ("cmd 'test", "expected a closing single quote"),
    ("cmd `test", "expected a closing backtick"),
    ("test &&", "expected a command following the boolean operator"),
    ("test |", "expected a command following the pipeline operator"),
    ("echo >", "expected the path of the redirect"),
    ("echo a > b 2>&1", "several redirects"),
    ("A=1 B=2", "several variables are set"),
    ("echo hi; for", "the reserved word `for` is not supported"),
    ("echo $$", "`$$` is not supported"),
    ("echo ~user", "unsupported tilde expansion"),
    ("echo a > b c", "unexpected character"),
    ("echo ok\necho ok\n; foo", "unexpected character (line 3)"),
]


@pytest.mark.parametrize(("text", "reason"), SYNTAX, ids=[row[0] for row in SYNTAX])
def test_syntax_errors(text: str, reason: str) -> None:
    with pytest.raises(ShellSyntaxError) as caught:
        parse(text)
    assert caught.value.message.startswith(reason)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("3.txt", "TEST.txt", "testa.txt", "test2.txt", ".hidden.txt", "[x].md", "x.md"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "sub/deep").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/c.txt").write_text("")
    for name in ("sub/b.txt", "sub/deep/c.txt", "sub/o.ts"):
        (tmp_path / name).write_text(f"{name}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("test?.txt", "test2.txt testa.txt"),
        ("test[0-9].txt", "test2.txt"),
        ("test[!0-9].txt", "testa.txt"),
        ("tes*.txt", "TEST.txt test2.txt testa.txt"),
        ("*/*.txt", "sub/b.txt"),
        ("**/*.txt", "3.txt TEST.txt sub/b.txt sub/deep/c.txt test2.txt testa.txt"),
        ("sub/**", "sub/deep"),
        (".*.txt", ".hidden.txt"),
        ("[x].md", "x.md"),
        ("'[x].md'", "[x].md"),
        ("[[]x[]].md", "[x].md"),
        ("$PWD/sub/*.ts", "$DIR/sub/o.ts"),
        ("--flag=**/*.txt", "--flag=**/*.txt"),
        ("[].ts", "[].ts"),
        ("'a'*.none", "a*.none"),
    ],
)
def test_globs(pattern: str, expected: str, tree: Path) -> None:
    code, out, err = shell(f"echo {pattern}", tree)
    assert (code, err) == (0, "")
    assert out == expected.replace("/", os.sep) + "\n" if "--flag" not in pattern else out == expected + "\n"


def test_globstar_can_be_turned_off(tree: Path) -> None:
    assert shell("shopt -u globstar && echo **/*.txt", tree)[1].split() == [os.path.join("sub", "b.txt")]  # noqa: PTH118


def test_a_loop_of_links_ends(tree: Path) -> None:
    try:
        (tree / "sub/loop").symlink_to(tree, target_is_directory=True)
    except OSError:
        pytest.skip("no symbolic links here")
    assert "sub/deep/c.txt" in shell("echo **/c.txt", tree)[1].replace("\\", "/")


def test_files(tmp_path: Path) -> None:
    script = """
set -e
mkdir -p a/b/c && echo 1 > a/b/one && cp a/b/one two && cp -r a copy && mv two copy/b
cp -r a/. merged
rm -rf a nothing *.nothing
mkdir e && rm -d e
cat copy/b/two merged/b/one
head -n -1 copy/b/two
head --lines=1 copy/b/one
"""
    code, out, err = shell(script, tmp_path)
    assert (code, err, out) == (0, "", "1\n1\n1\n")
    assert not (tmp_path / "a").exists() and not (tmp_path / "e").exists()
    assert (tmp_path / "copy/b/c").is_dir()


def test_a_folder_is_not_copied_into_itself(tmp_path: Path) -> None:
    code, _, err = shell("mkdir d && cp -r d d/e", tmp_path)
    assert (code, err) == (1, "cp: could not copy d to d/e: cannot copy a directory into itself\n")


def test_stdin_reaches_built_ins_and_processes(tmp_path: Path) -> None:
    assert shell("cat -", tmp_path, stdin=b"hello")[1] == "hello"
    assert shell(f"{PY} -c 'print(input())' && cat", tmp_path, stdin=b"")[0] == 1
    code, out, _ = shell("echo 1 | (cat && echo 2)", tmp_path, stdin=b"not this")
    assert (code, out) == (0, "1\n2\n")


@pytest.mark.skipif(not UNIX, reason="needs file modes")
def test_scripts(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/tool").write_text(f"#!/usr/bin/env -S {PY} -c 'import sys; print(sys.argv[2:])'\n")
    (tmp_path / "plain.sh").write_text("echo from sh $1\n")
    (tmp_path / "plain.sh").chmod(0o755)
    assert shell("./sub/tool 1 '2 3'", tmp_path)[1] == "['1', '2 3']\n"
    assert shell("./plain.sh x", tmp_path)[1] == "from sh x\n"
    (tmp_path / "plain.sh").chmod(0o644)
    code, _, err = shell("./plain.sh x", tmp_path)
    assert (code, err) == (1, "error launching './plain.sh': Permission denied\n")
    (tmp_path / "self").write_text("#!/usr/bin/env ./self\n")
    assert shell("./self", tmp_path)[0] == 1


def test_variables_are_found_along_path_only(tmp_path: Path) -> None:
    assert shell("python -c pass", tmp_path, env={"PATH": ""})[:1] == (127,)
    tool = tmp_path / ("tool.bat" if not UNIX else "tool")
    tool.write_text("echo hi\n" if UNIX else "@echo hi\n")
    tool.chmod(0o755)
    assert shell("tool", tmp_path)[0] == 127
    assert shell(f'export PATH="{tmp_path}" && tool', tmp_path)[:2] == (0, "hi\n")


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
def test_single_quotes_keep_everything(text: str) -> None:
    from smelt.tasks.command import single_quoted
    from smelt.tasks.shell.expand import expand_words
    from smelt.tasks.shell.static import known_commands

    script = parse(f"prog {single_quoted(text)} end")
    known = known_commands(script, State.start({}, os.getcwd()))  # noqa: PTH109
    assert known is not None
    [final] = known
    assert final.argv == ("prog", text, "end")
    assert expand_words is not None


STATIC: dict[str, list[tuple[list[str], str, int, str | None]] | None] = {
    "a b": [(["a", "b"], "", 0, None)],
    "V=1 a && b $V": [(["a"], "", 0, "1"), (["b"], "", 0, None)],
    "export V=1 && a && echo $V && unset V && b": [(["a"], "", 0, "1"), ([], "1\n", 0, "1"), (["b"], "", 0, None)],
    "V=2; a $V": [(["a", "2"], "", 0, None)],
    "echo x; a": [([], "x\n", 0, None), (["a"], "", 0, None)],
    "a && false": [(["a"], "", 0, None), ([], "", 1, None)],
    "a && export V=1": [(["a"], "", 0, None)],
    "true && true": [([], "", 0, None), ([], "", 0, None)],
    "a; b": None,
    "a || b": None,
    "false && a": None,
    "a && b || c": None,
    "a && b; c": None,
    "a | b": None,
    "a > f && b": None,
    "a && b *": None,
    "a && echo $?": None,
    "a && $(b)": None,
    "a && cd x && b": None,
    "a & b": None,
    "! a && b": None,
    "(a) && b": None,
    "V=1": None,
    "export PWD=/ && a": None,
}


@pytest.mark.parametrize("text", STATIC)
def test_what_is_known_without_running_anything(text: str) -> None:
    from smelt.tasks.shell.static import known_commands

    known = known_commands(parse(text), State.start({}, os.getcwd()))  # noqa: PTH109
    found = known and [(list(e.argv), e.output.decode(), e.code, e.environment.get("V")) for e in known]
    assert found == STATIC[text]


@given(st.text(max_size=60))
def test_the_parser_never_fails_otherwise(text: str) -> None:
    try:
        parse(text)
    except ShellSyntaxError as error:
        assert error.message
        assert 0 <= error.offset <= len(text)


def test_the_last_command_takes_the_place_of_the_process(tmp_path: Path) -> None:
    if not UNIX:
        pytest.skip("no exec on Windows")
    program = (
        "import os, sys; from smelt.tasks.shell.execute import run_script; from smelt.tasks.shell.parser import parse;"
        "from smelt.tasks.shell.state import State;"
        "print(os.getpid(), flush=True);"
        "sys.exit(run_script(parse(sys.argv[1]), State.start(os.environ, os.getcwd()), replace=True))"
    )
    text = "export A=1 ; test $A = 1 && sh -c 'echo $$; trap | wc -c; exit 7' > out"
    done = subprocess.run([sys.executable, "-c", program, text], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 7
    pid, count = (tmp_path / "out").read_text().split()
    assert pid == done.stdout.strip()
    assert count == "0"
