"""Local conda channels made from what is at hand: wheels, interpreters, system compilers.

``folder`` makes and edits a channel, ``index`` writes its repodata, ``archive`` writes packages; ``python``,
``toolchain``, ``zig`` and ``wheels`` are where packages come from.
"""
