"""Running a script: lists, pipelines, redirects, built-in commands and processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from smelt.tasks.shell.builtins import SHELL_BUILTINS, Builtin, BuiltinError, Call, ExitScript
from smelt.tasks.shell.expand import ExpansionError, expand_text, expand_words, match_files
from smelt.tasks.shell.files import FILE_BUILTINS
from smelt.tasks.shell.globs import Character
from smelt.tasks.shell.jobs import Background, Jobs, Stopped
from smelt.tasks.shell.launch import (
    WINDOWS,
    LaunchError,
    Streams,
    env_shebang,
    find_executable,
    replace_process,
    spawn,
    write,
)
from smelt.tasks.shell.parser import ShellSyntaxError, parse
from smelt.tasks.shell.redirects import redirected
from smelt.tasks.shell.state import Options, State
from smelt.tasks.shell.syntax import (
    Assignment,
    Chain,
    Command,
    Pipeline,
    Redirect,
    Script,
    Sequence,
    Subshell,
)

BUILTINS: dict[str, Builtin] = SHELL_BUILTINS | FILE_BUILTINS


def run_script(
    script: Script,
    state: State,
    streams: Streams | None = None,
    *,
    replace: bool = False,
    before_replacing: Callable[[], None] | None = None,
    jobs: Jobs | None = None,
) -> int:
    """Run ``script`` in ``state`` (changed in place) and give its exit code.

    Signals of this process are passed on while it runs: by ``jobs``, where that is given. With ``replace``, the
    last command of the script, if it is a plain executable, takes the place of this process (then this never
    returns; not on Windows); ``before_replacing`` is called just before.
    """
    own = Jobs(jobs)
    shell = _Shell(state, own, before_replacing or (lambda: None))
    with own.signals() if jobs is None else nullcontext():
        try:
            return shell.run_list(script, streams or Streams(), tail=replace and not WINDOWS)
        except ExitScript as stop:
            return shell.settle(stop.code)
        finally:
            own.close()


class _Shell:
    """One (sub)shell: its state, and how commands run in it."""

    def __init__(self, state: State, jobs: Jobs, before_replacing: Callable[[], None]) -> None:
        self.state = state
        self.jobs = jobs
        self._before_replacing = before_replacing
        self._background: list[Background] = []

    def subshell(self, *, jobs: Jobs | None = None) -> _Shell:
        """A shell with a copy of the state."""
        return _Shell(self.state.copy(), jobs or self.jobs, self._before_replacing)

    # lists

    def run_list(self, script: Script, streams: Streams, *, tail: bool = False, settle: bool = True) -> int:
        """Run the entries of a list; ``settle``: wait for what it left in the background."""
        code = 0
        for index, item in enumerate(script.items):
            if item.background:
                self._start_background(item.sequence, streams)
                continue
            last = index == len(script.items) - 1 and not self._background
            code = self.run_sequence(item.sequence, streams, tail=tail and last)
            self.state.last = code
            if code != 0 and self.state.options.errexit:
                break
        return self.settle(code) if settle else code

    def settle(self, code: int) -> int:
        """Wait for the background: the first failure anywhere stops all, and is the exit code."""
        background, self._background = self._background, []
        if code != 0 and (background or self.jobs.failure is not None):
            self.jobs.fail(code)
        codes = [each.join() for each in background]
        if self.jobs.failure is not None:
            return self.jobs.failure
        return code or next((each for each in codes if each != 0), 0)

    def _start_background(self, sequence: Sequence, streams: Streams) -> None:
        shell = self.subshell()

        def run() -> int:
            try:
                code = shell.run_sequence(sequence, streams)
            except ExitScript as stop:
                code = stop.code
            if code != 0:
                self.jobs.fail(code)
            return shell.settle(code)

        self._background.append(Background(run))

    def run_sequence(self, sequence: Sequence, streams: Streams, *, tail: bool = False) -> int:
        """Run a chain, a pipeline or an assignment."""
        if isinstance(sequence, Chain):
            return self._run_chain(sequence, streams, tail=tail)
        if isinstance(sequence, Pipeline):
            return self._run_pipeline(sequence, streams, tail=tail)
        return self._assign(sequence, streams)

    def _run_chain(self, chain: Chain, streams: Streams, *, tail: bool) -> int:
        code = self.run_sequence(chain.first, streams)
        for index, (operator, sequence) in enumerate(chain.rest):
            self.state.last = code
            if (code == 0) == (operator == "&&"):
                # only the very last may replace this process: another may decide what comes after it
                code = self.run_sequence(sequence, streams, tail=tail and index == len(chain.rest) - 1)
        return code

    def _assign(self, assignment: Assignment, streams: Streams) -> int:
        with self._explained(streams) as failure:
            self.state.assign(assignment.name, expand_text(assignment.value, self._scope(self.state, streams)))
        return failure.code

    # pipelines

    def _run_pipeline(self, pipeline: Pipeline, streams: Streams, *, tail: bool) -> int:
        if len(pipeline.stages) == 1:
            code = self._run_stage(pipeline.stages[0], streams, tail=tail and not pipeline.negated)
        else:
            code = self._run_stages(pipeline, streams)
        return int(code == 0) if pipeline.negated else code

    def _run_stages(self, pipeline: Pipeline, streams: Streams) -> int:
        earlier: list[Background] = []
        source: int | None = None
        *first, last = pipeline.stages
        for stage, with_errors in zip(first, pipeline.with_errors, strict=True):
            reader, writer = os.pipe()
            stage_streams = Streams(
                stdin=streams.stdin if source is None else source,
                stdout=writer,
                stderr=writer if with_errors else streams.stderr,
            )
            earlier.append(Background(self._stage_in_thread(stage, stage_streams, source, writer)))
            source = reader
        assert source is not None
        last_streams = Streams(stdin=source, stdout=streams.stdout, stderr=streams.stderr)
        code = self._stage_in_thread(last, last_streams, source, None)()
        codes = [*(each.join() for each in earlier), code]
        if self.state.options.pipefail:
            return next((each for each in reversed(codes) if each != 0), 0)
        if code == 0 and self.jobs.stopped in codes:
            return self.jobs.stopped or 0  # a stage was interrupted: what reads from it cannot know
        return code

    def _stage_in_thread(
        self, stage: Command | Subshell, streams: Streams, source: int | None, writer: int | None
    ) -> Callable[[], int]:
        shell = self.subshell()

        def run() -> int:
            try:
                return shell.settle(shell._run_stage(stage, streams))
            except ExitScript as stop:
                return shell.settle(stop.code)
            finally:
                for descriptor in (source, writer):
                    if descriptor is not None:
                        os.close(descriptor)

        return run

    def _run_stage(self, stage: Command | Subshell, streams: Streams, *, tail: bool = False) -> int:
        with self._redirected(stage.redirect, streams) as result:
            if isinstance(result, int):
                return result
            if isinstance(stage, Command):
                return self._run_command(stage, result, tail=tail)
            shell = self.subshell()
            try:
                code = shell.run_list(stage.script, result, settle=False)
            except ExitScript as stop:
                code = stop.code
            self._background.extend(shell._background)
            return code

    @contextmanager
    def _redirected(self, redirect: Redirect | None, streams: Streams) -> Generator[Streams | int]:
        """The streams after a redirect, or the exit code where it fails."""
        if redirect is None:
            yield streams
            return
        opened: int | None = None
        result = streams
        with self._explained(streams) as failure:
            names: list[str] = []
            if not isinstance(redirect.target, int):
                names = expand_words((redirect.target,), self._scope(self.state, streams))
            result, opened = redirected(redirect, names, streams, self.state.cwd)
        try:
            yield failure.code or result
        finally:
            if opened is not None:
                os.close(opened)

    # commands

    def _run_command(self, command: Command, streams: Streams, *, tail: bool) -> int:
        argv: list[str] = []
        state = self.state
        with self._explained(streams) as failure:
            argv = expand_words(command.words, self._scope(self.state, streams))
            if command.assignments:
                state = self.state.copy()
                for assignment in command.assignments:
                    state.export(assignment.name, expand_text(assignment.value, self._scope(state, streams)))
        if failure.code:
            return failure.code
        return self._run_arguments(argv, state, streams, tail=tail)

    def _run_arguments(self, argv: list[str], state: State, streams: Streams, *, tail: bool) -> int:
        if self.jobs.stopped is not None:
            return self.jobs.stopped
        name = argv[0] if argv else ""
        if name.startswith("!"):
            _complain(
                streams,
                f"History expansion is not supported:\n  {name}\n  ~\n\n"
                "Perhaps you meant to add a space after the exclamation point to negate the command?\n"
                f"  ! {name[1:]}",
            )
            return 1
        builtin = BUILTINS.get(name)
        if builtin is not None:
            return self._run_builtin(builtin, argv, state, streams)
        return self._run_executable(argv, state, streams, state.cwd, tail=tail)

    def _run_builtin(self, builtin: Builtin, argv: list[str], state: State, streams: Streams) -> int:
        call = Call(
            name=argv[0],
            args=argv[1:],
            state=state,
            shell=self.state,
            streams=streams,
            jobs=self.jobs,
            run=lambda args: self._run_arguments(args, state, streams, tail=False),
        )
        try:
            # what reads from a pipe ends when the pipe does
            reading = streams.stdin != 0 and argv[0] in ("cat", "head", "xargs")
            with nullcontext() if reading else self.jobs.interruptible():
                return builtin(call)
        except BuiltinError as error:
            _complain(streams, f"{argv[0]}: {error}")
            return error.code
        except BrokenPipeError:
            return 141  # what a program gets that writes to a pipe nobody reads: 128 + SIGPIPE
        except OSError as error:
            _complain(streams, f"{argv[0]}: {error.strerror or error}")
            return 1
        except Stopped:
            return self.jobs.stopped or 130

    def _run_executable(self, argv: list[str], state: State, streams: Streams, folder: str, *, tail: bool) -> int:
        name = argv[0] if argv else ""
        try:
            path = find_executable(name, folder, state.environment)
            if "/" in name or os.sep in name:
                shebang = env_shebang(path)
                if shebang is not None:
                    interpreter, split = shebang
                    command = self._split_shebang(interpreter, streams) if split else [interpreter]
                    base = str(Path(path).parent)
                    return self._run_executable([*command, path, *argv[1:]], state, streams, base, tail=tail)
            if tail:
                self._before_replacing()
                replace_process(path, argv, state.cwd, state.environment, streams)
            return self.jobs.wait(spawn(path, argv, state.cwd, state.environment, streams))
        except LaunchError as error:
            _complain(streams, str(error))
            return error.code
        except RecursionError:
            _complain(streams, f"{name}: its first line names itself as the interpreter")
            return 1

    def _split_shebang(self, text: str, streams: Streams) -> list[str]:
        try:
            script = parse(text)
        except ShellSyntaxError as error:
            raise LaunchError(f"unsupported shebang: {text} ({error.reason})", 1) from error
        sequence = script.items[0].sequence
        if len(script.items) == 1 and isinstance(sequence, Pipeline) and len(sequence.stages) == 1:
            stage = sequence.stages[0]
            if isinstance(stage, Command) and stage.redirect is None and not stage.assignments:
                return expand_words(stage.words, self._scope(self.state, streams))
        raise LaunchError(f"unsupported shebang: {text}", 1)

    # words

    def _scope(self, state: State, streams: Streams) -> _Scope:
        return _Scope(self, state, streams)

    def substitute(self, script: Script, state: State, streams: Streams) -> str:
        """What ``script`` writes to its standard output; a failure in it stops nothing outside of it."""
        jobs = Jobs(self.jobs)
        reader, writer = os.pipe()
        chunks: list[bytes] = []

        def collect() -> int:
            while chunk := os.read(reader, 65536):
                chunks.append(chunk)
            return 0

        collector = Background(collect)
        shell = _Shell(state.copy(), jobs, self._before_replacing)
        try:
            shell.run_list(script, Streams(streams.stdin, writer, streams.stderr))
        except ExitScript as stop:
            shell.settle(stop.code)
        finally:
            os.close(writer)
            collector.join()
            os.close(reader)
            jobs.close()
        return os.fsdecode(b"".join(chunks))

    @contextmanager
    def _explained(self, streams: Streams) -> Generator[_Failure]:
        """Failures of expansions and redirects: a line on standard error and an exit code of 1."""
        failure = _Failure()
        try:
            yield failure
        except (ExpansionError, BuiltinError) as error:
            _complain(streams, str(error))
            failure.code = 1


class _Failure:
    """The exit code of a command whose words or redirect failed; 0 while they have not."""

    def __init__(self) -> None:
        self.code = 0


class _Scope:
    """What words may ask for, in a shell (``smelt.tasks.shell.expand.Scope``)."""

    def __init__(self, shell: _Shell, state: State, streams: Streams) -> None:
        self._shell = shell
        self._state = state
        self._streams = streams

    @property
    def cwd(self) -> str:
        return self._state.cwd

    @property
    def options(self) -> Options:
        return self._state.options

    def variable(self, name: str) -> str | None:
        return self._state.get(name)

    def substitute(self, script: Script) -> str:
        return self._shell.substitute(script, self._state, self._streams)

    def match(self, characters: list[Character]) -> list[str] | None:
        return match_files(characters, self)


def _complain(streams: Streams, text: str) -> None:
    with suppress(OSError):
        write(streams.stderr, os.fsencode(text + "\n"))
