"""A build backend that is a program of its own: it speaks the pixi-build protocol and packs what its script installs.

Written from the description of the protocol, and without smelt: tests put this file into a package as an executable.
Its configuration: ``script`` (lines for sh), ``noarch``, ``outputs`` (names of more outputs), and ``fault``, which
makes it misbehave.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from itertools import product
from pathlib import Path

VERSION = "1"
PLATFORMS = {"linux-64": {"unix", "linux", "linux-64"}, "osx-arm64": {"unix", "osx", "osx-arm64"}}
state: dict = {}


class Complaint(Exception):
    """What the backend has to say to whoever asked."""

    def __init__(self, message: str, *causes: str, help: str | None = None) -> None:
        super().__init__(message)
        self.data = {"causes": list(causes), "help": help}


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        state["fault"] = state.get("fault") or os.environ.get("DEMO_FAULT", "")
        answer: dict = {"jsonrpc": "2.0", "id": request["id"]}
        method = METHODS.get(request["method"])
        try:
            if method is None:
                answer["error"] = {"code": -32601, "message": "Method not found"}
            else:
                answer["result"] = method(request["params"])
        except Complaint as error:
            answer["error"] = {"code": -32000, "message": str(error), "data": error.data}
        print(json.dumps(answer), flush=True)


def negotiate(params: dict) -> dict:
    return {"capabilities": {"providesCondaOutputs": True, "providesCondaBuildV1": state["fault"] != "no-build"}}


def initialize(params: dict) -> dict:
    state.update(params)
    state["configuration"] = dict(params.get("configuration") or {})
    for key, value in (params.get("targetConfiguration") or {}).items():
        if key in ("unix", "linux", "linux-64"):
            state["configuration"].update(value)
    state["fault"] = state["configuration"].get("fault", state["fault"])
    assert Path(params["manifestPath"]).is_file()
    assert Path(params["sourceDirectory"]).is_dir()
    if "SECRET_OF_THE_USER" in os.environ:
        raise Complaint("it sees what is none of its business")
    return {}


def outputs(params: dict) -> dict:
    fault, configuration = state["fault"], state["configuration"]
    if fault == "crash":
        print("about to crash", file=sys.stderr, flush=True)
        os._exit(7)
    if fault == "signal":
        os.kill(os.getpid(), 9)
    if fault == "garbage":
        print("Hello, I am a friendly backend", flush=True)
    if fault == "hang-up":
        os.close(1)
        time.sleep(60)
    if fault == "complain":
        raise Complaint("the project has no heart", "found only a kidney", help="transplant one")
    if fault == "list":
        return {"outputs": "none"}
    if fault == "empty":
        return {"outputs": [], "inputGlobs": []}
    if fault == "long-log":
        for number in range(20_000):
            print(f"line {number} " + "x" * 100, file=sys.stderr)
    model = state["projectModel"]
    subdir = "noarch" if configuration.get("noarch") else params["hostPlatform"]
    platforms = PLATFORMS.get(params["hostPlatform"], set())
    targets = model["targets"]
    tables = [targets["defaultTarget"]]
    tables += [table for condition, table in (targets.get("conditional") or {}).items() if condition in platforms]
    build, host, run, limits = (
        [named(name, spec) for table in tables for name, spec in table[key].items()]
        for key in ("buildDependencies", "hostDependencies", "runDependencies", "runConstraints")
    )
    exports = {key: [] for key in ("weak", "strong", "noarch", "weakConstrains", "strongConstrains")}
    for table in tables:
        for key, entries in (table.get("runExports") or {}).items():
            exports[key.replace("Constraints", "Constrains")] += [named(name, spec) for name, spec in entries.items()]
    used = {}
    for entry in (*build, *host):
        values = params["variantConfiguration"].get(entry["name"].replace("-", "_"))
        if values and entry.get("binary", {}).get("version") in (None, "*"):
            used[entry["name"]] = values
    found = []
    groups = [g for file in params["variantFiles"] for g in json.loads(Path(file).read_text()).get("zip_keys", [])]
    for values in product(*used.values()):
        places = {name: used[name].index(value) for name, value in zip(used, values, strict=True)}
        if any(len({places[key] for key in group if key in places}) > 1 for group in groups):
            continue
        variant = {name.replace("-", "_"): value for name, value in zip(used, values, strict=True)}
        variant["target_platform"] = subdir
        digest = hashlib.sha1(json.dumps(variant, sort_keys=True).encode()).hexdigest()[:7]
        number = model.get("buildNumber") or 0
        prefix = model.get("buildStringPrefix") if fault != "no-prefix" else None
        build_string = f"{prefix + '_' if prefix else ''}h{digest}_{number}"
        fixed = dict(zip(used, values, strict=True))
        for name in (model["name"], *configuration.get("outputs", ())):
            found.append(
                {
                    "metadata": {
                        "name": "" if fault == "name" else name,
                        "version": model["version"] or "0.1",
                        "build": build_string,
                        "buildNumber": number,
                        "subdir": "win-64" if fault == "platform" else subdir,
                        "license": model.get("license"),
                        "licenseFamily": None,
                        "noarch": "generic" if configuration.get("noarch") else False,
                        "purls": None,
                        "pythonSitePackagesPath": None,
                        "variant": {} if fault == "same" else variant,
                    },
                    "buildDependencies": {"depends": [pinned(each, fixed) for each in build], "constraints": []},
                    "hostDependencies": {"depends": [pinned(each, fixed) for each in host], "constraints": []},
                    "runDependencies": {"depends": run, "constraints": limits},
                    "ignoreRunExports": {"byName": [], "fromPackage": []},
                    "runExports": exports,
                    "inputGlobs": None,
                }
            )
    return {"outputs": found, "inputGlobs": ["**"]}


def named(name: str, spec: dict) -> dict:
    return {"name": name, **spec}


def pinned(entry: dict, fixed: dict) -> dict:
    if entry["name"] in fixed and "binary" in entry:
        return {**entry, "binary": {**entry["binary"], "version": fixed[entry["name"]]}}
    return entry


def build(params: dict) -> dict:
    fault, output, configuration = state["fault"], params["output"], state["configuration"]
    source = Path(state["sourceDirectory"])
    host, tools = Path(params["hostPrefix"]["prefix"]), Path(params["buildPrefix"]["prefix"])
    before = set(host.rglob("*"))
    work = Path(params["workDirectory"]) / "demo"
    work.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "PREFIX": str(host),
        "BUILD_PREFIX": str(tools),
        "SRC_DIR": str(source),
        "PKG_NAME": output["name"],
        "PATH": os.pathsep.join([f"{tools}/bin", f"{host}/bin", os.environ["PATH"]]),
        **{f"VARIANT_{key}": str(value) for key, value in output["variant"].items()},
    }
    activate = (
        ""
        if fault == "lazy"
        else 'for each in "$BUILD_PREFIX"/etc/conda/activate.d/*.sh; do [ ! -f "$each" ] || . "$each"; done'
    )
    script = "\n".join([activate, *configuration.get("script", ["true"])])
    done = subprocess.run(
        ["/bin/sh", "-ec", script], cwd=source, env=environment, stdout=sys.stderr, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise Complaint(f"the script ended with {done.returncode}", help="correct it")
    if fault == "build-crash":
        print("the last words", file=sys.stderr, flush=True)
        os._exit(3)
    new = sorted(path for path in host.rglob("*") if path not in before and not path.is_dir())
    name = f"{output['name']}-{output['version']}-{output['build']}"
    path = Path(params["outputDirectory"]) / f"{name}.conda"
    index = {
        "name": output["name"],
        "version": "9.9" if fault == "index" else output["version"],
        "build": output["build"],
        "build_number": int(output["build"].rpartition("_")[2]),
        "subdir": output["subdir"],
        "depends": [text(each["spec"]) for each in params["runDependencies"]],
        "constrains": [text(each["spec"]) for each in params["runConstraints"]],
        "timestamp": int(time.time() * 1000),
        "arch": None,
        "platform": None,
    }
    if output["subdir"] == "noarch":
        index["noarch"] = "generic"
    if fault == "depends":
        index["depends"].append("surprise >=3")
    exports = {
        ours: [text(each["spec"]) for each in params["runExports"][key]]
        for key, ours in (("weak", "weak"), ("strong", "strong"), ("noarch", "noarch"))
        if params["runExports"][key]
    }
    if fault == "exports":
        exports["weak"] = ["surprise >=3"]
    write(path, name, host, new, index, exports)
    if fault == "elsewhere":
        path = path.with_name("nowhere.conda")
    return {
        "output_file": str(path),
        "input_globs": ["**"],
        "name": output["name"],
        "version": "2.0" if fault == "other" else output["version"],
        "build": output["build"],
        "subdir": output["subdir"],
    }


def text(spec: dict) -> str:
    assert isinstance(spec, dict), "version 5 of the protocol sends objects"
    if spec.get("condition"):
        return f'{spec["name"]}[version="{spec.get("version", "*")}", when="{condition(spec["condition"])}"]'
    return " ".join(
        [spec["name"], *([spec["version"]] if "version" in spec else []), *([spec["build"]] if "build" in spec else [])]
    )


def condition(data: dict) -> str:
    [(tag, inner)] = data.items()
    if tag == "MatchSpec":
        return text(inner)
    return f" {tag.lower()} ".join(f"({condition(each)})" if "Or" in each else condition(each) for each in inner)


def write(path: Path, name: str, prefix: Path, files: list[Path], index: dict, exports: dict) -> None:
    import zstandard

    entries, members, info = [], [], []
    for file in files:
        relative = file.relative_to(prefix).as_posix()
        data = file.read_bytes()
        entry = {
            "_path": relative,
            "path_type": "softlink" if file.is_symlink() else "hardlink",
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_in_bytes": len(data),
        }
        if str(prefix).encode() in data:
            entry["prefix_placeholder"] = str(prefix)
            entry["file_mode"] = "binary" if b"\0" in data else "text"
        entries.append(entry)
        members.append((relative, file))
    for member, value in (
        ("index.json", index),
        ("about.json", {"channels": ["file:///somewhere"], "license": "MIT"}),
        ("paths.json", {"paths": entries, "paths_version": 1}),
        *([("run_exports.json", exports)] if exports else []),
    ):
        info.append((f"info/{member}", json.dumps(value).encode()))

    def packed(add) -> bytes:
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            add(archive)
        return zstandard.ZstdCompressor().compress(raw.getvalue())

    def add_info(archive: tarfile.TarFile) -> None:
        for member, data in info:
            header = tarfile.TarInfo(member)
            header.size = len(data)
            header.mtime = int(time.time())
            archive.addfile(header, io.BytesIO(data))

    def add_files(archive: tarfile.TarFile) -> None:
        for relative, file in members:
            archive.add(file, relative)

    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        archive.writestr(f"pkg-{name}.tar.zst", packed(add_files))
        archive.writestr(f"info-{name}.tar.zst", packed(add_info))


METHODS = {
    "negotiateCapabilities": negotiate,
    "initialize": initialize,
    "conda/outputs": outputs,
    "conda/build_v1": build,
}

if __name__ == "__main__":
    main()
