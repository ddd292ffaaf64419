"""The student's side of a check: from input arrays to output arrays, and nothing else.

Whatever stands in this package may share a process with a student's code.
So it holds no reference, no seed and no answer, and imports nothing of dl780 that does.
"""
