"""``pixi-build-python``: Python projects, installed by their own PEP 517 backend.

Source: the reference's page "pixi-build-python". The recipe is the reference's but for what makes builds
reproducible: the code is built in a copy, never in the user's folder, installers see no configuration, cache
or index of the machine, and temporary build folders have fixed names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from smelt.errors import NotSupportedError, SourceError
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
from smelt.source.backends.tables import PackageTables, about_of, identity_of, labels_of, uses_v3
from smelt.source.model import MANIFESTS, RenderRequest
from smelt.source.variants import compiler_variants
from smelt.types import platform_family

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
    tables: PackageTables
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
                labels=labels_of(request),
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
            tables=PackageTables.of(request),
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
        return BackendRecipe(
            recipe=recipe,
            recipe_path=package.manifest_path,
            folder=self.request.checkout.folder,
            file_globs=(*MANIFESTS, *(self.configuration.texts("extra-input-globs") or ())),
            variants=compiler_variants(self.request.subdir),
            source_requirements=self.tables.sources(),
            build_tree=_BUILD_FOLDER if self._build_folder(self.configuration.texts("extra-args") or ()) else None,
            v3=uses_v3(self.request, requirements),
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
        return identity_of(self.request, name, version, computed=project.dynamic)

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
        python = "python"
        if self.project.requires_python and (spec := python_spec(self.project.requires_python)):
            python = f"python {spec}"
        host = [self._installer(), python]
        ignored_from: list[str] = []
        if self.configuration.boolean("abi3"):
            if "python-abi3" not in self.tables.requirements.host:
                bound = lower_bound(self.project.requires_python) or "3.9"
                host.append(f"python-abi3 {'.'.join(bound.split('.')[:2])}.*")
            ignored_from.append("python")
        return self.tables.recipe(host=host, run=[python], compilers=self.compilers, ignored_from=ignored_from)

    def _about(self) -> dict[str, object]:
        project = self.project
        return about_of(
            self.request,
            homepage=project.homepage,
            license=project.license,
            license_file=list(project.license_files),
            summary=project.description,
            description=project.description,
            documentation=project.documentation,
            repository=project.repository,
        )

    def _warnings(self) -> tuple[str, ...]:
        warnings = list(self.project.warnings)
        if "debug-dir" in self.configuration.values:
            warnings.append("`debug-dir` has no effect and may be removed")
        if "pypi-conda-map" in self.configuration.values:
            warnings.append("`pypi-conda-map` has no effect without `ignore-pypi-mapping = false`")
        return tuple(warnings)
