"""Lock files to test with."""

from __future__ import annotations

from pathlib import Path

import pytest

CORPUS = Path(__file__).resolve().parents[2] / ".." / "shared" / "corpus"

V7 = """\
version: 7
platforms:
- name: gpu
  subdir: linux-64
  virtual-packages:
  - __cuda=12.0
- name: linux-64
environments:
  default:
    channels:
    - url: https://channel.example/forge/
    - url: https://private.example/t/x/
      used_env_vars:
      - TOKEN
    options:
      strategy: lowest-version
      channel-priority: disabled
    packages:
      gpu:
      - conda: ../local/linux-64/odd-1.0-0.conda
      linux-64:
      - conda: https://channel.example/forge/linux-64/zlib-1.3-h0_2.conda
      - conda: https://channel.example/forge/noarch/six-1.16-pyh_0.conda
      - conda_source: own[1a2b3c4d] @ .
      - conda_source: part[00000001] @ git+https://git.example/part#0123456789abcdef0123456789abcdef01234567
packages:
- conda: ../local/linux-64/odd-1.0-0.conda
  subdir: linux-64
  channel: https://channel.example/forge
- conda: https://channel.example/forge/linux-64/gcc-13-0.tar.bz2
  build_number: 7
  run_exports:
    strong:
    - libgcc >=13
- conda: https://channel.example/forge/linux-64/zlib-1.3-h0_2.conda
  sha256: aa00000000000000000000000000000000000000000000000000000000000000
  md5: aa000000000000000000000000000000
  depends:
  - __glibc >=2.17
  constrains:
  - zlib-ng <0.0a0
  extra_depends:
    test:
    - pytest
  flags:
  - release
  track_features:
  - old
  license: Zlib
  license_family: Other
  purls: []
  run_exports: {}
  size: 12
  timestamp: 1700000000000
  python_site_packages_path: lib/python3.13t/site-packages
- conda: https://channel.example/forge/noarch/six-1.16-pyh_0.conda
  noarch: generic
  purls:
  - pkg:pypi/six?source=hash-mapping
- conda_source: own[1a2b3c4d] @ .
  variants:
    python: 3.12.*
    release: true
    target_platform: linux-64
  depends:
  - zlib >=1.3,<2
  run_exports:
    weak:
    - own >=1
  source_depends:
    inner:
      path: ../inner
  build_packages:
  - conda: https://channel.example/forge/linux-64/gcc-13-0.tar.bz2
  host_packages:
  - conda: https://channel.example/forge/linux-64/zlib-1.3-h0_2.conda
- conda_source: part[00000001] @ git+https://git.example/part#0123456789abcdef0123456789abcdef01234567
  version: 1.0.0
  build: h0_4
  build_number: 4
  subdir: linux-64
  license: MIT
  source:
    git: https://git.example/part
    branch: main
    rev: 0123456789abcdef0123456789abcdef01234567
    subdir: sub
"""

SECTION = """\
smelt:
  version: 1
  sources:
    own[1a2b3c4d] @ .:
      version: '1.10'
      build: h1234567_0
      build_number: 0
      subdir: linux-64
      backend: pixi-build-python
      backend_version: '0.1.0'
      metadata_digest: abcdef
      profile: ubsan
"""


@pytest.fixture
def v7() -> str:
    """A small lock with every kind of field, as rattler writes it."""
    return V7


@pytest.fixture
def own_section() -> str:
    """smelt's own section, as it is written."""
    return SECTION


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real lock files beside the repository."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus of real lock files is not there")
    return CORPUS
