"""``pixi-build-python``: Python projects, installed by their own PEP 517 backend.

Source: the reference's page "pixi-build-python". The recipe is the reference's but for what makes builds
reproducible: the code is built in a copy, never in the user's folder, installers see no configuration, cache
or index of the machine, and temporary build folders have fixed names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from smelt.errors import Label, NotSupportedError, SourceError
from smelt.source.backends.configuration import Configuration, configuration_of
from smelt.source.backends.interface import BackendRecipe
from smelt.source.backends.pyproject import (
    Project,
    conda_version,
    distribution_name,
    lower_bound,
    python_spec,
    read_pkg_info,
    read_project,
)
from smelt.source.model import MANIFESTS, RenderRequest
from smelt.source.requirement import needs_v3, requirement_text
from smelt.source.variants import compiler_variants
from smelt.types import CondaSpec, SourceLocation, platform_family
from smelt.workspace.package import PackageRequirements, Requirement
from smelt.workspace.requirements import requirements_for

NAME = "pixi-build-python"
VERSION = "1"

_KEYS = (
    "noarch",
    "env",
    "debug-dir",
    "extra-input-globs",
    "compilers",
    "abi3",
    "installer",
    "extra-args",
    "skip-pyc-compilation",
    "ignore-pyproject-manifest",
    "ignore-pypi-mapping",
    "pypi-conda-map",
)

_COMPILED_BACKENDS = {"maturin": "rust", "setuptools-rust": "rust"}
"""Build requirements that always need a compiler."""

_BUILD_FOLDER = "_smelt_build"
"""Where PEP 517 backends that would take a random folder put their build tree: its name gets into debug info."""

_EPOCH = "315532800"
"""1980-01-01, the first moment that a zip archive can hold."""


class PythonBackend:
    """The backend for Python projects."""

    name = NAME
    version = VERSION

    def recipe(self, request: RenderRequest) -> BackendRecipe:
        """The recipe of a Python project.

        Raises SourceError (no name, version or ``pyproject.toml``; bad configuration), NotSupportedError (the mapping
        of PyPI names).
        """
        return _Composer.of(request).recipe()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Composer:
    """One request with everything that was read for it.

    ``project`` is what the package takes its metadata from (nothing with ``ignore-pyproject-manifest``), ``code`` what
    is built.
    """

    request: RenderRequest
    configuration: Configuration
    project: Project
    code: Project
    requirements: PackageRequirements
    compilers: tuple[str, ...]

    @classmethod
    def of(cls, request: RenderRequest) -> _Composer:
        configuration = configuration_of(request, NAME, _KEYS)
        if configuration.boolean("ignore-pypi-mapping") is False:
            raise NotSupportedError(
                "the mapping of PyPI dependencies to conda packages is not supported yet "
                f"(`ignore-pypi-mapping = false` of package `{request.package.name or request.package.root.name}`)",
                help="list the conda packages in `[package.host-dependencies]` and `[package.run-dependencies]`",
            )
        folder = request.checkout.folder
        project = read_project(folder)
        if not project.exists and not (request.checkout.digest is not None and (folder / "setup.py").is_file()):
            raise SourceError(
                f"package `{request.package.name or request.package.root.name}` has no pyproject.toml in {folder}",
                code="pyproject-missing",
                labels=_labels(request),
                help="add a `pyproject.toml` with a `[build-system]` table, or use another backend",
            )
        code = project
        if configuration.boolean("ignore-pyproject-manifest"):
            project = Project(exists=True)
        compilers = list(configuration.texts("compilers") or ())
        for requirement in project.build_requires:
            needed = _COMPILED_BACKENDS.get(distribution_name(requirement))
            if needed is not None and needed not in compilers:
                compilers.append(needed)
        return cls(
            request=request,
            configuration=configuration,
            project=project,
            code=code,
            requirements=requirements_for(
                request.package, request.subdir, build_subdir=request.build_subdir, keep_conditions=True
            ),
            compilers=tuple(compilers),
        )

    def recipe(self) -> BackendRecipe:
        package = self.request.package
        name, version = self._identity()
        noarch = self._noarch()
        script = {"content": self._script(), "env": self._environment(name, version)}
        build: dict[str, object] = {"number": package.build_number or 0, "script": script}
        if noarch:
            build["noarch"] = "python"
        python = self._python()
        if python:
            build["python"] = python
        if package.flags:
            build["flags"] = list(package.flags)
        requirements = self._requirements()
        recipe: dict[str, object] = {
            "package": {"name": name, "version": version},
            # The copy that the build gets holds the files of the tree digest and no others.
            "source": [{"path": ".", "use_gitignore": False}],
            "build": build,
            "requirements": requirements,
            "about": self._about(),
        }
        texts = [text for items in _lists(requirements) for text in items]
        return BackendRecipe(
            recipe=recipe,
            recipe_path=package.manifest_path,
            folder=self.request.checkout.folder,
            file_globs=(*MANIFESTS, *(self.configuration.texts("extra-input-globs") or ())),
            variants=compiler_variants(self.request.subdir),
            source_requirements=self._source_requirements(),
            v3=bool(package.flags) or any(needs_v3(text) for text in texts),
            warnings=self._warnings(),
        )

    def _identity(self) -> tuple[str, str]:
        package, project = self.request.package, self.project
        info = (
            read_pkg_info(self.request.checkout.folder)
            if self.request.checkout.digest is not None
            else dict[str, str]()
        )
        name = package.name or project.name or info.get("name")
        version = package.version or project.version or conda_version(info.get("version", ""))
        if version is None and package.source is not None and package.source.pypi is not None:
            version = conda_version(package.source.pypi.partition("==")[2].strip())
        for key, value in (("name", name), ("version", version)):
            if value is None or not value.strip():
                dynamic = key in project.dynamic
                raise SourceError(
                    f"package `{package.name or package.root.name}` has no {key}",
                    code=f"package-{key}-missing",
                    labels=_labels(self.request),
                    help=f"set `{key}` in `[package]`"
                    + (f": the project computes its {key} when it is built" if dynamic else ""),
                )
        assert name is not None
        assert version is not None
        return name.lower(), version

    def _noarch(self) -> bool:
        said = self.configuration.boolean("noarch")
        noarch = not self.compilers if said is None else said
        if noarch and self.configuration.boolean("abi3"):
            raise self.configuration.error(
                "abi3", "cannot be true for a noarch package", "set `noarch = false`, or list the `compilers`"
            )
        return noarch

    def _installer(self) -> str:
        installer = self.configuration.text("installer") or "uv"
        if installer not in ("uv", "pip"):
            raise self.configuration.error("installer", f"is `{installer}`", 'use "uv" or "pip"')
        return installer

    def _script(self) -> str:
        windows = platform_family(self.request.build_subdir) == "win"
        python = '"%PYTHON%"' if windows else '"$PYTHON"'
        if self._installer() == "uv":
            command = f"uv pip install --python {python} --reinstall"
        else:
            # rattler-build compiles the modules itself, with paths that do not name the build folder.
            command = f"{python} -m pip install --force-reinstall --no-compile"
        # As in the reference, extra arguments are text of the shell: they may expand variables, and quote.
        given = self.configuration.texts("extra-args") or ()
        options = ["-vv", "--no-deps", "--no-build-isolation", "--no-index", *self._build_folder(given), *given]
        separator = " ^\n        " if windows else " \\\n        "
        script = separator.join([command, *options, "."])
        return f"{script}\nif errorlevel 1 exit 1\n" if windows else f"{script}\n"

    def _build_folder(self, given: tuple[str, ...]) -> list[str]:
        """A fixed build folder for the backends that would make up a random one."""
        backend = self.code.build_backend.partition(":")[0].partition(".")[0]
        if backend not in ("mesonpy", "scikit_build_core"):
            return []
        if any(re.search(r"build-?dir=", argument) for argument in given):
            return []
        return [f"-Cbuild-dir={_BUILD_FOLDER}"]

    def _environment(self, name: str, version: str) -> dict[str, str]:
        nowhere = "NUL" if platform_family(self.request.build_subdir) == "win" else "/dev/null"
        environment = {
            "SOURCE_DATE_EPOCH": _EPOCH,
            "PYTHONHASHSEED": "0",
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if self._installer() == "uv":
            environment |= {
                "UV_NO_CONFIG": "1",
                "UV_NO_CACHE": "1",
                "UV_OFFLINE": "1",
                "UV_PYTHON_DOWNLOADS": "never",
                "UV_LINK_MODE": "copy",
                "UV_NO_PROGRESS": "1",
            }
        else:
            environment |= {
                "PIP_CONFIG_FILE": nowhere,
                "PIP_NO_INDEX": "1",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PIP_NO_INPUT": "1",
                "PIP_PROGRESS_BAR": "off",
            }
        environment |= self._version_variables(name, version)
        return {**environment, **self.configuration.mapping("env")}

    def _version_variables(self, name: str, version: str) -> dict[str, str]:
        """The version for projects that would ask a version control system, which the build does not see."""
        if "version" not in self.code.dynamic:
            return {}
        tools = {distribution_name(requirement) for requirement in self.code.build_requires}
        variables: dict[str, str] = {}
        if tools & {"setuptools-scm", "hatch-vcs", "vcs-versioning"} or "scikit-build-core" in tools:
            own = re.sub(r"[^A-Z0-9]+", "_", (self.code.name or name).upper())
            variables[f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{own}"] = version
        if "pdm-backend" in tools:
            variables["PDM_BUILD_SCM_VERSION"] = version
        return variables

    def _python(self) -> dict[str, object]:
        python: dict[str, object] = {}
        if self.code.scripts:
            python["entry_points"] = [f"{name} = {target}" for name, target in self.code.scripts]
        if self.configuration.boolean("abi3"):
            python["version_independent"] = True
        skipped = self.configuration.values.get("skip-pyc-compilation")
        if skipped is True:
            python["skip_pyc_compilation"] = ["**/*.py"]
        elif skipped not in (None, False):
            python["skip_pyc_compilation"] = list(self.configuration.texts("skip-pyc-compilation") or ())
        return python

    def _requirements(self) -> dict[str, object]:
        tables = self.requirements
        python = "python"
        if self.project.requires_python and (spec := python_spec(self.project.requires_python)):
            python = f"python {spec}"
        build = self._items("build")
        host = [*self._items("host"), self._installer(), python]
        run = [*self._items("run"), python]
        ignored_from = list(tables.ignore_run_exports_from)
        if self.configuration.boolean("abi3"):
            if "python-abi3" not in tables.host:
                bound = lower_bound(self.project.requires_python) or "3.9"
                host.append(f"python-abi3 {'.'.join(bound.split('.')[:2])}.*")
            if "python" not in ignored_from:
                ignored_from.append("python")
        build += [f"${{{{ compiler('{language}') }}}}" for language in self.compilers]
        if "c_stdlib" in self.request.variants and any(each != "go-nocgo" for each in self.compilers):
            build.append("${{ stdlib('c') }}")
        if any(each.extra for each in self._tables()):
            raise NotSupportedError(
                f"package `{self.request.package.name}` has extra dependency groups, which are not supported yet",
                labels=_labels(self.request),
                help="remove `[package.extra-dependencies]`, or put them into `[package.run-dependencies]`",
            )
        if self.requirements.conditional and any("channel=" in str(item) for item in (*build, *host, *run)):
            # Which entries are left is known only to rattler-build, whose text of them loses the channel.
            raise NotSupportedError(
                f"package `{self.request.package.name}` has requirements with a channel beside conditions on variants",
                labels=_labels(self.request),
                help="name the channel in `[workspace] channels`, or drop the conditions",
            )
        kinds = dict.fromkeys(kind for each in self._tables() for kind in each.run_exports)
        return {
            "build": build,
            "host": host,
            "run": run,
            "run_constraints": self._items("run_constraints"),
            "run_exports": {kind.replace("-", "_"): self._items("run_exports", kind) for kind in kinds},
            "ignore_run_exports": {"by_name": list(tables.ignore_run_exports_by_name), "from_package": ignored_from},
        }

    def _tables(self) -> tuple[PackageRequirements, ...]:
        return (self.requirements, *self.requirements.conditional.values())

    def _items(self, table: str, kind: str | None = None) -> list[object]:
        """The entries of a table, those under a condition on variants as conditional entries of the recipe."""

        def texts(requirements: PackageRequirements) -> list[str]:
            found = getattr(requirements, table)
            entries = found.get(kind, {}) if kind is not None else found
            return [requirement_text(name, spec) for name, spec in entries.items()]

        items: list[object] = list(texts(self.requirements))
        for condition, requirements in self.requirements.conditional.items():
            items += [{"if": condition, "then": text} for text in texts(requirements)]
        return items

    def _source_requirements(self) -> dict[str, SourceLocation]:
        tables: list[Mapping[str, Requirement]] = [
            table for each in self._tables() for table in (each.build, each.host, each.run)
        ]
        return {
            name.lower(): spec.location
            for table in tables
            for name, spec in table.items()
            if isinstance(spec, CondaSpec) and spec.location is not None
        }

    def _about(self) -> dict[str, object]:
        package, project = self.request.package, self.project
        files = [package.license_file] if package.license_file is not None else list(project.license_files)
        about: dict[str, object | None] = {
            "homepage": package.homepage or project.homepage,
            "license": package.license or project.license,
            "license_file": files or None,
            "summary": project.description,
            "description": package.description or project.description,
            "documentation": package.documentation or project.documentation,
            "repository": package.repository or project.repository,
        }
        return {key: value for key, value in about.items() if value is not None}

    def _warnings(self) -> tuple[str, ...]:
        warnings = list(self.project.warnings)
        if "debug-dir" in self.configuration.values:
            warnings.append("`debug-dir` has no effect and may be removed")
        if "pypi-conda-map" in self.configuration.values:
            warnings.append("`pypi-conda-map` has no effect without `ignore-pypi-mapping = false`")
        return tuple(warnings)


def _lists(requirements: Mapping[str, object]) -> list[list[str]]:
    return [[str(text) for text in items] for items in requirements.values() if isinstance(items, list)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _labels(request: RenderRequest) -> list[Label]:
    place = request.package.backend.place or request.package.place
    return [Label(place=place)] if place is not None else []
