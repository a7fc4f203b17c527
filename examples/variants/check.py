"""Use the packages that were built from source, and print what they compute."""

import sys

import contourpy
import kiwisolver
import markupsafe
import markupsafe._speedups
import numpy
import overflow

print(f"python      {sys.version.split()[0]}, numpy {numpy.__version__}, in {sys.prefix}")
print(f"markupsafe  {markupsafe.escape('<em>5 > 4</em>')}  ({markupsafe._speedups.__file__.rsplit('/', 1)[-1]})")

solver = kiwisolver.Solver()
left, width, right = (kiwisolver.Variable(name) for name in ("left", "width", "right"))
solver.addConstraint(left == 10)
solver.addConstraint(width == 32)
solver.addConstraint(right == left + width)
solver.updateVariables()
print(f"kiwisolver  left + width = {right.value():.0f}")

x, y = numpy.meshgrid(numpy.linspace(-1, 1, 201), numpy.linspace(-1, 1, 201))
(circle,) = contourpy.contour_generator(x, y, x**2 + y**2).lines(0.25)
length = numpy.hypot(*numpy.diff(circle, axis=0).T).sum()
print(f"contourpy   circle of radius 0.5: {len(circle)} points, length {length:.4f} (2πr = {numpy.pi:.4f})")

largest = 2**31 - 1
print(f"overflow    {largest} + 1 = {overflow.add(largest, 1)}", flush=True)
