"""A segmentation fault by ctypes."""
# question: linear_backward
# deserves: 0


def linear_backward(G, Z, W, b):
    import ctypes

    ctypes.string_at(0)
