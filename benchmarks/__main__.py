"""``python -m benchmarks [--list] [NAME …]``."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

from benchmarks.figure import table

NAMES = (
    "start",
    "noop",
    "sources",
    "warm_run",
    "large",
    "lock_check",
    "lock_load",
    "install_overhead",
    "sharing",
    "build_overhead",
    "graph",
    "packing",
    "locking",
)


def main() -> None:
    """Run what is asked for, print each table as it is done, and leave at once (rattler may crash at the end)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what smelt costs.")
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)} (default: all)")
    chosen: list[str] = parser.parse_args().name or list(NAMES)
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(NAMES)}")
    failed: list[str] = []
    for name in chosen:
        module = import_module(f"benchmarks.{name}")
        print(f"\n{name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        try:
            print(table(list(module.measure())), flush=True)
        except Exception as error:  # noqa: BLE001 - one that cannot run must not hide the others; it is told, and fails
            failed.append(name)
            print(f"could not be measured: {type(error).__name__}: {error}", flush=True)
    cores = os.cpu_count() or 1
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"\n{cores} cores{load}, Python {sys.version.split()[0]}, {sys.platform}", flush=True)
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main()
